"""Check the Secrets and ConfigMaps that pods name, since a pod waits for a missing one. No value is shown."""

import base64
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ganbalance.errors import ConfigError
from ganbalance.k8s.client import Cluster, ForbiddenError
from ganbalance.k8s.connection import DEPLOY, STORE
from ganbalance.k8s.manifest import Manifest
from ganbalance.k8s.preflight.pod_specs import Pod, PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult
from ganbalance.store import S3_SCHEME

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
ENV_FROM = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
VALUE_FROM = {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"}


class Source(NamedTuple):
    """Something that a container takes values from; `key` None: all of it."""

    kind: str
    name: str
    key: str | None
    optional: bool


class Environment:
    """The environment variables that the pods get."""

    def __init__(self, cluster: Cluster, specs: PodSpecs) -> None:
        self._cluster, self._specs = cluster, specs
        self._read: dict[tuple[str, str], dict[str, str] | None] = {}
        self._hidden: list[str] = []

    def check(self) -> CheckResult:
        """Every pod's environment can be made, and leads to a store."""
        problems: dict[str, str] = {}  # what is wrong -> what to do
        for pod in self._specs.pods:
            for container in pod.containers:
                given = self._given(container, problems)
                problems |= {} if self._hidden or problems else _of_store(given, pod)
        if problems:
            raise ConfigError(f"{', '.join(problems)}; {', and '.join(dict.fromkeys(problems.values()))}")
        if self._hidden:
            message = f"not checked, permission denied: {', '.join(dict.fromkeys(self._hidden))}"
            return CheckResult(message, "note")
        names = ", ".join(f"{kind} {name}" for kind, name in self._read)
        return CheckResult(f"{names}: there, with what the programs need")

    def _given(self, container: Manifest, problems: dict[str, str]) -> dict[str, str]:
        """A container's environment; what is missing goes to `problems`."""
        given: dict[str, str] = {}
        for source in sources(container):
            values = self._values(source.kind, source.name)
            what = f"{source.kind} {source.name}"
            if what in self._hidden:
                continue
            if values is None and not source.optional:
                problems[f"no {what} in namespace {self._cluster.namespace}"] = _making(source.kind)
            elif source.key and source.key not in (values or {}) and not source.optional:
                problems[f"{what} has no key {source.key}"] = f"add the key, or {DEPLOY}"
            given |= {name: value for name, value in (values or {}).items() if source.key in (None, name)}
        return given | {one["name"]: one["value"] for one in container.get("env", ()) if "value" in one}

    def _values(self, kind: str, name: str) -> dict[str, str] | None:
        if (kind, name) not in self._read:
            try:
                found = self._cluster.find(kind, name)
            except ForbiddenError:
                self._hidden.append(f"{kind} {name}")
                found = None
            self._read[kind, name] = None if found is None else _data(found, kind)
        return self._read[kind, name]


def sources(container: Manifest) -> Iterator[Source]:
    """What a container takes its environment from."""
    for one in container.get("envFrom", ()):
        for ref, kind in ENV_FROM.items():
            if ref in one:
                yield Source(kind, one[ref]["name"], None, one[ref].get("optional", False))
    for one in container.get("env", ()):
        for ref, kind in VALUE_FROM.items():
            if found := one.get("valueFrom", {}).get(ref):
                yield Source(kind, found["name"], found["key"], found.get("optional", False))


def _of_store(given: Mapping[str, str], pod: Pod) -> dict[str, str]:
    """What is wrong with a program's way to its store."""
    if not given.get(STORE, "").startswith(S3_SCHEME):
        message = f"{STORE} of {pod.program} is {given[STORE]!r}" if STORE in given else f"{pod.program} has no {STORE}"
        return {message: "set it to s3://bucket/prefix in the overlay's ConfigMap, and apply it again (make deploy)"}
    if len(present := [name for name in CREDENTIALS if name in given]) == 1:
        (other,) = set(CREDENTIALS) - set(present)
        return {f"{present[0]} is given to {pod.program} and {other} is not": f"add {other} to the Secret"}
    for name in CREDENTIALS:
        if name in given and given[name] != given[name].strip():
            return {f"{name} begins or ends with white space": "make the Secret again, without (echo -n)"}
        if given.get(name) == "":
            return {f"{name} is empty": "make the Secret again"}
    return {}


def _making(kind: str) -> str:
    return "make it (k8s/README.md), or let make deploy do so" if kind == "Secret" else DEPLOY


def _data(found: Manifest, kind: str) -> dict[str, str]:
    data: dict[str, str] = found.get("data", {})
    if kind == "Secret":
        return {name: base64.b64decode(value).decode(errors="replace") for name, value in data.items()}
    return data
