"""The same experiment on a folder and on an S3 server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganbalance import cli
from ganbalance.store import open_store
from ganbalance.store.artifacts import Artifacts
from ganbalance.store.base import Store
from tests import servers


def run(experiment: Path, store: str, out: Path) -> Path:
    """Run it as a user does; returns the report's folder."""
    argv = ["run", str(experiment), "--store", store, "--out", str(out)]
    if store.startswith("s3://"):  # stages have the environment that their run's process began with
        command = [sys.executable, "-m", "ganbalance.cli", *argv]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        assert cli.main(argv) == 0
    (report,) = out.iterdir()
    return report


def digests(store: Store, scratch: Path) -> dict[str, str]:
    """stage/key -> digest of every committed artifact."""
    artifacts = Artifacts(store, scratch)
    found = {}
    for name in store.names("stages"):
        if name.endswith("/COMMIT.json"):
            _, stage, key, _ = name.split("/")
            commit = artifacts.find(stage, key)
            assert commit is not None
            found[f"{stage}/{key}"] = commit.digest
    return found


@pytest.fixture
def stores(tmp_path: Path, use_s3: Callable[[servers.Server], str], seaweedfs: servers.Server) -> dict[str, str]:
    return {"folder": str(tmp_path / "store"), "s3": use_s3(seaweedfs)}


def test_a_folder_and_s3_hold_the_same_keys_and_bytes_after_the_same_experiment(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], stores: dict[str, str], tmp_path: Path
) -> None:
    experiment = write(tiny)
    reports = {name: run(experiment, url, tmp_path / "out" / name) for name, url in stores.items()}
    for file in ("results.csv", "confusion.csv", "experiment.yaml"):
        assert (reports["folder"] / file).read_bytes() == (reports["s3"] / file).read_bytes()
    summaries = [json.loads((report / "summary.json").read_text()) for report in reports.values()]
    assert summaries[0]["arms"] == summaries[1]["arms"]
    made = {name: digests(open_store(url), tmp_path) for name, url in stores.items()}
    same = {name: {key: digest for key, digest in of.items() if "report/" not in key} for name, of in made.items()}
    assert same["folder"] == same["s3"]
    assert made["folder"].keys() == made["s3"].keys()  # the report holds when and where it was made
