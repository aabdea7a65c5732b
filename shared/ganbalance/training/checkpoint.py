"""One file that holds a training state: safetensors, with a digest of its contents and the stage key in it.

A state is a nest of dicts, lists and tuples with tensors, strings, numbers, booleans and None in it: torch's
optimizer and module state dicts as they are. Tensors become safetensors entries; the nest around them is JSON
in the file's metadata. Nothing is pickled.

    metadata  key     the stage key that the state belongs to
              nest    JSON; {"dict": [[k, v]...]}, {"list": [...]}, {"tuple": [...]}, {"tensor": "<name>"} or a scalar
              sha256  of key, nest and every tensor's name, type, shape and bytes
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor

from ganbalance.errors import DataError

State = dict[str, Any]


def save(path: Path, state: State, key: str) -> None:
    """Write `state` of stage `key` to `path`; a reader sees the old file or the whole new one, never a part."""
    tensors: dict[str, Tensor] = {}
    nest = json.dumps(_flatten(state, tensors))
    metadata = {"key": key, "nest": nest, "sha256": _digest(key, nest, tensors)}
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(write_tensors(tensors, metadata))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path, key: str) -> State:
    """Read the state that `save` wrote, tensors on the CPU; DataError if it is damaged or of another stage."""
    metadata, tensors = _read(path)
    try:
        found, nest, digest = metadata["key"], metadata["nest"], metadata["sha256"]
    except KeyError as error:
        raise DataError(
            f"checkpoint {path} has no {error} in its metadata: it was not written by ganbalance"
        ) from error
    if _digest(found, nest, tensors) != digest:
        raise DataError(f"checkpoint {path} is damaged: its sha256 does not match its contents")
    if found != key:
        raise DataError(f"checkpoint {path} belongs to stage key {found}, not to {key}")
    state: State = _restore(json.loads(nest), tensors)
    return state


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    try:
        tensors = read_tensors(raw)
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise DataError(f"checkpoint {path} is damaged: {error}") from error
    return header.get("__metadata__", {}), tensors


def _digest(key: str, nest: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for text in (key, nest):
        digest.update(f"{len(text.encode())}:{text}".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _flatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Turn `value` into JSON; its tensors move to `tensors` as contiguous CPU copies."""
    if isinstance(value, Tensor):
        name = f"{len(tensors):05d}"
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[_flatten(key, tensors), _flatten(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flatten(item, tensors) for item in value]}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}: tensors, containers and JSON scalars only")


def _restore(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo `_flatten`."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "dict":
            return {_restore(key, tensors): _restore(item, tensors) for key, item in content}
        case "tuple":
            return tuple(_restore(item, tensors) for item in content)
        case _:
            return [_restore(item, tensors) for item in content]
