"""The cluster, the namespace, what whoever asks may do there, and whether the manifests were applied."""

from ganbalance.errors import ConfigError
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.connection import DEPLOY
from ganbalance.k8s.preflight.wanted import Wanted
from ganbalance.store.doctor.checks import CheckResult

OLDEST = (1, 34)
ENFORCED = "pod-security.kubernetes.io/enforce"
SUBMIT = "submit"
RIGHTS = {
    SUBMIT: [("create", "Job"), ("get", "Job"), ("list", "Job"), ("list", "PodTemplate")],
    "status and watch": [("list", "Pod"), ("list", "Event")],
    "logs": [("list", "Pod"), ("get", "Pod/log")],
    "cancel and clean": [("list", "Pod"), ("delete", "Job")],
    "a driver outside the cluster": [("patch", "Job"), ("create", "Event")],
}


class Entrance:
    """What everything else rests on."""

    def __init__(self, cluster: Cluster, wanted: Wanted) -> None:
        self._cluster, self._wanted = cluster, wanted

    def version(self) -> CheckResult:
        """The API server answers, and knows what the Jobs use."""
        version = self._cluster.version()
        text = f"Kubernetes {version[0]}.{version[1]} answers"
        if version < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            return CheckResult(f"{text}, and this was tried on {oldest} and newer", "warn", f"upgrade it to {oldest}")
        return CheckResult(text)

    def namespace(self) -> CheckResult:
        """It is there, and not about to go."""
        name = self._cluster.namespace
        found = self._cluster.find("Namespace", name)
        if found is None:
            raise ConfigError(f"there is no namespace {name}; {DEPLOY}")
        if found.get("status", {}).get("phase") == "Terminating":
            raise ConfigError(f"namespace {name} is being deleted; wait for its end and {DEPLOY}")
        level = found["metadata"].get("labels", {}).get(ENFORCED)
        return CheckResult(f"{name} is there" + (f", Pod Security {level}" if level else ""))

    def rights(self) -> CheckResult:
        """Whoever asks may do what the commands do."""
        asked = {right: self._cluster.may(*right) for rights in RIGHTS.values() for right in rights}
        lacking = {
            what: [f"{verb} {kind}" for verb, kind in rights if not asked[verb, kind]]
            for what, rights in RIGHTS.items()
        }
        told = ", ".join(f"{what} lacks {' and '.join(missing)}" for what, missing in lacking.items() if missing)
        mend = f"ask whoever runs the cluster for that in namespace {self._cluster.namespace} (k8s/README.md)"
        if lacking[SUBMIT]:
            raise ConfigError(f"{told}; {mend}")
        return CheckResult(told, "warn", mend) if told else CheckResult(f"enough for {', '.join(RIGHTS)}")

    def templates(self) -> CheckResult:
        """The manifests were applied."""
        return CheckResult(f"all {self._wanted.read_templates()} PodTemplates are there")
