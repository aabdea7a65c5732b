"""The examples of CONTRIBUTING.md work as they stand: each is one file that is found by being there."""

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import yaml
from torch import Generator

from ganbalance import arms, config
from ganbalance.arms import Candidates, Examples, filters, methods, objectives
from ganbalance.models import gans
from ganbalance.models.base import ImageSpec
from ganbalance.pipeline.plan import Plan, make_plan

PAGE = Path("CONTRIBUTING.md").read_text()
PACKAGES = {"models/gans": gans, "arms/methods": methods, "arms/objectives": objectives, "arms/filters": filters}
EXAMPLES = dict(re.findall(r"`shared/ganbalance/(\S+?)\.py`[^\n]*\n\n```python\n(.*?)```\n", PAGE, re.DOTALL))


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example in a folder that its package looks in too."""
    for path, text in EXAMPLES.items():
        place, _, name = path.rpartition("/")
        package: ModuleType = PACKAGES[place]
        folder = tmp_path / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])


def plan(arm: object) -> Plan:
    quick = config.read(Path("jobs/experiments/quick.yaml"), sets=["seeds=[0]"])
    return make_plan(config.check(quick | {"arms": ["none", arm]}, where="quick"))


def test_there_is_an_example_for_every_part_of_an_arm() -> None:
    assert sorted(path.rpartition("/")[0] for path in EXAMPLES) == sorted(PACKAGES)


@pytest.mark.usefixtures("added")
def test_one_file_is_a_gan_of_any_size() -> None:
    assert "train-gan/lsgan/class-6/seed-0" in {node.name for node in plan("lsgan").nodes}
    for spec in (ImageSpec(1), ImageSpec(3, 64)):
        settings = gans.load("lsgan").Config(latent=4, g_widths=(8,), d_widths=(8,)).at(spec)  # type: ignore[call-arg]
        gan = gans.build("lsgan", settings, spec, 0)
        rng = Generator().manual_seed(0)
        labels_B = torch.zeros(5, dtype=torch.int64)
        fake_BCHW = gan.generate(gan.noise(5, rng), labels_B)
        assert fake_BCHW.shape == (5, spec.channels, spec.side_px, spec.side_px)
        d_terms = gan.d_loss(torch.zeros_like(fake_BCHW), fake_BCHW, labels_B, rng)
        scores = gan.D(torch.zeros_like(fake_BCHW)), gan.D(fake_BCHW)
        assert d_terms["real"].item() == pytest.approx(((scores[0] - 1) ** 2).mean().item() / 2, rel=1e-4)
        assert d_terms["fake"].item() == pytest.approx((scores[1] ** 2).mean().item() / 2, rel=1e-4)


@pytest.mark.usefixtures("added")
def test_one_file_is_a_method() -> None:
    assert plan("undersample").node("train-classifier/undersample/seed-0").config["method"] == "undersample"
    examples = Examples(np.arange(30.0)[:, None], np.repeat([0, 1], [24, 6]), np.ones(30))
    left = arms.method("undersample").resample(examples, 0)
    assert np.bincount(left.labels).tolist() == [6, 6]
    assert set(left.inputs[left.labels == 1, 0]) == set(np.arange(24.0, 30.0))


@pytest.mark.usefixtures("added")
def test_one_file_is_a_loss_of_the_head() -> None:
    assert plan("squared").node("train-classifier/squared/seed-0").config["objective"] == "squared"
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 3)), rng.integers(0, 3, 6)
    loss, slope = arms.objective("squared").loss(logits, labels)
    for c in range(3):
        step = np.zeros_like(logits)
        step[:, c] = 1e-6
        ahead, behind = (arms.objective("squared").loss(logits + side * step, labels)[0] for side in (1, -1))
        assert slope[:, c] == pytest.approx((ahead - behind) / 2e-6, abs=1e-6)
    assert (loss >= 0).all()


@pytest.mark.usefixtures("added")
def test_one_file_is_a_filter() -> None:
    arm = yaml.safe_load("{name: crisp, synthetic: {gan: dcgan, filter: {by: contrast, keep: 0.5}}}")
    assert "filter/crisp/class-6/seed-0" in {node.name for node in plan(arm).nodes}
    images = np.zeros((3, 1, 4, 4), np.uint8)
    images[1, :, :2], images[2, :, :2] = 200, 90

    def unasked() -> np.ndarray:
        raise AssertionError("it reads images alone")

    scores = arms.image_filter("contrast").score(Candidates(images, unasked, unasked))
    assert np.argsort(scores).tolist() == [0, 2, 1]
