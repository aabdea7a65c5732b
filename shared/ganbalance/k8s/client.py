"""Talk to the API server in plain camelCase dicts.

The only file that imports the Kubernetes library, and of that only what reads kubeconfigs and amounts and what keeps
credentials fresh: its models differ from one major version to the next, the API's JSON does not. Asking again while the
server is busy or away is urllib3's.
"""

import logging
import os
import random
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import yaml

from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.k8s.manifest import Manifest

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

NAMESPACE = "ganbalance"
DEFAULT_KUBECONFIG = "~/.kube/config"
IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ATTEMPTS = 8
LONGEST_WAIT_S = 30.0
CONNECT_S, READ_S = 10, 60
PAGE = 500
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT = 401, 403, 404, 409
BUSY = (429, 500, 502, 503, 504)


KINDS = {
    "Job": "apis/batch/v1/namespaces/{}/jobs",
    "Pod": "api/v1/namespaces/{}/pods",
    "Service": "api/v1/namespaces/{}/services",
    "PodTemplate": "api/v1/namespaces/{}/podtemplates",
    "ConfigMap": "api/v1/namespaces/{}/configmaps",
    "Secret": "api/v1/namespaces/{}/secrets",
    "Event": "api/v1/namespaces/{}/events",
    "ResourceQuota": "api/v1/namespaces/{}/resourcequotas",
    "Node": "api/v1/nodes",
    "LocalQueue": "apis/kueue.x-k8s.io/v1beta2/namespaces/{}/localqueues",
    "Workload": "apis/kueue.x-k8s.io/v1beta2/namespaces/{}/workloads",
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to reach a cluster; None means what kubectl would take, and in a pod the pod's own account."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    def kubectl(self) -> list[str]:
        """Return the same as flags of kubectl."""
        given = {"--context": self.context, "--kubeconfig": self.kubeconfig}
        return [part for flag, value in given.items() if value for part in (flag, value)]


def quantity(text: str) -> int:
    """Parse the whole number in "2", "1k"."""
    from kubernetes.utils.quantity import parse_quantity

    return int(parse_quantity(text))


class ForbiddenError(ConfigError):
    """The API server knows who asks and does not let them."""


class RefusedError(ConfigError):
    """The API server does not take a manifest."""


class QuotaError(RefusedError):
    """A quota of the namespace has no room for it now."""


class Cluster:
    """One namespace of a cluster.

    Every method raises UnavailableError while the API server does not answer, after several tries; ForbiddenError where
    a permission is missing; RefusedError for a manifest it does not take, QuotaError for one that it may take later.
    """

    def __init__(self, access: Access, *, attempts: int = ATTEMPTS) -> None:
        self.access, self._attempts = access, attempts
        self._client: Any  # an ApiClient
        self._client, self.namespace = _load(access)

    @property
    def flags(self) -> str:
        """The flags that lead here again, for the commands in messages."""
        return shlex.join(["--namespace", self.namespace, *self.access.kubectl()])

    def list(self, kind: str, labels: Mapping[str, str] | None = None, fields: str = "") -> list[Manifest]:
        """List every object of a kind with these labels; of what has namespaces, those of this one."""
        query = {"limit": PAGE, "labelSelector": ",".join(f"{name}={value}" for name, value in (labels or {}).items())}
        if fields:
            query["fieldSelector"] = fields
        found: list[Manifest] = []
        token = ""
        while True:
            url = f"{self._path(kind)}?{urlencode(query | {'continue': token})}"
            page = self._send("GET", url, f"list {KINDS[kind].rpartition('/')[2]}").json()
            found += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return found

    def find(self, kind: str, name: str) -> Manifest | None:
        """Find the object of that name, or None."""
        answer = self._send("GET", self._path(kind, name), f"read the {kind} {name}", expect=(NOT_FOUND,))
        return None if answer.status == NOT_FOUND else answer.json()

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest | None:
        """Create an object and return it, or None when there is one of that name already. A dry run makes none."""
        kind, name = manifest["kind"], manifest["metadata"].get("name", "")
        what, url = f"create the {kind} {name}", self._path(kind) + ("?dryRun=All" if dry_run else "")
        for _ in range(ATTEMPTS):
            answer = self._send("POST", url, what, manifest, expect=(CONFLICT,))
            if answer.status != CONFLICT or _status(answer).get("reason") == "AlreadyExists":
                return None if answer.status == CONFLICT else answer.json()
            time.sleep(random.random())  # noqa: S311 - two writers met at some other object, such as a quota
        raise _unavailable(what, _status(answer)["message"])

    def patch(self, kind: str, name: str, change: Manifest) -> None:
        """Merge `change` into an object; nothing happens when it is gone, or not of the resourceVersion in `change`."""
        what = f"change the {kind} {name}"
        self._send("PATCH", self._path(kind, name), what, change, expect=(NOT_FOUND, CONFLICT))

    def delete(self, kind: str, name: str) -> None:
        """Delete an object and then what it owns; nothing happens when it is gone."""
        options = {"propagationPolicy": "Background"}
        self._send("DELETE", self._path(kind, name), f"delete the {kind} {name}", options, expect=(NOT_FOUND,))

    def log(self, pod: str) -> bytes | None:
        """Read what a pod's program printed, or None when nobody knows (any more), such as a node that is gone."""
        path = f"{self._path('Pod', pod)}/log"
        # 400: the container has not started; the others: its node, which has the log, does not answer the API server
        expect = (NOT_FOUND, 400, 500, 502, 503, 504)
        answer = self._send("GET", path, f"read the log of pod {pod}", expect=expect, attempts=2)
        return answer.data if answer.status not in expect else None

    def version(self) -> tuple[int, int]:
        """Ask for the major and minor version of the API server."""
        found = self._send("GET", "/version", "ask for the version").json()
        return int(found["major"]), int("".join(filter(str.isdigit, found["minor"])))

    def _path(self, kind: str, name: str = "") -> str:
        path = "/" + KINDS[kind].format(quote(self.namespace, safe=""))
        return f"{path}/{quote(name, safe='')}" if name else path

    def _send(  # noqa: PLR0913 - a request
        self, method: str, path: str, what: str, body: Manifest | None = None, *, expect: tuple[int, ...] = (),
        attempts: int = ATTEMPTS,
    ) -> "BaseHTTPResponse":  # fmt: skip
        """Return the answer, when it is a success or one of `expect`; ask again while the server is busy or away."""
        from urllib3 import Retry, Timeout
        from urllib3.exceptions import HTTPError

        retries = Retry(
            min(attempts, self._attempts) - 1, redirect=False, allowed_methods=None, status_forcelist=BUSY,
            raise_on_status=False, backoff_factor=0.5, backoff_jitter=1.0, backoff_max=LONGEST_WAIT_S,
        )  # fmt: skip
        request = {"json": body, "retries": retries, "timeout": Timeout(connect=CONNECT_S, read=READ_S)}
        try:
            answer = self._ask(method, path, **request)
            if answer.status == UNAUTHORIZED:
                self._client = _load(self.access)[0]
                answer = self._ask(method, path, **request)
        except (HTTPError, OSError) as error:
            raise _unavailable(what, str(getattr(error, "reason", error))) from error
        if answer.status in range(200, 300) or answer.status in expect:
            return answer
        if answer.status in BUSY:
            raise _unavailable(what, _status(answer)["message"])
        raise _refusal(what, answer.status, _status(answer)["message"], self.namespace)

    def _ask(self, method: str, path: str, **request: Any) -> "BaseHTTPResponse":
        headers = {"Accept": "application/json", "User-Agent": "ganbalance"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        self._client.update_params_for_auth(headers, [], ["BearerToken"])
        url, pool = self._client.configuration.host + path, self._client.rest_client.pool_manager
        answer: BaseHTTPResponse = pool.request(method, url, headers=headers, **request)
        return answer


def _load(access: Access) -> tuple[Any, str]:
    """Make a client with fresh credentials, and find the namespace: the one given, the context's, or `ganbalance`."""
    from kubernetes import client as api
    from kubernetes.config import ConfigException, load_incluster_config
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it warns of every try
    settings = api.Configuration()
    try:
        if access.kubeconfig is None and access.context is None and IN_CLUSTER.is_dir():
            load_incluster_config(client_configuration=settings)
            namespace = (IN_CLUSTER / "namespace").read_text("utf-8").strip()
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
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        where = access.kubeconfig or f"KUBECONFIG or {DEFAULT_KUBECONFIG}"
        # what is wrong with the YAML may be said with a part of it, and there are tokens in it
        message = "it is not valid YAML" if isinstance(error, yaml.YAMLError) else " ".join(str(error).split())
        raise ConfigError(
            f"no cluster to connect to, by {where}: {message}; name one with --kubeconfig and --context, as for kubectl"
        ) from error
    return api.ApiClient(settings), access.namespace or namespace


def _refusal(what: str, status: int, said: str, namespace: str) -> ConfigError:
    message = f"cannot {what} in namespace {namespace}: {said}"
    if status == FORBIDDEN and " cannot " in said:  # admission says 403 too: quotas, Pod Security
        fix = "ask whoever runs the cluster for it (k8s/README.md has Roles), or name another --namespace"
        return ForbiddenError(f"{message}; {fix}")
    if status == UNAUTHORIZED:
        return ConfigError(f"{message}; the credentials of this kubeconfig are not (or no longer) known to the cluster")
    # the latter while the amounts of a quota that is new are counted
    is_full = status == FORBIDDEN and ("exceeded quota" in said or "status unknown for quota" in said)
    return (QuotaError if is_full else RefusedError)(f"{message}; see k8s/README.md")


def _unavailable(what: str, said: str) -> UnavailableError:
    return UnavailableError(f"cannot {what}: {said}; see that the cluster is up (kubectl get --raw /readyz)")


def _status(answer: "BaseHTTPResponse") -> dict[str, str]:
    """Read the Status that the API server sends with an error; of anything else the start, as its message."""
    with suppress(ValueError):
        if isinstance(status := answer.json(), dict) and "message" in status:
            return status
    return {"message": answer.data.decode(errors="replace")[:200]}
