"""A cluster that is looked at before a run: what it has, the Jobs that are to come, what the checks find."""

import base64
from typing import Any

from ganbalance.config import PodResources
from ganbalance.k8s import connection, manifest, preflight
from ganbalance.k8s.client import Access, Cluster
from ganbalance.maintenance.doctor import Finding, findings
from tests.cluster_double import ClusterDouble, Object

GPU = "nvidia.com/gpu"
RUN = "quick-1a2b3c4d"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "hush-hush"}
APPLIED = {"PodTemplate", "ConfigMap", "ServiceAccount"}


def node(**has: str) -> Object:
    amounts = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "200Gi"}
    given = {name.replace("gpu", GPU): amount for name, amount in has.items()}
    return {
        "kind": "Node", "metadata": {"name": "x", "labels": {"nvidia.com/gpu.present": "true"}}, "spec": {},
        "status": {"allocatable": amounts | given},
    }  # fmt: skip


def secret(**data: str) -> Object:
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    return {"kind": "Secret", "metadata": {"name": "ganbalance-s3"}, "data": encoded}


def apply(double: ClusterDouble, overlay: list[Object]) -> None:
    for one in overlay:
        if one["kind"] in APPLIED:
            double.add(one | {"metadata": one["metadata"] | {"namespace": double.namespace}})
    double.add(secret(**CREDENTIALS))
    double.add(node(gpu="1"))


def cluster_of(double: ClusterDouble) -> Cluster:
    return Cluster(Access(kubeconfig=str(double.kubeconfig)), attempts=1)


def jobs(double: ClusterDouble, **asked: Any) -> list[manifest.Manifest]:
    """The driver's Job and one of train-gan that asks for such resources."""
    templates = connection.templates(cluster_of(double))
    of = manifest.Round(f"{RUN}-gan-1", "train-gan-dcgan", number=1, submission=1, stages=("a",))
    stage = manifest.stage_job(RUN, of, templates["train-gan"], PodResources(**asked), parallelism=1)
    return [manifest.driver_job(RUN, 1, templates["driver"]), stage]


def preflight_findings(double: ClusterDouble, wanted: list[manifest.Manifest] | None = None) -> dict[str, Finding]:
    """What each check finds, by its name; without Jobs, of the templates."""
    return {found.check: found for found in findings(preflight.checks(cluster_of(double), wanted or []))}


def failed(found: dict[str, Finding]) -> list[str]:
    return [name for name, finding in found.items() if finding.state == "FAIL"]


def change_template(double: ClusterDouble, name: str, **container: Any) -> None:
    template = double.object("PodTemplate", name)
    template["template"]["spec"]["containers"][0].update(container)
    double.add(template)
