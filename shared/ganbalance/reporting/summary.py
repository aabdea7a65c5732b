"""summary.json: the whole result as plain data. The report, the terminal and the README all read this."""

from dataclasses import asdict
from typing import Any

import numpy as np

from ganbalance.config import Margin
from ganbalance.metrics import statistics, verdicts
from ganbalance.metrics.classification import AS_TRAINED, FAIR, Settings
from ganbalance.metrics.results import Analysis, Run
from ganbalance.reporting.collect import BASELINE, ORACLE, Found, Question
from ganbalance.reporting.formats import WITHHELD
from ganbalance.reporting.layout import Summary
from ganbalance.reporting.verdict_text import sentence

RELIABILITY_BINS = 10


def analyse(question: Question, found: Found) -> Analysis:
    """Judge the run."""
    return statistics.analyse(
        _run(question, found),
        {arm: {seed: cell.scores for seed, cell in of_arm.items()} for arm, of_arm in found.cells.items()},
        {arm: found.diverged(arm) for arm in question.arms},
    )


def summarise(question: Question, found: Found, analysis: Analysis) -> Summary:
    """Everything but the provenance; JSON-ready, no NaN, equal for equal inputs."""
    experiment, run = question.experiment, _run(question, found)
    summary = {
        "experiment": experiment.name,
        "note": experiment.note,
        "protocol": experiment.protocol,
        "dataset": _dataset(question, found),
        "seeds": list(experiment.seeds),
        "backbone": experiment.classifier.backbone,
        "rule": verdicts.RULE,
        "baseline": BASELINE,
        "reference": run.reference,
        "oracle": ORACLE,
        "margin_share": None if run.margin is not None else run.margin_share,
        "replicates": run.replicates,
        "levels": {
            "precision": list(run.settings.precision_levels),
            "recall": list(run.settings.recall_levels),
        },
        **{name: value for name, value in analysis.to_json().items() if name != "arms"},
        "arms": _arms(run, found, analysis),
        "holes": [asdict(hole) for hole in found.holes],
        "remarks": remarks(question, found, analysis),
    }
    for arm, of_arm in summary["arms"].items():
        if of_arm["verdict"]:
            of_arm["verdict"]["sentence"] = sentence(summary, arm, found.missing(arm, BASELINE))
    return summary


def _run(question: Question, found: Found) -> Run:
    settings = question.experiment.statistics
    share = settings.margin.share if isinstance(settings.margin, Margin) else None
    return Run(
        families=question.families,
        seeds=question.experiment.seeds,
        settings=Settings(
            rare=tuple(sorted(question.keep)),
            deployment_prior=found.prior,
            precision_levels=settings.precision_levels,
            recall_levels=settings.recall_levels,
        ),
        reference=settings.reference,
        baseline=BASELINE,
        oracle=ORACLE,
        margin=None if isinstance(settings.margin, Margin) else settings.margin,
        margin_share=share or 0.0,
        replicates=settings.replicates,
    )


def _dataset(question: Question, found: Found) -> dict[str, Any]:
    tested = np.bincount(found.labels, minlength=len(found.class_names)).tolist()
    return {
        "name": question.experiment.dataset.name,
        "classes": list(found.class_names),
        "rare": [
            {"class": found.class_names[column], "keep": share} for column, share in sorted(question.keep.items())
        ],
        **{name: dict(zip(found.class_names, counts, strict=True)) for name, counts in found.counts.items()},
        "test": len(found.labels),
        "tested": dict(zip(found.class_names, tested, strict=True)),
        "fingerprint": question.fingerprint,
    }


def _arms(run: Run, found: Found, analysis: Analysis) -> dict[str, Any]:
    """The analysis of each arm without the conclusions that rest on a missing cell."""
    arms = {}
    for arm, of_arm in analysis.to_json()["arms"].items():
        verdict = of_arm.pop("finding")
        if verdict and found.missing(arm, BASELINE):
            verdict = {"name": WITHHELD, "direction": 0, "measurable": False}
        arms[arm] = of_arm | {
            "gan": run.families[arm] == "generative",
            "verdict": verdict,
            "reliability": _reliability(found, analysis, arm),
            "unsolved": sum(cell.unsolved for cell in found.cells[arm].values()),
        }
        if found.missing(arm, run.reference):
            arms[arm] |= {"beats_reference": None, "reference_difference": None}
        if found.missing(arm, BASELINE, run.oracle):
            arms[arm]["gap_recovered"] = None
    return arms


def _reliability(found: Found, analysis: Analysis, arm: str) -> dict[str, list[list[float]]]:
    """Rule -> [mean predicted probability, observed share] per bin, of `found.shown`, it and the rest weighted equally.

    Ten bins of equal width over the test images of all seeds; a bin without images is left out.
    """
    if arm not in analysis.settled:
        return {}
    settled = analysis.settled[arm]
    shown = found.shown
    curves: dict[str, list[list[float]]] = {}
    for rule in (AS_TRAINED, FAIR):
        predicted, truth = [], []
        for cell in found.cells[arm].values():
            rules = settled.rules(cell.scores, found.prior)
            if rule in rules:
                log_p = rules[rule].log_probabilities(cell.scores.test[settled.strength])
                predicted.append(np.exp(log_p[:, shown]))
                truth.append(cell.scores.test_labels == shown)
        if predicted:
            curves[rule] = _binned(np.concatenate(predicted), np.concatenate(truth))
    return curves


def _binned(predicted: np.ndarray, truth: np.ndarray) -> list[list[float]]:
    # of one class against the rest, both sides weigh the same
    weights = np.where(truth, 1 / truth.sum(), 1 / (~truth).sum())
    places = np.minimum((predicted * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    total, hits, said = (
        np.bincount(places, weights * value, RELIABILITY_BINS) for value in (np.ones(len(truth)), truth, predicted)
    )
    return [[float(s / t), float(h / t)] for t, h, s in zip(total, hits, said, strict=True) if t > 0]


def remarks(question: Question, found: Found, analysis: Analysis) -> list[str]:
    """What a reader has to know before the numbers, one sentence each."""
    said = list(question.notes)
    if ORACLE not in question.arms:
        said.append("No oracle among the arms: how much there was to gain is not known.")
    if natural := [found.class_names[column] for column, share in sorted(question.keep.items()) if share == 1]:
        said.append(
            f"Nothing was removed of {', '.join(natural)}: every seed splits the same images anew, so each statement "
            "is conditional on these images. More seeds narrow an interval without saying more about new data."
        )
    seeds = len(question.experiment.seeds)
    if seeds < verdicts.MIN_SEEDS:
        said.append(f"Too few seeds: {seeds}, and a verdict needs {verdicts.MIN_SEEDS}. The numbers only describe.")
    said += _test_images(found, analysis) + _tuned_on(found)
    if analysis.equality_within_reach is False and analysis.margins:
        said.append(
            f"Equality could not be shown by this run, whatever its arms do: half of every interval exceeds the margin "
            f"of {analysis.margins.ranking:.4f}."
        )
    if lost := [hole for hole in found.holes if hole.kind == "missing" and hole.arm]:
        said.append(
            f"Cells missing: {len(lost)} of {len(question.arms) * seeds}. Verdicts that need them are withheld, and p "
            "values are adjusted over the arms that are there."
        )
    return said + _divergence(found) + _machines(found)


def _test_images(found: Found, analysis: Analysis) -> list[str]:
    smallest, base = analysis.smallest_class, analysis.arms[BASELINE].metrics.get(analysis.primary)
    if base is None or not analysis.few_images:
        return []
    wrong = (1 - base.mean) * smallest
    what = "no verdict" if not analysis.enough_images else "verdicts with caution"
    return [
        f"{smallest} test images in the smallest class, of which {BASELINE} ranks about {wrong:.1f} wrong: {what}. "
        f"A verdict needs {verdicts.MIN_TEST_IMAGES} and {verdicts.MIN_MISRANKED:g}; from "
        f"{verdicts.FEW_TEST_IMAGES} and {verdicts.FEW_MISRANKED:g} on its error rates hold."
    ]


def _tuned_on(found: Found) -> list[str]:
    """What penalties and fair thresholds were chosen on; classes with as many images share a sentence."""
    rare: dict[tuple[int, int], list[str]] = {}
    for column, name in enumerate(found.class_names):
        if extra := found.counts["tuning"][column]:
            rare.setdefault((found.counts["validation"][column], extra), []).append(f"“{name}”")
    return [
        f"Penalties and fair thresholds are chosen on {kept + extra} held-out images of {' and of '.join(names)} per "
        f"seed, {extra} of them removed by the imbalance. Who has the imbalanced data alone has {kept}: the penalty "
        "that those choose is shown beside it, and the fair threshold is better than theirs would be."
        for (kept, extra), names in rare.items()
    ]


def _divergence(found: Found) -> list[str]:
    runs = {gan: [run for run in found.gans if run.gan == gan] for gan in {run.gan for run in found.gans}}
    return [
        f"{gan} diverged in {sum(run.diverged for run in of_gan)} of {len(of_gan)} trainings: that is a result; such a "
        "cell counts as what its user falls back to, no difference."
        for gan, of_gan in sorted(runs.items())
        if any(run.diverged for run in of_gan)
    ]


def _machines(found: Found) -> list[str]:
    """Arms for which one kind of stage ran on several kinds of machines."""
    mixed = []
    for arm, of_arm in found.cells.items():
        made = frozenset[tuple[str, str]]().union(*(cell.machines for cell in of_arm.values()))
        if len(made) > len({stage for stage, _ in made}):
            mixed.append(arm)
    if not mixed:
        return []
    return [
        f"Several kinds of processors or accelerators made the cells of {', '.join(mixed)}. What a GAN draws differs "
        "between them as between seeds; the numbers of other arms agree."
    ]
