"""Check the API server, the namespace, the permissions of whoever asks, and that the manifests were applied."""

from ganbalance.errors import ConfigError
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.connection import DEPLOY
from ganbalance.maintenance.doctor.checks import CheckResult

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
