"""What an experiment means on its data: class indices, kept shares, arms with all their parts, and what cannot be."""

from collections.abc import Iterable, Sequence
from typing import Any
from unicodedata import normalize

from ganbalance import arms
from ganbalance.config import (
    Classifier,
    Experiment,
    Keep,
    LongTail,
    Multiclass,
    Network,
    OneVsRest,
    Pair,
    Paper,
    Recipe,
    Step,
    canvas_side,
)
from ganbalance.data.datasets import Dataset
from ganbalance.data.split import FEWEST_KEPT
from ganbalance.errors import ConfigError
from ganbalance.frozen import parse
from ganbalance.metrics import verdicts
from ganbalance.models import backbones, gans
from ganbalance.models.base import Gan, ImageSpec
from ganbalance.pipeline import folds, grouping, stages
from ganbalance.printing import printable

MIN_CLASSES = 2
MOST_FORECAST = 5
MOST_LISTED = 40
"""Classes that an error lists."""
LENGTHS = {"steps", "epochs"}


def dataset(experiment: Experiment, source: Dataset) -> tuple[Dataset, stages.Dataset]:
    """Pick the images of the task's classes, and describe them. Raises ConfigError, and DataError if some are bad."""
    classes, class_names = classes_of(experiment, source)
    source = source.of([label for labels in classes for label in labels])
    return source, stages.Dataset(
        name=experiment.dataset.name, fingerprint=source.fingerprint(), classes=classes, class_names=class_names
    )


def classes_of(experiment: Experiment, source: Dataset) -> tuple[tuple[tuple[int, ...], ...], tuple[str, ...]]:
    """Find the labels of each class of the task, and its name. Raises ConfigError for one that the dataset lacks."""
    known, task = source.classes(), experiment.task
    classes: list[tuple[int, ...]]
    if isinstance(task, Multiclass):
        classes = [(label,) for label in range(len(known))]
    elif isinstance(task, Pair):
        classes = [(_label(known, task.negative, "task.negative"),), (_label(known, task.positive, "task.positive"),)]
    else:
        given = task.positive if isinstance(task.positive, tuple) else (task.positive,)
        positive = tuple(sorted({_label(known, name, "task.positive") for name in given}))
        classes = [tuple(label for label in range(len(known)) if label not in positive), positive]
    if len(set(classes)) < MIN_CLASSES:
        raise ConfigError(f"task: positive and negative are the same class, {known[classes[0][0]]!r}")
    if not all(classes):
        raise ConfigError("task.positive names every class of the dataset: no other is left to tell it from")
    names = [" or ".join(known[label] for label in labels) for labels in classes]
    if isinstance(task, OneVsRest):
        names[0] = "rest" if names[1] != "rest" else "all others"
    return tuple(classes), tuple(names)


def _label(known: list[str], given: str, key: str) -> int:
    """Find the label of a class given by name or by number. Raises ConfigError."""
    if (place := _place(known, given)) is not None:
        return place
    numbered = not any(name.isdecimal() for name in known)  # where names are numbers, a number is a name
    if numbered and _is_number(given) and int(given) < len(known):
        return int(given)
    listed = [f"{label} {printable(name)}" for label, name in enumerate(known)]
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    raise ConfigError(
        f"{key} = {given!r}: the dataset has no such class; its classes are {', '.join(listed[:MOST_LISTED])}{more}"
    )


def _place(names: Sequence[str], given: str) -> int | None:
    """Find where a name stands among others: as it is, else written with other code points for the same letters."""
    if given in names:
        return names.index(given)
    return next((place for place, name in enumerate(names) if normalize("NFC", name) == normalize("NFC", given)), None)


def _is_number(given: str) -> bool:
    """Accept 6, but neither 06, which YAML takes for an octal number, nor digits of other scripts."""
    return given.isdecimal() and given == str(int(given))


def keep(experiment: Experiment, source: Dataset, chosen: stages.Dataset) -> dict[int, float]:
    """Compute the share of its images that each rare class keeps, by class index. Raises ConfigError."""
    asked = experiment.imbalance
    counts = folds.counts(experiment, grouping.images(source, chosen)).train
    key = "imbalance.keep" if isinstance(asked, Keep) else "imbalance.ratio"
    if isinstance(asked, LongTail):
        kept = _long_tail(asked.ratio, counts)
    elif isinstance(asked, Step):
        rare = _indices(source.classes(), chosen, asked.rare, "imbalance.rare")
        kept = {c: min(1.0, asked.ratio * max(counts) / counts[c]) for c in sorted(rare)}
    else:
        kept = {}
        named = _indices(source.classes(), chosen, asked.keep, key)
        for (given, amount), c in zip(asked.keep.items(), named, strict=True):
            if amount > max(counts[c], 1):
                raise ConfigError(
                    f"{key}.{printable(given)} = {amount:g}: the class has {counts[c]} images to train on"
                )
            kept[c] = amount / counts[c] if amount > 1 else amount
    fewest = FEWEST_KEPT if experiment.classifier.holds_out else 1
    own, what = grouping.units(source, chosen)
    for c, count in enumerate(folds.counts(experiment, own).train):
        if (number := round(kept.get(c, 1.0) * count)) < fewest:
            raise ConfigError(
                f"class {chosen.class_names[c]!r} keeps {number} {what}, too few to train on and to hold out for "
                f"validation; raise {key} or give more {what}"
            )
    return kept


def _long_tail(ratio: float, counts: list[int]) -> dict[int, float]:
    steps = [max(counts) * ratio ** (c / (len(counts) - 1)) for c in range(len(counts))]
    kept = {c: step / counts[c] for c, step in enumerate(steps) if step < counts[c]}
    if not kept:
        raise ConfigError(f"imbalance.ratio = {ratio:g} cuts no class: each is as small as its place already")
    return kept


def _indices(known: list[str], chosen: stages.Dataset, given: Iterable[str], key: str) -> list[int]:
    """Find the index of each class of the task, given by its name there or by the dataset's. Raises ConfigError."""
    found: list[int] = []
    for name in given:
        if (c := _place(chosen.class_names, name)) is None:
            label = _label(known, name, key) if _is_number(name) or _place(known, name) is not None else -1
            if (label,) not in chosen.classes:
                classes, shown = " and ".join(map(repr, chosen.class_names[:MOST_LISTED])), printable(name)
                raise ConfigError(f"{key} names class {shown}, which the task does not tell apart; it knows {classes}")
            c = chosen.classes.index((label,))
        if c in found:
            raise ConfigError(f"{key} names class {printable(name)} twice, by name and by number")
        found.append(c)
    return found


def recipes(experiment: Experiment, kept: dict[int, float], side_px: int) -> tuple[tuple[Recipe, ...], tuple[str, ...]]:
    """Resolve the experiment's arms with all their parts, but for those with nothing to give back, and note that.

    `side_px` is that of the images. Raises ConfigError for what arms cannot be.
    """
    for gan in experiment.gans:
        gan_settings(experiment, gan, {}, side_px)
    resolved = [arms.resolve(recipe) for recipe in experiment.arms]
    for recipe in resolved:
        if recipe.synthetic and recipe.synthetic.gan:
            gan_settings(experiment, recipe.synthetic.gan, recipe.synthetic.settings, side_px)
        _check_fits(recipe, experiment.classifier)
        if recipe.synthetic and recipe.synthetic.images and len(kept) > 1 and "{class}" not in recipe.synthetic.images:
            raise ConfigError(
                f"arms names {recipe.name}, whose images = {recipe.synthetic.images!r} are the same for all "
                f"{len(kept)} rare classes; write {{class}} where their folders differ"
            )
    if experiment.statistics.reference not in {*arms.names(), *(recipe.name for recipe in resolved)}:
        raise ConfigError(
            f"statistics.reference = {experiment.statistics.reference!r}: there is no such arm; "
            f"choose among {', '.join(arms.names())}"
        )
    removes = any(share < 1 for share in kept.values())
    chosen = tuple(recipe for recipe in resolved if removes or not recipe.removed)
    left_out = tuple(
        f"no {recipe.name}: imbalance removes no images, so there are none to give back"
        for recipe in resolved
        if recipe not in chosen
    )
    unseen = tuple(
        f"{recipe.name}: its images were made elsewhere; what their generator saw is not known here"
        for recipe in chosen
        if recipe.synthetic and recipe.synthetic.images
    )
    return chosen, left_out + unseen


def _check_fits(recipe: Recipe, classifier: Classifier) -> None:
    """Raise ConfigError for a part of an arm that a classifier cannot have: a network learns from images."""
    synthetic = recipe.synthetic
    parts = synthetic.filter if synthetic else None
    paper, method = isinstance(classifier, Paper), arms.method(recipe.method)
    if classifier.reads_features and method.in_minibatches and not method.new_inputs:
        raise ConfigError(
            f"arms names {recipe.name}, whose part 'method: {recipe.method}' is of minibatches, and classifier.kind = "
            f"{classifier.kind} is solved on all examples at once; take oversample, or set classifier.kind to network"
        )
    if synthetic and synthetic.weight != 1 and method.new_inputs:
        raise ConfigError(
            f"arms names {recipe.name}, whose synthetic.weight is not 1: what method: {recipe.method} makes of such "
            "images would count in full; leave the weight out, or take another method"
        )
    wrong = {
        "synthetic.weight": paper and synthetic and synthetic.weight != 1,
        "synthetic.n as a list": paper and len(recipe.doses) > 1,
        "removed: matched": paper and recipe.removed == "matched",
        f"method: {recipe.method}": (paper and method.in_minibatches)
        or (not classifier.reads_features and method.new_inputs and not method.in_minibatches),
        f"objective: {recipe.objective}": paper and recipe.objective != "cross-entropy",
        "synthetic.filter": not classifier.reads_features and parts and arms.image_filter(parts.by).reads == "features",
    }
    for part in (part for part, is_wrong in wrong.items() if is_wrong):
        raise ConfigError(
            f"arms names {recipe.name}, whose part '{part}' does not go with classifier.kind = {classifier.kind}; "
            "leave it out, or set classifier.kind to linear-head"
        )


def weights_sha256(classifier: Classifier) -> str | None:
    """Look up the hash of the weights that a classifier starts from; None where it is trained from scratch.

    Raises ConfigError where it is not known.
    """
    backbones.check(classifier.backbone)
    if isinstance(classifier, Network) and classifier.train == "scratch":
        return None
    if known := classifier.weights_sha256 or backbones.published_sha256(classifier.backbone):
        return known
    raise ConfigError(
        f"classifier.backbone = {classifier.backbone!r} has no published weights that are known here; name a file in "
        "classifier.weights and its sha256 in classifier.weights_sha256, or train it from scratch: "
        "classifier.kind = network"
    )


def gan_settings(experiment: Experiment, gan: str, settings: dict[str, Any], side_px: int) -> Gan.Config:
    """Build the whole Config of a GAN: an arm's own `settings` before those in `gans`, with the layers images need.

    Raises ConfigError.
    """
    if gan not in gans.names():
        raise ConfigError(f"gans.{gan}: there is no such GAN; choose among {', '.join(gans.names())}")
    common = experiment.gans.get(gan, {})
    if LENGTHS & settings.keys():  # another length in another unit replaces it
        common = {key: value for key, value in common.items() if key not in LENGTHS}
    found = parse(gans.load(gan).Config, common | settings, where=f"gans.{gan}")
    try:
        return found.at(ImageSpec(1, canvas_side(side_px)))
    except ConfigError as error:
        raise ConfigError(f"gans.{gan}: {error}") from error


def forecast(experiment: Experiment, source: Dataset, chosen: stages.Dataset) -> tuple[str, ...]:
    """Forecast what the report will not be able to say, before hours are spent."""
    lines = []
    if len(experiment.seeds) < verdicts.MIN_SEEDS:
        lines.append(f"no verdicts: {len(experiment.seeds)} of the {verdicts.MIN_SEEDS} seeds that one needs")
    own, what = grouping.units(source, chosen)
    tested = folds.counts(experiment, own).test
    found = sorted(zip(tested, chosen.class_names, strict=True), key=lambda one: one[0])
    for low, high, then, why in (
        (0, verdicts.MIN_TEST_IMAGES, "no verdicts", "that one needs"),
        (verdicts.MIN_TEST_IMAGES, verdicts.FEW_TEST_IMAGES, "verdicts with caution", "from which error rates hold"),
    ):
        short = [(count, name) for count, name in found if low <= count < high]
        for count, name in short[:MOST_FORECAST]:
            lines.append(f"{then}: class {name!r} has {count} of the {high} test {what} {why}")
        if (more := len(short) - MOST_FORECAST) > 0:
            lines.append(f"{then}: {more} more classes have fewer than the {high} test {what} {why}")
    return tuple(lines)
