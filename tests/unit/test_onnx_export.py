"""model.onnx: under onnxruntime it says of an image what the rest of its folder says, at every size."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from ganbalance import keys
from ganbalance.errors import DataError
from ganbalance.metrics.calibration import Floats
from ganbalance.models import backbones
from ganbalance.models.backbones.base import Backbone
from ganbalance.models.backbones.small_cnn import SmallCnn
from ganbalance.training import device, features, model_folder, weights
from ganbalance.training.saved_head import LinearHead
from tests.unit.known_models import described

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ALIKE = 1e-4
"""Torch rounds as much itself: `predict` differs up to 1e-5 from float64 here."""


def noise(channels: int, side_px: int, n: int = 24) -> NDArray[np.uint8]:
    """Images of coarse noise, each with a brightness of its own: after any resizing they differ."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(rng.uniform(30, 220, (n, 1, 1, 1)), 60, (n, channels, 8, 8))
    return np.kron(coarse, np.ones((side_px // 8 + 1,) * 2))[..., :side_px, :side_px].clip(0, 255).astype(np.uint8)


def network_of(backbone: Backbone) -> nn.Module:
    """Random weights, and statistics that keep images apart."""
    torch.manual_seed(0)
    network = backbone.build()
    with torch.no_grad():
        for _ in range(10):
            network.train()(torch.randn(16, 3, 32, 32))
    return network


def written(folder: Path, name: str, images_NCHW: NDArray[np.uint8], input_px: int, classes: int = 3) -> Path:
    """A folder with model.onnx. Its head shrinks no feature to nothing, which would enlarge what torch rounds."""
    backbone, rng = backbones.find(name), np.random.default_rng(1)
    network = network_of(backbone)
    found = features.extract(
        network, backbone, images_NCHW, side_px=input_px, device=device.resolve("cpu"), on_progress=lambda *_: None
    ).astype(np.float64)
    head = LinearHead(
        mean=found.mean(axis=0),
        scale=found.std(axis=0).mean() * rng.uniform(0.5, 2.0, backbone.features),
        weights=rng.normal(0, 1 / np.sqrt(backbone.features), (classes, backbone.features)),
        biases=rng.normal(0, 0.3, classes),
    )
    model = described(
        classes=tuple("abcdefghij"[:classes]),
        image=model_folder.Image(side_px=images_NCHW.shape[-1], channels=images_NCHW.shape[1], fit="pad"),
        backbone=model_folder.Network(
            name=name, sha256=None, trained="all", side_px=input_px, mean=backbone.mean, std=backbone.std
        ),
        rules={
            "fair": model_folder.DecisionRule(scale=2.0, offsets=tuple(rng.normal(size=classes))),
            "as-trained": model_folder.DecisionRule(scale=1.0, offsets=(0.0,) * classes),
        },
    )
    weights.save(folder / "weights", network.state_dict())
    model_folder.write(folder / "kept", model, head, folder / "weights", onnx=True)
    return folder / "kept"


def run(model: Path, images_NCHW: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    logits, probabilities = onnxruntime.InferenceSession(model / "model.onnx").run(None, {"images": images_NCHW})
    return logits, probabilities


@pytest.mark.parametrize(
    ("name", "channels", "side_px", "input_px"),
    [
        ("small-cnn", 1, 28, 28),
        ("small-cnn", 3, 64, 37),
        ("efficientnet-lite0", 3, 28, 48),
        ("resnet18", 1, 100, 33),
    ],
)
def test_probabilities_are_those_of_the_folder(
    name: str, channels: int, side_px: int, input_px: int, tmp_path: Path
) -> None:
    images = noise(channels, side_px)
    model = written(tmp_path, name, images, input_px)
    classifier = model_folder.open_model(model)
    expected = classifier.logits(images)
    logits, probabilities = run(model, images)
    assert np.abs(logits - expected).max() < ALIKE
    assert np.abs(probabilities - np.exp(classifier.model.rule("fair").log_probabilities(expected))).max() < ALIKE
    assert np.ptp(probabilities, axis=0).min() > 0.3  # the images differ
    assert np.abs(run(model, images[:1])[1] - probabilities[:1]).max() < ALIKE


def test_the_file_says_what_it_is_and_nothing_of_this_machine(tmp_path: Path) -> None:
    model = written(tmp_path, "small-cnn", noise(3, 32), 32)
    session = onnxruntime.InferenceSession(model / "model.onnx")
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape) == ("images", "tensor(uint8)", ["N", 3, 32, 32])
    assert [(one.name, one.type, one.shape) for one in session.get_outputs()] == [
        ("logits", "tensor(float)", ["N", 3]),
        ("probabilities", "tensor(float)", ["N", 3]),
    ]
    said = session.get_modelmeta().custom_metadata_map
    assert (json.loads(said["classes"]), said["rule"]) == (["a", "b", "c"], "fair")
    content = (model / "model.onnx").read_bytes()
    assert not [trace for trace in (b"stack_trace", b"onnx_export") if trace in content]
    assert json.loads((model / "model.json").read_text())["files"]["model.onnx"] == keys.sha256_file(
        model / "model.onnx"
    )
    assert {path.name for path in model.iterdir()} == {
        "model.json", "model.onnx", "head.safetensors", "backbone.safetensors", "README.md"
    }  # fmt: skip


class WithoutOnnx(nn.Module):
    """Features that ONNX has no operator for."""

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(images_NCHW[:, 0]).repeat(1, 2)


class WithoutGraph(nn.Module):
    """Features that depend on a decision about the images."""

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return images_NCHW[:, 0, :2].flatten(1) * (2 if images_NCHW.sum() > 0 else 1)


@pytest.mark.parametrize(
    ("network", "reason"), [(WithoutOnnx, "No ONNX function found for .*svd"), (WithoutGraph, "data-dependent")]
)
def test_a_network_that_cannot_be_exported_is_refused_and_nothing_is_written(
    network: type[nn.Module],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(SmallCnn, "build", lambda self: network())
    message = f"^torch cannot export small-cnn to ONNX: .*{reason}.*; export without --onnx$"
    with pytest.raises(DataError, match=message):
        written(tmp_path, "small-cnn", noise(1, 32), 32)
    assert not (tmp_path / "kept").exists()
    assert capsys.readouterr().err == ""
