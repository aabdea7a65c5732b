"""An exported classifier as one ONNX graph, from pixels to probabilities; torch writes it with ganbalance[onnx]."""

import io
import json
from contextlib import redirect_stderr
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbalance.errors import DataError
from ganbalance.models.backbones.base import prepare

if TYPE_CHECKING:
    from ganbalance.training.model_folder import Classifier


def graph(classifier: "Classifier") -> torch.onnx.ONNXProgram:
    """Export the graph of a classifier under its first rule, the fair one where it has that.

    Input `images` uint8 (N, C, side, side) of the model's side and channels, any N; outputs `logits` and
    `probabilities` float32 (N, K). The names of the classes and of the rule are in the metadata. Raises DataError for
    a network that torch cannot export.
    """
    image, rule = classifier.model.image, next(iter(classifier.model.rules))
    example = torch.zeros(2, image.channels, image.side_px, image.side_px, dtype=torch.uint8)
    try:
        with redirect_stderr(io.StringIO()):  # what torch tells its developers of a network that it fails at
            program = torch.onnx.export(
                _Whole(classifier, rule).eval(),
                (example,),
                input_names=["images"],
                output_names=["logits", "probabilities"],
                dynamic_shapes=({0: "N"},),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise DataError(
            f"torch cannot export {classifier.model.backbone.name} to ONNX: {_reason(error)}; export without --onnx"
        ) from error
    assert program is not None  # noqa: S101 - None is for TorchScript
    for part in (*program.model.graph, *program.model.graph.inputs, *program.model.graph.outputs):
        part.metadata_props.clear()  # stack traces with the paths of this machine
    program.model.metadata_props.update(classes=json.dumps(classifier.model.classes), rule=rule)
    return program


class _Whole(nn.Module):
    """What `Classifier.logits` and a rule do, in float32: not every runtime knows float64."""

    def __init__(self, classifier: "Classifier", rule: str) -> None:
        super().__init__()
        self.backbone, self.network = classifier.backbone, classifier.network
        self.side_px = classifier.model.backbone.side_px
        given_px, chosen, head = classifier.model.image.side_px, classifier.model.rule(rule), classifier.head
        # Bilinear resizing is a matrix on either side of the image: ONNX's own, where a runtime has its antialiasing,
        # rounds its weights to 1e-5.
        eye = torch.eye(given_px)[None, None]
        self.resize = F.interpolate(eye, (self.side_px, given_px), mode="bilinear", antialias=True)[0, 0]
        self.mean, self.scale, self.weights, self.biases, self.offsets = (
            torch.tensor(array, dtype=torch.float32)
            for array in (head.mean, head.scale, head.weights, head.biases, chosen.offsets)
        )
        self.rule_scale = chosen.scale

    def forward(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        if self.resize.shape[0] != self.resize.shape[1]:
            images_NCHW = self.resize @ images_NCHW.float() @ self.resize.T
        features = self.network(prepare(images_NCHW, self.backbone, self.side_px))
        logits = F.linear((features - self.mean) / self.scale, self.weights, self.biases)
        return logits, F.softmax(self.rule_scale * logits + self.offsets, dim=1)


def _reason(error: BaseException) -> str:
    """Return the first line of what an exporter's error came from; its own is pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).partition("\n")[0]
