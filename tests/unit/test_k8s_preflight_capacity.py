"""What is said before a run of what a cluster has for it: nodes, images, queues."""

import pytest

from ganbalance.errors import ConfigError
from ganbalance.k8s import preflight
from tests import cluster_double
from tests.cluster_double import ClusterDouble
from tests.unit.preflighted import change_template, failed, jobs, node, preflight_findings

# ---- nodes -----------------------------------------------------------------------------------------------------------


def test_gpus_that_no_node_has_are_named_with_the_setting(double: ClusterDouble) -> None:
    found = preflight_findings(double, jobs(double, gpus=2))
    assert failed(found) == ["nodes"]
    assert found["nodes"].text == "train-gan: no node has nvidia.com/gpu >= 2; the most is 1 on node x"
    assert "resources.pods.train-gan of the experiment" in found["nodes"].fix
    with pytest.raises(ConfigError, match="nothing was submitted:\n  nodes: train-gan: no node"):
        preflight.refuse(found.values())


def test_a_pool_may_grow_a_node_that_is_not_there(double: ClusterDouble) -> None:
    pooled = node(gpu="1")
    pooled["metadata"]["labels"]["karpenter.sh/nodepool"] = "cpu"
    double.add(pooled)
    assert preflight_findings(double, jobs(double, gpus=2))["nodes"].state == "warn"


def test_without_nodes_nothing_runs(double: ClusterDouble) -> None:
    double.remove("Node", "x")
    found = preflight_findings(double)["nodes"]
    assert (found.state, found.text) == ("FAIL", "the cluster has no nodes")


def test_where_a_pod_may_go_is_left_to_the_scheduler(double: ClusterDouble) -> None:
    """Labels, taints and cordons: what it says of them after a submission, `status` shows with what to do."""
    elsewhere = node(gpu="1")
    elsewhere["metadata"]["labels"] = {}
    taint = {"key": "team", "value": "other", "effect": "NoSchedule"}
    double.add(elsewhere | {"spec": {"unschedulable": True, "taints": [taint]}})
    assert preflight_findings(double, jobs(double))["nodes"].state == "ok"


# ---- images and queues -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "policy", "problem"),
    [
        ("registry.example/team/ganbalance:1.2", "IfNotPresent", ""),
        ("registry.example/team/ganbalance@sha256:0f", "Always", ""),
        ("registry.example:5000/ganbalance", "IfNotPresent", "whatever was pushed last"),
        ("registry.example/ganbalance:latest", "IfNotPresent", "whatever was pushed last"),
        ("registry.example/ganbalance:1.2", "Always", "asked for at registry.example at every start"),
        ("ganbalance:1.2", "Always", "pulled from docker.io at every start"),
        ("ganbalance:1.2", "IfNotPresent", ""),  # on the nodes or not: `status` shows what their kubelet says
    ],
)
def test_images_are_warned_of_by_what_will_happen(double: ClusterDouble, image: str, policy: str, problem: str) -> None:
    change_template(double, "report", image=image, imagePullPolicy=policy)
    found = preflight_findings(double)["images"]
    assert found.state == ("warn" if problem else "ok"), found
    assert problem in found.text
    assert bool(found.fix) == bool(problem)


def test_a_queue_without_kueue_and_without_the_queue_fails(double: ClusterDouble) -> None:
    template = double.object("PodTemplate", "train-gan")
    template["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "mine"
    double.add(template)
    found = preflight_findings(double)["queue"]
    assert found.state == "FAIL"
    assert "install or upgrade Kueue" in found.fix
    double.kinds |= cluster_double.KUEUE
    found = preflight_findings(double)["queue"]
    assert (found.state, found.text) == ("FAIL", f"namespace {double.namespace} has no LocalQueue mine")
    double.add({"kind": "LocalQueue", "metadata": {"name": "mine"}})
    assert preflight_findings(double)["queue"].state == "ok"
