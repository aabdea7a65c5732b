"""Summarise the whole result as data, summary.json."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace

import numpy as np

from ganbalance import config
from ganbalance.config import Amount, Experiment, LinearHead, Margin, Network
from ganbalance.data.split import synthetic_count
from ganbalance.metrics import statistics, verdicts
from ganbalance.metrics.classification import AS_TRAINED, FAIR, Settings
from ganbalance.metrics.results import Analysis, ArmNumbers, Run
from ganbalance.printing import printable
from ganbalance.reporting import cost
from ganbalance.reporting.advice import advice
from ganbalance.reporting.collect import BASELINE, ORACLE, Question, Results
from ganbalance.reporting.cost import Attempt
from ganbalance.reporting.formats import WITHHELD, listed, quoted, some
from ganbalance.reporting.image_quality import image_quality
from ganbalance.reporting.summary import (
    Arm,
    Classifier,
    Curve,
    Dataset,
    Dose,
    Gain,
    Gate,
    Levels,
    Provenance,
    Rare,
    Summary,
    Verdict,
)
from ganbalance.reporting.verdict_text import sentence

RELIABILITY_BINS = 10


def analyse(question: Question, results: Results) -> Analysis:
    """Judge the run."""
    return statistics.analyse(
        _run(question, results),
        {arm: {seed: cell.scores for seed, cell in of_arm.items()} for arm, of_arm in results.cells.items()},
        {arm: results.diverged(arm) for arm in question.arms},
    )


def summarise(
    question: Question, results: Results, analysis: Analysis, attempts: Sequence[Attempt], provenance: Provenance
) -> Summary:
    """Summarise the whole result; equal for equal inputs. `attempts` are those at the stages that it rests on."""
    experiment, run = question.experiment, _run(question, results)
    summary = Summary(
        experiment=experiment.name,
        note=experiment.note,
        classifier=_classifier(experiment.classifier),
        dataset=_dataset(question, results),
        seeds=list(experiment.seeds),
        rule=verdicts.RULE,
        baseline=BASELINE,
        reference=run.reference,
        oracle=ORACLE,
        margin_share=None if run.margin is not None else run.margin_share,
        replicates=run.replicates,
        levels=Levels(precision=list(run.settings.precision_levels), recall=list(run.settings.recall_levels)),
        primary=analysis.primary,
        margins=analysis.margins,
        gate=_gate(analysis.gate),
        smallest_class=analysis.smallest_class,
        enough_images=analysis.enough_images,
        few_images=analysis.few_images,
        equality_within_reach=analysis.equality_within_reach,
        arms={arm: _arm(arm, question, run, results, analysis) for arm in analysis.arms},
        quality=image_quality(question, results, analysis),
        missing_results=results.missing_results,
        remarks=remarks(question, results, analysis),
        provenance=provenance,
    )
    judged = summary.model_copy(
        update={
            "arms": {arm: _said(summary, arm, results) for arm in summary.arms},
            "cost": cost.measure(summary, attempts, experiment.cost),
        }
    )
    return judged.model_copy(update={"advice": advice(judged)})


def _said(summary: Summary, arm: str, results: Results) -> Arm:
    """Add to the arm what the verdict on it rests on."""
    found = summary.arms[arm]
    if found.verdict is None:
        return found
    said = sentence(summary, arm, results.missing(arm, BASELINE))
    return replace(found, verdict=found.verdict.model_copy(update={"sentence": said}))


def _classifier(settings: config.Classifier) -> Classifier:
    """Describe what was trained, and the settings that one was chosen among."""
    grid = settings.grid if isinstance(settings, Network) else ()
    return Classifier(
        kind=settings.kind,
        backbone=settings.backbone,
        train=settings.train if isinstance(settings, Network) else None,
        settings=[f"learning rate {lr:g}, weight decay {decay:g}" for lr, decay in grid],
    )


def _run(question: Question, results: Results) -> Run:
    settings = question.experiment.statistics
    share = settings.margin.share if isinstance(settings.margin, Margin) else None
    return Run(
        families=question.families,
        seeds=question.experiment.seeds,
        settings=Settings(
            rare=tuple(sorted(question.keep)),
            deployment_prior=results.prior,
            precision_levels=settings.precision_levels,
            recall_levels=settings.recall_levels,
        ),
        reference=settings.reference,
        baseline=BASELINE,
        oracle=ORACLE,
        margin=None if isinstance(settings.margin, Margin) else settings.margin,
        margin_share=share or 0.0,
        replicates=settings.replicates,
        folds=question.experiment.folds,
    )


def _dataset(question: Question, results: Results) -> Dataset:
    names, groups = results.class_names, results.tested_groups
    labels = results.tested.labels
    tested = np.bincount(labels, minlength=len(names)).tolist()
    return Dataset(
        name=question.experiment.dataset.name,
        classes=list(names),
        rare=[Rare(class_name=names[index], keep=share) for index, share in sorted(question.keep.items())],
        **{name: dict(zip(names, counts, strict=True)) for name, counts in results.counts.items()},
        test=len(labels),
        tested=dict(zip(names, tested, strict=True)),
        tested_groups=dict(zip(names, groups, strict=True)) if groups else None,
        folds=question.experiment.folds,
        fingerprint=question.fingerprint,
    )


def _gate(found: verdicts.Gate | None) -> Gate | None:
    return None if found is None else Gate(open=found.open, gain=Gain.of(found.gain), limited_by=found.limited_by)


def _arm(arm: str, question: Question, run: Run, results: Results, analysis: Analysis) -> Arm:
    """Take the analysis of an arm without the conclusions that need a missing cell."""
    found = analysis.arms[arm]
    numbers = {item.name: getattr(found, item.name) for item in fields(ArmNumbers)}
    verdict = Verdict(**asdict(found.finding)) if found.finding else None
    if verdict and results.missing(arm, BASELINE):
        verdict = Verdict(name=WITHHELD, direction=0, measurable=False)
    if results.missing(arm, run.reference):
        numbers |= {"beats_reference": None, "reference_difference": None}
    if results.missing(arm, BASELINE, run.oracle):
        numbers["gap_recovered"] = None
    return Arm(
        **numbers,
        gan=run.families[arm] == "generative",
        verdict=verdict,
        reliability=_reliability(results, analysis, arm),
        unsolved=sum(cell.unsolved for cell in results.cells[arm].values()),
        doses=_doses(question.experiment, results, arm),
    )


def _doses(experiment: Experiment, results: Results, arm: str) -> list[Dose]:
    """List the doses that an arm chose among; none where it has one."""
    tried = next((recipe.doses for recipe in experiment.arms if recipe.name == arm), ())
    return [_dose(n or experiment.synthesis.n, weight, results) for n, weight in tried] if len(tried) > 1 else []


def _dose(n: Amount, weight: float, results: Results) -> Dose:
    images = sum(synthetic_count(results.counts["train"], c, n) for c in results.rare)
    return Dose(n=str(n), images=images, weight=weight)


def _reliability(results: Results, analysis: Analysis, arm: str) -> dict[str, Curve]:
    """Bin by rule [mean predicted probability, observed share], of `results.shown` and the rest weighted equally.

    Ten bins of equal width over the test images of all seeds; a bin without images is left out.
    """
    if arm not in analysis.settled:
        return {}
    settled = analysis.settled[arm]
    shown = results.shown
    curves: dict[str, Curve] = {}
    for rule in (AS_TRAINED, FAIR):
        predicted, truth = [], []
        for cell in results.cells[arm].values():
            rules = settled.rules(cell.scores, results.prior)
            if rule in rules:
                log_p = rules[rule].log_probabilities(cell.scores.test[settled.strength])
                predicted.append(np.exp(log_p[:, shown]))
                truth.append(cell.scores.test_labels == shown)
        if predicted:
            curves[rule] = _binned(np.concatenate(predicted), np.concatenate(truth))
    return curves


def _binned(predicted: np.ndarray, truth: np.ndarray) -> Curve:
    # of one class against the rest, both sides weigh the same
    weights = np.where(truth, 1 / truth.sum(), 1 / (~truth).sum())
    places = np.minimum((predicted * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    total, hits, said = (
        np.bincount(places, weights * value, RELIABILITY_BINS) for value in (np.ones(len(truth)), truth, predicted)
    )
    return [(float(s / t), float(h / t)) for t, h, s in zip(total, hits, said, strict=True) if t > 0]


def remarks(question: Question, results: Results, analysis: Analysis) -> list[str]:
    """List what a reader has to know before the numbers, one sentence each."""
    said = list(question.notes)
    if ORACLE not in question.arms:
        said.append("No oracle among the arms: how much there was to gain is not known.")
    natural = [printable(results.class_names[c]) for c, share in sorted(question.keep.items()) if share == 1]
    if folds := question.experiment.folds:
        said.append(
            f"Every seed is tested on one of {folds} folds of the images and learns from the others, so each statement "
            f"is about new data from the same source, of which {folds - 1} in {folds} images are learned from. No "
            "seed’s test images are among those it learns from or is tuned on, but they are among those of other "
            "seeds, and seeds share most of what they learn from: the intervals allow for both."
        )
    elif natural:
        said.append(
            f"Nothing was removed of {', '.join(some(natural))}: every seed splits the same images anew, so each "
            "statement is conditional on these images. More seeds narrow an interval without saying more about new "
            "data."
        )
    seeds = len(question.experiment.seeds)
    if seeds < verdicts.MIN_SEEDS:
        said.append(f"Too few seeds: {seeds}, and a verdict needs {verdicts.MIN_SEEDS}. The numbers only describe.")
    is_head = isinstance(question.experiment.classifier, LinearHead)
    tuned = ("Penalties", "penalty") if is_head else ("Settings", "setting")
    said += _by_group(results) + _test_images(results, analysis) + _tuned_on(results, *tuned)
    if analysis.equality_within_reach is False and analysis.margins:
        said.append(
            f"Equality could not be shown by this run, whatever its arms do: half of every interval exceeds the margin "
            f"of {analysis.margins.ranking:.4f}."
        )
    if lost := [one for one in results.missing_results if one.kind == "missing" and one.arm]:
        said.append(
            f"Cells missing: {len(lost)} of {len(question.arms) * seeds}. Verdicts that need them are withheld, and p "
            "values are adjusted over the arms that are there."
        )
    return said + _divergence(results) + _machines(results)


def _by_group(results: Results) -> list[str]:
    """Say what is different where images are grouped."""
    if results.tested_groups is None:
        return []
    rare = listed(
        some([f"{results.tested_groups[index]} of {quoted(results.class_names[index])}" for index in results.rare])
    )
    return [
        "Images were split and resampled by group, since those of one group are not independent: no group is on two "
        "sides of a split, shares are of groups, intervals draw whole groups of test images, and where a verdict needs "
        f"a number of test images, groups are counted. Groups tested: {rare}. Seeds differ in their numbers of images; "
        "the tables show the means."
    ]


def _test_images(results: Results, analysis: Analysis) -> list[str]:
    smallest, base = analysis.smallest_class, analysis.arms[BASELINE].metrics.get(analysis.primary)
    if base is None or not analysis.few_images:
        return []
    wrong = (1 - base.mean) * smallest
    what = "no verdict" if not analysis.enough_images else "verdicts with caution"
    units = "test groups" if results.tested_groups else "test images"
    return [
        f"{smallest} {units} in the smallest class, of which {BASELINE} ranks about {wrong:.1f} wrong: {what}. "
        f"A verdict needs {verdicts.MIN_TEST_IMAGES} and {verdicts.MIN_MISRANKED:g}; from "
        f"{verdicts.FEW_TEST_IMAGES} and {verdicts.FEW_MISRANKED:g} on its error rates hold."
    ]


def _tuned_on(results: Results, several: str, one: str) -> list[str]:
    """Say on what penalties or settings and fair thresholds were chosen, in one sentence for all rare classes."""
    counts = zip(results.class_names, results.counts["validation"], results.counts["tuning"], strict=True)
    rare = [(quoted(name), kept, extra) for name, kept, extra in counts if extra]
    if not rare:
        return []
    names, kept, extra = zip(*rare, strict=True)
    held_out = list(map(sum, zip(kept, extra, strict=True)))
    classes = f"{'each of ' if len(names) > 1 else ''}{listed(some(names))}"
    return [
        f"{several} and fair thresholds are chosen on {_range(held_out)} held-out images of {classes} per seed, "
        f"{_range(extra)} of them removed by the imbalance. Who has the imbalanced data alone has {_range(kept)}: the "
        f"{one} that those choose is shown beside it, and the fair threshold is better than theirs would be."
    ]


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _divergence(results: Results) -> list[str]:
    runs = {gan: [run for run in results.gans if run.gan == gan] for gan in {run.gan for run in results.gans}}
    return [
        f"{gan} diverged in {sum(run.diverged for run in of_gan)} of {len(of_gan)} trainings: that is a result; such a "
        "cell counts as what its user falls back to, no difference."
        for gan, of_gan in sorted(runs.items())
        if any(run.diverged for run in of_gan)
    ]


def _machines(results: Results) -> list[str]:
    """Name arms for which one kind of stage ran on several kinds of machines."""
    mixed = []
    for arm, of_arm in results.cells.items():
        made = frozenset[tuple[str, str]]().union(*(cell.machines for cell in of_arm.values()))
        if len(made) > len({stage for stage, _ in made}):
            mixed.append(arm)
    if not mixed:
        return []
    return [
        f"Several kinds of processors or accelerators made the cells of {', '.join(mixed)}. What a GAN draws and "
        "what a network learns differ between them as between seeds; the numbers of other arms agree."
    ]
