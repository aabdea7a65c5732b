"""Backbones carry published weights, refuse others, and stay frozen."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from sklearn.datasets import load_sample_image

from ganbalance.errors import ConfigError, DataError
from ganbalance.keys import sha256_file
from ganbalance.models import backbones
from ganbalance.models.backbones import resnet18
from ganbalance.models.backbones.base import Backbone, prepare
from ganbalance.training.features import extract

CPU = torch.device("cpu")


def lite() -> tuple[Backbone, torch.nn.Module]:
    backbone = backbones.find("efficientnet-lite0")
    network = backbone.build()
    network.load_state_dict(backbone.read_weights(backbone.weights_file(None), backbone.sha256))
    return backbone, network


def test_the_documented_backbones_are_there() -> None:
    assert {"efficientnet-lite0", "resnet18"} <= set(backbones.names())


@pytest.mark.parametrize("name", backbones.names())
def test_a_backbone_maps_images_to_its_features(name: str) -> None:
    backbone = backbones.find(name)
    images = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    with torch.inference_mode():
        assert backbone.build().eval()(prepare(images, backbone, 32)).shape == (2, backbone.features)


@pytest.mark.parametrize("name", backbones.names())
def test_the_code_of_a_backbone_makes_its_network_without_this_project(name: str) -> None:
    backbone = backbones.find(name)
    assert "ganbalance" not in backbone.code
    made: dict[str, torch.nn.Module] = {}
    exec(f"import torch\n{backbone.code}", {}, made)  # noqa: S102 - of this project
    ours = backbone.build().eval()
    theirs = made["network"].eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(theirs(images), ours(images))


@pytest.mark.parametrize(("photograph", "imagenet_class"), [("china.jpg", 698), ("flower.jpg", 985)])
def test_efficientnet_lite0_with_its_published_weights_sees_a_palace_and_a_daisy(
    photograph: str, imagenet_class: int
) -> None:
    backbone, network = lite()
    published = torch.load(backbone.weights_file(None), weights_only=True)
    square = load_sample_image(photograph)[:, 106:533].transpose(2, 0, 1)[None]
    features = extract(network, backbone, square, side_px=224, device=CPU, on_progress=lambda done, total: None)
    logits = torch.from_numpy(features) @ published["_fc.weight"].T + published["_fc.bias"]
    assert int(logits.argmax()) == imagenet_class


def test_features_are_pooled_activations() -> None:
    backbone, network = lite()
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    found = extract(network, backbone, images, side_px=32, device=CPU, on_progress=lambda done, total: None)
    assert found.shape == (4, 1280)
    assert found.dtype == np.float32
    assert 0 <= found.min() < found.max() <= 6  # pooled ReLU6


def test_extraction_is_in_eval_mode_and_moves_no_weight_and_no_statistic() -> None:
    backbone, network = lite()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = np.zeros((3, 1, 28, 28), np.uint8)
    extract(network.train(), backbone, images, side_px=32, device=CPU, on_progress=lambda done, total: None)
    assert not network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_gpu_is_asked_for_whole_float32_while_it_extracts_and_only_then() -> None:
    class Asked(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full((len(images), 1280), float(torch.backends.cudnn.allow_tf32))

    backbone, _ = lite()
    images = np.zeros((3, 1, 28, 28), np.uint8)
    found = extract(Asked(), backbone, images, side_px=32, device=CPU, on_progress=lambda done, total: None)
    assert not found.any()
    assert torch.backends.cudnn.allow_tf32


def test_features_do_not_depend_on_the_company_of_an_image() -> None:
    backbone, network = lite()
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)

    def features(chosen: np.ndarray) -> np.ndarray:
        return extract(network, backbone, chosen, side_px=32, device=CPU, on_progress=lambda done, total: None)

    assert features(images)[2] == pytest.approx(features(images[2:3])[0], abs=1e-4)


def test_grey_becomes_three_equal_channels_with_the_backbones_normalisation() -> None:
    backbone = backbones.find("resnet18")
    white = torch.full((1, 1, 32, 32), 255, dtype=torch.uint8)
    expected = (1 - torch.tensor(backbone.mean)) / torch.tensor(backbone.std)
    assert torch.allclose(prepare(white, backbone, 32)[0, :, 5, 5], expected)
    assert torch.allclose(prepare(white, backbone, 32, imagenet=False), torch.tensor(1.0))


def resnet_file(path: Path) -> str:
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    return sha256_file(path)


def test_resnet18_takes_a_state_dict_with_torchvisions_names(tmp_path: Path) -> None:
    backbone, path = backbones.find("resnet18"), tmp_path / "resnet18.pth"
    state = backbone.read_weights(path, resnet_file(path))
    network = backbone.build()
    network.load_state_dict(state)
    theirs = torchvision.models.resnet18(weights=None)
    theirs.load_state_dict(torch.load(path, weights_only=True))
    theirs.fc = torch.nn.Identity()
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(network.eval()(images), theirs.eval()(images))


def test_weights_with_the_wrong_hash_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "resnet18.pth"
    resnet_file(path)
    with pytest.raises(DataError, match=r"expected f37072fd47e8.*classifier.weights_sha256"):
        backbones.find("resnet18").read_weights(path, backbones.find("resnet18").sha256)


def test_the_pinned_url_of_resnet18_is_torchvisions_and_holds_the_start_of_the_pinned_hash() -> None:
    assert torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url == resnet18.URL
    assert f"-{backbones.find('resnet18').sha256[:8]}." in resnet18.FILE


def test_a_pickle_that_runs_code_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"weights": Evil()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match=r"evil.pth"):
        backbones.find("resnet18").read_weights(path, digest)
    assert not (tmp_path / "ran").exists()


def test_published_weights_are_found_in_torchvisions_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert backbones.find("resnet18").published() is None
    path = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    path.parent.mkdir(parents=True)
    resnet_file(path)
    assert backbones.find("resnet18").weights_file(None) == path


def test_published_weights_are_found_where_an_image_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    monkeypatch.setattr("ganbalance.models.backbones.resnet18.SYSTEM_FOLDER", tmp_path)
    path = tmp_path / "resnet18-f37072fd.pth"
    resnet_file(path)
    assert backbones.find("resnet18").weights_file(None) == path


def test_weights_that_cannot_be_had_name_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(DataError, match=r"no network.*classifier.backbone=efficientnet-lite0"):
        backbones.find("resnet18").weights_file(None)


def test_a_named_weights_file_that_is_not_there_is_reported() -> None:
    with pytest.raises(DataError, match=r"classifier.weights = '/no/such'"):
        backbones.find("resnet18").weights_file("/no/such")


def test_an_unknown_backbone_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no backbone 'vgg'; choose among .*resnet18"):
        backbones.find("vgg")
