"""Check the Secrets and ConfigMaps that pods name, since a pod waits for a missing one. No value is shown."""

from functools import cache, partial

from ganbalance.errors import ConfigError
from ganbalance.k8s.client import Cluster, ForbiddenError
from ganbalance.k8s.connection import DEPLOY, STORE
from ganbalance.k8s.environment import Source, Values, data, variables
from ganbalance.k8s.preflight.pod_specs import Pod, PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult
from ganbalance.store import S3_SCHEME

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
MAKE_SECRET = "make it (k8s/README.md), or let make deploy do so"  # noqa: S105 - no password


def environment(cluster: Cluster, specs: PodSpecs) -> CheckResult:
    """Every pod's environment can be made, and leads to a store."""
    stored = cache(partial(data, cluster))
    named: dict[str, None] = {}
    hidden: dict[str, None] = {}
    problems: dict[str, str] = {}  # what is wrong -> what to do

    def read(source: Source) -> Values:
        named[str(source)] = None
        try:
            values = stored(source.kind, source.name)
        except ForbiddenError:
            hidden[str(source)] = None
            return {}
        if values is None and not source.optional:
            missing = f"no {source} in namespace {cluster.namespace}"
            problems[missing] = MAKE_SECRET if source.kind == "Secret" else DEPLOY
        elif source.key and source.key not in (values or {}) and not source.optional:
            problems[f"{source} has no key {source.key}"] = f"add the key, or {DEPLOY}"
        return values or {}

    for pod in specs.pods:
        for container in pod.containers:
            given = variables(container, read)
            problems |= {} if hidden or problems else _of_store(given, pod)
    if problems:
        raise ConfigError(f"{', '.join(problems)}; {', and '.join(dict.fromkeys(problems.values()))}")
    if hidden:
        return CheckResult(f"not checked, permission denied: {', '.join(hidden)}", "note")
    return CheckResult(f"{', '.join(named)}: there, with what the programs need")


def _of_store(given: Values, pod: Pod) -> dict[str, str]:
    """What is wrong with a program's way to its store."""
    if not given.get(STORE, "").startswith(S3_SCHEME):
        message = f"{STORE} of {pod.program} is {given[STORE]!r}" if STORE in given else f"{pod.program} has no {STORE}"
        return {message: "set it to s3://bucket/prefix in the overlay's ConfigMap, and apply it again (make deploy)"}
    if len(present := [name for name in CREDENTIALS if name in given]) == 1:
        (other,) = set(CREDENTIALS) - set(present)
        return {f"{present[0]} is given to {pod.program} and {other} is not": f"add {other} to the Secret"}
    for name in present:
        if given[name] != given[name].strip():
            return {f"{name} begins or ends with white space": "make the Secret again, without (echo -n)"}
        if not given[name]:
            return {f"{name} is empty": "make the Secret again"}
    return {}
