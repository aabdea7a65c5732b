"""Format numbers, arms, metrics, rules and verdicts, for every page and the terminal."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from ganbalance.called import typed
from ganbalance.errors import DataError
from ganbalance.metrics import verdicts
from ganbalance.metrics.classification import AS_TRAINED, DEPLOYMENT, FAIR
from ganbalance.metrics.crossed import Components
from ganbalance.metrics.results import Difference
from ganbalance.printing import shortened
from ganbalance.reporting.layout import Entry
from ganbalance.reporting.summary import Dose, Summary

T = TypeVar("T")

NOTHING = "–"
MOST_IN_TEXT = 12
"""Classes that a sentence names."""
LONGEST_IN_TEXT = 60
LEAST_P = 1e-4
"""Below this a p value is only said to be: further out the tail of a bootstrap means nothing."""
WHOLE_FROM = 100
"""From here on a fraction of a second or of a unit of money says nothing."""
LEAST_S, LEAST_AMOUNT = 0.1, 1e-3
"""Less than that is only said to be."""
BALANCED_AS_TRAINED, BALANCED_FAIR = "balanced_accuracy@as-trained", "balanced_accuracy@fair"
WITHHELD = "withheld"
"""In place of a verdict where results that it needs are missing."""

SIGNS = {
    verdicts.HELPS: "▲",
    verdicts.HURTS: "▼",
    verdicts.MOVES: "↔",
    verdicts.NO_DIFFERENCE: "=",
    verdicts.NO_EVIDENCE: "○",
    verdicts.DID_NOT_TRAIN: "✕",
    verdicts.TOO_FEW_SEEDS: "…",
    verdicts.TOO_FEW_IMAGES: "…",
    WITHHELD: "?",
}
"""A sign per verdict, so that none is shown by colour alone; in the order in which a headline names them."""

FAMILIES = {
    "generative": "Generative arms",
    "cheap": "Cheap arms",
    "exempt": "Threshold alone",
    "control": "Controls",
    "baseline": "Baseline",
}
"""The headings of the families, in the order in which they are shown."""

_ARMS = {
    "vanilla": "Vanilla GAN", "dcgan": "DCGAN", "wgan-gp": "WGAN-GP", "cdcgan": "cDCGAN", "sngan": "SNGAN",
    "r3gan": "R3GAN",
}  # fmt: skip
_METRICS = {
    "auc": "AUC",
    "pairwise_auc": "pairwise AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "balanced_accuracy": "balanced accuracy",
    "brier": "Brier score",
    "log_loss": "log loss",
}
_RULES = {AS_TRAINED: "as trained", FAIR: "fair", DEPLOYMENT: "deployment"}


class Number(Protocol):
    """A mean with the ends of its interval, which are None where one seed allows none."""

    @property
    def mean(self) -> float: ...  # noqa: D102
    @property
    def low(self) -> float | None: ...  # noqa: D102
    @property
    def high(self) -> float | None: ...  # noqa: D102


def known(found: T | None) -> T:
    """Return what is there wherever this is asked, as a difference is for a verdict. Raises DataError otherwise."""
    if found is None:
        raise DataError(
            f"summary.json lacks a number that its verdicts rest on; '{typed('run')}' makes the report anew"
        )
    return found


def number(value: float, *, signed: bool = False) -> str:
    """Format with four decimals; z: what rounds to zero is no negative zero."""
    return f"{value:{'+' if signed else ''}z.4f}"


def brackets(found: Number, *, signed: bool = False) -> str:
    """Format as '[0.9921, 0.9970]', or nothing where there is no interval."""
    if found.low is None or found.high is None:
        return ""
    return f"[{number(found.low, signed=signed)}, {number(found.high, signed=signed)}]"


def interval(found: Number | None, *, signed: bool = False) -> str:
    """Format as '0.9948 [0.9921, 0.9970]', or the mean alone."""
    if not found:
        return NOTHING
    return f"{number(found.mean, signed=signed)} {brackets(found, signed=signed)}".rstrip()


def size(found: Number) -> str:
    """Format as '0.0021 [0.0002, 0.0040]': how large a difference is, where a word says in which direction."""
    if found.low is None or found.high is None:
        return number(abs(found.mean))
    low, high = sorted((abs(found.low), abs(found.high)))
    return f"{number(abs(found.mean))} [{number(low)}, {number(high)}]"


def cell(found: Number | None, *, signed: bool = False) -> Entry:
    """Build a field of a mean with its interval below it."""
    return Entry(number(found.mean, signed=signed), brackets(found, signed=signed)) if found else Entry(NOTHING)


def mean(found: Number | None, *, signed: bool = False) -> str:
    """Format the mean alone."""
    return number(found.mean, signed=signed) if found else NOTHING


def p_value(p: float | None) -> str:
    """Format with two digits; below what means anything, say only that."""
    if p is None:
        return NOTHING
    return f"{p:.2g}" if p >= LEAST_P else f"<{LEAST_P:g}"


def seconds(value: float) -> str:
    """Format as '1,234', '12.3', '<0.1', '0'."""
    if 0 < value < LEAST_S:
        return f"<{LEAST_S:g}"
    return f"{value:.1f}" if 0 < value < WHOLE_FROM else f"{value:,.0f}"


def amount(value: float) -> str:
    """Format money, or the price of a point, as '1,234', '12', '0.0012', '<0.001', '0'."""
    if 0 < value < LEAST_AMOUNT:
        return f"<{LEAST_AMOUNT:g}"
    return f"{value:.2g}" if value < WHOLE_FROM else f"{value:,.0f}"


def percent(share: float) -> str:
    """Format as '12 %'."""
    return f"{100 * share:z.0f} %"


def quoted(name: str) -> str:
    """Quote the name of a class in a sentence; tables have the whole of a long one."""
    return f"“{shortened(name, LONGEST_IN_TEXT)}”"


def some(shown: Sequence[str]) -> list[str]:
    """Keep all of a few; of many the first ones, and how many more there are."""
    more = len(shown) - MOST_IN_TEXT
    return [*shown[:MOST_IN_TEXT], *([f"{more:,} more"] if more > 0 else [])]


def listed(names: Sequence[str], word: str = "and") -> str:
    """Join as 'a, b and c'."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}" if names else ""


def variance_shares(components: Components | None) -> dict[str, float]:
    """Compute each source's share of a variance by name; nothing where there is no variance to share."""
    parts = {part: getattr(components, part) for part in ("seeds", "images", "interaction")} if components else {}
    total = sum(parts.values())
    return {part: value / total for part, value in parts.items()} if total else {}


def capitalised(text: str) -> str:
    """Make the first letter of the text a capital unless the second is one, as in cDCGAN; leave the others."""
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]


def arm_name(arm: str) -> str:
    """Name GANs as their papers write them, the others as in the experiment file."""
    return _ARMS.get(arm, arm)


def dose_name(dose: Dose) -> str:
    """Format as '500 images of weight 0.3'."""
    return f"{dose.images:,} images of weight {dose.weight:g}"


def rule_name(rule: str) -> str:
    """Name a decision rule in a table head."""
    return _RULES.get(rule, rule)


def metric_name(metric: str, classes: Sequence[str] = ()) -> str:
    """Write 'recall/3@fair' as in a sentence: 'recall of “bag”, fair', where `classes` has the names."""
    name, _, rule = metric.partition("@")
    name, _, of = name.partition("/")
    name = name.removeprefix("deployed_")
    fixed, _, level = name.rpartition("_")
    if "_at_" in name:
        name = f"{fixed.replace('_', ' ')} {level}"
    named = [quoted(classes[int(c)] if classes else c) for c in of.split("-") if c]
    return (
        _METRICS.get(name, name.replace("_", " "))
        + (f" of {listed(named)}" if named else "")
        + (f", {rule_name(rule)}" if rule else "")
    )


def primary_name(summary: Summary) -> str:
    """Name the metric that verdicts rest on."""
    return metric_name(summary.primary)


def tested_units(summary: Summary) -> str:
    """Name what is counted and drawn of the test: its images, or groups of them where they are grouped."""
    return "test groups" if summary.dataset.tested_groups else "test images"


def change(summary: Summary, arm: str, metric: str | None = None) -> Difference | None:
    """Find the difference of an arm to the baseline, in the primary metric unless one is named; None without one."""
    found = summary.arms[arm].metrics.get(metric or summary.primary)
    return found.difference if found else None


def sign_of(found: Number | None) -> int:
    """Return 1 or -1 where the whole interval lies on that side of 0, else 0."""
    return 0 if not found or found.low is None or found.high is None else int(found.low > 0) - int(found.high < 0)


def shown_change(summary: Summary, arm: str) -> Difference | None:
    """Find the difference in ranking to show of an arm: of one that did not train, over the seeds at which it did."""
    finished = summary.arms[arm].finished_difference
    return finished if did_not_train(summary, arm) and finished else change(summary, arm)


def verdict_label(summary: Summary, arm: str) -> str:
    """Name the verdict on an arm with its direction; '–' for the baseline and for what is exempt."""
    verdict = summary.arms[arm].verdict
    if verdict is None:
        return NOTHING
    name = verdict.name
    if name == verdicts.MOVES:
        return f"{name}, for {'better' if verdict.direction > 0 else 'worse'}"
    if name == verdicts.NO_DIFFERENCE:
        return name + measurably(summary, arm)
    if name == verdicts.DID_NOT_TRAIN:
        return f"{name} ({len(summary.arms[arm].diverged_seeds)} of {len(summary.seeds)})"
    return name


def verdict_entry(summary: Summary, arm: str) -> Entry:
    """Put the same into a field of a table."""
    verdict = summary.arms[arm].verdict
    return Entry(verdict_label(summary, arm), verdict=verdict.name if verdict else "")


def did_not_train(summary: Summary, arm: str) -> bool:
    """Tell whether too many of its cells diverged for a verdict."""
    verdict = summary.arms[arm].verdict
    return verdict is not None and verdict.name == verdicts.DID_NOT_TRAIN


def measurably(summary: Summary, arm: str, though: str = "") -> str:
    """Say ', measurably above 0' of a difference inside the margin that is, with `though` before it; else nothing."""
    if not known(summary.arms[arm].verdict).measurable:
        return ""
    return f", {though}measurably {'above' if known(change(summary, arm)).mean > 0 else 'below'} 0"


def by_family(summary: Summary) -> dict[str, list[str]]:
    """List the arms of each family, in the order in which they are shown; families without arms are left out."""
    arms = summary.arms
    found = {family: [arm for arm, of_arm in arms.items() if of_arm.family == family] for family in FAMILIES}
    return {family: of_family for family, of_family in found.items() if of_family}
