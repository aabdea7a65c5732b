"""An experiment: the one YAML file that says what to compare, on which data, how often.

Every class here is frozen and strict; `read` and `check` turn a file and command-line overrides into an
`Experiment` or into one line that names the key, the value and what is allowed.
"""

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from ganbalance.config.classifiers import (
    Classifier,
    Fit,
    LinearHead,
    Network,
    NetworkTraining,
    Paper,
    PaperTraining,
    Trained,
    from_protocol,
)
from ganbalance.config.data import (
    CANVASES,
    ClassName,
    Columns,
    CrossValidation,
    Dataset,
    DatasetSettings,
    FashionMnist,
    Fold,
    Groups,
    Imbalance,
    Keep,
    Kept,
    LongTail,
    Multiclass,
    OneVsRest,
    OtherDataset,
    OwnImages,
    Pair,
    Step,
    Task,
    canvas_side,
)
from ganbalance.config.files import find, parse_seeds, parse_set, parts, put, read, read_yaml, write_yaml
from ganbalance.config.recipes import (
    BASELINE,
    Amount,
    Augmentation,
    Choice,
    Dose,
    Family,
    Filter,
    Noise,
    Recipe,
    Synthesis,
    Synthetic,
)
from ganbalance.frozen import Frozen, parse

__all__ = [
    "BASELINE",
    "CANVASES",
    "Amount",
    "Augmentation",
    "Choice",
    "ClassName",
    "Classifier",
    "Columns",
    "CrossValidation",
    "Dataset",
    "Dose",
    "Experiment",
    "Family",
    "FashionMnist",
    "Filter",
    "Fit",
    "Fold",
    "Groups",
    "Imbalance",
    "Keep",
    "Kept",
    "Level",
    "LinearHead",
    "LongTail",
    "Margin",
    "Multiclass",
    "Network",
    "NetworkTraining",
    "Noise",
    "OneVsRest",
    "OtherDataset",
    "OwnImages",
    "Pair",
    "Paper",
    "PaperTraining",
    "PodResources",
    "Prices",
    "Quantity",
    "Recipe",
    "Resources",
    "Statistics",
    "Step",
    "Synthesis",
    "Synthetic",
    "Task",
    "Trained",
    "canvas_side",
    "check",
    "find",
    "from_protocol",
    "parse_seeds",
    "parse_set",
    "parts",
    "put",
    "read",
    "read_yaml",
    "write_yaml",
]


class Margin(Frozen):
    """The smallest difference worth having, as a share of what the baseline still gets wrong."""

    share: float = Field(0.1, gt=0, lt=1)


Level = Annotated[float, Field(gt=0, lt=1)]


class Statistics(Frozen):
    """How verdicts are reached; the rule is `ganbalance.metrics.verdicts.RULE`."""

    margin: Margin | Annotated[float, Field(gt=0, lt=0.5)] = Field(
        Margin(), description="smallest difference worth having: {share: 0.1} of the baseline's error, or a number"
    )
    reference: str = Field("class-weight", description="the cheap arm that a GAN has to beat")
    replicates: int = Field(2000, ge=200, le=20000)
    precision_levels: tuple[Level, ...] = Field((0.5, 0.9), description="precisions at which recall is reported")
    recall_levels: tuple[Level, ...] = Field((0.5, 0.8), description="recalls at which precision is reported")


Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]


class Prices(Frozen):
    """What an hour costs, for the report alone: no other key changes with it.

    A stage that computed on an accelerator costs an hour of that, any other an hour of each core it was given.
    """

    cpu_hour: float = Field(ge=0, description="one core for an hour")
    accelerator_hour: float = Field(ge=0, description="an accelerator for an hour, with the machine around it")
    currency: str = Field(pattern=r"^\S{1,8}$", description="what the prices are in, as it is printed: EUR")


AWAY, GPUS = "GANBALANCE_AWAY_S", "GANBALANCE_GPUS"
"""The environment variables that say how long a container waits for its store, and how many GPUs it asks for."""


class PodResources(Frozen):
    """What a pod of one program or stage gets on a cluster, instead of what its pod template says."""

    cpu: Quantity | None = Field(None, description="cores, as Kubernetes writes them: 2 or 500m")
    memory: Quantity | None = Field(None, description="bytes, as Kubernetes writes them: 8Gi")
    ephemeral_storage: Quantity | None = Field(None, description="bytes of /tmp, which has its own limit, and logs")
    gpus: int | None = Field(None, ge=0, le=16, description="0 trains on the CPU also where the cluster has GPUs")


class Resources(Frozen):
    """What a stage may use. Nothing here changes a key."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(1, ge=1, description="per stage; other counts change the last bits of results")
    checkpoint_every_s: float = Field(60.0, gt=0)
    pods: dict[str, PodResources] = Field(
        default_factory=dict, description="on a cluster, by program or, which wins, by stage"
    )

    def of_pods(self, stage: str, program: str) -> PodResources:
        """Return what is asked for the pods of a stage: what its own entry leaves open is that of its program."""
        whole, own = (self.pods.get(name, PodResources()) for name in (program, stage))
        return whole.model_copy(update=own.model_dump(exclude_none=True))


class Experiment(Frozen):
    """All of one experiment file."""

    name: str = Field(pattern="^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")
    note: str = Field("", description="a caveat that its report prints on top")
    dataset: DatasetSettings
    task: Task
    test: CrossValidation | None = Field(
        None, exclude_if=lambda found: found is None, description="folds of all images, in place of one test part"
    )
    imbalance: Imbalance
    arms: Annotated[tuple[Recipe, ...], Field(min_length=1)]
    gans: dict[str, dict[str, Any]] = Field(default_factory=dict, description="per-GAN settings; see each GAN's Config")
    synthesis: Synthesis = Synthesis()
    classifier: Classifier = LinearHead()
    statistics: Statistics = Statistics()
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    resources: Resources = Resources()
    cost: Prices | None = Field(
        None, exclude_if=lambda found: found is None, description="prices, for the report's section on cost"
    )

    @property
    def folds(self) -> int | None:
        """Into how many parts all images are divided to be tested on in turn; None for one test part."""
        return self.test.folds if self.test else None

    @pydantic.field_validator("arms", "seeds")
    @classmethod
    def _once_each(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [value.name if isinstance(value, Recipe) else value for value in values]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"every entry once; given twice: {', '.join(map(str, twice))}")
        return values

    @pydantic.field_validator("arms")
    @classmethod
    def _has_a_baseline(cls, arms: tuple[Recipe, ...]) -> tuple[Recipe, ...]:
        if BASELINE not in (arm.name for arm in arms):
            raise ValueError("the arm 'none' is what every other is compared with; add it")
        return arms

    def fold(self, seed: int) -> Fold | None:
        """Return what a seed is tested on; None where all seeds share one test part."""
        return self.test.fold(self.seeds.index(seed)) if self.test else None


def check(given: dict[str, Any], *, where: str) -> Experiment:
    """Check `given` and return the experiment that it describes. Raises ConfigError naming every key that is wrong."""
    return parse(Experiment, from_protocol(given), where=where)
