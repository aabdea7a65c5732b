"""The stages: what each declares of the experiment, and which job program runs it.

The fields of a stage are all that its key depends on besides its seed and its inputs. Raise `version` when the
code behind a stage changes the bytes it writes: every key that rests on it changes too.
Classes are numbered here in the order of the task's columns: negative 0 and positive 1 for a pair.
"""

from typing import Any, ClassVar

from ganbalance.config import Fit, PaperClassifier, Protocol, Statistics
from ganbalance.frozen import Frozen


class Stage(Frozen):
    """Base of all stages."""

    stage: ClassVar[str]
    version: ClassVar[int] = 1
    program: ClassVar[str]
    takes_what_is_there: ClassVar[bool] = False  # runs without the inputs that failed, and is keyed by the others


class Dataset(Stage):
    """The images and labels of the task's classes. `classes` are the dataset's own labels, in column order."""

    stage = "dataset"
    program = "imbalance"

    name: str
    fingerprint: str
    classes: tuple[int, ...]
    class_names: tuple[str, ...]


class Imbalance(Stage):
    """One seed's draw of the kept, validation and tuning images. `keep` maps a column to a share."""

    stage = "imbalance"
    version = 2
    program = "imbalance"

    keep: dict[int, float]
    validation: float


class TrainGan(Stage):
    """One GAN on the training images of one rare class. `settings` is the GAN's whole Config."""

    stage = "train-gan"
    program = "train-gan"

    gan: str
    settings: dict[str, Any]
    column: int
    canvas: Fit


class Synthesize(Stage):
    """Images from one trained generator. `n` is a number or "balance"."""

    stage = "synthesize"
    program = "synthesize"

    n: int | str
    column: int


class Backbone(Stage):
    """The weights of the frozen network, verified and free of pickles."""

    stage = "backbone"
    program = "train-classifier"

    name: str
    sha256: str


class Features(Stage):
    """What the frozen backbone makes of every image of its `images` input."""

    stage = "features"
    program = "train-classifier"

    backbone: str
    side_px: int


class TrainClassifier(Stage):
    """One arm at one seed: a linear head on cached features, solved at every strength in `l2`.

    `rare` are the columns whose pairs get a head each where there are more than two classes; `matched` is what a GAN
    adds, for the arm that is given as many images.
    """

    stage = "train-classifier"
    version = 2
    program = "train-classifier"

    arm: str
    l2: tuple[float, ...]
    rare: tuple[int, ...]
    matched: int | str | None = None


class TrainPaperClassifier(Stage):
    """One arm at one seed, trained as the course report did: from images, in train mode, split after mixing."""

    stage = "train-paper-classifier"
    version = 2
    program = "train-classifier"

    arm: str
    backbone: str
    side_px: int
    paper: PaperClassifier


class Rescore(Stage):
    """One arm at one seed that corrects the scores of another arm instead of training."""

    stage = "rescore"
    version = 2
    program = "train-classifier"

    arm: str


class Report(Stage):
    """Every arm and seed compared."""

    stage = "report"
    version = 2
    program = "report"
    takes_what_is_there = True

    name: str
    protocol: Protocol
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    statistics: Statistics
    note: str


ALL: dict[str, type[Stage]] = {stage.stage: stage for stage in Stage.__subclasses__()}
