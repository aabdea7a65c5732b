"""Every source of images with every method and loss, under every classifier: planned, or refused in one line."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from ganbalance import registry
from ganbalance.arms import methods, objectives
from ganbalance.errors import ConfigError
from tests.unit.recipes import Recipe, Settings, cell, outside, planned

SOURCES: dict[str, Any] = {
    "real": None,
    "augment": {"augment": {}},
    "noise": {"noise": {}},
    "gan": {"gan": "dcgan"},
    "half": {"gan": "dcgan", "n": "half"},
    "best": {"gan": "dcgan", "filter": {"by": "discriminator", "keep": 0.5}},
    "sure": {"gan": "dcgan", "filter": {"by": "classifier", "keep": 0.5}},
    "outside": {"images": "made/{seed}/{class}"},
}
CLASSIFIERS: dict[str, Settings] = {
    kind: {"classifier": {"kind": kind, "side_px": 16}} for kind in ("linear-head", "network", "paper")
}
ANY = {"none", "class-weight", "oversample", "undersample"}
METHODS = {
    "linear-head": ANY | {"smote", "borderline-smote", "adasyn", "gaussian", "mixup"},
    "network": ANY | {"mixup", "balanced-batches"},
    "paper": ANY,
}
"""What goes with what, as the README says."""
NAMES = list(itertools.product(SOURCES, sorted(set().union(*METHODS.values())), registry.names(objectives)))


def fits(kind: str, source: str, method: str, objective: str) -> bool:
    has_features, has_losses = kind == "linear-head", kind != "paper"
    return (
        method in METHODS[kind]
        and (source != "sure" or has_features)
        and (objective == "cross-entropy" or has_losses)
    )  # fmt: skip


def recipe(source: str, method: str, objective: str) -> Recipe:
    found = {"name": f"{source}-{method}-{objective}"[:40].rstrip("-"), "method": method, "objective": objective}
    return found | ({"synthetic": SOURCES[source]} if SOURCES[source] else {})


@pytest.fixture(autouse=True)
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images made elsewhere, below where the plan is made."""
    outside(tmp_path / "made", "0/1")
    monkeypatch.chdir(tmp_path)


def test_every_method_there_is_goes_with_some_classifier(tiny: Settings) -> None:
    assert set().union(*METHODS.values()) <= set(registry.names(methods))
    for name in registry.names(methods):
        assert any(is_planned(tiny, name, kind) for kind in CLASSIFIERS)


def is_planned(tiny: Settings, method: str, kind: str) -> bool:
    try:
        return bool(planned(tiny, recipe("real", method, "cross-entropy"), **CLASSIFIERS[kind]))
    except ConfigError:
        return False


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_all_that_fit_are_planned_side_by_side_each_with_a_cell_of_its_own(tiny: Settings, kind: str) -> None:
    chosen = [recipe(*names) for names in NAMES if fits(kind, *names)]
    plan = planned(tiny, *chosen, **CLASSIFIERS[kind])
    plain = recipe("real", "none", "cross-entropy")["name"]  # the baseline by another name
    cells = [cell(plan, arm["name"]).key for arm in chosen]
    assert len(cells) > 20
    assert len(set(cells)) == len(cells)
    assert cell(plan, plain) == cell(plan, "none")


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_what_does_not_fit_is_refused_with_the_arm_the_part_and_what_to_do(tiny: Settings, kind: str) -> None:
    for arm in (recipe(*names) for names in NAMES if not fits(kind, *names)):
        with pytest.raises(ConfigError) as caught:
            planned(tiny, arm, **CLASSIFIERS[kind])
        said = str(caught.value)
        assert said.startswith(f"arms names {arm['name']}, whose part '")
        assert f"classifier.kind = {kind}" in said
        assert "set classifier.kind to " in said
        assert "\n" not in said


def test_batches_under_a_linear_head_are_refused_naming_what_does_the_same(tiny: Settings) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(tiny, "balanced-batches")
    assert str(caught.value) == (
        "arms names balanced-batches, whose part 'method: balanced-batches' is of minibatches, and classifier.kind = "
        "linear-head is solved on all examples at once; take oversample, or set classifier.kind to network"
    )


def test_the_alpha_of_mixup_reaches_the_key_of_a_network(tiny: Settings) -> None:
    arms = [{"name": name, "method": {"name": "mixup", "alpha": a}} for name, a in (("one", 1.0), ("fifth", 0.2))]
    plan = planned(tiny, "mixup", *arms, **CLASSIFIERS["network"])
    assert cell(plan, "mixup") == cell(plan, "one") != cell(plan, "fifth")
