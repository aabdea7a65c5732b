"""Where a GPU is asked for, its absence ends a program; where none is, a CPU will do."""

import importlib
import inspect

import pytest
import torch

from ganbalance.config import GPUS
from ganbalance.errors import ConfigError
from ganbalance.k8s.manifest import PROGRAMS
from ganbalance.pipeline import stages
from ganbalance.training import device

# what torch says, the CUDA it was built for -> what a program says
ABSENT = {
    "the CPU image": (
        AssertionError("Torch not compiled with CUDA enabled"), None,
        "Torch not compiled with CUDA enabled; take the image with CUDA (make images DEVICE=cuda)",
    ),
    "an old driver": (
        RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please\nupdate."), "13.0",
        "The NVIDIA driver on your system is too old (found version 11040); it takes a GPU and a driver for CUDA 13.0",
    ),
    "no device": (
        RuntimeError("No CUDA GPUs are available"), "13.0",
        "No CUDA GPUs are available; it takes a GPU and a driver for CUDA 13.0",
    ),
}  # fmt: skip


@pytest.fixture(params=ABSENT)
def cause(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    error, cuda, said = ABSENT[request.param]

    def init() -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    return said


def test_auto_is_cuda_or_a_bad_configuration_where_a_gpu_is_asked_for(
    cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GPUS, "1")
    with pytest.raises(ConfigError) as refused:
        device.resolve("auto")
    assert str(refused.value) == (
        f"device = 'auto' in a container that asks for a GPU: torch sees no CUDA device: {cause}, "
        "or set resources.device to cpu"
    )
    assert device.resolve("cpu").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.resolve("auto").type == "cuda"


def test_auto_is_the_cpu_where_no_gpu_is_asked_for(cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.resolve("auto").type == "cpu"
    monkeypatch.setenv(GPUS, "0")
    assert device.resolve("auto").type == "cpu"
    with pytest.raises(ConfigError, match=r"^device = 'cuda': torch sees no CUDA device: ") as refused:
        device.resolve("cuda")
    assert cause in str(refused.value)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_stage_declares_a_gpu_if_and_only_if_its_body_chooses_a_device(program: str) -> None:
    main = importlib.import_module(f"jobs.{program.replace('-', '_')}").main
    bodies = inspect.getclosurevars(main).nonlocals["bodies"]
    assert set(bodies) == {kind for kind in stages.ALL.values() if kind.program == program}
    for kind, body in bodies.items():
        assert kind.uses_gpu == ("device.resolve(" in inspect.getsource(body)), kind
