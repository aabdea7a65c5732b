"""What is said before a run of what a cluster has for it: nodes, images, queues."""

import pytest

from ganbalance.errors import ConfigError
from ganbalance.k8s import preflight
from tests import cluster_double
from tests.cluster_double import ClusterDouble
from tests.unit.preflighted import change_template, failed, jobs, node, preflight_findings

# ---- GPUs ------------------------------------------------------------------------------------------------------------


def test_gpus_that_no_node_has_are_named_with_the_setting(double: ClusterDouble) -> None:
    found = preflight_findings(double, jobs(double, gpus=2))
    assert failed(found) == ["GPUs"]
    assert found["GPUs"].text == "train-gan: no node has nvidia.com/gpu >= 2; the most is 1"
    assert "resources.pods.train-gan of the experiment" in found["GPUs"].fix
    with pytest.raises(ConfigError, match="nothing was submitted:\n  GPUs: train-gan: no node"):
        preflight.refuse(found.values())
    double.add(node(gpu="2"))
    assert preflight_findings(double, jobs(double, gpus=2))["GPUs"].state == "ok"


def test_two_nodes_together_do_not_make_one(double: ClusterDouble) -> None:
    double.add(node(gpu="1") | {"metadata": {"name": "y"}})
    assert preflight_findings(double, jobs(double, gpus=2))["GPUs"].state == "FAIL"


def test_a_pool_may_grow_a_node_that_is_not_there(double: ClusterDouble) -> None:
    pooled = node(gpu="1")
    pooled["metadata"]["labels"]["karpenter.sh/nodepool"] = "cpu"
    double.add(pooled)
    assert preflight_findings(double, jobs(double, gpus=2))["GPUs"].state == "warn"


def test_gpus_are_counted_by_resource(double: ClusterDouble) -> None:
    others = {"nvidia.com/mig-1g.10gb": "7", "example.com/tpu": "1", "hugepages-2Mi": "0", "example.com/vgpu": "1k"}
    more = node(gpu="4") | {"metadata": {"name": "y"}}
    more["status"]["allocatable"] |= others
    double.add(more)
    said = "1,000 example.com/vgpu on 1 node, 5 nvidia.com/gpu on 2 nodes, 7 nvidia.com/mig-1g.10gb on 1 node"
    assert preflight_findings(double)["GPUs"].text == said
    for name in ("x", "y"):
        double.remove("Node", name)
    found = preflight_findings(double, jobs(double, gpus=0))["GPUs"]
    assert (found.state, found.text) == ("note", "no node has any, so GANs train on CPUs")


def test_other_devices_are_looked_for_too(double: ClusterDouble) -> None:
    wanted = jobs(double, gpus=0)
    limits = wanted[1]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    limits["example.com/fuse"] = "1"
    assert (
        preflight_findings(double, wanted)["GPUs"].text == "train-gan: no node has example.com/fuse >= 1; the most is 0"
    )
    double.add(node(**{"example.com/fuse": "1k"}))
    found = preflight_findings(double, wanted)["GPUs"]
    assert (found.state, found.text) == ("note", "no node has any, so GANs train on CPUs")


def test_where_a_pod_may_go_is_left_to_the_scheduler(double: ClusterDouble) -> None:
    """What it says of memory, labels, taints and cordons after a submission, `status` shows with what to do."""
    elsewhere = node(gpu="1", memory="1Mi")
    elsewhere["metadata"]["labels"] = {}
    taint = {"key": "team", "value": "other", "effect": "NoSchedule"}
    double.add(elsewhere | {"spec": {"unschedulable": True, "taints": [taint]}})
    assert preflight_findings(double, jobs(double))["GPUs"].state == "ok"


# ---- images and queues -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "policy", "problem"),
    [
        ("registry.example/team/ganbalance:1.2", "IfNotPresent", ""),
        ("registry.example/team/ganbalance@sha256:0f", "Always", ""),
        ("registry.example:5000/ganbalance", "IfNotPresent", "whatever was pushed last"),
        ("registry.example/ganbalance:latest", "IfNotPresent", "whatever was pushed last"),
        ("ganbalance:1.2", "Always", ""),  # to be had there or not: `status` shows what the kubelets say
    ],
)
def test_images_are_warned_of_by_what_will_happen(double: ClusterDouble, image: str, policy: str, problem: str) -> None:
    change_template(double, "report", image=image, imagePullPolicy=policy)
    found = preflight_findings(double)["images"]
    assert found.state == ("warn" if problem else "ok"), found
    assert problem in found.text
    assert bool(found.fix) == bool(problem)


def test_a_queue_without_kueue_fails(double: ClusterDouble) -> None:
    template = double.object("PodTemplate", "train-gan")
    template["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "mine"
    double.add(template)
    found = preflight_findings(double)["queue"]
    assert found.state == "FAIL"
    assert "install or upgrade Kueue" in found.fix
    double.kinds |= cluster_double.KUEUE
    found = preflight_findings(double)["queue"]  # whether there is such a queue, Kueue says of each Job
    assert (found.state, found.text) == ("ok", "LocalQueue mine")
