"""Render what a submission would create, before anything is created: for preflight, `render` and `plan`."""

from collections.abc import Mapping, Sequence

from ganbalance.config import Experiment
from ganbalance.k8s import manifest
from ganbalance.k8s.manifest import GPU_RESOURCE, Manifest, Round
from ganbalance.pipeline import runs
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.runs import Submission
from ganbalance.pipeline.state import State

SECONDS_PER_HOUR = 3600


def jobs(
    experiment: Experiment, state: State, submission: Submission, there: Mapping[str, Manifest]
) -> list[Manifest]:  # fmt: skip
    """The driver's Job and the next of every group that is not settled, if no stage fails; `there` are those made."""
    run = state.plan.run
    made = [manifest.driver_job(run, submission.number, submission.templates[manifest.DRIVER])]
    for nodes in runs.groups(state.plan).values():
        missing = [node for node in nodes if not state.is_settled(node.name)]
        if not missing:
            continue
        width = min(submission.parallel, len(missing))
        made.append(next_job(experiment, run, submission, missing, there, parallelism=width))
    return made


def next_job(  # noqa: PLR0913 - all that a Job depends on
    experiment: Experiment, run: str, submission: Submission, nodes: Sequence[Node], there: Mapping[str, Manifest],
    *, parallelism: int,
) -> Manifest:  # fmt: skip
    """The Job of a group's next round over these nodes, as the submission's template and the experiment have it."""
    first, group = nodes[0], runs.group_of(nodes[0])
    number = 1 + max((of.number for of in map(Round.of, there.values()) if of.group == group), default=0)
    name = runs.job_name(run, group, number)
    of = Round(name, group, number, submission.number, tuple(node.name for node in nodes))
    asked = experiment.resources.of_pods(first.stage, first.program)
    return manifest.stage_job(run, of, submission.templates[first.program], asked, parallelism=parallelism)


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
