"""Define summary.json, the whole result as data: the report, the terminal, the README and a comparison read it.

`docs/summary.schema.json` says the same to other programs: `python -m ganbalance.reporting.summary` prints it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from ganbalance.called import typed
from ganbalance.config import Prices
from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import Frozen, dump, parse
from ganbalance.metrics.crossed import Components, Estimate
from ganbalance.metrics.quality import Quality
from ganbalance.metrics.quality.benefit import Correlation, Point
from ganbalance.metrics.results import TUNED, ArmNumbers, Margins
from ganbalance.metrics.verdicts import Limit
from ganbalance.reporting.collect import MissingResult

Curve = list[tuple[float, float]]


class Classifier(Frozen):
    """What was trained: `train` is how much of a network (None: a head alone), `settings` what one was chosen among."""

    kind: Literal["linear-head", "network", "paper"]
    backbone: str
    train: str | None
    settings: list[str]


class Rare(Frozen):
    """A rare class and the share of its images that was kept."""

    model_config = pydantic.ConfigDict(validate_by_name=True, serialize_by_alias=True)

    class_name: str = pydantic.Field(alias="class")
    keep: float


class Dataset(Frozen):
    """The images: `classes` in order, then how many of each class there are, `test` in all.

    before, after                the imbalance
    train, validation, tuning    the parts of the kept and removed ones, the mean over seeds
    tested, tested_groups        test images, and groups of them where images are grouped
    folds                        how many the images were dealt into, each tested by other seeds; `test` is of all
    """

    name: str
    classes: list[str]
    rare: list[Rare]
    before: dict[str, int]
    after: dict[str, int]
    train: dict[str, int]
    validation: dict[str, int]
    tuning: dict[str, int]
    test: int
    tested: dict[str, int]
    tested_groups: dict[str, int] | None = pydantic.Field(None, exclude_if=lambda found: found is None)
    folds: int | None = pydantic.Field(None, exclude_if=lambda found: found is None)
    fingerprint: str


class Levels(Frozen):
    """The levels at which recall and precision are measured."""

    precision: list[float]
    recall: list[float]


class Gain(Frozen):
    """A mean over seeds with its standard error, its 95 % interval, and where its variance comes from."""

    mean: float
    se: float
    df: float
    components: Components | None
    low: float
    high: float
    p: float

    @classmethod
    def of(cls, found: Estimate) -> "Gain":
        """Take an estimate with its interval."""
        return cls(**{name: getattr(found, name) for name in cls.model_fields})


class Gate(Frozen):
    """Whether the run could have shown a gain: what the oracle gains, and what limits it."""

    open: bool
    gain: Gain
    limited_by: Limit


class Verdict(Frozen):
    """A verdict, its direction (1 better, -1 worse, 0 none), whether it is measurably off 0, and its evidence."""

    name: str
    direction: int
    measurable: bool
    sentence: str = ""


class Dose(Frozen):
    """Synthetic images of an arm: `n` as the experiment says it, `images` of all rare classes, and what each counts."""

    n: str
    images: int
    weight: float


@dataclass(frozen=True, kw_only=True)
class Arm(ArmNumbers):
    """The numbers of an arm, its verdict, and reliability curves by rule: predicted and observed share of each bin.

    `gan` says whether a generator draws images for it, `unsolved` counts solutions that did not converge, `doses` are
    those that were tried, in the order of `sensitivity.doses`.
    """

    gan: bool
    verdict: Verdict | None
    reliability: dict[str, Curve]
    unsolved: int
    doses: Annotated[list[Dose], TUNED] = field(default_factory=list)

    @property
    def dose(self) -> Dose | None:
        """The one that was chosen for the run."""
        return self.doses[self.sensitivity.dose - 1] if self.sensitivity and self.sensitivity.dose else None


@dataclass(frozen=True)
class Spent:
    """Seconds on the clock, those of stages that computed on an accelerator, those that nothing came of, and money."""

    seconds: float
    accelerator_seconds: float
    lost_seconds: float
    money: float | None

    def over(self, n: int) -> "Spent":
        """Take one of `n` equal parts of it."""
        return Spent(*(value and value / n for value in vars(self).values()))


@dataclass(frozen=True)
class PerPoint:
    """What .01 of a metric costs at one seed, in money or, without prices, in seconds; its gain's interval as ends."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ArmCost:
    """What an arm cost.

    whole, shared_seconds  over all seeds, every stage that it needs, and those of them that other arms need too
    on_top                 at one seed, the stages that the baseline does not need
    per_point              of `on_top`, by metric; None where there is no gain to price
    """

    whole: Spent
    shared_seconds: float
    on_top: Spent
    per_point: Mapping[str, PerPoint | None]


class Cost(Frozen):
    """What the run cost, each stage once, and what each arm did."""

    run: Spent
    arms: dict[str, ArmCost]
    prices: Prices | None


class SyntheticImages(Frozen):
    """A set of synthetic images of one class at one seed; without `arm` the control, training images drawn again."""

    model_config = pydantic.ConfigDict(validate_by_name=True, serialize_by_alias=True)

    arm: str | None
    class_name: str = pydantic.Field(alias="class")
    seed: int
    quality: Quality


class ImageQuality(Frozen):
    """The quality of all synthetic images, in the features of `extractor`, and whether gains go with it.

    `points` are the arms and seeds that have both, their gain a difference in the primary metric over all classes;
    `over_all` is the rank correlation of KID and gain over all arms and seeds, `within_arms` the mean of the arms' own.
    """

    extractor: str
    sets: list[SyntheticImages]
    points: list[Point]
    over_all: Correlation | None
    within_arms: Correlation | None


class Provenance(Frozen):
    """Where the numbers come from: each list holds what was found over all stages."""

    command: str
    git_commit: list[str]
    cpu: list[str]
    accelerator: list[str] = pydantic.Field(default_factory=list)
    cores: list[int]
    threads: list[int]
    python: list[str]
    platform: list[str]
    versions: dict[str, list[str]]
    seconds: dict[str, float]
    total_seconds: float
    weights_sha256: str | None
    experiment: dict[str, Any]


class Summary(Frozen):
    """The content of summary.json."""

    experiment: str
    note: str
    advice: str = pydantic.Field("", exclude_if=lambda said: not said)
    classifier: Classifier
    dataset: Dataset
    seeds: list[int]
    rule: str
    baseline: str
    reference: str
    oracle: str
    margin_share: float | None
    replicates: int
    levels: Levels
    primary: str
    margins: Margins | None
    gate: Gate | None
    smallest_class: int
    enough_images: bool
    few_images: bool
    equality_within_reach: bool | None
    arms: dict[str, Arm]
    quality: ImageQuality | None = pydantic.Field(None, exclude_if=lambda found: found is None)
    missing_results: list[MissingResult]
    remarks: list[str]
    cost: Cost | None = pydantic.Field(None, exclude_if=lambda found: found is None)
    provenance: Provenance

    @classmethod
    def of(cls, given: Mapping[str, Any], *, where: str) -> "Summary":
        """Read what a report wrote. Raises DataError where it does not fit, as one of an older version does not."""
        try:
            return parse(cls, given, where=where)
        except ConfigError as error:
            first = str(error).removeprefix(f"{where}: ").partition(";")[0]
            again = f"run its experiment again: '{typed('run')}' makes the report anew"
            raise DataError(f"{where} is of another version ({first}); {again}") from error

    @classmethod
    def read(cls, path: Path) -> "Summary":
        """Read summary.json. Raises DataError where it does not fit."""
        return cls.of(json.loads(path.read_bytes()), where=str(path))

    def write(self, path: Path) -> None:
        """Write it; equal bytes for equal content."""
        path.write_text(json.dumps(dump(self), indent=1, allow_nan=False) + "\n", "utf-8")


def schema() -> str:
    """Build what docs/summary.schema.json holds."""
    return json.dumps(Summary.model_json_schema(mode="serialization"), indent=1) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
