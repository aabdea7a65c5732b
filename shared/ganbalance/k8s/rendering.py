"""Render what a submission would create, before anything is created: for preflight, `render` and `plan`."""

from collections.abc import Sequence

from ganbalance.config import Experiment
from ganbalance.k8s import manifest
from ganbalance.k8s.manifest import GPU_RESOURCE, Manifest
from ganbalance.pipeline import runs
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.runs import Round, Submission
from ganbalance.pipeline.state import State

SECONDS_PER_HOUR = 3600


def jobs(experiment: Experiment, state: State, submission: Submission) -> list[Manifest]:
    """The driver's Job and the next of every group that is not settled, if no stage fails."""
    run = state.plan.run
    known = runs.round_numbers(state.artifacts.store, run)
    made = [manifest.driver_job(run, submission.number, submission.templates[manifest.DRIVER])]
    for group, nodes in runs.groups(state.plan).items():
        missing = [node for node in nodes if not state.is_settled(node.name)]
        if not missing:
            continue
        number = 1
        while runs.job_name(run, group, number) in known:
            number += 1
        of = next_round(state, submission, group, number, missing)
        made.append(stage_job(experiment, state, submission, of, parallelism=min(submission.parallel, len(missing))))
    return made


def next_round(state: State, submission: Submission, group: str, number: int, nodes: Sequence[Node]) -> Round:
    """A round of these nodes, as it is known before its Job is made."""
    return Round(
        job=runs.job_name(state.plan.run, group, number), group=group, number=number,
        submission=submission.number, stages=tuple(node.name for node in nodes),
        keys=tuple(state.key(node) for node in nodes),
    )  # fmt: skip


def stage_job(experiment: Experiment, state: State, submission: Submission, of: Round, *, parallelism: int) -> Manifest:
    """The Job of a round, as the submission's template and the experiment have it."""
    first = state.plan.node(of.stages[0])
    asked = experiment.resources.of_pods(first.stage, first.program)
    return manifest.stage_job(state.plan.run, of, submission.templates[first.program], asked, parallelism=parallelism)


def gpu_hours(experiment: Experiment, templates: dict[str, Manifest], nodes: list[Node]) -> float:
    """GPU-hours that these stages take if each runs up to its pod's deadline, once: a bound from above."""
    return sum(_gpu_hours(experiment, templates[node.program], node) for node in nodes)


def _gpu_hours(experiment: Experiment, template: Manifest, node: Node) -> float:
    resource = template["metadata"].get("annotations", {}).get(GPU_RESOURCE)
    gpus = experiment.resources.of_pods(node.stage, node.program).gpus
    if gpus is None:
        granted = manifest.container_of(template["template"]).get("resources", {})
        gpus = int(granted.get("limits", {}).get(resource, 0))
    return gpus * float(template["template"]["spec"].get("activeDeadlineSeconds", 0)) / SECONDS_PER_HOUR
