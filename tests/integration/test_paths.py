"""Paths as a user writes them: ~ is the home folder, and what cannot be written to is refused before any work."""

import shutil
from pathlib import Path

import pytest

from ganbalance import cli
from ganbalance.data import outside, places
from ganbalance.errors import ConfigError
from ganbalance.models import backbones
from jobs import report
from tests.conftest import Lab


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that is not the current one."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_tilde_is_the_home_folder_in_every_flag(finished_lab: Lab, home: Path, capsys) -> None:
    shutil.copy(finished_lab.experiment, home / "mine.yaml")
    shutil.move(finished_lab.store, home / "store")
    run, store = finished_lab.plan.run, ["--store", "~/store"]
    for command in (
        ["run", "~/mine.yaml", "--out", "~/run"],
        ["plan", "~/mine.yaml", "--record", "~/record"],
        ["fetch-report", "--run", run, "--out", "~/fetched"],
        ["export", "--run", run, "--to", "~/images", "--seed", "0"],
    ):
        assert cli.main([*command, *store]) == 0, capsys.readouterr().err
    assert report.main(["--experiment", "~/mine.yaml", *store, "--dry-run"]) == 0
    assert cli.main(["table", f"~/run/{run}/summary.json"]) == 0
    assert (home / "run" / run / "report.html").read_bytes() == (home / "fetched" / run / "report.html").read_bytes()
    made = {"mine.yaml", "store", "run", "record", "fetched", "images"}
    assert {path.name for path in home.iterdir()} == made
    assert "~" not in {path.name for path in Path().iterdir()}


def test_a_tilde_is_the_home_folder_in_every_setting(home: Path) -> None:
    (home / "weights.pth").touch()
    assert places.local("~/weights.pth") == home / "weights.pth"
    assert backbones.find("resnet18").weights_file("~/weights.pth") == home / "weights.pth"
    assert outside.folder("~/{seed}/{class}", 0, "shirt") == home / "0" / "shirt"


def test_a_tilde_is_the_home_folder_in_a_kubeconfig(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--kubeconfig=~/none"]) == 78
    assert str(home / "none") in capsys.readouterr().err


@pytest.mark.parametrize(
    "use",
    [
        lambda: places.local("~nobody-of-that-name/images"),
        lambda: backbones.find("resnet18").weights_file("~nobody-of-that-name/weights.pth"),
        lambda: outside.folder("~nobody-of-that-name/{seed}", 0, "shirt"),
    ],
)
def test_a_home_folder_of_nobody_is_refused(use) -> None:
    with pytest.raises(ConfigError, match=r"~nobody-of-that-name.*give the whole path"):
        use()


@pytest.mark.parametrize("place", ["{file}", "{file}/below/it", "s3://bucket/prefix"])
@pytest.mark.parametrize(
    "command",
    [
        ["run", "{experiment}", "--store", "{store}", "--out"],
        ["fetch-report", "--run", "tiny-00000000", "--store", "{store}", "--out"],
        ["compare", "tiny-00000000", "tiny-11111111", "--store", "{store}", "--out"],
        ["export", "--run", "tiny-00000000", "--store", "{store}", "--to"],
        ["export", "--run", "tiny-00000000", "--store", "{store}", "--model"],
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], place: str
) -> None:
    (tmp_path / "file").touch()
    names = {"experiment": lab.experiment, "store": lab.store, "file": tmp_path / "file"}
    assert cli.main([word.format(**names) for word in (*command, place)]) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ganbalance: argument {command[-1]}: cannot write to {place.format(**names)}: ")
    assert not lab.store.exists()


def test_a_folder_that_can_be_made_is_not_made_by_a_command_that_is_wrong(tmp_path: Path, lab: Lab, capsys) -> None:
    out = tmp_path / "not" / "there"
    assert cli.main(["fetch-report", "--run", "tiny-00000000", "--store", str(lab.store), "--out", str(out)]) != 0
    assert "cannot write" not in capsys.readouterr().err
    assert not out.parent.exists()
