"""Check that a cluster can run this: one finding per check, before anything is created. Nothing is left behind.

submit checks the Jobs that it is about to create; doctor, which has none, what the templates would make. The API server
is asked about every manifest: a dry run passes all admission. Where a pod may go, and when, is the scheduler's to say,
whether an image is there the kubelet's, why a queue admits nothing Kueue's; `status` shows what they say. A permission
that is missing is named by the server when it is needed: those of submit here.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from ganbalance.config import PodResources
from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.k8s import connection, manifest
from ganbalance.k8s.client import KINDS, Cluster, ForbiddenError, QuotaError, RefusedError, quantity
from ganbalance.k8s.diagnosis import TEMPLATE, fix_for
from ganbalance.k8s.manifest import DRIVER, PART, PROGRAMS, QUEUE, Manifest, Round
from ganbalance.maintenance.doctor import Check, CheckResult, Finding
from ganbalance.pipeline.runs import job_name
from ganbalance.plurals import plural

OLDEST = (1, 34)
POOL = re.compile("nodepool|nodegroup|agentpool")  # in labels that clouds give the nodes of a pool
JOBS = "count/jobs.batch"  # in a quota
TRIAL_RUN = "doctor-00000000"  # of Jobs that are never created
SUBJECT = re.compile(r'^\S+ "[^"]*" is (?:forbidden|invalid): ')


def checks(cluster: Cluster, jobs: Sequence[Manifest]) -> list[Check]:
    """List the checks of a cluster for Jobs, or for those that its templates would make when there are none."""
    given = cluster, list(jobs)  # which the check of the templates fills
    return [
        Check("cluster", partial(_version, cluster)),
        Check("templates", partial(_templates, *given), ["cluster"]),
        Check("environment", partial(_environment, *given), ["templates"]),
        Check("jobs", partial(_jobs, *given), ["templates"]),
        Check("pods", _if_allowed(_pods, *given), ["templates"]),
        Check("queue", _if_allowed(_queue, *given), ["templates"]),
        Check("GPUs", _if_allowed(_gpus, *given), ["templates"]),
        Check("images", partial(_images, given[1]), ["templates"]),
    ]


def refuse(found: Iterable[Finding]) -> None:
    """Stop where a check failed. Raises UnavailableError when the API server is away, else ConfigError."""
    failed = [finding for finding in found if finding.state == "FAIL"]
    if not failed:
        return
    lines = [f"{one.check}: {one.text} -> fix: {one.fix}" for one in failed]
    message = "\n  ".join(["the cluster cannot run this, and nothing was submitted:", *lines])
    if any(one.exit_code == UnavailableError.exit_code for one in failed):
        raise UnavailableError(message)
    raise ConfigError(message)


def _if_allowed(check: Callable[..., CheckResult], *given: object) -> Callable[[], CheckResult]:
    """Make a note of a check that needs permissions which are not there, in place of a failure."""

    def checked() -> CheckResult:
        try:
            return check(*given)
        except ForbiddenError as error:
            return CheckResult(f"not checked, permission denied: {str(error).partition(': ')[0]}", "note")

    return checked


def _version(cluster: Cluster) -> CheckResult:
    """Check that the API server answers, and knows what the Jobs use."""
    found = cluster.version()
    text = f"Kubernetes {found[0]}.{found[1]} answers"
    if found < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return CheckResult(f"{text}, and this was tried on {oldest} and newer", "warn", f"upgrade it to {oldest}")
    return CheckResult(text)


def _templates(cluster: Cluster, jobs: list[Manifest]) -> CheckResult:
    """Check that the manifests were applied."""
    found = connection.templates(cluster)
    jobs += [] if jobs else _trials(found)
    return CheckResult(f"all {len(found)} PodTemplates are there")


def _environment(cluster: Cluster, jobs: list[Manifest]) -> CheckResult:
    """Check that every pod's environment can be made, since a pod waits for what is missing."""
    hidden = [name for one in _containers(jobs) for name in connection.variables(cluster, one)[1]]
    if hidden:
        return CheckResult(f"not checked, permission denied: {', '.join(dict.fromkeys(hidden))}", "note")
    return CheckResult("every ConfigMap and Secret is there, with the keys that pods take from it")


def _jobs(cluster: Cluster, jobs: list[Manifest]) -> CheckResult:
    """Check that each Job would be taken. Those of stages wait where a quota has no room; the driver's must not."""
    short = _shortage(cluster, len(jobs))
    for job in jobs:
        why, waits = _refusal(cluster, job)
        if why and (not waits or job["metadata"]["labels"][PART] == DRIVER):
            fix = _fix(why, "resources.pods of the experiment, or the template")
            raise RefusedError(f"the Job {job['metadata']['name']}: {why}; {short and f'{short}; '}{fix}")
    if short:
        return CheckResult(f"{short}; the others wait until there is room", "warn", fix_for(JOBS))
    return CheckResult(f"the API server takes {plural(len(jobs), 'Job')} (dry run)")


def _shortage(cluster: Cluster, needed: int) -> str:
    """Say which quota has no room for so many Jobs; empty where none is known to be in the way."""
    with suppress(ForbiddenError):  # then the driver finds out
        for quota in cluster.list("ResourceQuota"):
            hard, used = (quota.get("status", {}).get(which, {}).get(JOBS) for which in ("hard", "used"))
            if hard and used and (left := max(0, quantity(hard) - quantity(used))) < needed:
                name = quota["metadata"]["name"]
                return f"this run needs {plural(needed, 'Job')}, {left} are left by the quota {name}"
    return ""


def _pods(cluster: Cluster, jobs: list[Manifest]) -> CheckResult:
    """Check that Jobs' pods would be taken: a Job is, whatever its pods are. They wait where a quota has no room."""
    refused: dict[tuple[str, bool], list[str]] = {}
    pods = _templates_of(jobs)
    for stage, template in pods.items():
        metadata = template["metadata"] | {"generateName": "ganbalance-preflight-"}
        found = _refusal(cluster, template | {"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
        if any(found):
            refused.setdefault(found, []).append(stage)
    if not refused:
        return CheckResult(f"the API server takes {plural(len(pods), 'kind')} of pods (dry run)")
    reasons = "; ".join(f"{', '.join(of)}: {why}" for (why, _), of in refused.items())
    lasting = [(why, of[0]) for (why, waits), of in refused.items() if not waits or _never_fits(why)]
    if not lasting:
        return CheckResult(f"pods wait until there is room: {reasons}", "warn", fix_for(reasons))
    why, stage = lasting[0]
    raise RefusedError(f"no pod is made of {reasons}; {_fix(why, _setting(stage))}")


def _never_fits(why: str) -> bool:
    """Tell whether one pod alone asks for more than a quota has."""
    found = re.search(r"requested: (\S+), used: \S+, limited: (\S+)", why)
    asked, hard = (dict(one.split("=") for one in part.split(",")) for part in found.groups()) if found else ({}, {})
    return any(quantity(asked[name]) > quantity(hard[name]) for name in asked.keys() & hard.keys())


def _queue(cluster: Cluster, jobs: list[Manifest]) -> CheckResult:
    """Check that there is a Kueue for the queue that Jobs name; without it they would wait for nothing."""
    names = ", ".join(sorted({str(name) for job in jobs if (name := job["metadata"]["labels"].get(QUEUE))}))
    if not names:
        return CheckResult("Jobs wait in none")
    try:
        cluster.list("LocalQueue")
    except RefusedError as error:
        group = KINDS["LocalQueue"].removeprefix("apis/").partition("/namespaces")[0]
        raise ConfigError(
            f"Jobs name the queue {names}, and this cluster has no Kueue that serves {group}; "
            "install or upgrade Kueue, or deploy without the component kueue (make deploy)"
        ) from error
    return CheckResult(f"LocalQueue {names}")


def _gpus(cluster: Cluster, jobs: list[Manifest]) -> CheckResult:
    """Check that some node has the GPUs and other devices that each kind of pod asks for; say how many are there."""
    nodes = cluster.list("Node")
    having: dict[str, Counter[str]] = {}
    for node in nodes:
        for name, amount in node["status"]["allocatable"].items():
            if "/" in name and (n := quantity(amount)):  # a device
                having.setdefault(name, Counter())[node["metadata"]["name"]] = n
    for stage, template in _templates_of(jobs).items():
        for name, amount in manifest.container_of(template).get("resources", {}).get("limits", {}).items():
            most = max(having.get(name, Counter[str]()).values(), default=0)
            if "/" in name and quantity(amount) > most:
                text = f"{stage}: no node has {name} >= {amount}; the most is {most}"
                fix = f"ask for less in {_setting(stage)}, or add a node that has as much"
                if may_grow(nodes):
                    return CheckResult(f"{text}, unless a pool grows one that has", "warn", fix)
                raise ConfigError(f"{text}; {fix}")
    gpus = {name: of for name, of in sorted(having.items()) if "gpu" in name or "/mig-" in name}
    found = [f"{of.total():,} {name} on {plural(len(of), 'node')}" for name, of in gpus.items()]
    return CheckResult(", ".join(found)) if found else CheckResult("no node has any, so GANs train on CPUs", "note")


def may_grow(nodes: Iterable[Manifest]) -> bool:
    """Tell whether nodes come out of pools, so that one which is not there yet may hold what none of these does."""
    return any(POOL.search(label) for node in nodes for label in node["metadata"].get("labels", {}))


def _images(jobs: list[Manifest]) -> CheckResult:
    """Check that every pod of a run gets the same program."""
    named = dict.fromkeys(one["image"] for one in _containers(jobs))
    moving = [name for name in named if "@" not in name and name.rpartition("/")[2].partition(":")[2] in ("", "latest")]
    if moving:
        text = f"whatever was pushed last, so pods of one run may differ: {', '.join(moving)}"
        return CheckResult(text, "warn", "name a version: newTag in the overlay, or make push deploy TAG=...")
    return CheckResult(", ".join(named))


def _trials(templates: dict[str, Manifest]) -> Iterator[Manifest]:
    yield manifest.driver_job(TRIAL_RUN, 1, templates[DRIVER])
    for program in PROGRAMS:
        of = Round(job_name(TRIAL_RUN, program, 1), program, number=1, submission=1, stages=("trial",))
        yield manifest.stage_job(TRIAL_RUN, of, templates[program], PodResources(), parallelism=1)


def _templates_of(jobs: Iterable[Manifest]) -> dict[str, Manifest]:
    """Collect the pods of each stage, or of the driver: of a stage all get the same, but for their arguments."""
    return {manifest.stage_of(job, default=DRIVER): job["spec"]["template"] for job in jobs}


def _containers(jobs: Iterable[Manifest]) -> list[Manifest]:
    """List all containers, whenever they run."""
    specs = [template["spec"] for template in _templates_of(jobs).values()]
    return [one for spec in specs for one in (*spec.get("initContainers", ()), *spec["containers"])]


def _setting(stage: str) -> str:
    """Say where the resources of its pods are set."""
    return f"the PodTemplate {DRIVER}" if stage == DRIVER else f"resources.pods.{stage} of the experiment"


def _refusal(cluster: Cluster, wanted: Manifest) -> tuple[str, bool]:
    """Ask why the API server does not take a manifest, without subject and advice, and whether a quota may later.

    Empty and False when it does.
    """
    try:
        cluster.create(wanted, dry_run=True)
    except RefusedError as error:
        message = str(error).partition(": ")[2].rpartition("; ")[0]
        return SUBJECT.sub("", " ".join(message.split())), isinstance(error, QuotaError)
    return "", False


def _fix(message: str, setting: str) -> str:
    return fix_for(message, setting) or (f"fix {setting}" if "resources" in message else f"fix that {TEMPLATE}")
