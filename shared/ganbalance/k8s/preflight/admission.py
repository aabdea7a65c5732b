"""Ask the API server about every manifest before it is created: a dry run passes all admission and makes nothing."""

import re
from collections.abc import Iterable

from ganbalance.errors import ConfigError
from ganbalance.k8s.client import KINDS, Cluster, ForbiddenError, RefusedError
from ganbalance.k8s.connection import DEPLOY
from ganbalance.k8s.manifest import QUEUE, Manifest
from ganbalance.k8s.preflight.pod_specs import Pod, PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult

EXCEEDED = "exceeded quota"
SUBJECT = re.compile(r'^\S+ "[^"]*" is (?:forbidden|invalid): ')
TEMPLATE = "in the pod template (k8s/base, or a patch in your overlay) and apply it again (make deploy)"
# part of the API server's message -> the fix; the first that occurs
FIXES = {
    EXCEEDED: "delete what is finished (ganbalance clean --run RUN), or raise the quota (kubectl describe quota)",
    "violates PodSecurity": f"set what it names {TEMPLATE}",
    "failed quota": f"a quota of the namespace wants them of every container, so set them {TEMPLATE}",
    " usage per ": "set {setting} within the namespace's LimitRange (kubectl describe limitrange)",
    "limit to request ratio": "set {setting} within the namespace's LimitRange (kubectl describe limitrange)",
    "PriorityClass": f"name one that exists (kubectl get priorityclass) {TEMPLATE}",
    "denied the request": "ask whoever runs the cluster what this webhook wants",
    "resources": "fix {setting}",
}


class Admission:
    """Accounts, Jobs, pods and the queue."""

    def __init__(self, cluster: Cluster, specs: PodSpecs) -> None:
        self._cluster, self._specs = cluster, specs

    def accounts(self) -> CheckResult:
        """No pod is made for a service account that is not there."""
        names = list(dict.fromkeys(pod.spec.get("serviceAccountName", "default") for pod in self._specs.pods))
        if missing := [name for name in names if self._cluster.find("ServiceAccount", name) is None]:
            raise ConfigError(
                f"no ServiceAccount {', '.join(missing)} in namespace {self._cluster.namespace}; {DEPLOY}"
            )
        return CheckResult(f"{', '.join(names)}")

    def jobs(self) -> CheckResult:
        """Each Job would be taken."""
        for job in self._specs.jobs:
            try:
                self._cluster.create(job, dry_run=True)
            except ForbiddenError:
                raise
            except RefusedError as error:
                message = _message(error)
                fix = _fix(message, "resources.pods of the experiment, or the template")
                raise RefusedError(f"the Job {job['metadata']['name']}: {message}; {fix}") from error
        return CheckResult(f"the API server takes {_counted(self._specs.jobs, 'Job')} (dry run)")

    def pods(self) -> CheckResult:
        """Each kind of pod would be taken: a Job is, whatever its pods are."""
        refused: dict[str, list[Pod]] = {}
        full = ""
        for pod in self._specs.pods:
            try:
                self._cluster.create(pod.manifest, dry_run=True)
            except ForbiddenError:
                raise
            except RefusedError as error:
                message = _message(error)
                if EXCEEDED in message:  # for now or for good: the check of the quota says
                    full = message
                else:
                    refused.setdefault(message, []).append(pod)
        if refused:
            reasons = "; ".join(f"{', '.join(pod.program for pod in pods)}: {why}" for why, pods in refused.items())
            why, (first, *_) = next(iter(refused.items()))
            raise RefusedError(f"no pod is made of {reasons}; {_fix(why, first.setting)}")
        if full:
            return CheckResult(f"pods wait for others to end: {full}", "note")
        return CheckResult(f"the API server takes {_counted(self._specs.pods, 'kind')} of pods (dry run)")

    def queue(self) -> CheckResult:
        """The queue that Jobs name is there; a Job in none of Kueue's would be suspended for ever, or not at all."""
        names = sorted({str(name) for job in self._specs.jobs if (name := job["metadata"]["labels"].get(QUEUE))})
        if not names:
            return CheckResult("Jobs wait in none")
        if not self._cluster.serves("LocalQueue"):
            group = KINDS["LocalQueue"].group.removeprefix("apis/")
            raise ConfigError(
                f"Jobs name the queue {', '.join(names)}, and this cluster has no Kueue that serves {group}; "
                "install or upgrade Kueue, or deploy without the component kueue (make deploy)"
            )
        return [self._queue(name) for name in names][-1]

    def _queue(self, name: str) -> CheckResult:
        found = self._cluster.find("LocalQueue", name)
        if found is None:
            raise ConfigError(
                f"namespace {self._cluster.namespace} has no LocalQueue {name}; make it "
                "(kubectl get clusterqueue lists what it can lead to), or name another in the component kueue"
            )
        for condition in found.get("status", {}).get("conditions", ()):
            if condition["type"] == "Active" and condition["status"] == "False":
                message = " ".join(condition.get("message", "").split())
                return CheckResult(f"LocalQueue {name} admits nothing: {message}", "warn", "see to its ClusterQueue")
        return CheckResult(f"LocalQueue {name}")


def _message(error: RefusedError) -> str:
    """Return what the API server said, without the subject and without advice."""
    message = str(error).partition(": ")[2].rpartition("; ")[0]
    return SUBJECT.sub("", " ".join(message.split()))


def _fix(message: str, setting: str) -> str:
    found = next((fix for part, fix in FIXES.items() if part in message), f"fix that {TEMPLATE}")
    return found.replace("{setting}", setting)


def _counted(things: Iterable[Pod] | Iterable[Manifest], what: str) -> str:
    n = len(list(things))
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
