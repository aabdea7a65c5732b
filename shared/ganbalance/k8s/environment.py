"""Read what a container takes from ConfigMaps and Secrets."""

import base64
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ganbalance.k8s.client import Cluster
from ganbalance.k8s.manifest import Manifest

Values = dict[str, str]

KINDS = {
    "configMapRef": "ConfigMap", "secretRef": "Secret", "configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret",
}  # fmt: skip


class Source(NamedTuple):
    """Where values come from; all of it, unless a `variable` gets the value of one `key`."""

    kind: str
    name: str
    optional: bool
    variable: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def variables(container: Manifest, read: Callable[[Source], Values]) -> Values:
    """A container's environment; `read` returns all of a ConfigMap or a Secret, and what it likes for one not there."""
    given: Values = {}
    for source in _sources(container):
        values = read(source)
        if source.variable is None:
            given |= values
        elif source.key in values:
            given[source.variable] = values[source.key]
    return given | {one["name"]: one["value"] for one in container.get("env", ()) if "value" in one}


def data(cluster: Cluster, kind: str, name: str) -> Values | None:
    """What a ConfigMap or a Secret holds, decoded; None when there is none of that name."""
    found = cluster.find(kind, name)
    if found is None or kind == "ConfigMap":
        return found and found.get("data", {})
    return {key: base64.b64decode(one).decode(errors="replace") for key, one in found.get("data", {}).items()}


def _sources(container: Manifest) -> Iterator[Source]:
    for one in (*container.get("envFrom", ()), *container.get("env", ())):
        for ref, found in (one.get("valueFrom") or one).items():
            if ref in KINDS:
                optional = found.get("optional", False)
                yield Source(KINDS[ref], found["name"], optional, one.get("name"), found.get("key"))
