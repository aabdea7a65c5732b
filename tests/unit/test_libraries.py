"""Any network of timm or torchvision is a backbone, with a file of weights."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from ganbalance import config
from ganbalance.config import Experiment
from ganbalance.errors import ConfigError, DataError
from ganbalance.keys import sha256_file
from ganbalance.models import backbones
from ganbalance.models.backbones.base import check_side
from ganbalance.pipeline import resolution
from ganbalance.pipeline.plan import make_plan

NAMES = ["timm/resnet14t", "torchvision/mobilenet_v3_small", "torchvision/regnet_y_400mf"]


@pytest.mark.parametrize("name", NAMES)
def test_a_librarys_network_maps_images_to_its_features(name: str) -> None:
    backbone = backbones.find(name)
    with torch.inference_mode():
        assert backbone.build().eval()(torch.rand(2, 3, 32, 32)).shape == (2, backbone.features)


@pytest.mark.parametrize("name", NAMES)
def test_its_code_makes_it_without_this_project(name: str) -> None:
    backbone = backbones.find(name)
    made: dict[str, torch.nn.Module] = {}
    exec(f"import torch\n{backbone.code}", {}, made)  # noqa: S102 - of this project
    ours, theirs = backbone.build().eval(), made["network"].eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(theirs(images), ours(images))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_the_librarys_own_weights_is_read_without_its_classification_layer(
    tmp_path: Path, suffix: str
) -> None:
    published = timm.create_model("resnet14t").eval()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(published.state_dict(), path)
    else:
        save_file(published.state_dict(), path)
    backbone = backbones.find("timm/resnet14t")
    network = backbone.build().eval()
    network.load_state_dict(backbone.read_weights(path, sha256_file(path)))
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(network(images), published.forward_head(published.forward_features(images), pre_logits=True))


def test_weights_of_another_network_name_a_layer_that_they_lack(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(torchvision.models.mobilenet_v3_small().state_dict(), path)
    with pytest.raises(DataError, match=r"weights.pth does not hold the layer 'conv1.0.weight' .* of another network"):
        backbones.find("timm/resnet14t").read_weights(path, sha256_file(path))


def test_timms_preprocessing_is_that_of_its_weights() -> None:
    assert backbones.find("timm/vit_tiny_patch16_224").mean == (0.5, 0.5, 0.5)
    assert backbones.find("timm/resnet14t").std == pytest.approx((0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm/nonet_15", r"timm has no such network; .*list_models"),
        ("torchvision/mobilenet_v9", r"torchvision has no such network; near it are mobilenet_v2"),
        ("torchvision/squeezenet1_0", "does not end in a linear layer"),
        ("torchvision/googlenet", "torchvision has no such network"),
        ("keras/resnet18", "libraries are timm, torchvision"),
    ],
)
def test_what_no_library_has_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        backbones.find(name)


def test_a_side_that_a_network_cannot_take_is_refused() -> None:
    network = backbones.find("timm/vit_tiny_patch16_224").build()
    with pytest.raises(ConfigError, match=r"classifier.side_px = 32 does not fit timm/vit_tiny_patch16_224: "):
        check_side(network, "timm/vit_tiny_patch16_224", 32)
    check_side(network, "timm/vit_tiny_patch16_224", 224)


def experiment(tiny: dict[str, Any], **classifier: Any) -> Experiment:
    return config.check(tiny | {"classifier": classifier}, where="here")


def test_a_librarys_weights_have_to_be_pinned(tiny: dict[str, Any]) -> None:
    pinned = experiment(tiny, backbone="timm/resnet14t", weights="w.pth", weights_sha256="a" * 64)
    assert resolution.weights_sha256(pinned.classifier) == "a" * 64
    with pytest.raises(ConfigError, match=r"'timm/resnet14t' .* classifier.weights_sha256"):
        resolution.weights_sha256(experiment(tiny, backbone="timm/resnet14t").classifier)


def test_what_is_trained_from_scratch_has_no_weights(tiny: dict[str, Any]) -> None:
    scratch = experiment(tiny, kind="network", backbone="timm/resnet14t")
    assert resolution.weights_sha256(scratch.classifier) is None
    with pytest.raises(ConfigError, match=r"'small-cnn' has no published weights .* classifier.kind = network"):
        resolution.weights_sha256(experiment(tiny, backbone="small-cnn").classifier)


@pytest.mark.parametrize("name", ["timm/nonet_15", "keras/resnet18", "vgg"])
def test_a_backbone_that_there_is_not_is_refused_when_a_run_is_planned(tiny: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=r"no such network|libraries are|no backbone"):
        make_plan(experiment(tiny, kind="network", backbone=name))


def test_a_network_of_a_fixed_side_is_built_at_that_side() -> None:
    assert backbones.find("timm/vit_tiny_patch16_384").features == 192


def test_weights_without_the_counters_of_older_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    state = torchvision.models.mobilenet_v3_small().state_dict()
    torch.save({name: value for name, value in state.items() if "num_batches" not in name}, path)
    backbone = backbones.find("torchvision/mobilenet_v3_small")
    network = backbone.build()
    network.load_state_dict(backbone.read_weights(path, sha256_file(path)))
    assert torch.equal(network.features[0][0].weight, state["features.0.0.weight"])


@pytest.mark.parametrize("wrapped", [lambda state: {"state_dict": state, "epoch": 3}, lambda state: {
    f"module.{name}": value for name, value in state.items()
}], ids=["nested", "prefixed"])  # fmt: skip
def test_a_training_state_is_no_file_of_weights(tmp_path: Path, wrapped: Any) -> None:
    path = tmp_path / "training.pth"
    torch.save(wrapped(torchvision.models.resnet18().state_dict()), path)
    with pytest.raises(DataError, match=r"does not hold the layer 'conv1\.weight'"):
        backbones.find("resnet18").read_weights(path, sha256_file(path))
