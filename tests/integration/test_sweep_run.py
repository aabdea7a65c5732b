"""A sweep from its file to the comparison: every experiment run, stages shared, and no more claimed than is known."""

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ganbalance import cli
from ganbalance.pipeline import request, runs
from ganbalance.pipeline.plan import make_plan
from ganbalance.store import open_store
from ganbalance.store.artifacts import Artifact
from tests.conftest import tiny_settings

Said = pytest.CaptureFixture[str]
KEEP = "imbalance.keep.1"


@dataclass(frozen=True)
class Swept:
    """A sweep of two values, run to its end."""

    experiment: Path
    store: Path
    out: Path
    said: str

    @property
    def runs(self) -> list[str]:
        members = request.experiments(self.experiment, sets=[])
        return [make_plan(member.experiment).run for member in members]

    def type(self, command: str, *words: str) -> int:
        return cli.main([command, *words, "--store", str(self.store)])


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Swept:
    """Cheap arms and the oracle at half and at a fifth of the rare class, two seeds."""
    folder = tmp_path_factory.mktemp("sweep")
    settings = tiny_settings(tiny_npz) | {"arms": ["none", "class-weight", "oracle"], "sweep": {KEEP: [0.5, 0.2]}}
    path = folder / "few.yaml"
    path.write_text(yaml.safe_dump(settings))
    words = ["run", str(path), "--store", str(folder / "store"), "--out", str(folder / "out"), "--workers", "2"]
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *words, **_: printed.append(" ".join(map(str, words))))
        assert cli.main(words) == 0
    return Swept(path, folder / "store", folder / "out", "\n".join(printed))


@pytest.fixture
def swept(once: Swept, tmp_path: Path) -> Swept:
    """The same, to be changed by a test."""
    shutil.copytree(once.store, tmp_path / "store")
    return Swept(once.experiment, tmp_path / "store", tmp_path / "out", once.said)


def test_every_experiment_is_a_run_of_its_own_with_a_report(once: Swept) -> None:
    records = [runs.load(open_store(str(once.store)), run) for run in once.runs]
    assert [record.experiment.name for record in records] == ["tiny-keep-1-0-5", "tiny-keep-1-0-2"]
    assert [dict(record.experiment.imbalance.keep) for record in records] == [{"1": 0.5}, {"1": 0.2}]
    assert all((once.out / run / "report.html").is_file() for run in once.runs)


def test_it_tells_which_of_them_it_runs_and_ends_with_the_comparison(once: Swept) -> None:
    lines = [line for line in once.said.splitlines() if line.strip()]
    assert lines[0] == f"1 of 2: {KEEP} = 0.5"
    assert f"2 of 2: {KEEP} = 0.2" in lines
    assert lines[-1] == f"comparison: {once.out / 'few' / 'compare.html'}"
    assert f"2 runs along {KEEP}: from 0.2 to 0.5" in lines


def test_shared_stages_ran_once(once: Swept) -> None:
    names = [
        [node.name for node in make_plan(member.experiment).nodes]
        for member in request.experiments(once.experiment, sets=[])
    ]
    commits = [name for name in open_store(str(once.store)).names("stages") if name.endswith("/COMMIT.json")]
    assert len(commits) == sum(map(len, names)) - len(["dataset", "backbone", "features/real"])


def test_the_comparison_says_what_the_reports_say(once: Swept) -> None:
    markdown = (once.out / "few" / "compare.md").read_text()
    assert markdown.startswith(f"# 2 runs along {KEEP}: from 0.2 to 0.5\n")
    assert "class-weight: Too few seeds, at every value." in markdown
    with (once.out / "few" / "compare.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for value, run in zip(("0.5", "0.2"), once.runs, strict=True):
        summary = json.loads((once.out / run / "summary.json").read_text())
        auc = summary["arms"]["oracle"]["metrics"]["auc"]["mean"]
        (found,) = [row for row in rows if (row[KEEP], row["arm"], row["metric"]) == (value, "oracle", "auc")]
        assert (found["run"], float(found["mean"]), found["gate"]) == (run, auc, "")
        assert f"| {auc:.4f} " in markdown


def test_the_same_again_does_nothing_and_compares_again(swept: Swept, capsys: Said) -> None:
    before = sorted(open_store(str(swept.store)).names(""))
    assert swept.type("run", str(swept.experiment), "--out", str(swept.out)) == 0
    said = capsys.readouterr().out
    assert said.count("everything was done already") == 2
    assert f"comparison: {swept.out / 'few' / 'compare.html'}" in said
    assert sorted(open_store(str(swept.store)).names("")) == before


def test_a_picked_value_is_the_run_that_the_sweep_made(swept: Swept, capsys: Said) -> None:
    assert swept.type("run", str(swept.experiment), "--set", f"{KEEP}=0.2", "--out", str(swept.out)) == 0
    said = capsys.readouterr().out
    assert f"run {swept.runs[1]}: " in said
    assert "everything was done already" in said
    assert "comparison" not in said


def test_a_plan_lists_all_with_what_they_share(once: Swept, capsys: Said) -> None:
    assert once.type("plan", str(once.experiment)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [KEEP, "run", "stages", "done", "shared"]
    assert [line.split() for line in lines[1:3]] == [
        ["0.5", once.runs[0], "12", "12", "3"], ["0.2", once.runs[1], "12", "12", "3"],
    ]  # fmt: skip
    assert lines[3:6] == [
        "2 experiments, 21 stages: 21 done, 0 not started",
        "not started: nothing",
        "shared by several of them: 1 dataset, 1 backbone, 1 features",
    ]
    assert lines[-1] == f"the stages of one: ganbalance plan {once.experiment} --set {KEEP}=0.5 (or 0.2)"


def test_a_record_of_a_plan_is_of_one_experiment(once: Swept, tmp_path: Path, capsys: Said) -> None:
    assert once.type("plan", str(once.experiment), "--record", str(tmp_path / "flags")) == 78
    assert f"pick its values: --set {KEEP}=0.5 (or 0.2)" in capsys.readouterr().err


def test_the_data_of_all_of_them_is_got(once: Swept, capsys: Said) -> None:
    assert cli.main(["data", "get", str(once.experiment)]) == 0
    assert "npz is here and whole: 150 training and 80 test images" in capsys.readouterr().out


def test_runs_in_a_store_are_compared_in_the_order_of_the_axis(once: Swept, tmp_path: Path, capsys: Said) -> None:
    assert once.type("compare", *reversed(once.runs), "--out", str(tmp_path)) == 0
    assert f"2 runs along {KEEP}: from 0.2 to 0.5" in capsys.readouterr().out
    for name in ("compare.html", "compare.md", "compare.csv"):
        text, first = ((folder / name).read_text() for folder in (tmp_path, once.out / "few"))
        assert text == first


def test_runs_without_a_report_are_named_with_what_to_do(swept: Swept, capsys: Said) -> None:
    store = open_store(str(swept.store))
    for name in list(store.names("stages/report")):
        store.delete(name)
    assert swept.type("compare", *swept.runs) == 65
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"no report yet of {', '.join(swept.runs)}; run their experiments to the end, or leave them out" in said


def test_a_report_of_another_version_is_told(once: Swept, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setattr(Artifact, "json", lambda artifact, name: {"experiment": "old"})
    assert once.type("compare", *once.runs) == 65
    said = capsys.readouterr().err
    assert f"the report of run {once.runs[0]} is of another version (key 'note' is missing" in said
    assert "run its experiment again: 'ganbalance run' makes the report anew" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [(["tiny-0"], "has no run 'tiny-0', only: tiny-keep-1-0-2-"), ([], "the following arguments are required: RUN")],
)
def test_runs_that_there_are_not_are_told(once: Swept, words: list[str], said: str, capsys: Said) -> None:
    assert once.type("compare", *words) == 78
    assert said in capsys.readouterr().err


def test_one_run_cannot_be_compared(once: Swept, tmp_path: Path, capsys: Said) -> None:
    assert once.type("compare", once.runs[0], once.runs[0], "--out", str(tmp_path / "out")) == 78
    assert "a comparison is of two runs or more" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_fails_in_one_experiment_leaves_the_others_and_ends_with_its_code(
    swept: Swept, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    from ganbalance.cli import experiments

    real = experiments._run
    monkeypatch.setattr(
        experiments, "_run",
        lambda flags, record, state: 65 if record.experiment.name.endswith("5") else real(flags, record, state),
    )  # fmt: skip
    assert swept.type("run", str(swept.experiment), "--out", str(swept.out)) == 65
    assert (swept.out / swept.runs[1] / "report.html").is_file()
    assert "comparison: " in capsys.readouterr().out
