"""Synthetic images combined with samplers and losses, and what each classifier then learned from."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.conftest import Lab, tiny_settings

Settings = dict[str, Any]
CLASSIFIERS: dict[str, Settings] = {
    "linear-head": {"side_px": 32, "l2": [1.0, 0.1]},
    "network": {"kind": "network", "side_px": 16, "lr": [1e-3], "weight_decay": [0.1]}
    | {"training": {"steps": 4, "batch_size": 8}},
}
GAN = {"gan": "dcgan"}
SHARED: dict[str, Settings] = {
    "half-half": {"synthetic": GAN | {"n": "half"}, "method": "oversample"},
    "gan-weighted": {"synthetic": GAN, "method": "class-weight"},
    "gan-focal": {"synthetic": GAN, "objective": "focal"},
    "gan-fewer": {"synthetic": GAN, "method": "undersample"},
    "augment-adjusted": {"synthetic": {"augment": {}}, "objective": "logit-adjustment"},
    "noise-mixup": {"synthetic": {"noise": {}}, "method": "mixup"},
    "mixup-focal": {"method": "mixup", "objective": "focal"},
}
OWN: dict[str, dict[str, Settings]] = {
    "linear-head": {
        "augment-smote": {"synthetic": {"augment": {}}, "method": "smote"},
        "gan-gaussian": {"synthetic": GAN, "method": "gaussian"},
    },
    "network": {
        "augment-batches": {"synthetic": {"augment": {}}, "method": "balanced-batches"},
        "gan-batches": {"synthetic": GAN | {"n": "half"}, "method": "balanced-batches"},
    },
}
# of 72 + 24 real images, to which 12 are added and by half 24: how many examples, and the share of the rare class that
# the decision is for
FOUND: dict[str, tuple[int, float]] = {
    "half-half": (144, 1 / 2),
    "gan-weighted": (108, 1 / 2),
    "gan-focal": (108, 1 / 3),
    "gan-fewer": (72, 1 / 2),
    "augment-adjusted": (108, 1 / 2),
    "augment": (108, 1 / 3),
    "copy-noise": (108, 1 / 3),
}
OF_KIND: dict[str, dict[str, tuple[int, float]]] = {
    "linear-head": FOUND | {"augment-smote": (144, 1 / 2), "gan-gaussian": (144, 1 / 2)},
    "network": FOUND
    | {"augment-batches": (108, 1 / 2), "gan-batches": (120, 1 / 2)}
    | {"noise-mixup": (108, 1 / 3), "mixup-focal": (96, 1 / 4)},
}


@pytest.fixture(scope="module", params=CLASSIFIERS)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Lab:
    """A run of all of them to its end."""
    folder = tmp_path_factory.mktemp(request.param)
    recipes = [{"name": name} | parts for name, parts in (SHARED | OWN[request.param]).items()]
    changes = {"seeds": [0], "classifier": CLASSIFIERS[request.param], "name": request.param}
    experiment = folder / "experiment.yaml"
    arms = ["none", "augment", "copy-noise", *recipes]
    experiment.write_text(yaml.safe_dump(tiny_settings(tiny_npz) | changes | {"arms": arms}))
    lab = Lab(experiment, folder / "store")
    lab.run_all(folder)
    return lab


def kind_of(lab: Lab) -> str:
    found: str = yaml.safe_load(lab.experiment.read_text())["name"]
    return found


def trained(lab: Lab, arm: str, scratch: Path) -> Any:
    """What an arm's classifier left: the first that was trained of a network's settings."""
    state, node = lab.state(scratch), lab.plan.node(lab.plan.node("report").inputs[f"cell/{arm}/0"])
    node = lab.plan.node(node.inputs.get("setting/1", node.name))
    commit = state.commit(node.name)
    assert commit is not None
    return state.artifacts.open(commit)


def test_a_classifier_learns_from_as_many_examples_as_its_parts_make_and_decides_for_their_shares(
    finished: Lab, tmp_path: Path
) -> None:
    kind = kind_of(finished)
    for arm, (images, share) in OF_KIND[kind].items():
        found = trained(finished, arm, tmp_path)
        file = "scores.npz" if kind == "linear-head" else "logits.npz"
        with np.load(found.path(file)) as arrays:
            prior = arrays["prior"]
        assert (arm, found.commit.metrics["images"]) == (arm, images)
        assert prior[1] == pytest.approx(share), arm


def test_every_hybrid_stands_in_the_report_with_a_score_of_its_own(finished: Lab, tmp_path: Path) -> None:
    state = finished.state(tmp_path)
    commit = state.commit("report")
    assert commit is not None
    summary = state.artifacts.open(commit).json("summary.json")
    assert not summary["missing_results"]
    found = {arm: of_arm["metrics"]["auc"]["mean"] for arm, of_arm in summary["arms"].items()}
    assert set(found) == {"none", "augment", "copy-noise", *SHARED, *OWN[kind_of(finished)]}
    assert all(math.isfinite(auc) for auc in found.values())
    generative = {arm for arm, of_arm in summary["arms"].items() if of_arm["family"] == "generative"}
    assert generative == {arm for arm in found if arm.startswith(("gan", "half"))}


@pytest.mark.parametrize(("n", "given"), [("balance", 12), ("half", 6), (5, 10), (1000, 38)])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_the_matched_oracle_gets_as_many_removed_images_as_a_gan_adds_at_most(
    tiny: Settings, tmp_path: Path, kind: str, n: Any, given: int
) -> None:
    """Of 90 and 60 images half are kept, 36 and 24 of these to train on; 23 and 15 removed ones are not for tuning.

    To balance 12 are missing of the second class, none of the first; a number is one of each class.
    """
    changes = {
        "imbalance": {"keep": {0: 0.5, 1: 0.5}}, "synthesis": {"n": n}, "seeds": [0],
        "arms": ["none", "oracle-matched"], "classifier": CLASSIFIERS[kind],
    }  # fmt: skip
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text(yaml.safe_dump(tiny | changes))
    lab = Lab(experiment, tmp_path / "store")
    for node in lab.plan.nodes:
        if node.stage != "report":
            assert lab.run(node) == 0
    assert trained(lab, "none", tmp_path).commit.metrics["images"] == 36 + 24
    assert trained(lab, "oracle-matched", tmp_path).commit.metrics["images"] == 36 + 24 + given
