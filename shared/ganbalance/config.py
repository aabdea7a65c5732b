"""An experiment: the one YAML file that says what to compare, on which data, how often.

Every class here is frozen and strict; `read` and `check` turn a file and command-line overrides into an
`Experiment` or into one line that names the key, the value and what is allowed.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
import yaml
from pydantic import Field

from ganbalance.errors import ConfigError
from ganbalance.frozen import Frozen, parse

BASELINE = "none"
ClassName = int | str
Protocol = Literal["honest", "paper"]
Fit = Literal["pad", "resize"]


CANVASES = (32, 64, 128, 256)
"""Sides in pixels at which GANs draw: each doubles the last, as the layers of their networks do."""


def canvas_side(side_px: int) -> int:
    """The smallest canvas that square images of this side fit on. Raises ConfigError for larger ones."""
    if side_px > CANVASES[-1]:
        raise ConfigError(
            f"images of {side_px} px do not fit the largest canvas of the GANs, {CANVASES[-1]} px: "
            f"set dataset.side_px to at most {CANVASES[-1]}"
        )
    return next(side for side in CANVASES if side_px <= side)


class FashionMnist(Frozen):
    """Zalando's 28x28 grey images: 60,000 to train on, 10,000 to test (Xiao et al. 2017, arXiv:1708.07747)."""

    name: Literal["fashion-mnist"]
    folder: str | None = Field(None, description="where the four idx .gz files are, when not in a usual place")


class OwnImages(Frozen):
    """A user's images: a folder per class, or an .npz with `images` (N,H,W[,C]) uint8 and `labels` (N,)."""

    name: Literal["folder", "npz"]
    path: str
    side_px: int = Field(28, ge=8, le=CANVASES[-1], description="every image is brought to this side")
    channels: Literal[1, 3] = 1
    test_fraction: float = Field(0.2, gt=0, lt=1, description="held back for the test where the data has no test part")


Dataset = Annotated[FashionMnist | OwnImages, Field(discriminator="name")]


class Pair(Frozen):
    """Two classes; `positive` is the one whose scores, precision and recall are reported."""

    kind: Literal["pair"]
    positive: ClassName
    negative: ClassName


class OneVsRest(Frozen):
    """One class, or several that count as one, against all others of the dataset together."""

    kind: Literal["one-vs-rest"]
    positive: ClassName | Annotated[tuple[ClassName, ...], Field(min_length=1)]


class Multiclass(Frozen):
    """Every class of the dataset; scores are macro averages."""

    kind: Literal["multiclass"]


Task = Annotated[Pair | OneVsRest | Multiclass, Field(discriminator="kind")]


def _share_or_count(given: float) -> float:
    if given > 1 and not given.is_integer():
        raise ValueError("what stays of a class is a share up to 1, or a whole number of images from 2 up")
    return given


Kept = Annotated[float, Field(gt=0), pydantic.AfterValidator(_share_or_count)]


class _Imbalance(Frozen):
    validation: float = Field(
        0.2, gt=0, le=0.5, description="share of each class held out; none under `protocol: paper`"
    )


class Keep(_Imbalance):
    """Which classes are rare: `keep` maps each to what stays of its images, as a share or, from 2 up, as a number.

    1.0 for data that is rare by nature.
    """

    kind: Literal["keep"] = "keep"
    keep: dict[str, Kept] = Field(min_length=1)


class Step(_Imbalance):
    """Each of the `rare` classes keeps so many images that they are the share `ratio` of the largest class.

    Buda, Maki & Mazurowski 2018, "A systematic study of the class imbalance problem in convolutional neural networks",
    arXiv:1710.05381, section 3.1; their rho is 1 / ratio.
    """

    kind: Literal["step"]
    rare: Annotated[tuple[ClassName, ...], Field(min_length=1)]
    ratio: Annotated[float, Field(gt=0, lt=1)]


class LongTail(_Imbalance):
    """Class k of K keeps ratio^(k / (K - 1)) times as many images as the largest class, in the order of the dataset.

    Cui et al. 2019, "Class-balanced loss based on effective number of samples", arXiv:1901.05555, section 5.1; their
    imbalance factor is 1 / ratio. Every class that is cut is rare.
    """

    kind: Literal["long-tail"]
    ratio: Annotated[float, Field(gt=0, lt=1)]


def _kind_of_imbalance(given: Any) -> Any:
    """`keep` where nothing is said."""
    return given.get("kind", "keep") if isinstance(given, dict) else getattr(given, "kind", None)


Imbalance = Annotated[
    Annotated[Keep, pydantic.Tag("keep")]
    | Annotated[Step, pydantic.Tag("step")]
    | Annotated[LongTail, pydantic.Tag("long-tail")],
    pydantic.Discriminator(_kind_of_imbalance),
]


Amount = Literal["balance", "half"] | Annotated[int, Field(ge=1)]


class Synthesis(Frozen):
    """How many images are added to a rare class: a number, or as many as the largest class has more, or half of it."""

    n: Amount = "balance"


Choice = str | dict[str, Any]
"""An entry of a registry by its name, or as {name: ..., setting: value}."""


class Filter(Frozen):
    """Which synthetic images are kept: the share `keep` that scores best. As many more are drawn."""

    by: Choice
    keep: float = Field(gt=0, lt=1)


class Augmentation(Frozen):
    """How far a copy of an image may be from it and still be of its class."""

    flip: bool = Field(True, description="left and right changed in every other copy; not for digits or letters")
    shift: float = Field(0.1, ge=0, le=0.5, description="largest shift along each axis, as a share of the side")
    rotate_deg: float = Field(10.0, ge=0, le=180, description="largest turn to either side")


class Synthetic(Frozen):
    """Where an arm's synthetic images come from: a GAN, changed copies of the real ones, or files made elsewhere.

    `images` is a folder with {seed} and {class} in its name; `settings` are of the GAN, beside those in `gans`; `n`
    is `synthesis.n` where it is not given.
    """

    gan: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    augment: Augmentation | None = None
    images: str | None = None
    n: Amount | None = None
    filter: Filter | None = None

    @pydantic.model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if [self.gan, self.augment, self.images].count(None) != 2:  # noqa: PLR2004 - of three
            raise ValueError("synthetic images have one source: name a gan, augment, or a folder of images")
        if self.gan is None and (self.settings or self.filter):
            raise ValueError("settings and filter belong to a gan; other images are taken as they are")
        return self


Family = Literal["baseline", "cheap", "generative", "control", "exempt"]
"""What an arm is for: verdicts are about cheap and generative arms, each family with its own share of false calls."""


class Recipe(Frozen):
    """One arm: what is added to the training images, how they are resampled, by which loss the head is trained.

    Only a name: the arm that the program knows under it (`ganbalance.arms.resolve`).
    synthetic  images of the rare classes on top
    removed    images that the imbalance took away, on top: "all", or as many as `synthesis.n` says ("matched")
    method     how training examples are resampled or weighted (`ganbalance.arms.methods`)
    objective  the loss of the linear head (`ganbalance.arms.objectives`)
    rescoring  what is done to the scores afterwards; "threshold" corrects them for the class shares in training
    """

    name: str = Field(pattern="^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")
    synthetic: Synthetic | None = None
    removed: Literal["all", "matched"] | None = None
    method: Choice = "none"
    objective: Choice = "cross-entropy"
    rescoring: Literal["threshold"] | None = None

    @property
    def family(self) -> Family:
        """Of the recipe with all its parts."""
        if self.removed:
            return "control"
        if self.synthetic and not self.synthetic.augment:
            return "generative"
        if self.name == BASELINE:
            return "baseline"
        learns_as_the_baseline = not self.synthetic and self.method == "none" and self.objective == "cross-entropy"
        return "exempt" if self.rescoring and learns_as_the_baseline else "cheap"

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_a_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @pydantic.model_serializer(mode="wrap")
    def _as_given(self, dump: pydantic.SerializerFunctionWrapHandler) -> Any:
        given = {key: value for key, value in dump(self).items() if key in self.model_fields_set}
        return self.name if set(given) == {"name"} else given


class PaperClassifier(Frozen):
    """How the course report trained its classifier; read only under `protocol: paper`."""

    epochs: int = Field(15, ge=1)
    batch_size: int = Field(32, ge=2)
    lr: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-5, ge=0)
    validation: float = Field(0.4, gt=0, lt=1)


class Classifier(Frozen):
    """A frozen backbone, and the linear head on top of it.

    `l2` are the strengths of the penalty, relative to the mean loss, that every arm is solved at:
    minimise mean_i w_i loss_i + (l2/2) |W|^2. One of them is chosen for each arm, from all seeds.
    """

    backbone: str = "efficientnet-lite0"
    weights: str | None = Field(None, description="a .pth file, when not in the backbone's usual place")
    weights_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="of other weights than the usual")
    side_px: int = Field(32, ge=16, le=256)
    l2: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (
        100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4,
    )  # fmt: skip
    paper: PaperClassifier = PaperClassifier()

    @pydantic.model_validator(mode="after")
    def _weights_are_pinned(self) -> Self:
        if self.weights_sha256 and not self.weights:
            raise ValueError("classifier.weights_sha256 is of a file: name it in classifier.weights")
        return self


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


Program = Literal["imbalance", "train-gan", "synthesize", "train-classifier", "report"]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]


class PodResources(Frozen):
    """What a pod of one program gets on a cluster, instead of what its pod template says."""

    cpu: Quantity | None = Field(None, description="cores, as Kubernetes writes them: 2 or 500m")
    memory: Quantity | None = Field(None, description="bytes, as Kubernetes writes them: 8Gi")
    gpus: int | None = Field(None, ge=0, le=16, description="0 trains on the CPU also where the cluster has GPUs")


class Resources(Frozen):
    """What a stage may use. Nothing here changes a key."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(1, ge=1, description="per stage; other counts change the last bits of results")
    checkpoint_every_s: float = Field(60.0, gt=0)
    pods: dict[Program, PodResources] = Field(default_factory=dict, description="on a cluster, by program")


class Experiment(Frozen):
    """All of one experiment file."""

    name: str = Field(pattern="^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")
    note: str = Field("", description="a caveat that its report prints on top")
    protocol: Protocol = "honest"
    dataset: Dataset
    task: Task
    imbalance: Imbalance
    arms: Annotated[tuple[Recipe, ...], Field(min_length=1)]
    gans: dict[str, dict[str, Any]] = Field(default_factory=dict, description="per-GAN settings; see each GAN's Config")
    synthesis: Synthesis = Synthesis()
    classifier: Classifier = Classifier()
    statistics: Statistics = Statistics()
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    resources: Resources = Resources()

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


def read(path: Path, *, sets: Sequence[str] = (), seeds: str | None = None) -> dict[str, Any]:
    """The settings in an experiment file with overrides applied, not yet checked: see `check`.

    `sets` are `a.b=value` with YAML values; `seeds` is "0,1,5" or "0..9". Raises ConfigError.
    """
    given = read_yaml(path)
    for text in sets:
        put(given, *parse_set(text), where=f"--set {text!r}")
    if seeds is not None:
        given["seeds"] = parse_seeds(seeds)
    return given


def check(given: dict[str, Any], *, where: str) -> Experiment:
    """The experiment that `given` describes. Raises ConfigError naming every key that is wrong."""
    return parse(Experiment, given, where=where)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, as plain JSON data. Raises ConfigError when it is none."""
    try:
        given = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a SafeLoader with stricter rules
    except OSError as error:
        raise ConfigError(f"cannot read the experiment {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{path} holds no settings: an experiment is a mapping of keys to values")
    return given


def parse_seeds(text: str) -> list[int]:
    """Seeds from "0,1,5" or "0..9" (both ends included). Raises ConfigError."""
    seeds: list[int] = []
    if match := re.fullmatch(r"(\d+)\.\.(\d+)", text.strip()):
        seeds = list(range(int(match[1]), int(match[2]) + 1))
    elif re.fullmatch(r"\d+(,\d+)*", text.replace(" ", "")):
        seeds = [int(part) for part in text.split(",")]
    if not seeds:
        raise ConfigError(f"seeds {text!r}: give numbers from 0 up as 0,1,2 or a rising range as 0..9")
    return seeds


def parse_set(text: str) -> tuple[str, Any]:
    """The dotted key and the value of `a.b=value`. Raises ConfigError."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip().rpartition(".")[2]:
        raise ConfigError(f"--set {text!r}: write it as key.key=value, for example gans.dcgan.steps=200")
    try:
        return key.strip(), yaml.load(value, _Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text!r}: {value!r} is not a YAML value") from error


def put(given: dict[str, Any], key: str, value: Any, *, where: str) -> None:
    """Set a dotted key of settings that are not yet checked. Raises ConfigError."""
    *parents, last = key.split(".")
    for part in parents:
        given = given.setdefault(part, {})
        if not isinstance(given, dict):
            raise ConfigError(f"{where}: '{part}' is a value, not a section")
    given[last] = value


class _Loader(yaml.SafeLoader):
    """YAML where 1e-4 is a number (YAML 1.1 reads it as text), dates are text, and a key given twice is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as declared in the base class
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is a word", key_node.start_mark)
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key_node.value}' is given twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return {_plain_key(key): value for key, value in super().construct_mapping(node, deep=True).items()}


def _plain_key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key, default=str)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
