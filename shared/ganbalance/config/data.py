"""What of an experiment is about its images: the data set, the task, and which classes are rare."""

import re
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from ganbalance.errors import ConfigError
from ganbalance.frozen import Frozen, by_kind

ClassName = Annotated[str, pydantic.BeforeValidator(lambda given: str(given) if type(given) is int else given)]
"""A class by its name, or by its number where no class has a number for a name."""

CANVASES = (32, 64, 128, 256)
"""Sides in pixels at which GANs draw: each doubles the last, as the layers of their networks do."""


def canvas_side(side_px: int) -> int:
    """Find the smallest canvas that square images of this side fit on. Raises ConfigError for larger ones."""
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


class Groups(Frozen):
    """Which images belong together, such as those of one patient; of a group, no two are on two sides of a split.

    Image files: the `column` of a CSV beside the images, whose first column names them, or the part of a file's name
    that a `pattern` calls `group`. An .npz: an `array` with an entry for each image.
    """

    csv: str | None = Field(None, description="its place is below dataset.path, unless it is absolute")
    column: str | None = None
    pattern: str | None = Field(None, description="a regular expression, as in (?P<group>[^_]+)_; looked for anywhere")
    array: str | None = Field(None, description="integers or text; of test images, the one called test_ and this name")

    @pydantic.field_validator("pattern")
    @classmethod
    def _names_the_part(cls, pattern: str | None) -> str | None:
        try:
            if pattern is None or "group" in re.compile(pattern).groupindex:
                return pattern
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        raise ValueError("it has no part called group: write (?P<group>...) around what names the group")

    @pydantic.model_validator(mode="after")
    def _has_one_source(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if given not in ({"csv", "column"}, {"pattern"}, {"array"}):
            raise ValueError("groups come from one place: csv and column, pattern, or array")
        return self


Column = Annotated[int, Field(ge=1)] | str


class Columns(Frozen):
    """Which columns of a table say what of an image: by name, or all by number from 1 in a table without names."""

    path: Column | None = Field(
        None, description="default: path, a file below `images`, or its name; of Parquet: image, the bytes of one"
    )
    label: Column | None = Field(None, description="default: label")
    split: Column | None = Field(
        None, description="train, validation or test; default: the column split, if there is one"
    )
    group: Column | None = Field(None, description="such as a patient; default: the column group, if there is one")

    @pydantic.model_validator(mode="after")
    def _are_called_in_one_way(self) -> Self:
        given = {
            isinstance(column, int) for column in (self.path, self.label, self.split, self.group) if column is not None
        }
        if len(given) > 1:
            raise ValueError("columns are called all by name, or all by number where the table has no line of names")
        return self


class OwnImages(Frozen):
    """A user's images: in a folder per class, listed in a table, in an .npz of arrays, or in Parquet."""

    name: Literal["folder", "table", "npz", "parquet"]
    path: str | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="a folder or several, or a file; also s3://bucket/prefix, or package:NAME/path of a Python package"
    )
    images: str | None = Field(None, description="of a table: where the images are; default: where the table is")
    columns: Columns = Field(Columns(), description="of a table or Parquet")
    side_px: int = Field(28, ge=8, le=CANVASES[-1], description="every image is brought to this side")
    channels: Literal[1, 3] = 1
    fit: Literal["pad", "crop", "stretch"] = Field("pad", description="how an image becomes square")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="held back for the test where the data has no test part")
    groups: Groups | None = Field(None, description="images that belong together; shares are then of groups")
    skip_bad: bool = Field(False, description="go on without images that cannot be read")
    duplicates: Literal["keep", "drop"] = Field("keep", description="drop: of equal or nearly equal images one stays")

    @property
    def is_on_s3(self) -> bool:
        """Whether all of it is where any machine can read it that reads the store."""
        places = (self.path,) if isinstance(self.path, str) else self.path
        return all(place.startswith("s3://") for place in (*places, *([self.images] if self.images else [])))

    @pydantic.model_validator(mode="after")
    def _settings_fit_the_name(self) -> Self:
        if self.groups and (self.groups.array is not None) != (self.name == "npz"):
            raise ValueError("dataset.groups of a folder are csv and column, or pattern; those of an npz are array")
        if self.groups and self.name not in ("folder", "npz"):
            raise ValueError(f"groups of a {self.name} are a column of it: set dataset.columns.group")
        if self.images is not None and self.name != "table":
            raise ValueError("dataset.images is where the images of a table are")
        if self.columns != Columns() and self.name not in ("table", "parquet"):
            raise ValueError("dataset.columns are those of a table or of Parquet")
        return self


class OtherDataset(Frozen):
    """Any other: a file of `data/datasets` by its name, with settings that its class knows."""

    model_config = pydantic.ConfigDict(extra="allow")

    name: str


Dataset = FashionMnist | OwnImages | OtherDataset


def _dataset_checked_as(given: Any) -> str | None:
    name = given.get("name") if isinstance(given, dict) else getattr(given, "name", None)
    if not isinstance(name, str):
        return None
    return name if name in ("fashion-mnist", "folder", "table", "npz", "parquet") else "other"


DatasetSettings = Annotated[
    Annotated[FashionMnist, pydantic.Tag("fashion-mnist")]
    | Annotated[OwnImages, pydantic.Tag("folder")]
    | Annotated[OwnImages, pydantic.Tag("table")]
    | Annotated[OwnImages, pydantic.Tag("npz")]
    | Annotated[OwnImages, pydantic.Tag("parquet")]
    | Annotated[OtherDataset, pydantic.Tag("other")],
    pydantic.Discriminator(
        _dataset_checked_as,
        custom_error_type="unnamed",
        custom_error_message="it needs a name, as in {name: folder, path: ...}",
    ),
]


class Fold(Frozen):
    """What one seed is tested on: a fold of all images, its number counted from 0; each round deals them anew."""

    number: int
    folds: int
    round: int


class CrossValidation(Frozen):
    """Folds of all images in place of one test part: each seed is tested on one of them and learns from the others.

    The first seed is tested on the first fold, and so on; every further round of seeds has folds of its own.
    """

    folds: int = Field(ge=2, le=20)

    def fold(self, place: int) -> Fold:
        """Return the fold of the seed at that place in the list of seeds, from 0."""
        return Fold(number=place % self.folds, folds=self.folds, round=place // self.folds)


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
    validation: float = Field(0.2, gt=0, le=0.5, description="share of each class held out; none by a paper classifier")


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


Imbalance = Annotated[
    Annotated[Keep, pydantic.Tag("keep")]
    | Annotated[Step, pydantic.Tag("step")]
    | Annotated[LongTail, pydantic.Tag("long-tail")],
    by_kind("keep"),
]
