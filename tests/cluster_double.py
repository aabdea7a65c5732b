"""A Kubernetes API server in this process: real HTTP, real Status bodies, Jobs that progress when they are looked at.

    with ClusterDouble(folder) as cluster:           # or the fixture `cluster_double`
        cluster.kubeconfig                           # a file for --kubeconfig, or Access(kubeconfig=...)
        cluster.pods = StagePods(store)              # what pods do: stage_pods.py, or any (Job, index) -> Outcome of
                                                     # job_controller.py; without it they just end well
        cluster.tick()                               # let the Job controller work; every list of Jobs or Pods does too,
                                                     # unless `ticks_on_list` is False
        cluster.objects("Job"), .object("Job", name) # the state, past the API
        cluster.add(manifest), .remove("Job", name)  # and changed
        cluster.warn(pod, "FailedMount", "why")      # a Warning event
        cluster.faults.append(Fault(status=500))     # answers that are errors, connections that break: http_double.py
        cluster.deny("create", "jobs")               # RBAC: such requests are 403
        cluster.requests, .count("POST .*/jobs")     # what was asked
        cluster.allow_jobs(5)                        # a quota: more Jobs are 403
        cluster.pass_time(600)                       # everything there becomes so many seconds older
        cluster.rotate_token()                       # the kubeconfig has a new token, the old one is 401
        cluster.most_at_once                         # pods that had not ended, of all Jobs, at any time

A list has pages of what `limit` says; items of a list carry no kind, as on a real server.
"""

import base64
import copy
import json
import re
import secrets
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from tests.http_double import ApiError, Fault, Handler, Request, Server
from tests.job_controller import JobController, Outcome, always_done

Object = dict[str, Any]

NAMESPACE = "tests"
JOBS = "count/jobs.batch"
CLUSTER_WIDE = {"Namespace", "Node"}
PLURALS = {
    "api/v1": {
        "configmaps": "ConfigMap", "events": "Event", "namespaces": "Namespace", "nodes": "Node", "pods": "Pod",
        "persistentvolumeclaims": "PersistentVolumeClaim", "podtemplates": "PodTemplate",
        "resourcequotas": "ResourceQuota", "secrets": "Secret", "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apis/batch/v1": {"jobs": "Job"},
}  # fmt: skip
KUEUE = {"apis/kueue.x-k8s.io/v1beta2": {"localqueues": "LocalQueue", "workloads": "Workload"}}
GROUPS = {kind: group for group, kinds in (PLURALS | KUEUE).items() for kind in kinds.values()}
ABOUT: dict[str, Object | bytes] = {
    "/version": {"major": "1", "minor": "34+", "gitVersion": "v1.34.0"},
    "/readyz": b"ok",
}
IMMUTABLE = ("template", "completions", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "selector")


class ClusterDouble:
    """The state of the cluster, and the server in front of it."""

    def __init__(self, folder: Path, *, namespace: str = NAMESPACE, tls: ssl.SSLContext | None = None) -> None:
        self.namespace, self.kubeconfig, self._tls = namespace, folder / "kubeconfig", tls
        self.pods: Callable[[Object, int], Outcome] = always_done
        self.kinds: dict[str, dict[str, str]] = copy.deepcopy(PLURALS)  # `kinds |= KUEUE` installs Kueue
        self.ticks_on_list = True
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.token = "token-0"  # noqa: S105 - of a server that lives as long as a test
        self.logs: dict[str, bytes] = {}  # by pod
        self.lock = threading.RLock()
        self._denied: set[tuple[str, str]] = set()
        self._objects: dict[tuple[str, str, str], Object] = {}  # by kind, namespace, name
        self._version = 0
        self._jobs = JobController(self)
        self.add({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": namespace}})

    # ---- for tests -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.double = self
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self._write_kubeconfig()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def tick(self) -> None:
        """Let the Job controller, the scheduler and the kubelets do one step."""
        with self.lock:
            self._jobs.tick()

    def objects(self, kind: str) -> list[Object]:
        """Copies of all objects of a kind, by name."""
        with self.lock:
            return [copy.deepcopy(one) for key, one in sorted(self._objects.items()) if key[0] == kind]

    def object(self, kind: str, name: str) -> Object:
        return next(one for one in self.objects(kind) if one["metadata"]["name"] == name)

    def add(self, manifest: Object) -> Object:
        """Create or replace an object past the API; its namespace is the double's unless it says another."""
        with self.lock:
            made = copy.deepcopy(manifest)
            kind = made["kind"]
            home = "" if kind in CLUSTER_WIDE else made["metadata"].setdefault("namespace", self.namespace)
            self._objects[kind, home, made["metadata"]["name"]] = self._stamped(made)
            return made

    def remove(self, kind: str, name: str) -> None:
        with self.lock:
            for key in [key for key in self._objects if key[0] == kind and key[2] == name]:
                self._drop(key)

    def warn(self, about: Object, reason: str, message: str) -> None:
        """A Warning event about an object; the same again only counts up."""
        now, metadata = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", about["metadata"]
        with self.lock:
            for event in self.live("Event"):
                if event["involvedObject"].get("uid") == metadata["uid"] and event["message"] == message:
                    event |= {"count": event["count"] + 1, "lastTimestamp": now}
                    return
            self.add({
                "kind": "Event", "apiVersion": "v1", "metadata": {"name": f"{metadata['name']}.{secrets.token_hex(6)}"},
                "involvedObject": {"kind": about["kind"], "name": metadata["name"], "uid": metadata["uid"]},
                "type": "Warning", "reason": reason, "message": message, "count": 1, "firstTimestamp": now,
                "lastTimestamp": now, "source": {"component": "double"},
            })  # fmt: skip

    def deny(self, verb: str, plural: str) -> None:
        """Take a permission away: get, list, create, patch or delete of jobs, pods, pods/log, ..."""
        self._denied.add((verb, plural))

    def allow_jobs(self, n: int) -> None:
        """A quota of so many Jobs for the namespace, in place of the one before."""
        self.add({"kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {JOBS: str(n)}}})

    def pass_time(self, seconds: float) -> None:
        """Make everything older."""
        with self.lock:
            for thing in self._objects.values():
                _age(thing, timedelta(seconds=seconds))

    def rotate_token(self) -> None:
        """As when a token has expired and the kubeconfig has a fresh one."""
        self.token = f"token-{secrets.token_hex(4)}"
        self._write_kubeconfig()

    def count(self, pattern: str) -> int:
        """How many requests there were whose "METHOD /path" has the pattern."""
        return sum(re.search(pattern, str(request)) is not None for request in self.requests)

    @property
    def most_at_once(self) -> int:
        return self._jobs.most_at_once

    # ---- for the Job controller ------------------------------------------------------------------------------------

    def live(self, kind: str) -> list[Object]:
        """The objects of a kind themselves; `touch` what was changed."""
        return [one for key, one in sorted(self._objects.items()) if key[0] == kind]

    def touch(self, thing: Object) -> None:
        self._version += 1
        thing["metadata"]["resourceVersion"] = str(self._version)

    # ---- what requests do ------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> tuple[int, Object | bytes]:
        """Status and body."""
        if request.token != self.token:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        if request.path in ABOUT:
            return 200, ABOUT[request.path]
        group, home, plural, name, part = _place(request.path)
        if not plural and group in self.kinds:
            return 200, {"kind": "APIResourceList", "groupVersion": _api_version(group), "resources": []}
        kind = self.kinds.get(group, {}).get(plural)
        if kind is None or part not in ("", "log"):
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        self._authorize(request, group, home, plural, name, part)
        match request.method:
            case "POST":
                return 201, self._create(kind, group, home, request)
            case "PATCH":
                done = self._patch(kind, home, name, request.body)
            case "DELETE":
                done = self._delete(kind, home, name)
            case _ if part:
                return 200, self._log(home, name, request)
            case _:
                done = self._get(kind, home, name) if name else self._list(kind, group, home, request.query)
        return 200, done

    def _authorize(self, request: Request, group: str, home: str, plural: str, name: str, part: str) -> None:
        verbs = {"POST": "create", "PATCH": "patch", "DELETE": "delete", "GET": "get" if name else "list"}
        verb, resource = verbs[request.method], f"{plural}/{part}" if part else plural
        if (verb, resource) in self._denied:
            of, where = _api_group(group), f'in the namespace "{home}"' if home else "at the cluster scope"
            what = f"{resource}.{of}".rstrip(".") + (f' "{name}"' if name else "")
            message = f'User "tester" cannot {verb} resource "{resource}" in API group "{of}" {where}'
            raise ApiError(403, "Forbidden", f"{what} is forbidden: {message}")

    def _get(self, kind: str, home: str, name: str) -> Object:
        if found := self._objects.get((kind, home, name)):
            return found
        raise ApiError(404, "NotFound", f'{self._resource(kind)} "{name}" not found')

    def _list(self, kind: str, group: str, home: str, query: dict[str, str]) -> Object:
        if self.ticks_on_list and kind in ("Job", "Pod"):
            self._jobs.tick()
        self._count_jobs()
        after = base64.b64decode(query.get("continue", "")).decode()
        limit = int(query.get("limit") or 0)
        found = [
            one for (k, ns, name), one in sorted(self._objects.items())
            if k == kind and home in ("", ns) and name > after and _matches(one, query)
        ]  # fmt: skip
        page = found[: limit or None]
        more = base64.b64encode(page[-1]["metadata"]["name"].encode()).decode() if len(page) < len(found) else ""
        items = [{key: value for key, value in one.items() if key not in ("kind", "apiVersion")} for one in page]
        metadata = {"resourceVersion": str(self._version)} | ({"continue": more} if more else {})
        return {"kind": f"{kind}List", "apiVersion": _api_version(group), "metadata": metadata, "items": items}

    def _create(self, kind: str, group: str, home: str, request: Request) -> Object:
        made = copy.deepcopy(request.body)
        metadata = made.setdefault("metadata", {})
        if home and ("Namespace", "", home) not in self._objects:
            raise ApiError(404, "NotFound", f'namespaces "{home}" not found')
        if "generateName" in metadata:
            metadata.setdefault("name", metadata["generateName"] + secrets.token_hex(3)[:5])
        name, account = metadata.get("name", ""), made.get("spec", {}).get("serviceAccountName", "default")
        if kind == "Pod" and ("ServiceAccount", home, account) not in self._objects:
            said = f'error looking up service account {home}/{account}: serviceaccount "{account}" not found'
            raise ApiError(403, "Forbidden", f'pods "{name}" is forbidden: {said}')
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name):
            said = f'{kind} "{name}" is invalid: metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain'
            raise ApiError(422, "Invalid", said)
        if kind == "Job":
            self._count_jobs(one_more=name)  # before anybody looks whether there is one of that name
        if (kind, home, name) in self._objects:
            raise ApiError(409, "AlreadyExists", f'{self._resource(kind)} "{name}" already exists')
        made |= {"kind": kind, "apiVersion": _api_version(group)}
        if home:
            metadata["namespace"] = home
        self._stamped(made)
        if kind == "Job":
            if made["spec"].get("parallelism", 1) < 0:
                said = "spec.parallelism: Invalid value: must be greater than or equal to 0"
                raise ApiError(422, "Invalid", f'Job.batch "{name}" is invalid: {said}')
            self._jobs.admit(made)
        if request.query.get("dryRun") != "All":
            self._objects[kind, home, name] = made
        return made

    def _count_jobs(self, one_more: str = "") -> None:
        """Bring the quotas up to date. Raises what admission says where there is no room for the Job `one_more`."""
        used = len(self.live("Job"))
        for quota in self.live("ResourceQuota"):
            hard = quota["spec"]["hard"][JOBS]
            quota["status"] = {"hard": {JOBS: hard}, "used": {JOBS: str(used)}}
            if one_more and used >= int(hard):
                said = f"{quota['metadata']['name']}, requested: {JOBS}=1, used: {JOBS}={used}, limited: {JOBS}={hard}"
                raise ApiError(403, "Forbidden", f'jobs.batch "{one_more}" is forbidden: exceeded quota: {said}')

    def _patch(self, kind: str, home: str, name: str, change: Object) -> Object:
        found = self._get(kind, home, name)
        wanted = change.get("metadata", {}).get("resourceVersion", found["metadata"]["resourceVersion"])
        if wanted != found["metadata"]["resourceVersion"]:
            said = f'Operation cannot be fulfilled on {self._resource(kind)} "{name}": the object has been modified'
            raise ApiError(409, "Conflict", said)
        changed = _merged(found, change)
        frozen = [
            field for field in IMMUTABLE if kind == "Job" and changed["spec"].get(field) != found["spec"].get(field)
        ]
        if frozen:
            raise ApiError(422, "Invalid", f'Job.batch "{name}" is invalid: spec.{frozen[0]}: field is immutable')
        found.clear()
        found.update(changed)
        self.touch(found)
        return found

    def _delete(self, kind: str, home: str, name: str) -> Object:
        self._get(kind, home, name)
        self._drop((kind, home, name))
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    def _drop(self, key: tuple[str, str, str]) -> None:
        """What an object owns goes with it."""
        gone = self._objects.pop(key)["metadata"]["uid"]
        for other, thing in list(self._objects.items()):
            if any(owner["uid"] == gone for owner in thing["metadata"].get("ownerReferences", ())):
                self._drop(other)

    def _log(self, home: str, name: str, request: Request) -> bytes:
        pod = self._get("Pod", home, name)
        if pod["status"]["phase"] == "Pending":
            container = pod["spec"]["containers"][0]["name"]
            said = f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating'
            raise ApiError(400, "BadRequest", said)
        lines = self.logs.get(name, b"").splitlines(keepends=True)
        return b"".join(lines[-int(request.query.get("tailLines", 0)) :])

    def _stamped(self, made: Object) -> Object:
        metadata = made["metadata"]
        metadata.setdefault("uid", secrets.token_hex(8))
        metadata.setdefault("creationTimestamp", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        self.touch(made)
        return made

    def _resource(self, kind: str) -> str:
        group = GROUPS[kind]
        plural = next(plural for plural, of in (PLURALS | KUEUE)[group].items() if of == kind)
        return f"{plural}.{_api_group(group)}".rstrip(".")

    def _write_kubeconfig(self) -> None:
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "double",
            "clusters": [{"name": "double", "cluster": {"server": self.url}}],
            "users": [{"name": "tester", "user": {"token": self.token}}],
            "contexts": [
                {"name": "double", "context": {"cluster": "double", "user": "tester", "namespace": self.namespace}}
            ],
        }  # fmt: skip
        self.kubeconfig.write_text(json.dumps(config))  # which is YAML too


def _place(path: str) -> tuple[str, str, str, str, str]:
    """Group, namespace, plural, name and subresource of a path."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    group, rest = ("/".join(parts[:2]), parts[2:]) if parts[0] == "api" else ("/".join(parts[:3]), parts[3:])
    home = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        home, rest = rest[1], rest[2:]
    plural, name, part = (*rest, "", "", "")[:3]
    return group, home, plural, name, part


def _api_version(group: str) -> str:
    return group.partition("/")[2]


def _api_group(group: str) -> str:
    return _api_version(group).rpartition("/")[0]


def _matches(thing: Object, query: dict[str, str]) -> bool:
    labels = thing["metadata"].get("labels", {})
    for term in filter(None, query.get("labelSelector", "").split(",")):
        name, equals, value = term.partition("=")
        if (labels.get(name) != value.lstrip("=")) if equals else (name not in labels):
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        path, equals, value = re.split("(!?==?)", term, maxsplit=1)
        found: Any = thing
        for part in path.split("."):
            found = found.get(part, {})
        if (found == value) == equals.startswith("!"):
            return False
    return True


def _merged(old: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    made = dict(old) if isinstance(old, dict) else {}
    for name, value in change.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = _merged(made.get(name), value)
    return made


def _age(thing: Any, by: timedelta) -> None:
    """Move every time in an object into the past."""
    for name, value in list(thing.items() if isinstance(thing, dict) else enumerate(thing)):
        if isinstance(value, dict | list):
            _age(value, by)
        elif isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
            thing[name] = f"{datetime.fromisoformat(value) - by:%Y-%m-%dT%H:%M:%SZ}"
