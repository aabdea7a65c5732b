"""report: every arm and seed compared, with error bars, verdicts and what is missing.

Reads   the cells (an arm at a seed), imbalance, train-gan, dataset and backbone artifacts that are committed, and of
        all others how long they took; what failed or diverged is listed as missing, and a verdict that needs it is
        withheld
        quality: features of synthetic and real images, and the images; it reads no test image
Writes  quality        quality.json: how good the synthetic images of a class at a seed are (ganbalance.metrics.quality)
        report.html    one self-contained page; report.md and figures/*.png say the same
        summary.json   the whole result as data, with its provenance
        results.csv    arm,seed,metric,value; confusion.csv  arm,seed,rule,true,predicted,count
        predictions.npz  test logits of every arm and seed, and its rules: any metric can be computed anew;
                       its keys are described at ganbalance.reporting.files.predictions
        ranking.npz    the primary metric by seed and by draw of the test images, for comparisons of several runs
        experiment.yaml  the resolved experiment; COMMIT.json last
Exit    0 done · 65 bad data · 75 try again · 78 bad configuration · 143 stopped
Try     python -m jobs.report --experiment jobs/experiments/quick.yaml --dry-run
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ganbalance.data.duplicates import twin_shares
from ganbalance.data.split import class_counts, synthetic_count
from ganbalance.metrics.quality import Sets, measure
from ganbalance.pipeline import provenance, resolution, stages
from ganbalance.pipeline.job import JobContext, program
from ganbalance.pipeline.plan import Plan
from ganbalance.reporting import collect, cost, files, page
from ganbalance.reporting.cost import Attempt
from ganbalance.reporting.layout import Report
from ganbalance.reporting.origin import origin
from ganbalance.reporting.summarise import analyse, summarise
from ganbalance.seeding import numpy_rng

S = TypeVar("S", bound=stages.Stage)

TRAININGS = (stages.TrainGan, stages.TrainNetwork)
PRESETS = Path(__file__).parent / "experiments"
MOST_COMPARED = 5000
"""Images of a set that quality is measured on; more are drawn from, since the time grows with the square."""


def quality(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Quality)
    data, split = ctx.data()
    rng = numpy_rng(ctx.seed, f"quality/{declared.class_index}")
    features = np.load(ctx.inputs["features"].path("features.npy"), mmap_mode="r", allow_pickle=False)
    of_class = data.labels == declared.class_index
    reference = np.union1d(split.held_out, split.removed)  # and no test image: each look at those is one more
    real = {
        "training": split.train[of_class[split.train]],
        "reference": reference[of_class[reference]],
        "other_training": split.train[~of_class[split.train]],
        "other_reference": reference[~of_class[reference]],
    }
    real = {name: _drawn(rows, rng) for name, rows in real.items()}
    images, its_features = data.images, features
    if "synthetic" in ctx.inputs:
        images = np.load(ctx.inputs["images"].path("images.npy"), mmap_mode="r", allow_pickle=False)
        its_features = np.load(ctx.inputs["synthetic"].path("features.npy"), mmap_mode="r", allow_pickle=False)
        rows = _drawn(np.arange(len(images)), rng)
    else:
        counts = class_counts(data.labels[split.train], len(data.class_names))
        n = synthetic_count(counts, declared.class_index, declared.drawn_again or 0)
        rows = rng.choice(real["training"], min(n, MOST_COMPARED))
    twins, copies = twin_shares(images[rows], data.images[real["training"]]) if len(rows) else (None, None)
    compared = Sets(_float64(its_features[rows]), **{name: _float64(features[rows]) for name, rows in real.items()})
    found = measure(compared, rng, twins=twins, copies=copies)
    (ctx.folder / "quality.json").write_text(json.dumps(asdict(found), indent=1, allow_nan=False) + "\n", "utf-8")
    ctx.metrics |= {"kid": found.kid, "images": found.synthetic}


def _drawn(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Take all of these rows, or draw `MOST_COMPARED` of more."""
    return np.sort(rng.permutation(rows)[:MOST_COMPARED])


def _float64(features_ND: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(features_ND, dtype=np.float64)


def report(ctx: JobContext) -> None:
    question = _question(ctx)
    results = collect.collect([*_inputs(ctx)], question)
    analysis = analyse(question, results)
    made = origin(question, ctx.inputs, provenance.here(), presets=PRESETS)
    summary = summarise(question, results, analysis, [*_attempts(ctx)], made)
    files.write(ctx.folder, results, analysis, summary, ctx.experiment)
    page.write(ctx.folder, Report(question, results, analysis, summary))
    judged = {arm: of_arm.verdict for arm, of_arm in summary.arms.items() if of_arm.verdict}
    ctx.metrics["verdicts"] = {arm: verdict.name for arm, verdict in judged.items()}
    ctx.metrics["missing_results"] = len(summary.missing_results)


def _question(ctx: JobContext) -> collect.Question:
    """Read from the plan what was asked."""
    dataset = _declared(ctx.plan, stages.Dataset)
    return collect.Question(
        experiment=ctx.experiment,
        families=dict(ctx.stage(stages.Report).families),
        labels=dataset.ids,
        keep=_declared(ctx.plan, stages.Imbalance).keep,
        fingerprint=dataset.fingerprint,
        weights_sha256=resolution.weights_sha256(ctx.experiment.classifier),
        notes=ctx.plan.notes,
    )


def _inputs(ctx: JobContext) -> Iterator[collect.Input]:
    """Yield all that the plan has the report read, with the artifacts of what is done."""
    plan, cells, labels = ctx.plan, ctx.stage(stages.Report).cells, _declared(ctx.plan, stages.Dataset).ids
    made = {name: ctx.inputs.get(role) for role, name in ctx.node.inputs.items()}
    qualities = ctx.stage(stages.Report).qualities(_declared(plan, stages.Imbalance).keep)
    for role, name in ctx.node.inputs.items():
        node = plan.node(name)
        declared = node.declared()
        if role in cells:
            arm, seed = cells[role]
            trainings = (made[one] for one in plan.upstream(name) if plan.node(one).kind in TRAININGS)
            trained = [training for training in trainings if training]
            yield collect.CellInput(role=role, artifact=made[name], arm=arm, seed=seed, trained=trained)
        elif role in qualities:
            of, c, seed = qualities[role]
            yield collect.QualityInput(role=role, artifact=made[name], arm=of, class_index=c, seed=seed)
        elif isinstance(declared, stages.TrainGan) and node.seed is not None:
            arm = plan.first_arm(name)
            label = collect.EVERY_CLASS if declared.class_index is None else labels[declared.class_index]
            yield collect.GanInput(role=role, artifact=made[name], arm=arm, label=label, seed=node.seed)
        else:
            yield collect.Input(role=role, artifact=made[name])


def _attempts(ctx: JobContext) -> Iterator[Attempt]:
    """Yield every attempt at the stages that the report reads, with the arms that need each."""
    inputs, needed_by = ctx.node.inputs, defaultdict[str, set[str]](set)
    for cell, (arm, _) in ctx.stage(stages.Report).cells.items():
        for name in {inputs[cell], *ctx.plan.upstream(inputs[cell])}:
            needed_by[name].add(arm)
    for name, role in {name: role for role, name in inputs.items()}.items():  # arms that say the same share a cell
        yield from cost.attempts(frozenset(needed_by[name]), ctx.inputs.get(role), ctx.ended.get(role, []))


def _declared(plan: Plan, kind: type[S]) -> S:
    """Find what the first stage of that kind declares."""
    return next(found for node in plan.nodes if isinstance(found := node.declared(), kind))


main = program(__doc__, {stages.Report: report, stages.Quality: quality})

if __name__ == "__main__":
    sys.exit(main())
