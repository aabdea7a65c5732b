"""Collect what is to run on a cluster: Jobs, and the kinds of pods that they make."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ganbalance.config import PodResources
from ganbalance.k8s import connection, manifest
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.manifest import DRIVER, GROUP, PART, PROGRAMS, Manifest
from ganbalance.maintenance.doctor.checks import CheckResult
from ganbalance.pipeline.runs import Round, job_name

TRIAL_RUN = "doctor-00000000"  # of Jobs that are never created


class Pod(NamedTuple):
    """One kind of pod; `program` is what runs in it, or "driver"."""

    program: str
    spec: Manifest
    manifest: Manifest

    @property
    def containers(self) -> list[Manifest]:
        """All of them, whenever they run."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def setting(self) -> str:
        """Where its resources are set."""
        name = self.program
        return f"resources.pods.{name} of the experiment" if name in PROGRAMS else f"the PodTemplate {name}"


class PodSpecs:
    """The Jobs that are given, else those that the namespace's templates would make."""

    def __init__(self, cluster: Cluster, jobs: Sequence[Manifest]) -> None:
        self._cluster = cluster
        self.given = jobs
        self.jobs = list(jobs)

    def templates(self) -> CheckResult:
        """The manifests were applied."""
        found = connection.templates(self._cluster)
        self.jobs = list(self.given or _trials(found))
        return CheckResult(f"all {len(found)} PodTemplates are there")

    @property
    def pods(self) -> list[Pod]:
        """One for each program: its others differ in their arguments alone."""
        templates = {_program(job): job["spec"]["template"] for job in self.jobs}
        return [Pod(program, template["spec"], _pod(template)) for program, template in templates.items()]


def _trials(templates: dict[str, Manifest]) -> Iterator[Manifest]:
    yield manifest.driver_job(TRIAL_RUN, 1, templates[DRIVER])
    for program in PROGRAMS:
        name = job_name(TRIAL_RUN, program, 1)
        of = Round(job=name, group=program, number=1, submission=1, stages=("trial",), keys=("trial",))
        yield manifest.stage_job(TRIAL_RUN, of, templates[program], PodResources(), parallelism=1)


def _pod(template: Manifest) -> Manifest:
    metadata = template.get("metadata", {}) | {"generateName": "ganbalance-preflight-"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _program(job: Manifest) -> str:
    """The program that a Job runs; a group's name begins with that of its stage, which may be another."""
    labels: dict[str, str] = job["metadata"]["labels"]
    if labels.get(PART) == DRIVER:
        return DRIVER
    return manifest.program_of(job["spec"]["template"]) or labels.get(GROUP, "a stage")
