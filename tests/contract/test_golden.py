"""A stage that writes other bytes has another version."""

import copy
import json
from typing import Any

import numpy as np
import pytest

from ganbalance.pipeline import stages
from tests import golden

FLOATS = {"rel": 4e-2, "abs": 2e-3}  # two epochs of Adam and a backbone multiply a rounding: Intel to AMD, 2 %
ORDER = {"rel": 0.0, "abs": 0.15}  # in standard errors; a grey level rounded the other way here and there is in it


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> golden.Fingerprints:
    return golden.fingerprints(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def recorded() -> golden.Fingerprints:
    found: golden.Fingerprints = json.loads(golden.RECORD.read_text())
    return found


def test_every_stage_is_in_the_record(recorded: golden.Fingerprints) -> None:
    assert {entry["stage"] for entry in recorded.values()} == set(stages.ALL)


def test_the_record_holds_the_same_nodes_and_versions(now: golden.Fingerprints, recorded: golden.Fingerprints) -> None:
    def known(entries: golden.Fingerprints) -> dict[str, Any]:
        return {name: (entry["version"], entry["inputs"]) for name, entry in entries.items()}

    assert known(now) == known(recorded), "run `make golden` to record the new nodes or versions"


@pytest.mark.parametrize("stage", stages.ALL)
def test_a_stage_writes_what_is_recorded_for_its_version(
    stage: str, now: golden.Fingerprints, recorded: golden.Fingerprints
) -> None:
    changed = [name for name in first_changes(now, recorded) if now[name]["stage"] == stage]
    advice = f"what '{stage}' writes has changed: raise its version in pipeline/stages.py, then run `make golden`"
    assert not changed, advice


def first_changes(now: golden.Fingerprints, recorded: golden.Fingerprints) -> list[str]:
    """The entries that changed although nothing they rest on did; the version of what follows need not be raised."""
    first: list[str] = []
    touched: set[str] = set()
    for name, entry in now.items():  # inputs before what reads them
        if touched.intersection(entry["inputs"]):
            touched.add(name)
        elif not near(entry["files"], recorded.get(name, {}).get("files")):
            first.append(name)
            touched.add(name)
    return first


def near(one: Any, other: Any, within: dict[str, float] = FLOATS) -> bool:
    """Equal but for what other processors may round differently in a few steps of float32."""
    if isinstance(one, dict) and isinstance(other, dict):
        same = one.keys() == other.keys()
        return same and all(near(one[key], other[key], ORDER if key == "order" else FLOATS) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(near(a, b, within) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, nan_ok=True, **within)  # the strength of a classifier without a penalty
    return bool(one == other)


def test_a_changed_number_is_noticed_and_blamed_on_the_stage_that_wrote_it(recorded: golden.Fingerprints) -> None:
    changed = copy.deepcopy(recorded)
    for name in ("features dcgan", "train-classifier dcgan", "report"):  # the later ones follow from the first
        changed[name]["files"] = json.loads(json.dumps(changed[name]["files"]).replace("0.", "0.9"))
    assert first_changes(recorded, recorded) == []
    assert first_changes(changed, recorded) == ["features dcgan"]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    "change",
    [
        lambda images: images[..., ::-1],
        lambda images: images[..., ::-1, :],
        lambda images: images[np.random.default_rng(1).permutation(len(images))],
        lambda images: np.roll(images, 1, axis=0),
    ],
)
def test_flipped_or_permuted_images_are_noticed(change: Any, dtype: Any) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 16, 16)).astype(dtype)
    assert not near(golden.array(images), golden.array(change(images)))


def test_a_few_grey_levels_rounded_the_other_way_are_not_a_change() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(128, 20, (12, 1, 16, 16)).astype(np.uint8)
    rounded = images + (rng.random(images.shape) < 0.01).astype(np.uint8)
    assert near(golden.array(images), golden.array(rounded))


def test_no_number_is_the_same_as_no_number_and_nothing_else() -> None:
    none, some = np.array([np.nan]), np.array([1.0])
    assert near(golden.array(none), golden.array(none))
    assert not near(golden.array(none), golden.array(some))
    assert not near(golden.array(some), golden.array(none))


def test_indices_are_compared_exactly_though_their_sum_stays() -> None:
    assert not near(golden.array(np.array([1, 2, 5])), golden.array(np.array([1, 3, 4])))
