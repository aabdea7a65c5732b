"""The numbers that a verdict rests on, as one sentence per arm. Read from the analysis and from nothing else."""

from typing import Any

from ganbalance.metrics.crossed import POWER
from ganbalance.metrics.results import Analysis, Arm, Difference, Run
from ganbalance.metrics.verdicts import (
    DID_NOT_TRAIN,
    HELPS,
    HURTS,
    MIN_SEEDS,
    MIN_TEST_IMAGES,
    MOVES,
    NO_DIFFERENCE,
    NO_EVIDENCE,
    TOO_FEW_IMAGES,
    TOO_FEW_SEEDS,
)

LEAST_P = 1e-4
"""Below this a sentence says only that: further out the tail of a bootstrap means nothing."""
WITHHELD = "withheld"


def verdict(run: Run, analysis: Analysis, arm: str, missing: list[str]) -> dict[str, Any] | None:
    """Name, direction, whether it is measurable, and the sentence; None for the baseline and what is exempt."""
    found = analysis.arms[arm]
    if found.finding is None:
        return None
    if missing:
        sentence = f"Missing: {', '.join(missing)}. The verdict needs them all."
        return {"name": WITHHELD, "direction": 0, "measurable": False, "sentence": sentence}
    finding = found.finding
    return {
        "name": finding.name,
        "direction": finding.direction,
        "measurable": finding.measurable,
        "sentence": _sentence(run, analysis, found),
    }


def _sentence(run: Run, analysis: Analysis, found: Arm) -> str:
    assert found.finding is not None  # noqa: S101 - asked of arms with a finding
    name, seeds = found.finding.name, len(run.seeds)
    if name == TOO_FEW_SEEDS:
        return f"{found.n_paired} of {seeds} seeds in common with {run.baseline}; a verdict needs {MIN_SEEDS}."
    if name == TOO_FEW_IMAGES:
        return (
            f"The smallest class has {analysis.smallest_class} test images; a verdict needs {MIN_TEST_IMAGES}, and one "
            f"that {run.baseline} ranks wrong."
        )
    if name == DID_NOT_TRAIN:
        over = found.finished_difference
        finished = f" {ranking_name(analysis)} {interval(over)} against {run.baseline} over the others." if over else ""
        return f"Training diverged at {len(found.diverged_seeds)} of {seeds} seeds; at most one in five may.{finished}"
    detail = {
        HELPS: _called,
        HURTS: _called,
        MOVES: _inside,
        NO_DIFFERENCE: _inside,
        NO_EVIDENCE: _nothing,
    }[name](analysis, found)
    change = found.metrics[analysis.primary].difference
    counted = f"{found.n_paired} of {seeds} seeds"
    return (
        f"{ranking_name(analysis)} {interval(change)} against {run.baseline} over {counted}{detail}.{_imputed(found)}"
    )


def _called(analysis: Analysis, found: Arm) -> str:
    plain = found.metrics["balanced_accuracy@as-trained"].difference
    gains = plain is not None and plain.low is not None and plain.low > 0
    lost = found.finding is not None and found.finding.name == HURTS
    return f", {p_value(analysis, found)}" + (
        f", although balanced accuracy as trained {interval(plain)}: a moved threshold" if lost and gains else ""
    )


def _inside(analysis: Analysis, found: Arm) -> str:
    margins = analysis.margins
    assert margins is not None  # noqa: S101 - the arm was judged
    measurable = found.finding is not None and found.finding.measurable
    change = found.metrics[analysis.primary].difference
    above = "above" if change is not None and change.mean > 0 else "below"
    said = f", inside the margin of {margins.ranking:.4f}"
    said += f", though measurably {above} 0 ({p_value(analysis, found)})" if measurable else ""
    if found.finding is not None and found.finding.name == MOVES and margins.threshold is not None:
        plain, fair = (found.metrics[f"balanced_accuracy@{rule}"].difference for rule in ("as-trained", "fair"))
        said += (
            f"; balanced accuracy as trained {interval(plain)}, at the fair threshold {interval(fair)} "
            f"(margin {margins.threshold:.4f})"
        )
    return said


def _nothing(analysis: Analysis, found: Arm) -> str:
    assert found.detectable is not None  # noqa: S101 - the arm was judged
    low, high = found.detectable.low, found.detectable.high
    said = (
        f", {p_value(analysis, found)}; a true difference of {low:.4f} to {high:.4f} would have been called in "
        f"{100 * POWER:.0f} % of such runs"
    )
    if found.vetoed and found.sensitivity:
        change = found.sensitivity.per_seed_difference
        said += f"; with each seed’s own penalty the difference is {interval(change)}, on the other side of 0"
    if found.moved and found.moved.low is not None and found.moved.high is not None:
        moved = found.moved.low > 0 or found.moved.high < 0
        said += (
            f"; the threshold moved: balanced accuracy as trained minus fair {interval(found.moved)}" if moved else ""
        )
    return said


def _imputed(found: Arm) -> str:
    if not found.imputed_seeds:
        return ""
    seeds = ", ".join(map(str, found.imputed_seeds))
    return (
        f" Diverged at seed {seeds}, counted as no difference; over the others {interval(found.finished_difference)}."
    )


def ranking_name(analysis: Analysis) -> str:
    """The primary metric in a sentence."""
    return "AUC" if analysis.primary == "auc" else "Pairwise AUC"


def interval(found: Difference | None) -> str:
    """'+0.0021 [+0.0002, +0.0040]', or the mean alone where one seed allows no interval."""
    if found is None:
        return "–"
    # adding 0.0 after rounding: "-0.0000" would look like a loss
    if found.low is None or found.high is None:
        return f"{round(found.mean, 4) + 0.0:+.4f}"
    mean, low, high = (round(value, 4) + 0.0 for value in (found.mean, found.low, found.high))
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def p_value(analysis: Analysis, found: Arm) -> str:
    """The adjusted p of an arm in a family, the plain one of a control."""
    change = found.metrics[analysis.primary].difference
    assert change is not None  # noqa: S101 - the arm was judged
    name, p = ("Holm p", change.p_holm) if change.p_holm is not None else ("p", change.p)
    assert p is not None  # noqa: S101 - the arm was judged
    return f"{name} {p:.2g}" if p >= LEAST_P else f"{name} < {LEAST_P:g}"
