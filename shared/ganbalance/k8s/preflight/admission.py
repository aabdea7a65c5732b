"""Ask the API server about every manifest before it is created: a dry run passes all admission and makes nothing."""

import re

from ganbalance.errors import ConfigError
from ganbalance.k8s.advice import TEMPLATE, fix_for
from ganbalance.k8s.client import KINDS, Cluster, RefusedError
from ganbalance.k8s.manifest import QUEUE, Manifest
from ganbalance.k8s.preflight.pod_specs import Pod, PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult
from ganbalance.plurals import plural

EXCEEDED = "exceeded quota"
SUBJECT = re.compile(r'^\S+ "[^"]*" is (?:forbidden|invalid): ')


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
        if why := _refusal(cluster, pod.manifest):
            refused.setdefault(why, []).append(pod)
    full = [why for why in refused if EXCEEDED in why]  # for now or for good: the check of the quota says
    if lasting := {why: of for why, of in refused.items() if why not in full}:
        reasons = "; ".join(f"{', '.join(pod.program for pod in of)}: {why}" for why, of in lasting.items())
        why, (first, *_) = next(iter(lasting.items()))
        raise RefusedError(f"no pod is made of {reasons}; {_fix(why, first.setting)}")
    if full:
        return CheckResult(f"pods wait for others to end: {full[-1]}", "note")
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
        found = cluster.find("LocalQueue", name)
        if found is None:
            raise ConfigError(
                f"namespace {cluster.namespace} has no LocalQueue {name}; make it "
                "(kubectl get clusterqueue lists what it can lead to), or name another in the component kueue"
            )
        for condition in found.get("status", {}).get("conditions", ()):
            if condition["type"] == "Active" and condition["status"] == "False":
                message = " ".join(condition.get("message", "").split())
                return CheckResult(f"LocalQueue {name} admits nothing: {message}", "warn", "see to its ClusterQueue")
    return CheckResult(f"LocalQueue {', '.join(names)}" if names else "Jobs wait in none")


def _refusal(cluster: Cluster, manifest: Manifest) -> str:
    """Why the API server does not take a manifest, without the subject and without advice; empty when it does."""
    try:
        cluster.create(manifest, dry_run=True)
    except RefusedError as error:
        message = str(error).partition(": ")[2].rpartition("; ")[0]
        return SUBJECT.sub("", " ".join(message.split()))
    return ""


def _fix(message: str, setting: str) -> str:
    return fix_for(message, setting) or (f"fix {setting}" if "resources" in message else f"fix that {TEMPLATE}")
