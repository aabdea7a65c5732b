"""Check the API server, the namespace, the permissions of whoever asks, and what pods take from the namespace."""

from ganbalance.errors import ConfigError
from ganbalance.k8s.advice import DEPLOY
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.connection import STORE
from ganbalance.k8s.environment import Environment, Values
from ganbalance.k8s.preflight.objects import Pod, PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult
from ganbalance.store import S3_SCHEME

OLDEST = (1, 34)
ENFORCED = "pod-security.kubernetes.io/enforce"
SUBMIT = "submit"
PERMISSIONS = {
    SUBMIT: [("create", "Job"), ("get", "Job"), ("list", "Job"), ("list", "PodTemplate")],
    "status and watch": [("list", "Pod"), ("list", "Event")],
    "logs": [("list", "Pod"), ("get", "Pod/log")],
    "cancel and clean": [("list", "Pod"), ("delete", "Job")],
    "a driver outside the cluster": [("patch", "Job"), ("create", "Event")],
}
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def version(cluster: Cluster) -> CheckResult:
    """The API server answers, and knows what the Jobs use."""
    found = cluster.version()
    text = f"Kubernetes {found[0]}.{found[1]} answers"
    if found < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return CheckResult(f"{text}, and this was tried on {oldest} and newer", "warn", f"upgrade it to {oldest}")
    return CheckResult(text)


def namespace(cluster: Cluster) -> CheckResult:
    """It is there, and not about to go."""
    name = cluster.namespace
    found = cluster.find("Namespace", name)
    if found is None:
        raise ConfigError(f"there is no namespace {name}; {DEPLOY}")
    if found.get("status", {}).get("phase") == "Terminating":
        raise ConfigError(f"namespace {name} is being deleted; wait for its end and {DEPLOY}")
    level = found["metadata"].get("labels", {}).get(ENFORCED)
    return CheckResult(f"{name} is there" + (f", Pod Security {level}" if level else ""))


def permissions(cluster: Cluster) -> CheckResult:
    """Whoever asks may do what the commands do."""
    allowed = {one: cluster.may(*one) for needed in PERMISSIONS.values() for one in needed}
    missing = {
        what: [f"{verb} {kind}" for verb, kind in needed if not allowed[verb, kind]]
        for what, needed in PERMISSIONS.items()
    }
    message = ", ".join(f"{what} cannot {' and '.join(lost)}" for what, lost in missing.items() if lost)
    fix = f"ask whoever runs the cluster for that in namespace {cluster.namespace} (k8s/README.md)"
    if missing[SUBMIT]:
        raise ConfigError(f"{message}; {fix}")
    return CheckResult(message, "warn", fix) if message else CheckResult(f"enough for {', '.join(PERMISSIONS)}")


def environment(cluster: Cluster, specs: PodSpecs) -> CheckResult:
    """Every pod's environment can be made, since a pod waits for what is missing, and leads to a store."""
    found = Environment(cluster)
    of_store: dict[str, str] = {}
    for pod in specs.pods:
        for container in pod.containers:
            given = found.variables(container)
            if not (found.hidden or found.problems or of_store):
                of_store = _of_store(given, pod)
    if problems := found.problems | of_store:
        raise ConfigError(f"{', '.join(problems)}; {', and '.join(dict.fromkeys(problems.values()))}")
    if found.hidden:
        return CheckResult(f"not checked, permission denied: {', '.join(found.hidden)}", "note")
    return CheckResult(f"{', '.join(found.sources)}: there, with what the programs need")


def _of_store(given: Values, pod: Pod) -> dict[str, str]:
    """What is wrong with a program's way to its store."""
    if not given.get(STORE, "").startswith(S3_SCHEME):
        message = f"{STORE} of {pod.program} is {given[STORE]!r}" if STORE in given else f"{pod.program} has no {STORE}"
        return {message: "set it to s3://bucket/prefix in the overlay's ConfigMap, and apply it again (make deploy)"}
    if len(present := [name for name in CREDENTIALS if name in given]) == 1:
        (other,) = set(CREDENTIALS) - set(present)
        return {f"{present[0]} is given to {pod.program} and {other} is not": f"add {other} to the Secret"}
    for name in present:
        if not given[name] or given[name] != given[name].strip():
            return {f"{name} is empty, or begins or ends with white space": "make the Secret again (echo -n)"}
    return {}
