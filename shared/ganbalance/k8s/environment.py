"""Read what containers take from ConfigMaps and Secrets, and say what is missing there. No value is shown."""

import base64
from functools import cache, partial

from ganbalance.k8s.advice import DEPLOY, MAKE_SECRET
from ganbalance.k8s.client import Cluster, ForbiddenError
from ganbalance.k8s.manifest import Manifest

Values = dict[str, str]

KINDS = {
    "configMapRef": "ConfigMap", "secretRef": "Secret", "configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret",
}  # fmt: skip


class Environment:
    """What containers are given. `problems` is what keeps their pods from starting, each with its fix."""

    def __init__(self, cluster: Cluster) -> None:
        self._namespace, self._data = cluster.namespace, cache(partial(_data, cluster))
        self.sources: dict[str, None] = {}
        self.hidden: dict[str, None] = {}  # those of the sources that whoever asks may not read
        self.problems: dict[str, str] = {}

    def variables(self, container: Manifest) -> Values:
        """A container's environment, as far as it can be read."""
        given: Values = {}
        for one in (*container.get("envFrom", ()), *container.get("env", ())):
            for ref, found in (one.get("valueFrom") or one).items():
                if ref not in KINDS:
                    continue
                values = self._read(KINDS[ref], found)
                if "key" not in found:
                    given |= values
                elif found["key"] in values:
                    given[one["name"]] = values[found["key"]]
        return given | {one["name"]: one["value"] for one in container.get("env", ()) if "value" in one}

    def _read(self, kind: str, ref: Manifest) -> Values:
        source, key = f"{kind} {ref['name']}", ref.get("key")
        self.sources[source] = None
        try:
            values = self._data(kind, ref["name"])
        except ForbiddenError:
            self.hidden[source] = None
            return {}
        if not ref.get("optional") and values is None:
            self.problems[f"no {source} in namespace {self._namespace}"] = MAKE_SECRET if kind == "Secret" else DEPLOY
        elif not ref.get("optional") and key and key not in (values or {}):
            self.problems[f"{source} has no key {key}"] = f"add the key, or {DEPLOY}"
        return values or {}


def _data(cluster: Cluster, kind: str, name: str) -> Values | None:
    """What a ConfigMap or a Secret holds, decoded; None when there is none of that name."""
    found = cluster.find(kind, name)
    if found is None or kind == "ConfigMap":
        return found and found.get("data", {})
    return {key: base64.b64decode(one).decode(errors="replace") for key, one in found.get("data", {}).items()}
