"""The presets are valid, and ask what they say they ask."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ganbalance import arms, config, registry
from ganbalance.arms import methods
from ganbalance.data.split import draw
from ganbalance.pipeline import request
from ganbalance.pipeline.plan import make_plan

PRESETS = sorted(Path("jobs/experiments").glob("*.yaml"))
PUBLISHED = [4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40]
"""Training images of each class of FashionMNIST in Dablain et al. 2021, arXiv:2105.02340, section IV."""


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_is_a_valid_experiment_named_like_its_file(path: Path) -> None:
    members = request.experiments(path, sets=[])
    assert all(f"{member.experiment.name}-".startswith(f"{path.stem}-") for member in members)
    assert bool(members[0].values) == (path.stem in ("arms", "keep-ratio", "solar-cells-sizes"))


def test_the_presets_are_the_documented_ones() -> None:
    assert [path.stem for path in PRESETS] == [
        "arms", "hard-pair-narrow", "hard-pair", "honest", "keep-ratio", "long-tail", "paper", "quick",
        "solar-cells-sizes", "solar-cells", "ten-class", "trousers",
    ]  # fmt: skip


def test_the_sweep_among_the_presets_is_the_pair_of_quick_and_ends_at_it() -> None:
    members = request.experiments(Path("jobs/experiments/keep-ratio.yaml"), sets=[])
    assert [list(member.values.values()) for member in members] == [[0.2], [0.1], [0.05], [0.02], [0.01]]
    quick, last = request.experiment(Path("jobs/experiments/quick.yaml"), sets=[]), members[-1].experiment
    assert (last.task, last.imbalance, last.seeds) == (quick.task, quick.imbalance, quick.seeds)
    assert not any(arm.synthetic for arm in last.arms)


def test_the_sweep_of_sizes_is_solar_cells_up_to_twice_its_side() -> None:
    members = request.experiments(Path("jobs/experiments/solar-cells-sizes.yaml"), sets=[])
    one = request.experiment(Path("jobs/experiments/solar-cells.yaml"), sets=[])
    assert [member.experiment.classifier.side_px for member in members] == [32, 64, 128]
    assert all(
        (member.experiment.task, member.experiment.imbalance, member.experiment.seeds)
        == (one.task, one.imbalance, one.seeds)
        for member in members
    )


@pytest.mark.parametrize("name", ["hard-pair", "honest", "ten-class"])
def test_presets_that_cut_the_data_train_gans_for_the_reports_generator_steps(name: str) -> None:
    gans = config.check(config.read(Path(f"jobs/experiments/{name}.yaml")), where=name).gans
    assert gans.items() >= {"vanilla": {"steps": 9500}, "dcgan": {"steps": 5000}, "wgan-gp": {"steps": 9500}}.items()


def test_the_sweep_of_arms_has_every_cheap_arm_of_a_linear_head_on_three_pairs_as_rare_as_can_be_told_apart() -> None:
    members = request.experiments(Path("jobs/experiments/arms.yaml"), sets=[])
    asked = [(one.experiment.task, dict(one.experiment.imbalance.keep)) for one in members]
    assert [(task.positive, task.negative, keep) for task, keep in asked] == [
        ("trouser", "T-shirt/top", {"trouser": 0.2}),
        *(("shirt", "T-shirt/top", {"shirt": share}) for share in (0.2, 0.05, 0.01)),
        *(("coat", "pullover", {"coat": share}) for share in (0.2, 0.05, 0.01)),
    ]
    chosen = {arm.name for arm in members[0].experiment.arms}
    assert chosen >= set(registry.names(methods)) - {"balanced-batches"}
    families = Counter(arms.resolve(arm).family for arm in members[0].experiment.arms)
    assert families == {"baseline": 1, "exempt": 1, "cheap": 12, "control": 2}


def test_the_long_tail_leaves_as_many_images_to_learn_from_as_the_published_comparison() -> None:
    experiment = request.experiment(Path("jobs/experiments/long-tail.yaml"), sets=[])
    imbalance = next(node.config for node in make_plan(experiment).nodes if node.stage == "imbalance")
    labels = np.concatenate([np.repeat(np.arange(10), 6000), np.arange(10)])
    keep = {int(c): share for c, share in imbalance["keep"].items()}
    split = draw(labels, 60_000, keep=keep, validation=imbalance["validation"], seed=20)
    assert np.bincount(labels[split.train]).tolist() == PUBLISHED
    assert np.bincount(labels[split.tuning]).tolist() == [300] * 10
