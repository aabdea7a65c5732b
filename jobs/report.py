"""report: every arm and seed compared, with error bars, verdicts and what is missing.

Reads   the cells (an arm at a seed), imbalance, train-gan, dataset and backbone artifacts that are committed, and of
        all others how long they took; what failed or diverged is listed as missing, and a verdict that needs it is
        withheld
Writes  report.html    one self-contained page; report.md and figures/*.png say the same
        summary.json   the whole result as data, with its provenance
        results.csv    arm,seed,metric,value; confusion.csv  arm,seed,rule,true,predicted,count
        predictions.npz  test logits of every arm and seed, and its rules: any metric can be computed anew;
                       its keys are described at ganbalance.reporting.files.predictions
        experiment.yaml  the resolved experiment; COMMIT.json last
Exit    0 done · 65 bad data · 75 try again · 78 bad configuration · 143 stopped
Try     python -m jobs.report --experiment jobs/experiments/quick.yaml --dry-run
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from ganbalance.pipeline import provenance, resolution, stages
from ganbalance.pipeline.job import JobContext, program
from ganbalance.pipeline.plan import Plan
from ganbalance.reporting import collect, cost, files, page
from ganbalance.reporting.cost import Attempt
from ganbalance.reporting.layout import Report
from ganbalance.reporting.origin import origin
from ganbalance.reporting.summarise import analyse, summarise

S = TypeVar("S", bound=stages.Stage)

TRAININGS = (stages.TrainGan, stages.TrainNetwork)
PRESETS = Path(__file__).parent / "experiments"


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
    """What the plan says was asked."""
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
    """All that the plan has the report read, with the artifacts of what is done."""
    plan, cells, labels = ctx.plan, ctx.stage(stages.Report).cells, _declared(ctx.plan, stages.Dataset).ids
    made = {name: ctx.inputs.get(role) for role, name in ctx.node.inputs.items()}
    for role, name in ctx.node.inputs.items():
        node = plan.node(name)
        declared = node.declared()
        if role in cells:
            arm, seed = cells[role]
            trainings = (made[one] for one in plan.upstream(name) if plan.node(one).kind in TRAININGS)
            trained = [training for training in trainings if training]
            yield collect.CellInput(role=role, artifact=made[name], arm=arm, seed=seed, trained=trained)
        elif isinstance(declared, stages.TrainGan) and node.seed is not None:
            arm = plan.first_arm(name)
            label = collect.EVERY_CLASS if declared.class_index is None else labels[declared.class_index]
            yield collect.GanInput(role=role, artifact=made[name], arm=arm, label=label, seed=node.seed)
        else:
            yield collect.Input(role=role, artifact=made[name])


def _attempts(ctx: JobContext) -> Iterator[Attempt]:
    """Every attempt at the stages that the report reads, with the arms that need each."""
    inputs, needed_by = ctx.node.inputs, defaultdict[str, set[str]](set)
    for cell, (arm, _) in ctx.stage(stages.Report).cells.items():
        for name in {inputs[cell], *ctx.plan.upstream(inputs[cell])}:
            needed_by[name].add(arm)
    for name, role in {name: role for role, name in inputs.items()}.items():  # arms that say the same share a cell
        yield from cost.attempts(frozenset(needed_by[name]), ctx.inputs.get(role), ctx.ended.get(role, []))


def _declared(plan: Plan, kind: type[S]) -> S:
    """What the first stage of that kind declares."""
    return next(found for node in plan.nodes if isinstance(found := node.declared(), kind))


main = program(__doc__, {stages.Report: report})

if __name__ == "__main__":
    sys.exit(main())
