"""Make Jobs from pod templates: pure functions from dicts to dicts.

What a pod is (image, security, volumes, resources) stands in the PodTemplates of k8s/, as kustomize left them. Here a
template is copied, given its arguments and its resources, and put into a Job that knows what an exit code means.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ganbalance import __version__
from ganbalance.config import AWAY, GPUS, Experiment, PodResources
from ganbalance.errors import ConfigError, DataError, UnavailableError
from ganbalance.pipeline import runs, stages
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.runs import Submission, job_name
from ganbalance.pipeline.state import State
from ganbalance.store.base import SECRET

Manifest = dict[str, Any]

DOMAIN = "ganbalance.io"
RUN, PART, GROUP, ROUND, SUBMISSION, TEMPLATE = (
    f"{DOMAIN}/{name}" for name in ("run", "part", "group", "round", "submission", "template")
)
CAUSE, GPU_RESOURCE, INDEXES, STEPS = (f"{DOMAIN}/{name}" for name in ("cause", "gpu-resource", "stages", "steps"))
INSTANCE, VERSION, MANAGED_BY = (f"app.kubernetes.io/{name}" for name in ("instance", "version", "managed-by"))
QUEUE = "kueue.x-k8s.io/queue-name"
CONTAINER = "program"
STAGES = "--stages"
DRIVER = "driver"
PROGRAMS = ("imbalance", "train-gan", "synthesize", "train-classifier", "report")
TEMPLATES = (*PROGRAMS, DRIVER)

RETRIES_PER_INDEX = 3
DRIVER_RETRIES = 10
KEPT_S = 7 * 24 * 3600  # a finished Job, with its pods and their logs


class Round(NamedTuple):
    """One Job: `stages` by index. Which submission of the run started it says whether its failures are old.

    `steps` are those that the stages' checkpoints had reached when it was made.
    """

    job: str
    group: str
    number: int
    submission: int
    stages: tuple[str, ...]
    steps: tuple[int, ...] = ()

    @classmethod
    def of(cls, job: Manifest) -> "Round":
        """Read what a Job says of itself. Raises DataError for one that is no round, or of an older version."""
        metadata = job["metadata"]
        labels, stages = metadata.get("labels", {}), stages_of(job["spec"].get("template", {}))
        if GROUP not in labels or not stages:
            raise DataError(
                f"there is another Job {metadata['name']}, which says nothing of stages; delete it (kubectl delete job "
                f"{metadata['name']}) and resume the run"
            )
        steps = tuple(json.loads(metadata.get("annotations", {}).get(STEPS, "[]")))
        return cls(metadata["name"], labels[GROUP], int(labels[ROUND]), int(labels[SUBMISSION]), stages, steps)


def stage_job(run: str, of: Round, template: Manifest, resources: PodResources, *, parallelism: int) -> Manifest:
    """Make the Indexed Job of a round: one index per stage, as many at a time as `parallelism` says."""
    labels = {PART: "stage", RUN: run, GROUP: of.group, ROUND: str(of.number), SUBMISSION: str(of.submission)}
    spec = {
        "completionMode": "Indexed",
        "completions": len(of.stages),
        "parallelism": parallelism,
        "backoffLimitPerIndex": RETRIES_PER_INDEX,
        "maxFailedIndexes": len(of.stages),  # a stage that fails blocks what reads it, and nothing else
        "podFailurePolicy": _policy(
            FailJob=[ConfigError.exit_code], FailIndex=[DataError.exit_code], Ignore=[UnavailableError.exit_code]
        ),
    }
    made = _job(of.job, template, labels, spec, ["--run", run, STAGES, *of.stages], resources)
    indexes = "\n".join(by_index(of.stages))  # kubectl describe cuts long lines
    made["metadata"]["annotations"] |= {INDEXES: indexes, STEPS: json.dumps(of.steps)}
    return made


def driver_job(run: str, submission: int, template: Manifest) -> Manifest:
    """Make the Job of a submission's driver."""
    labels = {PART: DRIVER, RUN: run, SUBMISSION: str(submission)}
    spec = {
        "backoffLimit": DRIVER_RETRIES,
        # it has borne an outage for as long as it may
        "podFailurePolicy": _policy(FailJob=[DataError.exit_code, UnavailableError.exit_code, ConfigError.exit_code]),
    }
    arguments = ["--run", run, "--submission", str(submission)]
    return _job(job_name(run, DRIVER, submission), template, labels, spec, arguments, PodResources())


def by_index(stages: Sequence[str]) -> list[str]:
    """Write which stage each index of a Job is, for people."""
    return [f"{index}={stage}" for index, stage in enumerate(stages)]


def container_of(pod: Manifest) -> Manifest:
    """Find the container that runs the program, of a pod or of a template for one; empty when there is none."""
    return next((one for one in pod["spec"]["containers"] if one["name"] == CONTAINER), {})


def stages_of(pod: Manifest) -> tuple[str, ...]:
    """List the stages of a pod's Job, by index; none of what is no pod of a stage."""
    arguments = container_of(pod).get("args", []) if pod else []
    return tuple(arguments[arguments.index(STAGES) + 1 :]) if STAGES in arguments else ()


def stage_of(job: Manifest, default: str = "*") -> str:
    """Name the stage of a Job or of its pod; `default` where its labels do not say."""
    group = job["metadata"].get("labels", {}).get(GROUP, "")
    return max((name for name in stages.ALL if f"{group}-".startswith(f"{name}-")), key=len, default=default)


def _job(  # noqa: PLR0913 - what a Job is made of
    name: str, template: Manifest, labels: dict[str, str], spec: Manifest, arguments: list[str],
    resources: PodResources,
) -> Manifest:  # fmt: skip
    given = template["metadata"]
    labels = labels | {INSTANCE: labels[RUN], VERSION: __version__, MANAGED_BY: "ganbalance"}
    common = {name: value for name, value in given.get("labels", {}).items() if name != TEMPLATE} | labels
    # without those that are about the template as an object
    annotations = {
        name: value for name, value in given.get("annotations", {}).items()
        if "kubernetes.io/" not in name and name != GPU_RESOURCE
    }  # fmt: skip
    pods: Manifest = copy.deepcopy(template["template"])
    program = container_of(pods)
    if not program:
        raise ConfigError(
            f"the PodTemplate {given['name']} has no container {CONTAINER!r}; apply the ones in k8s/ (make deploy)"
        )
    program["args"] = arguments
    if secrets := [one["secretRef"]["name"] for one in program.get("envFrom", ()) if "secretRef" in one]:
        program["env"] = [*program.get("env", ()), {"name": SECRET, "value": " or ".join(secrets)}]
    _give(pods["spec"], program, resources, given.get("annotations", {}).get(GPU_RESOURCE))
    pods["metadata"] = {**pods.get("metadata", {}), "labels": pods.get("metadata", {}).get("labels", {}) | common}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": common, "annotations": annotations},
        "spec": spec | {"podReplacementPolicy": "Failed", "ttlSecondsAfterFinished": KEPT_S, "template": pods},
    }


def _give(spec: Manifest, program: Manifest, resources: PodResources, gpu: str | None) -> None:
    """Set what the experiment asks for; what it leaves open is the template's to say."""
    granted = program.setdefault("resources", {})
    asked = {"cpu": resources.cpu, "memory": resources.memory, "ephemeral-storage": resources.ephemeral_storage}
    for name, amount in asked.items():
        if amount is not None:
            granted.setdefault("requests", {})[name] = granted.setdefault("limits", {})[name] = amount
    if resources.gpus == 0 and gpu:
        _without_gpu(spec, granted, gpu)
    elif resources.gpus:
        if gpu is None:
            raise ConfigError(
                f"resources.pods asks for {resources.gpus} GPUs, and the pod templates of this namespace have none; "
                "deploy an overlay with the gpu component (make deploy OVERLAY=gpu)"
            )
        granted.setdefault("limits", {})[gpu] = str(resources.gpus)
        granted.get("requests", {}).pop(gpu, None)  # follows from the limit
    if (amount := granted.get("limits", {}).get(gpu)) is not None:
        program.setdefault("env", []).append({"name": GPUS, "value": str(amount)})


def _without_gpu(spec: Manifest, granted: Manifest, gpu: str) -> None:
    """Remove the GPU, and selectors in its vendor's name; others may lead to such a node, so tolerations stay."""
    vendor = gpu.partition("/")[0] + "/"
    for amounts in granted.values():
        amounts.pop(gpu, None)
    if selector := spec.get("nodeSelector"):
        spec["nodeSelector"] = {name: value for name, value in selector.items() if not name.startswith(vendor)}


def _policy(**actions: list[int]) -> Manifest:
    """Say what a pod's end means, the first rule that fits: an exit code, a node that goes away, else a counted try."""
    rules: list[Manifest] = [
        {"action": action, "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": codes}}
        for action, codes in actions.items()
    ]
    disrupted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    return {"rules": [*rules, disrupted]}


def jobs(
    experiment: Experiment, state: State, submission: Submission, there: Mapping[str, Manifest]
) -> list[Manifest]:  # fmt: skip
    """Make the driver's Job and the next of each group not settled, if no stage fails; `there` are those made."""
    made = [driver_job(state.plan.run, submission.number, submission.templates[DRIVER])]
    for nodes in runs.groups(state.plan).values():
        missing = state.unsettled(nodes)
        if not missing:
            continue
        width = min(submission.parallel, len(missing))
        made.append(next_job(experiment, state, submission, missing, there, parallelism=width))
    return made


def next_job(  # noqa: PLR0913 - all that a Job depends on
    experiment: Experiment, state: State, submission: Submission, nodes: Sequence[Node],
    there: Mapping[str, Manifest], *, parallelism: int,
) -> Manifest:  # fmt: skip
    """Make the Job of a group's next round over these nodes, as the submission's template and experiment have it."""
    first, group, run = nodes[0], runs.group_of(nodes[0]), state.plan.run
    number = 1 + max((of.number for of in map(Round.of, there.values()) if of.group == group), default=0)
    name = runs.job_name(run, group, number)
    steps = tuple(state.artifacts.step(node.stage, node.key) for node in nodes)
    of = Round(name, group, number, submission.number, tuple(node.name for node in nodes), steps)
    asked = _asked(experiment, first)
    made = stage_job(run, of, submission.templates[first.program], asked, parallelism=parallelism)
    env = container_of(made["spec"]["template"]).setdefault("env", [])
    env.append({"name": AWAY, "value": f"{submission.away_s:.0f}"})
    return made


def _asked(experiment: Experiment, node: Node) -> PodResources:
    """Say what is asked for the pods of a stage: no GPU where nothing would use it."""
    asked = experiment.resources.of_pods(node.stage, node.program)
    is_used = node.kind.uses_gpu and experiment.resources.device != "cpu"
    return asked if is_used else asked.model_copy(update={"gpus": 0})


def gpu_hours(experiment: Experiment, templates: dict[str, Manifest], nodes: list[Node]) -> float:
    """Estimate the GPU-hours that these stages take if each runs up to its pod's deadline, once: a bound from above."""
    hours = 0.0
    for node in nodes:
        template = templates[node.program]
        gpus = _asked(experiment, node).gpus
        if gpus is None:
            resource = template["metadata"].get("annotations", {}).get(GPU_RESOURCE)
            gpus = int(container_of(template["template"]).get("resources", {}).get("limits", {}).get(resource, 0))
        hours += gpus * template["template"]["spec"].get("activeDeadlineSeconds", 0) / 3600
    return hours
