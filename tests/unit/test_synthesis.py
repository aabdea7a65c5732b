"""Drawing images from a generator, and the way between a dataset's pixels and the canvas."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor

from ganbalance.config import CANVASES, canvas_side
from ganbalance.data.canvas import Fit, from_canvas, to_canvas
from ganbalance.errors import ConfigError
from ganbalance.models import gans
from ganbalance.models.base import Gan, ImageSpec
from ganbalance.training import synthesis
from ganbalance.training.synthesis import discriminate, sample, synthesise

GREY = ImageSpec(1)
CPU = torch.device("cpu")


def built() -> Gan:
    settings = gans.load("dcgan").Config
    small = settings(latent=5, g_widths=(8, 8, 8), d_widths=(8, 8, 8))
    gan = gans.build("dcgan", small, GREY, 0)
    with torch.no_grad():
        gan.networks.get_parameter("G.9.weight").mul_(50)  # nearly flat grey while untrained
    return gan


def draw(gan: Gan, n: int = 20, seed: int = 0, side_px: int = 28) -> np.ndarray:
    return synthesise(gan, n, label=1, seed=seed, stream="synthesis", side_px=side_px, device=CPU)


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_images_are_uint8_of_the_datasets_size() -> None:
    images = draw(built())
    assert images.shape == (20, 1, 28, 28)
    assert images.dtype == np.uint8
    assert draw(built(), side_px=32).shape == (20, 1, 32, 32)


def test_images_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = draw(built())
    torch.manual_seed(2)
    assert np.array_equal(first, draw(built()))
    assert not np.array_equal(first, draw(built(), seed=1))


def test_another_stream_of_the_same_seed_gives_other_images() -> None:
    one, other = (
        synthesise(built(), 4, label=1, seed=0, stream=f"synthesis/{class_index}", side_px=28, device=CPU)
        for class_index in (0, 1)
    )
    assert not np.array_equal(one, other)


def test_every_image_differs() -> None:
    images = draw(built())
    assert len({image.tobytes() for image in images}) == 20
    assert images.std(axis=0).mean() > 5


def test_chunks_change_no_image_by_more_than_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw(built()).astype(int)
    monkeypatch.setattr(synthesis, "CHUNK", 7)
    assert np.abs(draw(built()) - whole).max() <= 1


def test_sampling_leaves_batch_norm_statistics_and_the_mode_alone() -> None:
    for mode in (True, False):
        gan = built()
        gan.networks.train(mode)
        before = {key: value.clone() for key, value in gan.networks.state_dict().items()}
        draw(gan)
        assert gan.networks.training == mode
        assert all(torch.equal(before[key], value) for key, value in gan.networks.state_dict().items())


def test_sampling_uses_the_running_statistics() -> None:
    gan = built()
    noise_BZ, labels_B = gan.noise(6, Generator().manual_seed(0)), torch.zeros(6, dtype=torch.int64)
    together, alone = sample(gan, noise_BZ, labels_B), sample(gan, noise_BZ[:1], labels_B[:1])
    assert torch.allclose(together[:1], alone, atol=1e-6)


def test_the_label_reaches_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tensor] = []
    gan = built()
    plain = gan.generate
    monkeypatch.setattr(gan, "generate", lambda noise, labels: asked.append(labels) or plain(noise, labels))
    synthesise(gan, 3, label=6, seed=0, stream="s", side_px=28, device=CPU)
    assert asked[0].tolist() == [6, 6, 6]
    assert asked[0].dtype == torch.int64


def test_progress_is_reported_after_every_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis, "CHUNK", 8)
    reported: list[tuple[int, int]] = []
    synthesise(
        built(), 20, label=0, seed=0, stream="s", side_px=28, device=CPU,
        on_progress=lambda done, total: reported.append((done, total)),
    )  # fmt: skip
    assert reported == [(8, 20), (16, 20), (20, 20)]


@pytest.mark.parametrize("side_px", [1, 27, 28, 32, 33, 50, 64, 100, 128, 256])
def test_cropping_is_the_exact_inverse_of_padding(side_px: int) -> None:
    images = pixels(5, 3, side_px, side_px)
    assert np.array_equal(from_canvas(to_canvas(images, "pad"), side_px), images)


def test_padding_is_black_all_around() -> None:
    canvas = to_canvas(np.full((1, 1, 28, 28), 255, dtype=np.uint8), "pad")
    assert canvas.shape == (1, 1, 32, 32)
    assert canvas.dtype == torch.float32
    assert (canvas[0, 0, 2:-2, 2:-2] == 1).all()
    assert canvas.sum() == 28 * 28 - (32 * 32 - 28 * 28)


def test_every_grey_level_survives_the_canvas() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(4).reshape(1, 1, 32, 32)
    canvas = to_canvas(levels, "pad")
    assert (canvas.min(), canvas.max()) == (-1, 1)
    assert np.array_equal(from_canvas(canvas, 32), levels)
    assert from_canvas(canvas, 32).dtype == np.uint8


def test_pixels_are_rounded_to_the_nearest_level_and_kept_in_range() -> None:
    canvas = torch.full((1, 1, 32, 32), -1.0)
    canvas[0, 0, 0, :6] = torch.tensor([-1.2, 1.2, 0.0 + 0.4 / 127.5, 99.6 / 127.5 - 1, 99.4 / 127.5 - 1, 1.0])
    assert from_canvas(canvas, 32)[0, 0, 0, :6].tolist() == [0, 255, 128, 100, 99, 255]


@pytest.mark.parametrize(("side_px", "canvas_px"), [(20, 32), (28, 32), (40, 64), (120, 128)])
def test_resizing_is_what_an_image_library_does(side_px: int, canvas_px: int) -> None:
    image = pixels(side_px, side_px)
    size = (canvas_px, canvas_px)
    expected = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)).astype(int)
    resized = from_canvas(to_canvas(image[None, None], "resize"), canvas_px)[0, 0]
    assert np.abs(resized - expected).max() <= 1


@pytest.mark.parametrize("fit", ["pad", "resize"])
def test_an_image_of_canvas_size_is_only_rescaled(fit: Fit) -> None:
    images = pixels(2, 1, 32, 32)
    assert torch.equal(to_canvas(images, fit), torch.from_numpy(images).float() / 127.5 - 1)


@pytest.mark.parametrize(("side_px", "canvas_px"), [(1, 32), (32, 32), (33, 64), (64, 64), (65, 128), (256, 256)])
def test_images_lie_on_the_smallest_canvas_that_they_fit_on(side_px: int, canvas_px: int) -> None:
    assert canvas_side(side_px) == canvas_px
    assert to_canvas(pixels(1, 1, side_px, side_px), "pad").shape == (1, 1, canvas_px, canvas_px)


def test_an_image_larger_than_any_canvas_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"images of 257 px do not fit the largest canvas.*dataset.side_px"):
        to_canvas(pixels(1, 1, 257, 257), "pad")
    with pytest.raises(ConfigError, match="40x40"):
        from_canvas(torch.zeros(1, 1, 32, 32), 40)


def test_what_is_not_square_is_padded_on_each_side_by_its_own_measure() -> None:
    canvas = to_canvas(np.full((1, 1, 20, 28), 255, dtype=np.uint8), "pad")
    assert canvas.shape == (1, 1, 32, 32)
    assert (canvas[0, 0, 6:-6, 2:-2] == 1).all()


@pytest.mark.parametrize(("height", "width"), [(0, 28), (28, 0)])
def test_one_side_that_is_nothing_is_enough_to_be_refused(height: int, width: int) -> None:
    with pytest.raises(ConfigError, match=f"{height}x{width}"):
        to_canvas(pixels(1, 1, height, width), "pad")


@pytest.mark.parametrize("side_px", CANVASES)
def test_every_canvas_is_a_side_that_networks_double_to(side_px: int) -> None:
    assert 4 * 2 ** ImageSpec(1, side_px).doublings == side_px


def said(gan: Gan, images: np.ndarray) -> np.ndarray:
    return discriminate(gan, to_canvas(images, "pad"), 0, CPU)


def test_what_the_discriminator_says_is_what_its_network_says_of_the_images() -> None:
    gan, images = built(), pixels(6, 1, 28, 28)
    canvas = torch.from_numpy(np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))).float() / 127.5 - 1
    with torch.no_grad():
        expected = gan.networks.eval()["D"](canvas).double().numpy()
    assert said(gan, images) == pytest.approx(expected, abs=1e-6)
    assert said(gan, images).shape == (6,)
    assert said(gan, images).dtype == np.float64
    assert len(set(expected.tolist())) == 6


def test_what_it_says_of_an_image_depends_neither_on_the_others_nor_on_the_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gan, images = built(), pixels(20, 1, 28, 28)
    whole = said(gan, images)
    assert said(gan, images[:1]) == pytest.approx(whole[:1], abs=1e-6)
    monkeypatch.setattr(synthesis, "CHUNK", 7)
    assert said(gan, images) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_asking_the_discriminator_leaves_the_gan_as_it_was(training: bool) -> None:
    gan = built()
    networks = gan.networks.train(training)
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    said(gan, pixels(20, 1, 28, 28))
    assert networks.training == training
    assert all(torch.equal(value, before[name]) for name, value in networks.state_dict().items())
    assert not any(value.requires_grad and value.grad is not None for value in networks.parameters())


def test_of_no_images_it_says_nothing() -> None:
    assert said(built(), pixels(0, 1, 28, 28)).shape == (0,)
