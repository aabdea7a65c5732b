"""A trained classifier as a folder: everything to predict, nothing that could run.

model.json            what it is: `Model`; written last, so that half a folder is none
head.safetensors      the linear head at one strength: `saved_head.LinearHead`
backbone.safetensors  the weights of the network below it
README.md             what it is in words, and the lines of PyTorch that use it without this project
model.onnx            where it was asked for: all of it under one rule, for other runtimes: `onnx_export.graph`
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pydantic
import torch
from numpy.typing import NDArray

from ganbalance.called import typed
from ganbalance.config import Trained
from ganbalance.data.pictures import Fit
from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import Frozen, dump, parse
from ganbalance.keys import sha256_file
from ganbalance.metrics.calibration import Floats, Rule
from ganbalance.models import backbones
from ganbalance.models.backbones.base import Backbone
from ganbalance.training import device, model_readme, onnx_export, weights
from ganbalance.training.features import extract
from ganbalance.training.saved_head import LinearHead

FORMAT = 3
"""Raise it when a folder means something else than before, a new field included."""
LEAST = 32
"""Images in a batch: for a few, torch takes other convolutions than in a run, and probabilities move by 1e-5."""
MODEL, HEAD, BACKBONE, README = "model.json", "head.safetensors", "backbone.safetensors", "README.md"
ONNX = "model.onnx"


class Image(Frozen):
    """What image files are brought to first, as those of the dataset were."""

    side_px: int
    channels: int = pydantic.Field(ge=1, le=3)
    fit: Fit


class Network(Frozen):
    """The backbone, and its input: resized to `side_px`, then normalised.

    `sha256` is of the published weights that it has or started from; `trained` says what was: "frozen" is nothing.
    """

    name: str
    sha256: str | None
    trained: Literal["frozen"] | Trained
    side_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class DecisionRule(Frozen):
    """Probabilities softmax(scale * logits + offsets)."""

    scale: float
    offsets: tuple[float, ...]

    def rule(self) -> Rule:
        """Return the rule as the metrics have it."""
        return Rule(self.scale, np.array(self.offsets))


class Model(Frozen):
    """model.json.

    `seed` is of the classifier; `rules`, `strength`, `verdict` and `evidence` come from all `seeds` of the run.
    `note` is the experiment's own caveat, `commit` of the code that trained the head, `files` the sha256 of the
    files of weights, and of model.onnx where there is one.
    """

    format: int
    classes: tuple[str, ...]
    arm: str
    seed: int
    verdict: str | None
    evidence: str | None
    caveat: str
    note: str
    seeds: tuple[int, ...]
    task: dict[str, Any]
    image: Image
    backbone: Network
    strength: float
    rules: dict[str, DecisionRule]
    run: str
    commit: str | None
    files: dict[str, str] = pydantic.Field(default_factory=dict)

    @pydantic.model_validator(mode="after")
    def _offsets_are_of_the_classes(self) -> Self:
        if any(len(rule.offsets) != len(self.classes) for rule in self.rules.values()):
            raise ValueError("a rule has one offset for each class")
        return self

    def rule(self, name: str) -> Rule:
        """Find a decision rule by its name. Raises ConfigError."""
        if name not in self.rules:
            raise ConfigError(f"--rule {name}: the model has no such rule, only {', '.join(self.rules) or 'none'}")
        return self.rules[name].rule()


@dataclass(frozen=True)
class Classifier:
    """A folder that was opened, ready to predict."""

    model: Model
    head: LinearHead
    backbone: Backbone
    network: torch.nn.Module

    def logits(self, images_NCHW: NDArray[np.uint8]) -> Floats:
        """Compute logits float64 (N, K) of uint8 images of the model's side and channels."""
        padding = max(0, LEAST - len(images_NCHW))
        found = extract(
            self.network,
            self.backbone,
            np.concatenate([images_NCHW, np.zeros((padding, *images_NCHW.shape[1:]), np.uint8)]),
            side_px=self.model.backbone.side_px,
            device=device.resolve("auto"),
            on_progress=lambda done, total: None,
        )
        return self.head.logits(found[: len(images_NCHW)])


def write(folder: Path, model: Model, head: LinearHead, backbone: Path, *, onnx: bool = False) -> Model:
    """Make the folder from a head and the file of the backbone's weights; returns the model with its `files`.

    With `onnx` also model.onnx. Raises DataError, and writes nothing, for a network that torch cannot export.
    """
    graph = onnx_export.graph(_classifier(model, head, backbone)) if onnx else None
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(backbone, folder / BACKBONE)
    head.save(folder / HEAD)
    files = [HEAD, BACKBONE]
    if graph is not None:
        graph.save(folder / ONNX, external_data=False)
        files.append(ONNX)
    whole = model.model_copy(update={"files": {name: sha256_file(folder / name) for name in files}})
    code = backbones.find(model.backbone.name).code
    (folder / README).write_text(model_readme.text(dump(whole), code), "utf-8")
    (folder / MODEL).write_text(json.dumps(dump(whole), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return whole


def open_model(folder: Path) -> Classifier:
    """Open the classifier in a folder. Raises DataError for what is no model, or one that was changed."""
    model = _read(folder / MODEL)
    for name in (HEAD, BACKBONE):
        if not (folder / name).is_file() or sha256_file(folder / name) != model.files.get(name):
            raise DataError(f"{folder / name} is not the file that {MODEL} was written with; export the model again")
    return _classifier(model, LinearHead.load(folder / HEAD), folder / BACKBONE)


def _classifier(model: Model, head: LinearHead, of_backbone: Path) -> Classifier:
    backbone = backbones.find(model.backbone.name)
    network = backbone.build()
    network.load_state_dict(weights.load(of_backbone))
    return Classifier(model, head, backbone, network)


def _read(path: Path) -> Model:
    if not path.is_file():
        raise DataError(
            f"{path.parent} is no model: it has no {path.name}; '{typed('export --run RUN --model FOLDER')}' writes one"
        )
    try:
        given = json.loads(path.read_bytes())
        _check_format(path, given)
        return parse(Model, given, where=str(path))
    except (ValueError, ConfigError) as error:
        message = str(error) if isinstance(error, ConfigError) else f"{path} is not valid JSON: {error}"
        raise DataError(f"{message}; export the model again") from error


def _check_format(path: Path, given: Any) -> None:
    found = given.get("format") if isinstance(given, Mapping) else None
    if found != FORMAT:
        raise DataError(
            f"{path} is of format {found}, and this ganbalance reads format {FORMAT}; "
            "export the model again, or predict with the ganbalance that wrote it"
        )
