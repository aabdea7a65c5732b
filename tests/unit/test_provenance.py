"""Where a result comes from is said with it."""

from pathlib import Path

import pytest

from ganbalance.pipeline import provenance, request
from ganbalance.reporting import origin

PRESETS = Path("jobs/experiments")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "here", provenance.here.__wrapped__)


def test_an_image_says_which_commit_it_was_built_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANBALANCE_COMMIT", "0123456789ab+")
    assert provenance.here()["git_commit"] == "0123456789ab+"


def test_a_checkout_is_asked_when_no_commit_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANBALANCE_COMMIT", "")
    monkeypatch.setattr(provenance, "_git_commit", lambda: "of the checkout")
    assert provenance.here()["git_commit"] == "of the checkout"


def test_where_there_is_no_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANBALANCE_COMMIT", raising=False)
    monkeypatch.setenv("PATH", "")
    assert provenance.here()["git_commit"] is None


@pytest.mark.parametrize(
    ("preset", "sets", "seeds", "command"),
    [
        ("quick", [], None, "make run EXPERIMENT=jobs/experiments/quick.yaml"),
        ("quick", [], "0,1", "make run EXPERIMENT=jobs/experiments/quick.yaml SEEDS=0,1"),
        ("quick", ["synthesis.n=3"], None, "make run EXPERIMENT=experiment.yaml"),
        ("quick", ["name=mine"], None, "make run EXPERIMENT=experiment.yaml"),
        (
            "keep-ratio", ["imbalance.keep.shirt=0.05"], "0,1",
            "make run EXPERIMENT=jobs/experiments/keep-ratio.yaml SEEDS=0,1 SET=imbalance.keep.shirt=0.05",
        ),
        ("keep-ratio", ["imbalance.keep.shirt=0.03"], None, "make run EXPERIMENT=experiment.yaml"),
    ],
)  # fmt: skip
def test_the_command_that_makes_a_report_again_is_told(
    preset: str, sets: list[str], seeds: str | None, command: str
) -> None:
    experiment = request.experiment(PRESETS / f"{preset}.yaml", sets=sets, seeds=seeds)
    assert origin.command(experiment, PRESETS) == command


def test_a_preset_that_is_not_valid_is_no_way_to_make_a_report(tmp_path: Path) -> None:
    experiment = request.experiment(PRESETS / "quick.yaml", sets=[])
    (tmp_path / "quick.yaml").write_text("name: 3")
    assert origin.command(experiment, tmp_path) == "make run EXPERIMENT=experiment.yaml"
