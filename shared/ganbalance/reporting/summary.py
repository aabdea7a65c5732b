"""summary.json: the whole result as plain data. The report, the terminal and the README all read this."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ganbalance.metrics import statistics
from ganbalance.metrics.classification import PRIMARY
from ganbalance.metrics.decisions import MIN_RARE_VALIDATION
from ganbalance.reporting.collect import BASELINE, ORACLE, Found, Hole, Question

WITHHELD = "withheld"

Summary = dict[str, Any]


def summarise(question: Question, found: Found) -> Summary:
    """Everything but the provenance; JSON-ready, no NaN, equal for equal inputs."""
    experiment = question.experiment
    analysis = _analyse(question, found)
    return {
        "experiment": experiment.name,
        "note": experiment.note,
        "protocol": experiment.protocol,
        "dataset": _dataset(question, found),
        "seeds": list(experiment.seeds),
        "backbone": experiment.classifier.backbone,
        "rule": analysis.rule,
        "primary": PRIMARY,
        "margin": analysis.margin,
        "baseline": analysis.baseline,
        "reference": analysis.reference,
        "oracle": analysis.oracle,
        "plain_rule": analysis.plain_rule,
        "replicates": analysis.replicates,
        "arms": _arms(question, found, analysis.to_json()["arms"]),
        "holes": [asdict(hole) for hole in found.holes],
        "remarks": remarks(question, found),
    }


def _analyse(question: Question, found: Found) -> statistics.Analysis:
    settings = question.experiment.statistics
    cells = {
        arm: {seed: statistics.Cell(scored.predictions.test, scored.offsets) for seed, scored in of_arm.items()}
        for arm, of_arm in found.cells.items()
    }
    return statistics.analyse(
        found.labels,
        cells,
        plain_rule=found.plain_rule,
        deployment_prior_K=found.prior,
        baseline=BASELINE,
        reference=settings.reference,
        oracle=ORACLE,
        margin=settings.margin,
        replicates=settings.replicates,
    )


def _dataset(question: Question, found: Found) -> dict[str, Any]:
    return {
        "name": question.experiment.dataset.name,
        "classes": list(found.class_names),
        "rare": [
            {"class": found.class_names[column], "keep": share} for column, share in sorted(question.keep.items())
        ],
        **{name: dict(zip(found.class_names, counts, strict=True)) for name, counts in found.counts.items()},
        "test": found.n_test,
        "fingerprint": question.fingerprint,
    }


def _arms(question: Question, found: Found, analysed: Mapping[str, Any]) -> dict[str, Any]:
    """The analysis of each arm without the conclusions that rest on a missing cell."""
    gans = {hole.what.split("/")[1] for hole in found.holes if hole.what.startswith("gan/")}
    gans |= {run.gan for run in found.gans}
    arms = {}
    for arm in question.arms:
        diverged = [hole.seed for hole in found.holes if hole.arm == arm and hole.kind == "diverged"]
        arms[arm] = {"gan": arm in gans, "diverged_seeds": diverged} | analysed[arm]
        _withhold(arm, arms[arm], question.experiment.statistics.reference, found.holes)
    return arms


def _withhold(arm: str, of_arm: dict[str, Any], reference: str, holes: list[Hole]) -> None:
    def missing(*needed: str) -> list[str]:
        return [f"{h.arm} at seed {h.seed}" for h in holes if h.kind == "missing" and h.arm in needed]

    if arm != BASELINE and (lost := missing(arm, BASELINE)):
        of_arm["verdict"] = {"name": WITHHELD, "sentence": f"Missing: {', '.join(lost)}. The verdict needs them all."}
    if missing(arm, reference):
        of_arm["beats_reference"] = None
    if missing(arm, BASELINE, ORACLE):
        of_arm["gap_recovered"] = None


def remarks(question: Question, found: Found) -> list[str]:
    """What a reader has to know before the numbers, one sentence each."""
    said = list(question.notes)
    if ORACLE not in question.experiment.arms:
        said.append("No oracle among the arms: how much there was to gain is not known.")
    if BASELINE in found.cells and len(question.experiment.seeds) < statistics.MIN_SEEDS:
        seeds = len(question.experiment.seeds)
        said.append(f"Too few seeds: {seeds}, and a verdict needs {statistics.MIN_SEEDS}. The numbers only describe.")
    if not all(scored.tuned for of_arm in found.cells.values() for scored in of_arm.values()):
        held = min(found.counts["validation"])
        said.append(
            f"The rarest class has {held} validation images, fewer than {MIN_RARE_VALIDATION}: no threshold is chosen "
            "on validation, and where one is shown it is the prior-corrected one."
        )
    if lost := [hole for hole in found.holes if hole.kind == "missing" and hole.arm]:
        said.append(
            f"Cells missing: {len(lost)} of {len(question.arms) * len(question.experiment.seeds)}. Verdicts that need "
            "them are withheld, and p values are adjusted over the arms that are there."
        )
    return said + _divergence(found)


def _divergence(found: Found) -> list[str]:
    runs = {gan: [run for run in found.gans if run.gan == gan] for gan in {run.gan for run in found.gans}}
    return [
        f"{gan} diverged in {sum(run.diverged for run in of_gan)} of {len(of_gan)} trainings: that is a result, "
        "counted here and left out of its means."
        for gan, of_gan in sorted(runs.items())
        if any(run.diverged for run in of_gan)
    ]
