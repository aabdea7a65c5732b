"""Names for content: canonical JSON and SHA-256."""

import hashlib
import json
from pathlib import Path
from typing import Any

KEY_CHARS = 32  # 128 bits of a sha256: short enough for a folder, a label and a table


def canonical(value: Any) -> bytes:
    """Encode as JSON bytes that are equal exactly when the plain data `value` is equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def stage_key(stage: str, version: int, config: dict[str, Any], seed: int | None, inputs: dict[str, str]) -> str:
    """Name everything that decides what a stage writes, and nothing else.

    `inputs` maps a role to the key of the stage that fills it, so the dataset's fingerprint, which is part of
    the first stage's config, reaches every key.
    """
    described = {"stage": stage, "version": version, "config": config, "seed": seed, "inputs": inputs}
    return hashlib.sha256(canonical(described)).hexdigest()[:KEY_CHARS]


def digest(value: Any) -> str:
    """Compute the SHA-256 of the canonical JSON of `value`, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def sha256_file(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes, in hex; memory does not grow with the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
