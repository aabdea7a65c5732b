"""Networks trained on images, checked against the same training written out with torch's own parts."""

import math
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from ganbalance.config import NetworkTraining
from ganbalance.data.augmentation import augmented
from ganbalance.errors import ConfigError, Stopped
from ganbalance.seeding import numpy_rng
from ganbalance.training import checkpoint
from ganbalance.training.network import last_block
from tests.unit.small_network import (
    IMAGES,
    LABELS,
    STEPS,
    WEIGHTS,
    Small,
    Watched,
    close,
    weighted,
    written_out,
)


@pytest.mark.parametrize("weights", [np.ones(50), WEIGHTS], ids=["equal", "weighted"])
def test_a_network_takes_the_steps_of_adamw_along_a_cosine(weights: np.ndarray) -> None:
    watched = Watched(weights).run()
    assert close(watched.model, written_out(watched, weighted, weights))
    assert not close(watched.model, written_out(watched, weighted, np.arange(1.0, 51)))


def test_an_objective_shifts_the_logits_in_training_alone() -> None:
    watched = Watched(objective="logit-adjustment").run()
    prior = torch.tensor([0.6, 0.4])

    def shifted(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        return weighted(logits + prior.log(), labels, weights)

    assert close(watched.model, written_out(watched, shifted, np.ones(50)))
    assert not close(watched.model, written_out(watched, weighted, np.ones(50)))


def test_every_arm_takes_as_many_steps_of_as_many_images() -> None:
    few, many = Watched(), Watched(images=np.tile(IMAGES, (9, 1, 1, 1)), labels=np.tile(LABELS, 9))
    for watched in (few, many):
        watched.run()
        assert [len(rows) for rows in watched.rows()] == [16] * STEPS
        assert watched.training.step == STEPS


def test_every_image_is_shown_once_before_one_is_shown_again_in_another_order() -> None:
    shown = list(chain(*Watched(steps=25, batch_size=6).rows()))
    epochs = [shown[start : start + 50] for start in (0, 50, 100)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 3
    assert Watched(seed=1).rows() != Watched().rows() == Watched().rows()


@pytest.mark.parametrize("trained", ["scratch", "all"])
def test_all_of_a_network_is_trained(trained: str) -> None:
    watched = Watched(trained=trained, weight_decay=0.0)
    before = {name: value.clone() for name, value in watched.model.state_dict().items()}
    watched.run()
    assert all(not torch.equal(before[name], value) for name, value in watched.model.state_dict().items())


def test_of_a_last_block_the_rest_stays_to_the_statistics() -> None:
    watched = Watched(trained="last-block", weight_decay=0.5)
    before = {name: value.clone() for name, value in watched.model.state_dict().items()}
    watched.run()
    moved = {name for name, value in watched.model.state_dict().items() if not torch.equal(before[name], value)}
    assert moved == {name for name in before if name.startswith(("network.0.2.", "head."))}
    assert "network.0.2.1.running_mean" in moved


@pytest.mark.parametrize(
    ("trained", "method"),
    [("all", "none"), ("last-block", "none"), ("all", "mixup"), ("all", "balanced-batches")],
)
@pytest.mark.parametrize("cuts", [[0], [3], [2, 5], [STEPS - 1]], ids=str)
def test_resume_after_any_interruption_ends_in_the_same_bits(
    trained: str, method: str, cuts: list[int], tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"trained": trained, "method": method, "augment": {"flip": True}}
    expected = Watched(**settings).run().fingerprint()
    state = None
    for cut in cuts:
        watched = Watched(**settings)

        def save(state: dict[str, Any]) -> None:
            checkpoint.save(tmp_path / "state", state, key="k")

        with pytest.raises(Stopped, match=f"stopped after step {cut} of {STEPS}"):
            watched.run(resume=state, save=save, stopped=lambda run=watched, at=cut: run.training.step == at)
        state = checkpoint.load(tmp_path / "state", key="k")
    assert Watched(**settings).run(resume=state).fingerprint() == expected


def test_equal_seeds_train_alike_and_others_do_not() -> None:
    assert Watched().run().fingerprint() == Watched().run().fingerprint() != Watched(seed=1).run().fingerprint()


def test_images_are_changed_anew_at_every_step_by_the_step_alone() -> None:
    watched = Watched(augment={"shift": 0.3}, steps=2, batch_size=50)
    seen: list[Tensor] = []
    watched.model.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].clone()))
    watched.run()
    for step, rows in enumerate(watched.rows()):
        settings = NetworkTraining(augment={"shift": 0.3}).augment  # type: ignore[arg-type]
        assert settings is not None
        changed = augmented(IMAGES[rows], settings, numpy_rng(0, "network", "augment", step))
        assert np.array_equal(seen[step].numpy(), changed)
        assert not np.array_equal(changed, IMAGES[rows])


def test_a_training_that_breaks_down_says_so_and_ends() -> None:
    watched = Watched(lr=1e30, steps=50)
    watched.run()
    assert watched.training.diverged
    assert watched.training.step < 50
    assert not Watched().run().training.diverged


def test_a_last_step_that_breaks_a_weight_is_seen() -> None:
    watched = Watched(steps=2)
    step = watched.training._optimizer.step

    def break_a_weight_in_the_end() -> None:
        step()
        if watched.training.step == 1:
            with torch.no_grad():
                watched.model.head.weight.fill_(math.inf)

    watched.training._optimizer.step = break_a_weight_in_the_end  # type: ignore[method-assign, assignment]
    watched.run()
    assert watched.training.step == 2
    assert watched.training.diverged


def test_progress_counts_the_images_of_all_minibatches() -> None:
    reported: list[tuple[int, int]] = []
    Watched(steps=3).run(on_progress=lambda seen, total, losses: reported.append((seen, total)))
    assert reported == [(16, 48), (32, 48), (48, 48)]


@pytest.mark.parametrize(
    ("network", "first", "frozen"),
    [
        (torchvision.models.resnet18, "layer4.1", "layer4.0"),
        (lambda: timm.create_model("tf_efficientnet_lite0", num_classes=0), "blocks.6", "blocks.5"),
        (torchvision.models.densenet121, "features.denseblock4", "features.transition3"),
        (lambda: timm.create_model("vit_tiny_patch16_224", num_classes=0), "blocks.11", "blocks.10"),
    ],
    ids=["resnet18", "efficientnet-lite0", "densenet121", "vit"],
)
def test_the_last_block_is_the_last_of_a_row(network: Callable[[], nn.Module], first: str, frozen: str) -> None:
    with torch.device("meta"):
        built = network()
    names = {part: name for name, part in built.named_modules()}
    chosen = [names[part] for part in last_block(built)]
    assert chosen[0] == first
    assert not any(name == frozen or name.startswith(f"{frozen}.") for name in chosen)


def test_a_network_without_a_row_of_blocks_has_no_last_one() -> None:
    with pytest.raises(ConfigError, match=r"classifier.train = 'last-block': .* set it to all"):
        last_block(nn.Conv2d(3, 3, 1))


def test_what_torch_draws_by_itself_is_a_function_of_the_step(tmp_path: Path) -> None:
    """Dropout and stochastic depth draw from torch's own stream: no state holds it."""

    class Dropping(Small):
        def build(self) -> nn.Module:
            return nn.Sequential(super().build(), nn.Dropout(0.5))

    def dropping() -> Watched:
        watched = Watched()
        watched.model.network = Dropping().build().train()
        return watched

    torch.manual_seed(5)
    expected = dropping().run().fingerprint()
    torch.manual_seed(6)
    assert dropping().run().fingerprint() == expected

    def save(state: dict[str, Any]) -> None:
        checkpoint.save(tmp_path / "state", state, key="k")

    stopped = dropping()
    with pytest.raises(Stopped):
        stopped.run(save=save, stopped=lambda: stopped.training.step == 3)
    assert dropping().run(resume=checkpoint.load(tmp_path / "state", key="k")).fingerprint() == expected
    before = torch.get_rng_state()
    dropping_again = dropping()
    torch.set_rng_state(before)
    dropping_again.run()
    assert torch.equal(torch.get_rng_state(), before)
    assert Watched().run().fingerprint() != expected
