"""The stages: what each declares of the experiment, and which job program runs it.

The fields of a stage are all that its key depends on besides its seed and its inputs. Raise `version` when the
code behind a stage changes the bytes it writes: every key that rests on it changes too.
Classes are numbered here as the task numbers them, by class index: negative 0 and positive 1 for a pair.
"""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, ClassVar, Literal

from pydantic import Field

from ganbalance.config import (
    Amount,
    Augmentation,
    Choice,
    Family,
    Fit,
    Fold,
    NetworkTraining,
    Noise,
    PaperTraining,
    PodResources,
    Prices,
    Statistics,
    Trained,
)
from ganbalance.errors import ConfigError
from ganbalance.frozen import Frozen
from ganbalance.keys import digest

LONGEST_ID = 60


class Stage(Frozen):
    """Base of all stages."""

    stage: ClassVar[str]
    version: ClassVar[int] = 1
    program: ClassVar[str]
    uses_gpu: ClassVar[bool] = False  # computes on `resources.device`; its pods may ask for a GPU
    beside: ClassVar[str | None] = None  # planned for every node of that stage, as its input of that name, and its data
    allow_missing_inputs: ClassVar[bool] = False  # runs without the inputs that failed, and is keyed by the others


class Dataset(Stage):
    """The images and labels of the task's classes. `classes` are the dataset's own labels of each, by class index."""

    stage = "dataset"
    program = "imbalance"

    name: str
    fingerprint: str
    classes: tuple[tuple[int, ...], ...]
    class_names: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """What each class is called in the names of stages."""
        every = {"-".join(map(str, labels)): len(labels) for labels in self.classes}
        # of very many labels a digest, since files have the name of a stage
        return tuple(one if len(one) <= LONGEST_ID else f"{n}-labels-{digest(one)[:8]}" for one, n in every.items())


class Imbalance(Stage):
    """One seed's draw of the kept, validation and tuning images. `keep` maps a class index to a share.

    `fold` is what the seed is tested on, None for the dataset's own test part.
    """

    stage = "imbalance"
    version = 2
    program = "imbalance"

    keep: dict[int, float]
    validation: float
    fold: Fold | None = Field(None, exclude_if=lambda found: found is None)


class TrainGan(Stage):
    """One GAN on the training images of one rare class, or, with no `class_index`, of every class of the task.

    `settings` is the GAN's whole Config.
    """

    stage = "train-gan"
    version = 2
    program = "train-gan"
    uses_gpu = True

    gan: str
    settings: dict[str, Any]
    class_index: int | None
    canvas: Fit


class Synthesize(Stage):
    """Images from one trained generator, as many that a filter which keeps the share `keep` leaves `n` of them."""

    stage = "synthesize"
    program = "synthesize"
    uses_gpu = True

    n: Amount
    class_index: int
    keep: float = 1.0


class Filter(Stage):
    """The `n` images of its `images` input that score best. `by` is the filter with its settings.

    `canvas` is how images are brought to the GAN that drew them.
    """

    stage = "filter"
    program = "synthesize"
    uses_gpu = True

    by: Choice
    canvas: Fit
    n: Amount
    class_index: int


class Augment(Stage):
    """`n` changed copies of the training images of one class, drawn at random; `augment` is the change.

    With `replaces` they take the images' place: every image has a copy, and there are `n` more.
    """

    stage = "augment"
    program = "synthesize"

    augment: Augmentation | Noise
    n: Amount | None
    class_index: int
    replaces: bool = Field(False, exclude_if=lambda one: not one)


class OutsideImages(Stage):
    """Images of a rare class that were made elsewhere: the first `n` of a folder by name."""

    stage = "outside-images"
    version = 2
    program = "synthesize"

    fingerprint: str
    n: Amount
    class_index: int


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
    uses_gpu = True

    backbone: str
    side_px: int


class TrainClassifier(Stage):
    """One arm at one seed: a linear head on cached features, solved at every strength in `l2`.

    `removed`, `method` and `objective` are parts of its recipe (`ganbalance.config.Recipe`); `matched` is how many
    images `removed: matched` gives back, `weight` what a synthetic image counts. `rare` are the classes whose pairs get
    a head each where there are more than two. `replaces`: changed copies take the place of all training images.
    """

    stage = "train-classifier"
    version = 3
    program = "train-classifier"

    removed: str | None
    matched: Amount | None
    method: Choice
    objective: Choice
    l2: tuple[float, ...]
    rare: tuple[int, ...]
    weight: float = Field(1.0, exclude_if=lambda one: one == 1)
    replaces: bool = Field(False, exclude_if=lambda one: not one)


class TrainNetwork(Stage):
    """One arm at one seed: a network, at one learning rate and weight decay. The other parts are as in a linear head's.

    `train` is how much of it is trained; its weights start as those of its `backbone` input unless that is "scratch".
    """

    stage = "train-network"
    program = "train-classifier"
    uses_gpu = True

    removed: str | None
    matched: Amount | None
    method: Choice
    objective: Choice
    backbone: str
    side_px: int
    train: Trained
    training: NetworkTraining
    lr: float
    weight_decay: float
    rare: tuple[int, ...]
    weight: float = Field(1.0, exclude_if=lambda one: one == 1)


class Grid(Stage):
    """The scores of one arm at one seed: its networks at every setting, numbered from 1."""

    stage = "grid"
    program = "train-classifier"

    settings: int
    rare: tuple[int, ...]


class Doses(Stage):
    """The scores of one arm at one seed with every dose of synthetic images, numbered from 1."""

    stage = "doses"
    program = "train-classifier"

    doses: int


class TrainPaperClassifier(Stage):
    """One arm at one seed, trained as the course report did: from images, in train mode, split after mixing."""

    stage = "train-paper-classifier"
    version = 2
    program = "train-classifier"
    uses_gpu = True

    removed: str | None
    method: Choice
    backbone: str
    side_px: int
    paper: PaperTraining


class Rescore(Stage):
    """The scores of a trained cell, corrected."""

    stage = "rescore"
    version = 2
    program = "train-classifier"

    rescoring: str


class Quality(Stage):
    """How good the synthetic images of one rare class are, beside real ones that no generator saw.

    Where it has no `synthetic` input, its training images drawn again take their place, as many as `drawn_again` says:
    the control, what plain oversampling would get.
    """

    stage = "quality"
    program = "report"

    class_index: int
    drawn_again: Amount | None


class Report(Stage):
    """Every arm, with its family, and seed compared. `parts` names what it computes and shows: one more, a new key."""

    stage = "report"
    version = 8
    program = "report"
    allow_missing_inputs = True

    name: str
    families: tuple[tuple[str, Family], ...]
    parts: tuple[str, ...]
    seeds: tuple[int, ...]
    statistics: Statistics
    note: str
    cost: Prices | None = Field(None, exclude_if=lambda found: found is None)

    @property
    def cells(self) -> dict[str, tuple[str, int]]:
        """The cells that are compared, each an arm at a seed, by the role of its artifact."""
        return {cell_role(arm, seed): (arm, seed) for arm, _ in self.families for seed in self.seeds}

    def qualities(self, rare: Iterable[int]) -> dict[str, tuple[str | None, int, int]]:
        """List the sets of images there may be, each of an arm (None: the control), a class and a seed, by role."""
        sets = product([None, *dict(self.families)], rare, self.seeds)
        return {quality_role(arm, c, seed): (arm, c, seed) for arm, c, seed in sets}


def cell_role(arm: str, seed: int) -> str:
    """Name what the scores of an arm at a seed are to a report."""
    return f"cell/{arm}/{seed}"


def quality_role(arm: str | None, class_index: int, seed: int) -> str:
    """Name what the quality of the images that an arm adds is to a report; of no arm, that of the control."""
    return f"quality/{arm}/{class_index}/{seed}" if arm else f"quality/{class_index}/{seed}"


def tuned_role(what: Literal["setting", "dose"], number: int) -> str:
    """Name what the network of a setting, or the scores with a dose, from 1, are to those with all of them."""
    return f"{what}/{number}"


def synthetic_role(class_index: int) -> str:
    """Name what the synthetic images of a class, or their features, are to a classifier."""
    return f"synthetic/{class_index}"


ALL: dict[str, type[Stage]] = {stage.stage: stage for stage in Stage.__subclasses__()}


def check_pods(given: Mapping[str, PodResources]) -> None:
    """Raise ConfigError for an entry of `resources.pods` that names no stage and no program, or whose GPU idles."""
    names = sorted({*ALL, *(kind.program for kind in ALL.values())})
    if unknown := [name for name in given if name not in names]:
        raise ConfigError(f"resources.pods.{unknown[0]}: no program or stage; choose among {', '.join(names)}")
    computing = sorted({name for kind in ALL.values() if kind.uses_gpu for name in (kind.stage, kind.program)})
    if idle := [name for name, asked in given.items() if asked.gpus and name not in computing]:
        raise ConfigError(f"resources.pods.{idle[0]}.gpus: it uses none; these do: {', '.join(computing)}")
