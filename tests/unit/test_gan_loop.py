"""The loop: as many steps as promised, the same bits after any interruption, and divergence as a result."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from ganbalance.data.canvas import from_canvas
from ganbalance.errors import ConfigError, DataError, Stopped
from ganbalance.models import gans
from ganbalance.models.base import Betas, Count, Gan, ImageSpec, Positive
from ganbalance.seeding import derive
from ganbalance.training import checkpoint, device, loop
from ganbalance.training.gan_loop import Divergence, Trained, grid_epochs, train
from ganbalance.training.loop import Hooks
from ganbalance.training.synthesis import sample
from tests import small_gans
from tests.small_gans import CASES

GREY = ImageSpec(1)

CPU = torch.device("cpu")
EVERY_GAN = pytest.mark.parametrize("name", CASES)
IMAGES = torch.rand(11, 1, 32, 32, generator=Generator().manual_seed(1)) * 2 - 1
LABELS = torch.arange(11) % 2 + 1
EPOCHS, PER_EPOCH = 3, 3  # 11 images in batches of 4, 4 and 3


STEPS = 7  # ends after one minibatch of the third epoch


def built(name: str, seed: int = 0, steps: int | None = None, **options: Any) -> Gan:
    lengths = {"epochs": None if steps else EPOCHS, "steps": steps, "batch_size": 4}
    return small_gans.built(name, seed=seed, **lengths, **options)


def run(gan: Gan, seed: int = 0, **options: Any) -> Trained:
    return train(gan, IMAGES, LABELS, seed=seed, stream="gan", device=CPU, **options)


def fingerprint(gan: Gan, trained: Trained) -> dict[str, Any]:
    """Everything a run leaves, to the bit."""
    weights = hashlib.sha256()
    for key, value in gan.networks.state_dict().items():
        weights.update(key.encode() + value.contiguous().numpy().tobytes())
    grids = {epoch: grid.tobytes() for epoch, grid in trained.grids.items()}
    return {"weights": weights.hexdigest(), "rows": trained.rows, "grids": grids, "steps": trained.steps}


def after(steps: int) -> Callable[[], bool]:
    """Asked before every step: true before step `steps` (from 0)."""
    asked = iter(range(10**6))
    return lambda: next(asked) == steps


def resumed(name: str, cuts: list[int], path: Path, steps: int | None = None, **options: Any) -> dict[str, Any]:
    """A run that is stopped before each of `cuts` and goes on each time in a new GAN of other weights."""
    state, done = None, 0
    for cut in cuts:
        hooks = Hooks(save=lambda state: checkpoint.save(path, state, key="k"), stopped=after(cut - done))
        with pytest.raises(Stopped, match=f"after step {cut} of {steps or EPOCHS * PER_EPOCH}"):
            run(built(name, seed=0 if state is None else 99, steps=steps, **options), resume=state, hooks=hooks)
        state, done = checkpoint.load(path, key="k"), cut
    last = built(name, seed=99, steps=steps, **options)
    return fingerprint(last, run(last, resume=state))


@EVERY_GAN
def test_resume_after_any_interruption_ends_in_the_same_bits(name: str, tmp_path: Path) -> None:
    whole = built(name)
    expected = fingerprint(whole, run(whole))
    cuts = np.random.default_rng(0).choice(np.arange(1, EPOCHS * PER_EPOCH), 3, replace=False).tolist()
    for plan in ([cuts[0]], [cuts[1]], sorted(cuts), [0], [PER_EPOCH]):
        assert resumed(name, plan, tmp_path / "state") == expected


@EVERY_GAN
def test_resume_ends_in_the_same_bits_where_the_last_epoch_is_partial(name: str, tmp_path: Path) -> None:
    whole = built(name, steps=STEPS)
    expected = fingerprint(whole, run(whole))
    for plan in ([4], [6], [2, 5]):
        assert resumed(name, plan, tmp_path / "state", steps=STEPS) == expected


@EVERY_GAN
def test_steps_and_the_epochs_that_hold_as_many_end_in_the_same_bits(name: str) -> None:
    in_epochs, in_steps = built(name), built(name, steps=EPOCHS * PER_EPOCH)
    assert fingerprint(in_epochs, run(in_epochs)) == fingerprint(in_steps, run(in_steps))


OPTIONS = {"ema": 0.9, "diff_augment": True, "balanced_batches": True, "instance_noise": 0.3, "noise_until": 0.9}


def test_resume_ends_in_the_same_bits_with_every_option(tmp_path: Path) -> None:
    whole = built("cdcgan", **OPTIONS)
    expected = fingerprint(whole, run(whole))
    assert resumed("cdcgan", [4], tmp_path / "state", **OPTIONS) == expected


def test_the_running_mean_follows_the_weights_and_draws_the_images() -> None:
    gan, means = built("dcgan", steps=STEPS, ema=0.6), []
    mean = {key: weight.detach().clone() for key, weight in gan.G.named_parameters()}

    def follow(_images: int, _total: int, _losses: dict[str, float]) -> None:
        step = len(means)
        kept = min(0.6, (1 + step) / (10 + step))
        for key, weight in gan.G.named_parameters():
            mean[key] = kept * mean[key] + (1 - kept) * weight.detach()
        means.append(step)

    run(gan, hooks=Hooks(on_progress=follow))
    assert gan.average is not None
    for key, weight in gan.average.named_parameters():
        assert torch.allclose(weight, mean[key], atol=1e-6)
    assert all(torch.equal(one, other) for one, other in zip(gan.average.buffers(), gan.G.buffers(), strict=True))
    noise_BZ, labels_B = gan.noise(2, Generator().manual_seed(0)), torch.ones(2, dtype=torch.int64)
    assert torch.equal(sample(gan, noise_BZ, labels_B), gan.average.eval()(noise_BZ))
    assert not torch.equal(sample(gan, noise_BZ, labels_B), gan.G.eval()(noise_BZ))


def test_a_state_saved_after_the_very_last_step_is_the_whole_result(tmp_path: Path) -> None:
    whole, late = built("dcgan", steps=STEPS), built("dcgan", seed=99, steps=STEPS)
    hooks = Hooks(save=lambda state: checkpoint.save(tmp_path / "state", state, key="k"), save_due=after(STEPS - 1))
    expected = fingerprint(whole, run(whole, hooks=hooks))
    assert fingerprint(late, run(late, resume=checkpoint.load(tmp_path / "state", key="k"))) == expected


@EVERY_GAN
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(name: str) -> None:
    gan, again, other = built(name), built(name), built(name)
    prints = fingerprint(gan, run(gan)), fingerprint(again, run(again))
    assert prints[0] == prints[1]
    assert fingerprint(other, run(other, seed=1))["weights"] != prints[0]["weights"]


def test_timed_saves_change_nothing_and_the_newest_one_resumes(tmp_path: Path) -> None:
    plain, saving, late = built("dcgan"), built("dcgan"), built("dcgan", seed=99)
    expected = fingerprint(plain, run(plain))
    hooks = Hooks(save=lambda state: checkpoint.save(tmp_path / "state", state, key="k"), save_due=after(6))
    assert fingerprint(saving, run(saving, hooks=hooks)) == expected
    state = checkpoint.load(tmp_path / "state", key="k")
    assert state["step"] == 7
    assert fingerprint(late, run(late, resume=state)) == expected


def test_a_state_can_be_resumed_twice(tmp_path: Path) -> None:
    hooks = Hooks(save=lambda state: checkpoint.save(tmp_path / "state", state, key="k"), stopped=after(4))
    with pytest.raises(Stopped):
        run(built("dcgan"), hooks=hooks)
    state = checkpoint.load(tmp_path / "state", key="k")
    first, second = built("dcgan"), built("dcgan")
    assert fingerprint(first, run(first, resume=state)) == fingerprint(second, run(second, resume=state))


def test_a_training_begun_on_another_kind_of_device_goes_on_with_draws_of_its_own() -> None:
    states: list[checkpoint.State] = []
    with pytest.raises(Stopped):
        run(built("vanilla"), hooks=Hooks(save=states.append, stopped=after(4)))
    drawn_on_a_gpu = torch.zeros(16, dtype=torch.uint8)  # CUDA's seed and offset, eight bytes each
    plain, moved, again = built("vanilla"), built("vanilla"), built("vanilla")
    there = states[0] | {"rng": drawn_on_a_gpu}
    prints = [fingerprint(gan, run(gan, resume=there)) for gan in (moved, again)]
    assert prints[0] == prints[1]
    assert prints[0]["steps"] == EPOCHS * PER_EPOCH
    assert fingerprint(plain, run(plain, resume=states[0]))["weights"] != prints[0]["weights"]


def test_training_leaves_the_global_random_stream_alone() -> None:
    before = torch.get_rng_state()
    run(built("dcgan"))
    assert torch.equal(before, torch.get_rng_state())


def test_a_row_per_epoch_holds_the_mean_of_every_term() -> None:
    reported: list[dict[str, float]] = []
    trained = run(built("wgan-gp"), hooks=Hooks(on_progress=lambda _seen, _total, losses: reported.append(losses)))
    assert [row["epoch"] for row in trained.rows] == [1, 2, 3]
    assert list(trained.rows[0]) == ["epoch", "d_critic", "d_penalty", "g_score"]
    for epoch, row in enumerate(trained.rows):
        of_epoch = reported[epoch * PER_EPOCH : (epoch + 1) * PER_EPOCH]
        for name in ("d_critic", "d_penalty", "g_score"):
            assert row[name] == pytest.approx(np.mean([losses[name] for losses in of_epoch]), rel=1e-12)


@pytest.mark.parametrize(
    ("steps", "batches"),
    [(1, [1]), (2, [2]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1]), (8, [3, 3, 2]), (9, [3, 3, 3])],
)
def test_an_epoch_that_steps_end_early_has_the_mean_of_the_minibatches_it_had(steps: int, batches: list[int]) -> None:
    reported: list[dict[str, float]] = []
    trained = run(probe(steps=steps), hooks=Hooks(on_progress=lambda _seen, _total, losses: reported.append(losses)))
    assert trained.steps == len(reported) == steps
    assert [row["epoch"] for row in trained.rows] == list(range(1, len(batches) + 1))
    for row, count in zip(trained.rows, batches, strict=True):
        of_epoch, reported = reported[:count], reported[count:]
        for name in ("d_score", "g_score"):
            assert row[name] == pytest.approx(np.mean([losses[name] for losses in of_epoch]), rel=1e-12)


def test_steps_count_the_generators_and_the_discriminator_takes_d_steps_for_each() -> None:
    gan = probe(steps=5, d_steps=3)
    assert run(gan).steps == gan.diary.count("g") == 5
    assert gan.diary.count("d") == 15


def test_progress_is_counted_in_images() -> None:
    reported: list[tuple[int, int]] = []
    hooks = Hooks(on_progress=lambda seen, total, _losses: reported.append((seen, total)))
    run(built("vanilla"), hooks=hooks)
    assert reported == [(seen, 33) for seen in (4, 8, 11, 15, 19, 22, 26, 30, 33)]
    reported.clear()
    run(built("vanilla", steps=STEPS), hooks=hooks)
    assert reported == [(seen, 26) for seen in (4, 8, 11, 15, 19, 22, 26)]


@pytest.mark.parametrize(("epochs", "drawn"), [(1, [1]), (3, [1, 2, 3]), (12, [2, 5, 7, 10, 12])])
def test_grids_are_drawn_about_five_times_and_at_the_last_epoch(epochs: int, drawn: list[int]) -> None:
    config = gans.load("vanilla").Config(epochs=epochs, batch_size=11, g_width=4, d_width=4)
    trained = run(gans.build("vanilla", config, GREY, 0))
    assert list(trained.grids) == drawn
    assert all(grid.shape == (64, 1, 32, 32) and grid.dtype == np.uint8 for grid in trained.grids.values())
    assert len({grid.tobytes() for grid in trained.grids.values()}) == len(drawn)


@pytest.mark.parametrize(("steps", "drawn"), [(2, [1]), (4, [1, 2]), (7, [1, 2, 3]), (16, [1, 2, 3, 4, 6])])
def test_the_last_grid_is_of_the_final_weights_wherever_steps_end(steps: int, drawn: list[int]) -> None:
    gan = built("vanilla", steps=steps)
    trained = run(gan)
    assert list(trained.grids) == drawn
    assert len({grid.tobytes() for grid in trained.grids.values()}) == len(drawn)
    noise = gan.noise(64, Generator().manual_seed(derive(0, "gan-grid")))
    finally_drawn = from_canvas(sample(gan, noise, torch.ones(64, dtype=torch.int64)), 32)
    assert np.array_equal(trained.grids[drawn[-1]], finally_drawn)


@pytest.mark.parametrize("per_epoch", [1, 2, 10, 19, 1000])
def test_grids_stand_at_most_half_an_epoch_from_even_places_and_once_at_the_end(per_epoch: int) -> None:
    for steps in (*range(1, 60), 500 * per_epoch, 5000, 9500):
        epochs = grid_epochs(steps, per_epoch)
        last = -(-steps // per_epoch)
        assert max(epochs) == last
        assert min(epochs) >= 1
        assert len(epochs) == 5 or last < 8
        for part in (1, 2, 3, 4):
            even = steps * part / 5 / per_epoch
            assert even < 0.5 + 1e-9 or min(abs(epoch - even) for epoch in epochs) <= 0.5 + 1e-9


class Probe(Gan):
    """One number in each network, and a diary of what the loop asks for."""

    class Config(Gan.Config):
        epochs: Count = EPOCHS
        batch_size: Count = 4
        lr: Positive = 0.1
        betas: Betas = (0.5, 0.9)
        latent: Count = 2
        break_at: int = -1
        """The discriminator step whose loss is not finite."""
        break_weights: bool = False

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.G, self.D = nn.Linear(2, 1), nn.Linear(1, 1)
        self.diary: list[str] = []
        self.real: list[list[float]] = []
        self.seen: list[Tensor] = []

    def generate(self, noise_BZ: Tensor, labels_B: Tensor) -> Tensor:
        self.diary.append("grid" if not self.networks.training else "draw")
        return self.G(noise_BZ).tanh()[:, :, None, None].expand(-1, 1, 32, 32)

    def d_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        assert not fake_BCHW.requires_grad
        self.diary.append("d")
        self.real.append(real_BCHW[:, 0, 0, 0].tolist())
        self.seen.append(fake_BCHW)
        score = self.D(fake_BCHW[:, :, 0, 0]).mean()
        if self.diary.count("d") == self.config.break_at:
            score = score * float("nan")
        if self.config.break_weights:  # finite loss 0, infinite slope: sqrt at 0
            score = (score * 0).sqrt()
        return {"score": score}

    def g_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        self.diary.append("g")
        assert fake_BCHW.requires_grad
        assert not any(weight.requires_grad for weight in self.D.parameters())
        self.seen.append(fake_BCHW.detach())
        return {"score": fake_BCHW.mean() * 1.0}


def probe(**settings: Any) -> Probe:
    return Probe(Probe.Config(**settings), GREY)


def test_each_real_batch_meets_its_discriminator_steps_with_fresh_fakes_then_the_generator() -> None:
    gan = probe(d_steps=3, epochs=1)
    run(gan)
    assert gan.diary == (["draw", "d"] * 3 + ["draw", "g"]) * PER_EPOCH + ["grid"]
    assert gan.real[0] == gan.real[1] == gan.real[2] != gan.real[3]
    assert not any(torch.equal(gan.seen[0], other) for other in gan.seen[1:4])


def test_an_epoch_shows_every_image_once() -> None:
    gan = probe(epochs=1)
    run(gan)
    assert sorted(value for batch in gan.real for value in batch) == sorted(IMAGES[:, 0, 0, 0].tolist())


def test_the_gan_is_in_train_mode_after_the_grids() -> None:
    gan = probe()
    run(gan)
    assert gan.networks.training
    assert all(weight.requires_grad for weight in gan.networks.parameters())


def test_divergence_is_a_result_with_its_place_and_the_epochs_before_it() -> None:
    trained = run(probe(break_at=5))
    assert trained.diverged_at == Divergence(epoch=2, step=5)
    assert trained.steps == 5
    assert [row["epoch"] for row in trained.rows] == [1]


def test_divergence_in_an_epoch_that_steps_would_have_ended_early_leaves_it_no_row() -> None:
    trained = run(probe(steps=STEPS, break_at=STEPS))
    assert trained.diverged_at == Divergence(epoch=3, step=STEPS)
    assert [row["epoch"] for row in trained.rows] == [1, 2]
    assert 3 not in trained.grids


def test_weights_broken_by_the_very_last_update_are_divergence_too() -> None:
    trained = train(probe(epochs=1, break_weights=True), IMAGES[:4], LABELS[:4], seed=0, stream="gan", device=CPU)
    assert trained.diverged_at == Divergence(epoch=1, step=1)


def test_no_state_is_saved_once_a_run_has_diverged() -> None:
    saved: list[int] = []
    hooks = Hooks(save=lambda state: saved.append(state["step"]), save_due=lambda: True)
    run(probe(break_at=3), hooks=hooks)
    assert saved == [1, 2]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:0], LABELS[:0], "at least one image"),
        (IMAGES.double(), LABELS, "float32"),
        (IMAGES[..., :28, :28], LABELS, "28, 28"),
        (IMAGES.expand(-1, 3, -1, -1), LABELS, r"\(1, 32, 32\)"),
        (IMAGES, LABELS[:-1], "one int64 label per image"),
        (IMAGES, LABELS.float(), "one int64 label per image"),
    ],
)
def test_images_and_labels_of_the_wrong_kind_are_refused(images: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        train(probe(), images, labels, seed=0, stream="gan", device=CPU)


def test_cuda_without_a_device_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.resolve("auto") == device.resolve("cpu") == CPU
    with pytest.raises(ConfigError, match="no CUDA device"):
        device.resolve("cuda")
    with pytest.raises(ConfigError, match="'tpu': must be one of auto, cpu, cuda"):
        device.resolve("tpu")


@pytest.mark.parametrize("elsewhere", [True, False])
def test_where_adam_counts_its_steps_is_not_taken_from_a_state(elsewhere: bool) -> None:
    """States from before steps were counted on a GPU say that they are not, and a step could not be recorded."""
    weight = torch.nn.Parameter(torch.ones(3))
    adam = torch.optim.Adam([weight])
    weight.sum().backward()  # type: ignore[no-untyped-call]
    adam.step()
    state = adam.state_dict()
    state["param_groups"][0]["capturable"] = elsewhere
    loop.restore_optimizer(adam, state)
    assert adam.param_groups[0]["capturable"] is False
    assert state["param_groups"][0]["capturable"] is elsewhere
    adam.step()
