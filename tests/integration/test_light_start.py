"""What is typed most loads nothing that trains, draws or speaks to a server; `tests.bench.light_start` has seconds."""

import sys
from pathlib import Path

import pytest

from ganbalance import cli
from ganbalance.pipeline.local import PRELOADED
from tests.conftest import Lab
from tests.loading import SLOW, loaded_by, loaded_by_command
from tests.unit.known_reports import known


def test_help_loads_nothing_slow() -> None:
    assert not loaded_by("""
from ganbalance import cli
try: cli.main(['--help'])
except SystemExit: pass
assert not {'numpy', 'pydantic', 'yaml'} & sys.modules.keys()
""")


@pytest.mark.parametrize("preset", sorted(Path("jobs/experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_plan_loads_nothing_slow(preset: Path, tmp_path: Path) -> None:
    first = loaded_by_command("plan", str(preset), "--store", str(tmp_path))
    assert not first or first == {"scipy"}  # which makes hashes of images that nobody has looked at yet
    assert not first or not loaded_by_command("plan", str(preset), "--store", str(tmp_path))


def test_a_printed_table_loads_nothing_slow() -> None:
    assert not loaded_by_command("table", str(known().folder / "summary.json"))


def test_a_run_that_is_all_done_loads_nothing_slow(finished_lab: Lab, tmp_path: Path) -> None:
    store = ("--store", str(finished_lab.store))
    assert not loaded_by_command("run", str(finished_lab.experiment), *store, "--out", str(tmp_path / "out"))


def test_the_process_that_stages_are_forked_from_has_loaded_what_they_use() -> None:
    loaded = loaded_by(f"import importlib\nfor module in {PRELOADED}: importlib.import_module(module)")
    assert loaded == SLOW - {"boto3", "kubernetes"}


def test_the_process_that_stages_are_forked_from_leaves_the_gpu_to_them() -> None:
    # what has asked for a GPU before a fork can use none after it
    preload = f"import importlib\nfor module in {PRELOADED}: importlib.import_module(module)"
    asked = (
        "import torch\nasked = []\n"
        "for name in ('_cuda_getDeviceCount', '_cuda_init', '_cuda_isDriverSufficient'):\n"
        "    setattr(torch._C, name, lambda *_, name=name: asked.append(name) or 1)\n"
    )
    assert loaded_by(f"{asked}{preload}\nassert not asked, asked") == SLOW - {"boto3", "kubernetes"}


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)


def test_where_there_is_no_torch_only_a_run_with_stages_to_do_is_refused(
    lab: Lab, finished_lab: Lab, tmp_path: Path, no_torch: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", str(tmp_path / "out"))
    assert cli.main(["run", str(finished_lab.experiment), "--store", str(finished_lab.store), *out]) == 0
    capsys.readouterr()
    assert cli.main(["run", str(lab.experiment), "--store", str(tmp_path / "new"), *out]) == 78
    assert "torch, which is not installed here" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_what_is_not_installed_is_told_in_one_line(
    lab: Lab, no_torch: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "get", str(lab.experiment), "--set", "classifier.backbone=resnet18"]) == 78
    assert capsys.readouterr().err == "ganbalance: torch is not installed here; install ganbalance[train]\n"
