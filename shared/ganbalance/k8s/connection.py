"""Reach the store of a cluster, from inside it or from outside.

A namespace says where its store is to every pod by the ConfigMap and the Secret that its templates name; the same
settings hold here. Where the endpoint is a Service of the cluster, a port-forward is open for as long as it is needed,
also when another pod takes the place of the one behind it.
"""

import base64
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.k8s.client import IN_CLUSTER, Cluster, ForbiddenError
from ganbalance.k8s.diagnosis import DEPLOY, MAKE_SECRET, not_ready
from ganbalance.k8s.manifest import DRIVER, TEMPLATES, Manifest, container_of
from ganbalance.pipeline.signals import stoppable
from ganbalance.store import S3_SCHEME
from ganbalance.store.base import CLUSTER, SECRET, SERVICE

Values = dict[str, str]
Process = subprocess.Popen[bytes]

STORE, ENDPOINT = "GANBALANCE_STORE", "AWS_ENDPOINT_URL"
READY_S, POLL_S, AGAIN_S = 30.0, 0.05, 1.0
METADATA = ("name", "labels", "annotations")  # of a template; the rest the API server adds
LOOPBACK = "127.0.0.1"
NO_PROXY = ("NO_PROXY", "no_proxy")
VIEWER, SUBMITTER = "ganbalance-viewer", "ganbalance-submitter"  # k8s/components/roles
FILES = ("_FILE", "_BUNDLE")  # settings that name a file end so: this machine has its own, if it needs any


def variables(cluster: Cluster, container: Manifest) -> tuple[Values, list[str], Values]:
    """Read a container's environment, as far as it can be read; list the sources that whoever asks may not read.

    The third is what came from a Secret: variable -> the Secret's name.
    Raises ConfigError for what is missing, which keeps pods from starting.
    """
    given, hidden, problems, secrets = Values(), list[str](), Values(), Values()
    for one in (*container.get("envFrom", ()), *container.get("env", ())):
        for ref, found in (one.get("valueFrom") or one).items():
            if not ref.startswith(("configMap", "secret")):
                continue
            kind, key = "Secret" if ref.startswith("secret") else "ConfigMap", found.get("key")
            source = f"{kind} {found['name']}"
            try:
                values = _data(cluster, kind, found["name"])
            except ForbiddenError:
                hidden.append(source)
                continue
            if values is None and not found.get("optional"):
                problems[f"no {source} in namespace {cluster.namespace}"] = MAKE_SECRET if kind == "Secret" else DEPLOY
            elif not key or (values and key in values):
                new = {one["name"]: values[key]} if values and key else values or {}
                given |= new
                secrets |= dict.fromkeys(new, found["name"]) if kind == "Secret" else {}
            elif not found.get("optional"):
                problems[f"{source} has no key {key}"] = f"add the key, or {DEPLOY}"
    if problems:
        raise ConfigError(f"{', '.join(problems)}; {', and '.join(dict.fromkeys(problems.values()))}")
    return given | {one["name"]: one["value"] for one in container.get("env", ()) if "value" in one}, hidden, secrets


def _data(cluster: Cluster, kind: str, name: str) -> Values | None:
    """Read what a ConfigMap or a Secret holds, decoded; None when there is none of that name."""
    found = cluster.find(kind, name)
    if found is None or kind == "ConfigMap":
        return found and found.get("data", {})
    return {key: base64.b64decode(one).decode(errors="replace") for key, one in found.get("data", {}).items()}


def templates(cluster: Cluster) -> dict[str, Manifest]:
    """Read the PodTemplates of the namespace by name. Raises ConfigError when one is missing."""
    found = {one["metadata"]["name"]: one for one in cluster.list("PodTemplate")}
    if missing := [name for name in TEMPLATES if name not in found]:
        raise ConfigError(f"namespace {cluster.namespace} has no PodTemplate {', '.join(missing)}; {DEPLOY}")
    plain = {name: {key: found[name]["metadata"].get(key, {}) for key in METADATA} for name in TEMPLATES}
    return {name: {"metadata": plain[name], "template": found[name]["template"]} for name in TEMPLATES}


@contextmanager
def reach(cluster: Cluster) -> Iterator[str]:
    """Provide the URL of the namespace's store; while the block lasts this process has the settings to reach it.

    They are the driver's. What may not be read is left out, and the user's own credentials have to do. Advice names
    where they are from.
    """
    settings, hidden, secrets = _of_driver(cluster)
    url = settings.get(STORE, "")
    if not url.startswith(S3_SCHEME):
        raise ConfigError(
            f"{STORE}={url!r} in namespace {cluster.namespace}: pods on several nodes share no folder, so the store of "
            "a cluster is s3://bucket/prefix; set it in the ConfigMap of the overlay and apply it again"
        )
    ours = {
        name: value for name, value in settings.items()
        if name.startswith(("AWS_", "GANBALANCE_")) and not name.endswith(FILES)
    }  # fmt: skip
    secret = secrets.get("AWS_ACCESS_KEY_ID")
    ours |= {SECRET: f"{secret} in namespace {cluster.namespace}" if secret else "", CLUSTER: cluster.flags}
    if hidden:
        with _environment(ours):
            _need_credentials(f"you may not read {', '.join(hidden)} in namespace {cluster.namespace}")
    with _forwarded(cluster, settings.get(ENDPOINT, "")) as endpoint, _environment(ours | endpoint):
        yield url


def at_fault(cluster: Cluster) -> str:
    """Say which pod or node keeps the store of a namespace from answering; empty where that cannot be seen."""
    settings = _of_driver(cluster)[0]
    service = _service(urlsplit(settings.get(ENDPOINT, "")).hostname or "", cluster.namespace)
    if service is None or service[1] != cluster.namespace:
        return ""
    causes: list[str] = []
    with suppress(ForbiddenError):
        if selector := (cluster.find("Service", service[0]) or {}).get("spec", {}).get("selector"):
            pods, events = cluster.list("Pod", selector), cluster.list("Event", fields="type=Warning")
            nobody = f"no pod is behind the Service {service[0]}; see what makes them (kubectl get deployments)"
            causes = [not_ready(pod, events) for pod in pods] or [nobody]
    fault = "" if "" in causes else "; ".join(causes)
    return fault and f"the store {settings.get(STORE)} does not answer: {fault}"


def _of_driver(cluster: Cluster) -> tuple[Values, list[str], Values]:
    """Read the driver's environment, as `variables` does."""
    return variables(cluster, container_of(templates(cluster)[DRIVER]["template"]))


def _need_credentials(why: str) -> None:
    """Raise ForbiddenError where neither the environment nor a profile has credentials for a store."""
    from ganbalance.store.schemes.s3 import credentials_source

    if not credentials_source():
        raise ForbiddenError(
            f"{why}, and this machine has no credentials for the store; set AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or ask for the Role {SUBMITTER}, which may"
        )


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Apply these settings, without the user's own profile where the cluster has credentials."""
    given = dict(os.environ)
    if "AWS_ACCESS_KEY_ID" in settings:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            os.environ.pop(name, None)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(given)


@contextmanager
def _forwarded(cluster: Cluster, endpoint: str) -> Iterator[dict[str, str]]:
    """Provide the endpoint as reached from here: itself, or the near end of a port-forward."""
    address = urlsplit(endpoint)
    service = _service(address.hostname or "", cluster.namespace)
    if service is None or IN_CLUSTER.is_dir():
        yield {}
        return
    name, namespace = service
    far = address.port or (443 if address.scheme == "https" else 80)
    where = [*cluster.access.kubectl(), "--namespace", namespace]
    command = ["kubectl", *where, "port-forward", f"service/{name}"]
    environment = dict(os.environ)  # the user's, by which a kubeconfig may log in: the block has the cluster's
    with tempfile.NamedTemporaryFile() as output:

        def start(ports: str) -> Process:
            return subprocess.Popen([*command, ports], env=environment, stdout=output, stderr=subprocess.STDOUT)

        try:
            process = start(f":{far}")
        except FileNotFoundError as error:
            raise ConfigError(
                f"the store {endpoint} is inside the cluster, and reaching it takes kubectl, which is not on the PATH; "
                "install it"
            ) from error
        try:
            with stoppable("stopped"):
                near = _near_port(process, Path(output.name), f"{namespace}/{name}")
                through = {SERVICE: f"{namespace}/{name}"} | _past_proxies()
                with _kept_up(process, partial(start, f"{near}:{far}")):
                    yield {ENDPOINT: urlunsplit(address._replace(netloc=f"{LOOPBACK}:{near}"))} | through
        finally:
            _end(process)


@contextmanager
def _kept_up(process: Process, start: Callable[[], Process]) -> Iterator[None]:
    """Start kubectl again whenever it ends within this block: it does with the pod that it forwards to."""
    over = threading.Event()

    def keep_up(process: Process) -> None:
        while not over.wait(AGAIN_S):
            if process.poll() is not None:
                process = start()
        _end(process)

    keeper = threading.Thread(target=keep_up, args=(process,), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _end(process: Process) -> None:
    process.terminate()
    process.wait(timeout=READY_S)


def _past_proxies() -> dict[str, str]:
    """Make settings that keep a proxy out of the way from this machine to itself."""
    given = [os.environ[name] for name in NO_PROXY if os.environ.get(name)]
    return dict.fromkeys(NO_PROXY, ",".join([*dict.fromkeys(given), LOOPBACK]))


def _service(host: str, namespace: str) -> tuple[str, str] | None:
    """Find name and namespace of the Service that a host name inside the cluster stands for; None for other hosts."""
    matched = re.fullmatch(r"([a-z0-9-]+)(?:\.([a-z0-9-]+)(?:\.svc(?:\.cluster\.local)?)?)?", host)
    if not matched or host == "localhost":
        return None
    name, other = matched.groups()
    if other and not host.endswith((".svc", ".svc.cluster.local", f".{namespace}")):
        return None
    return name, other or namespace


def _near_port(process: Process, output: Path, what: str) -> int:
    """Wait for the port that kubectl chooses. Raises UnavailableError when it does not get through."""
    deadline = time.monotonic() + READY_S
    while True:
        has_ended = process.poll() is not None
        printed = output.read_text("utf-8")
        if matched := re.search(r"Forwarding from 127\.0\.0\.1:(\d+) ", printed):
            return int(matched[1])
        if has_ended or time.monotonic() > deadline:
            message = " ".join(printed.split()) or f"no answer within {READY_S:.0f} s"
            if " is forbidden: " in message:
                raise ForbiddenError(f"no way to the Service {what}: {message}; ask for the Role {VIEWER}, which may")
            raise UnavailableError(f"no way to the Service {what}: {message}; see that its pod runs (kubectl get pods)")
        time.sleep(POLL_S)
