"""Ask the API server about every manifest before it is created: a dry run passes all admission and makes nothing."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ganbalance.config import PodResources
from ganbalance.errors import ConfigError
from ganbalance.k8s import connection, manifest
from ganbalance.k8s.advice import TEMPLATE, fix_for
from ganbalance.k8s.client import KINDS, Cluster, RefusedError, quantity
from ganbalance.k8s.manifest import DRIVER, PROGRAMS, QUEUE, Manifest
from ganbalance.maintenance.doctor.checks import CheckResult
from ganbalance.pipeline import stages
from ganbalance.pipeline.runs import Round, job_name
from ganbalance.plurals import plural

TRIAL_RUN = "doctor-00000000"  # of Jobs that are never created
SUBJECT = re.compile(r'^\S+ "[^"]*" is (?:forbidden|invalid): ')
EXCEEDED = re.compile(r"exceeded quota: \S+, requested: (\S+), used: \S+, limited: (\S+)")


class Pod(NamedTuple):
    """One kind of pod; `program` is what runs in it, or "driver", or its stage where others of the program get more."""

    program: str
    template: Manifest

    @property
    def containers(self) -> list[Manifest]:
        """All of them, whenever they run."""
        spec = self.template["spec"]
        return [*spec.get("initContainers", ()), *spec["containers"]]

    @property
    def setting(self) -> str:
        """Where its resources are set."""
        name = self.program
        return f"the PodTemplate {name}" if name == DRIVER else f"resources.pods.{name} of the experiment"


class PodSpecs:
    """The Jobs that are given, else those that the namespace's templates would make."""

    def __init__(self, cluster: Cluster, jobs: Sequence[Manifest]) -> None:
        self._cluster = cluster
        self.jobs = list(jobs)

    def templates(self) -> CheckResult:
        """The manifests were applied."""
        found = connection.templates(self._cluster)
        self.jobs = self.jobs or list(_trials(found))
        return CheckResult(f"all {len(found)} PodTemplates are there")

    @property
    def pods(self) -> list[Pod]:
        """One for each program, and for each of its stages that gets other resources; the rest is arguments."""
        kinds: dict[str, list[Manifest]] = {}
        for job in self.jobs:
            stage = stages.ALL.get(manifest.stage_of(job))
            of_program = kinds.setdefault(stage.program if stage else DRIVER, [])
            if _granted(job) not in map(_granted, of_program):
                of_program.append(job)
        return [
            Pod(program if len(of_program) == 1 else manifest.stage_of(job), job["spec"]["template"])
            for program, of_program in kinds.items()
            for job in of_program
        ]


def jobs(cluster: Cluster, specs: PodSpecs) -> CheckResult:
    """Each Job would be taken."""
    for job in specs.jobs:
        if why := _refusal(cluster, job):
            fix = _fix(why, "resources.pods of the experiment, or the template")
            raise RefusedError(f"the Job {job['metadata']['name']}: {why}; {fix}")
    return CheckResult(f"the API server takes {plural(len(specs.jobs), 'Job')} (dry run)")


def pods(cluster: Cluster, specs: PodSpecs) -> CheckResult:
    """Each kind of pod would be taken: a Job is, whatever its pods are."""
    refused: dict[str, list[Pod]] = {}
    for pod in specs.pods:
        metadata = pod.template["metadata"] | {"generateName": "ganbalance-preflight-"}
        if why := _refusal(cluster, pod.template | {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}):
            refused.setdefault(why, []).append(pod)
    if lasting := {why: of for why, of in refused.items() if not _passes(why)}:
        reasons = "; ".join(f"{', '.join(pod.program for pod in of)}: {why}" for why, of in lasting.items())
        why, (first, *_) = next(iter(lasting.items()))
        raise RefusedError(f"no pod is made of {reasons}; {_fix(why, first.setting)}")
    if refused:
        return CheckResult(f"pods wait for others to end: {[*refused][-1]}", "note")
    return CheckResult(f"the API server takes {plural(len(specs.pods), 'kind')} of pods (dry run)")


def queue(cluster: Cluster, specs: PodSpecs) -> CheckResult:
    """The queue that Jobs name is there; a Job in none of Kueue's would be suspended for ever, or not at all."""
    names = sorted({str(name) for job in specs.jobs if (name := job["metadata"]["labels"].get(QUEUE))})
    if names and not cluster.serves("LocalQueue"):
        group = KINDS["LocalQueue"].group.removeprefix("apis/")
        raise ConfigError(
            f"Jobs name the queue {', '.join(names)}, and this cluster has no Kueue that serves {group}; "
            "install or upgrade Kueue, or deploy without the component kueue (make deploy)"
        )
    for name in names:
        if cluster.find("LocalQueue", name) is None:
            raise ConfigError(
                f"namespace {cluster.namespace} has no LocalQueue {name}; make it "
                "(kubectl get clusterqueue lists what it can lead to), or name another in the component kueue"
            )
    return CheckResult(f"LocalQueue {', '.join(names)}" if names else "Jobs wait in none")


def _trials(templates: dict[str, Manifest]) -> Iterator[Manifest]:
    yield manifest.driver_job(TRIAL_RUN, 1, templates[DRIVER])
    for program in PROGRAMS:
        name = job_name(TRIAL_RUN, program, 1)
        of = Round(job=name, group=program, number=1, submission=1, stages=("trial",), keys=("trial",))
        yield manifest.stage_job(TRIAL_RUN, of, templates[program], PodResources(), parallelism=1)


def _granted(job: Manifest) -> Any:
    """What its pods get, as far as an experiment can say: resources, and whether they need a GPU's node."""
    pod = job["spec"]["template"]
    return manifest.container_of(pod).get("resources"), pod["spec"].get("nodeSelector"), pod["spec"].get("tolerations")


def _refusal(cluster: Cluster, wanted: Manifest) -> str:
    """Why the API server does not take a manifest, without the subject and without advice; empty when it does."""
    try:
        cluster.create(wanted, dry_run=True)
    except RefusedError as error:
        message = str(error).partition(": ")[2].rpartition("; ")[0]
        return SUBJECT.sub("", " ".join(message.split()))
    return ""


def _passes(why: str) -> bool:
    """Whether a refusal ends by itself: a quota that is used up now, and has room for such a pod when it is not."""
    if not (exceeded := EXCEEDED.search(why)):
        return False
    requested, limited = (dict(one.split("=") for one in amounts.split(",")) for amounts in exceeded.groups())
    return all(quantity(amount) <= quantity(limited[name]) for name, amount in requested.items())


def _fix(message: str, setting: str) -> str:
    return fix_for(message, setting) or (f"fix {setting}" if "resources" in message else f"fix that {TEMPLATE}")
