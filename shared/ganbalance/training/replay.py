"""Launch a training step's many small kernels at once on a GPU: record it as a CUDA graph, then replay the recording.

The networks of a GAN at 32 to 128 px are so small that starting their kernels one by one takes a CPU longer than
running them takes a GPU. A replay runs the very kernels that were recorded, on the same places in memory.
"""

from collections import Counter
from collections.abc import Callable

import torch
from torch import Generator, Tensor

FIRST = 3
"""Calls of each shape that run as they are: libraries choose algorithms and reserve memory in them."""


class Replayed:
    """A function of tensors that returns one tensor, called again and again; what it changes it changes in place.

    On a GPU what it does with tensors of one shape is recorded once and replayed from then on, so that nothing in it
    may wait for the device or depend on a number that Python holds. `rng` is all that is random in it. What it returns
    is overwritten by the next call. On a CPU it is simply called.
    """

    def __init__(self, function: Callable[..., Tensor], rng: Generator) -> None:
        self._function, self._rng = function, rng
        self._calls: Counter[torch.Size] = Counter()
        self._recorded: dict[torch.Size, tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], Tensor]] = {}
        # a wait that sleeps: other processes have work for the core
        self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._stream = torch.cuda.Stream(rng.device) if rng.device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return what the function returns for these inputs, the first of which tells shapes apart."""
        if self._stream is None:
            return self._function(*inputs)
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            found = self._on_gpu(*inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return found

    def _on_gpu(self, *inputs: Tensor) -> Tensor:
        shape = inputs[0].shape
        self._calls[shape] += 1
        if self._calls[shape] <= FIRST:
            return self._function(*inputs)
        if shape not in self._recorded:
            self._recorded[shape] = self._record(inputs)
        graph, held, found = self._recorded[shape]
        for place, given in zip(held, inputs, strict=True):
            place.copy_(given)
        graph.replay()
        self._done.record()
        self._done.synchronize()
        return found

    def _record(self, inputs: tuple[Tensor, ...]) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], Tensor]:
        held = tuple(given.clone() for given in inputs)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._rng)
        with torch.cuda.graph(graph, stream=self._stream):
            found = self._function(*held)
        return graph, held, found
