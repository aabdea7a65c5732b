"""What a COMMIT may say."""

import json
from pathlib import Path
from typing import Any

import pytest

from ganbalance.errors import DataError
from ganbalance.store import open_store
from ganbalance.store.artifacts import Artifacts, Commit

FILE = {"path": "figures/a..b.png", "size": 0, "sha256": "0" * 64}
COMMIT = {
    "stage": "stage", "key": "k", "attempt": "a", "outcome": "done", "files": [FILE], "digest": "0" * 64,
    "inputs": {}, "metrics": {}, "provenance": {},
}  # fmt: skip


def find(folder: Path, commit: dict[str, Any]) -> Commit | None:
    store = open_store(str(folder))
    store.create("stages/stage/k/COMMIT.json", json.dumps(commit).encode())
    return Artifacts(store, folder).find("stage", "k")


def test_a_file_in_a_folder_of_its_artifact_is_fine(tmp_path: Path) -> None:
    found = find(tmp_path, COMMIT)
    assert found is not None
    assert [file.path for file in found.files] == ["figures/a..b.png"]


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/out", "", ".", "a//b"])
def test_nothing_outside_its_artifact_is_ever_named(tmp_path: Path, name: str) -> None:
    """Or whoever may write to a store could have its readers write anywhere on their machines."""
    for number, commit in enumerate((COMMIT | {"files": [FILE | {"path": name}]}, COMMIT | {"attempt": name})):
        with pytest.raises(DataError, match=r"COMMIT.json.*corrupt"):
            find(tmp_path / str(number), commit)
