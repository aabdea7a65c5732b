"""Talk to the API server in plain camelCase dicts.

The only file that imports the Kubernetes library, and of that only what reads kubeconfigs and keeps credentials fresh:
its models differ from one major version to the next, the API's JSON does not.
"""

import json
import os
import random
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import yaml

from ganbalance.errors import ConfigError, UnavailableError

Manifest = dict[str, Any]

NAMESPACE = "ganbalance"
DEFAULT_KUBECONFIG = "~/.kube/config"
IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ATTEMPTS = 8
LONGEST_WAIT_S = 30.0
TIMEOUT_S = (10, 60)  # to connect, to read
PAGE = 500
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_MANY = 401, 403, 404, 409, 429


class _Kind(NamedTuple):
    group: str  # the path up to the namespace
    plural: str
    namespaced: bool = True


KINDS = {
    "Job": _Kind("apis/batch/v1", "jobs"),
    "Pod": _Kind("api/v1", "pods"),
    "PodTemplate": _Kind("api/v1", "podtemplates"),
    "ConfigMap": _Kind("api/v1", "configmaps"),
    "Secret": _Kind("api/v1", "secrets"),
    "Event": _Kind("api/v1", "events"),
    "ServiceAccount": _Kind("api/v1", "serviceaccounts"),
    "ResourceQuota": _Kind("api/v1", "resourcequotas"),
    "Namespace": _Kind("api/v1", "namespaces", namespaced=False),
    "Node": _Kind("api/v1", "nodes", namespaced=False),
    "LocalQueue": _Kind("apis/kueue.x-k8s.io/v1beta2", "localqueues"),
    "Workload": _Kind("apis/kueue.x-k8s.io/v1beta2", "workloads"),
    "SelfSubjectAccessReview": _Kind("apis/authorization.k8s.io/v1", "selfsubjectaccessreviews", namespaced=False),
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to reach a cluster; None means what kubectl would take, and in a pod the pod's own account."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    def kubectl(self) -> list[str]:
        """The same as flags of kubectl."""
        given = {"--context": self.context, "--kubeconfig": self.kubeconfig}
        return [part for flag, value in given.items() if value for part in (flag, value)]


class ForbiddenError(ConfigError):
    """The API server knows who asks and does not let them."""


class RefusedError(ConfigError):
    """The API server does not take a manifest."""


class Cluster:
    """One namespace of a cluster.

    Every method raises UnavailableError while the API server does not answer, after several tries; ForbiddenError where
    a permission is missing; RefusedError for a manifest it does not take.
    """

    def __init__(self, access: Access, *, attempts: int | None = None) -> None:
        self._access, self._attempts = access, attempts
        self._client: Any  # an ApiClient
        self._client, self.namespace = _load(access)

    @property
    def flags(self) -> str:
        """The flags that lead here again, for the commands in messages."""
        return shlex.join(["--namespace", self.namespace, *self._access.kubectl()])

    def list(
        self, kind: str, labels: Mapping[str, str] | None = None, fields: str = "", *, everywhere: bool = False
    ) -> list[Manifest]:
        """Every object of a kind with these labels, of this namespace or of all."""
        path = f"/{KINDS[kind].group}/{KINDS[kind].plural}" if everywhere else self._path(kind)
        query = {"limit": PAGE, "labelSelector": ",".join(f"{name}={value}" for name, value in (labels or {}).items())}
        if fields:
            query["fieldSelector"] = fields
        found: list[Manifest] = []
        token = ""
        while True:
            page = self._json("GET", path, f"list {KINDS[kind].plural}", query | {"continue": token})
            found += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return found

    def find(self, kind: str, name: str) -> Manifest | None:
        """The object of that name, or None."""
        status, body = self._send("GET", self._path(kind, name), f"read the {kind} {name}", expect=(NOT_FOUND,))
        return None if status == NOT_FOUND else json.loads(body)

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest | None:
        """The object that was made, or None when there is one of that name already. A dry run makes none."""
        kind, name = manifest["kind"], manifest["metadata"].get("name", "")
        query = {"dryRun": "All"} if dry_run else {}
        path = self._path(kind)
        status, body = self._send("POST", path, f"create the {kind} {name}", query, manifest, expect=(CONFLICT,))
        return None if status == CONFLICT else json.loads(body)

    def patch(self, kind: str, name: str, change: Manifest) -> None:
        """Merge `change` into an object; nothing happens when it is gone, or not of the resourceVersion in `change`."""
        what = f"change the {kind} {name}"
        self._send("PATCH", self._path(kind, name), what, body=change, expect=(NOT_FOUND, CONFLICT))

    def delete(self, kind: str, name: str) -> None:
        """Delete an object and then what it owns; nothing happens when it is gone."""
        options = {"propagationPolicy": "Background"}
        self._send("DELETE", self._path(kind, name), f"delete the {kind} {name}", body=options, expect=(NOT_FOUND,))

    def log(self, pod: str) -> bytes | None:
        """What a pod's program printed, or None when nobody knows (any more), such as a node that is gone."""
        path = f"{self._path('Pod', pod)}/log"
        # 400: the container has not started; the others: its node, which has the log, does not answer the API server
        expect = (NOT_FOUND, 400, 500, 502, 503, 504)
        status, body = self._send("GET", path, f"read the log of pod {pod}", expect=expect)
        return body if status not in expect else None

    def version(self) -> tuple[int, int]:
        """Major and minor version of the API server."""
        found = self._json("GET", "/version", "ask for the version")
        return int(found["major"]), int("".join(filter(str.isdigit, found["minor"])))

    def serves(self, kind: str) -> bool:
        """Whether the API server knows the group that a kind is of."""
        group = KINDS[kind].group
        return self._send("GET", f"/{group}", f"ask for {group}", expect=(NOT_FOUND,))[0] != NOT_FOUND

    def may(self, verb: str, kind: str) -> bool:
        """Whether the user has the permission for a kind, or for a part of one such as Pod/log."""
        kind, _, part = kind.partition("/")
        group, plural, namespaced = KINDS[kind]
        wanted = {"verb": verb, "resource": plural, "group": group.split("/")[1] if group.startswith("apis") else ""}
        if part:
            wanted["subresource"] = part
        if namespaced:
            wanted["namespace"] = self.namespace
        review = {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "metadata": {}, "spec": {"resourceAttributes": wanted},
        }  # fmt: skip
        made = self.create(review)
        return bool(made and made["status"]["allowed"])

    def _path(self, kind: str, name: str = "") -> str:
        group, plural, namespaced = KINDS[kind]
        place = f"/namespaces/{quote(self.namespace, safe='')}" if namespaced else ""
        return f"/{group}{place}/{plural}" + (f"/{quote(name, safe='')}" if name else "")

    def _json(self, method: str, path: str, what: str, query: Mapping[str, Any] | None = None) -> Any:
        return json.loads(self._send(method, path, what, query)[1])

    def _send(  # noqa: PLR0913 - a request
        self,
        method: str,
        path: str,
        what: str,
        query: Mapping[str, Any] | None = None,
        body: Manifest | None = None,
        expect: tuple[int, ...] = (),
    ) -> tuple[int, bytes]:
        """Status and body of the answer, asked for again while the server is busy or away."""
        wait_s = 0.0
        for attempt in range(self._attempts or ATTEMPTS):
            if attempt:
                time.sleep(wait_s or min(LONGEST_WAIT_S, 0.25 * 2**attempt) * random.uniform(0.5, 1))  # noqa: S311
            status, answer, wait_s = self._try(method, path, query, body)
            if status == UNAUTHORIZED:
                self._client = _load(self._access)[0]
                status, answer, wait_s = self._try(method, path, query, body)
            # with two writers that met at some other object, such as a quota, it is as with a busy server
            met = status == CONFLICT and method != "PATCH" and _reason(answer) != "AlreadyExists"
            is_final = status in expect and attempt > 0  # a server's error: once more, and then it is the answer
            if met or status in (0, TOO_MANY) or (status >= 500 and not is_final):  # noqa: PLR2004
                continue
            if status in range(200, 300) or status in expect:
                return status, answer
            raise _refusal(what, status, answer, self.namespace)
        message = _message(answer) if status else answer.decode()
        raise UnavailableError(f"cannot {what}: {message}; see that the cluster is up (kubectl get --raw /readyz)")

    def _try(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Manifest | None
    ) -> tuple[int, bytes, float]:
        """Status, body and how long to wait before asking again; status 0 when nobody answered."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        try:
            answer = self._client.call_api(
                path, method, query_params=list((query or {}).items()), header_params=headers, body=body,
                auth_settings=["BearerToken"], _preload_content=False, _return_http_data_only=True,
                _request_timeout=TIMEOUT_S,
            )  # fmt: skip
        except ApiException as error:
            if not error.status:
                return 0, str(error.reason).encode(), 0.0
            waits = (error.headers or {}).get("Retry-After", "")
            body_ = error.body if isinstance(error.body, bytes) else str(error.body or "").encode()
            return error.status, body_, float(waits) if waits.isdecimal() else 0.0
        except (HTTPError, OSError) as error:
            return 0, str(error).encode(), 0.0
        return answer.status, answer.data, 0.0


def _load(access: Access) -> tuple[Any, str]:
    """A client with fresh credentials, and the namespace: the one given, the context's, or `ganbalance`."""
    from kubernetes import client as api
    from kubernetes.config import load_incluster_config
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

    settings = api.Configuration()
    with _translate_errors(access):
        if access.kubeconfig is None and access.context is None and IN_CLUSTER.is_dir():
            load_incluster_config(client_configuration=settings)
            namespace = (IN_CLUSTER / "namespace").read_text().strip()
        else:
            found = KubeConfigMerger(access.kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG)
            if found.config is None:
                raise ValueError("there is no such file, or nothing in it")
            # no base path: files are named relative to the kubeconfig that names them
            loader = KubeConfigLoader(
                found.config, access.context, config_base_path=None, config_persister=found.save_changes
            )
            loader.load_and_set(settings)
            namespace = loader.current_context["context"].get("namespace") or NAMESPACE
    settings.retries = False  # how often to ask again is decided here
    return api.ApiClient(settings), access.namespace or namespace


@contextmanager
def _translate_errors(access: Access) -> Iterator[None]:
    from kubernetes.config.config_exception import ConfigException

    try:
        yield
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        where = access.kubeconfig or f"KUBECONFIG or {DEFAULT_KUBECONFIG}"
        # what is wrong with the YAML may be said with a part of it, and there are tokens in it
        message = "it is not valid YAML" if isinstance(error, yaml.YAMLError) else " ".join(str(error).split())
        raise ConfigError(
            f"no cluster to connect to, by {where}: {message}; name one with --kubeconfig and --context, as for kubectl"
        ) from error


def _refusal(what: str, status: int, answer: bytes, namespace: str) -> ConfigError:
    message = f"cannot {what} in namespace {namespace}: {_message(answer)}"
    if status == FORBIDDEN and " cannot " in message.partition(": ")[2]:  # admission says 403 too: quotas, Pod Security
        return ForbiddenError(f"{message}; ask whoever runs the cluster for it, or name another --namespace")
    if status == UNAUTHORIZED:
        return ConfigError(f"{message}; the credentials of this kubeconfig are not (or no longer) known to the cluster")
    return RefusedError(f"{message}; see k8s/README.md")


def _reason(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["reason"])
    except (ValueError, KeyError, TypeError):
        return ""


def _message(answer: bytes) -> str:
    """What the API server says in a Status, else the start of what came."""
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")[:200]
