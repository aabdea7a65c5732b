"""Which pods no node is large enough for, and what is said of them."""

from typing import Any

import pytest

from ganbalance.k8s.client import Cluster, quantity
from ganbalance.k8s.preflight import nodes
from ganbalance.k8s.preflight.nodes import shortage
from tests.cluster_double import ClusterDouble

GPU = "nvidia.com/gpu"


def node(name: str = "a", *, labels: dict[str, str] | None = None, **has: str) -> dict[str, Any]:
    given = {"cpu": "4", "memory": "8130712Ki"} | {GPU if key == "gpu" else key: amount for key, amount in has.items()}
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": {}, "status": {"allocatable": given}}


def spec(*, limits: dict[str, str] | None = None, requests: dict[str, str] | None = None) -> dict[str, Any]:
    return {"containers": [{"resources": {"limits": limits or {}, "requests": requests or {}}}]}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2), ("500m", 0.5), ("0.1", 0.1), (".5", 0.5), ("8Gi", 8 * 2**30), ("1.5Gi", 3 * 2**29),
        ("8130712Ki", 8130712 * 1024), ("1k", 1000), ("1M", 10**6), ("2E", 2 * 10**18), ("2E3", 2000),
        ("1e-3", 0.001), ("1e3", 1000), ("7u", 0.000007), ("1Ei", 2**60), ("-1", -1), ("5.", 5),
    ],
)  # fmt: skip
def test_an_amount_is_read_as_kubernetes_writes_it(text: str, number: float) -> None:
    assert float(quantity(text)) == number


def test_containers_add_up_and_limits_stand_for_missing_requests() -> None:
    pod = spec(limits={"cpu": "1", "memory": "2Gi"}, requests={"cpu": "100m"})
    pod["containers"] += [{"resources": {"limits": {GPU: "1"}, "requests": {"cpu": "200m"}}}, {}]
    assert nodes.requests(pod) == {"cpu": quantity("300m"), "memory": 2 * 2**30, GPU: 1}


def test_a_pod_fits_a_node_that_has_exactly_what_it_needs() -> None:
    assert shortage(spec(requests={"cpu": "4", "memory": "8130712Ki"}, limits={GPU: "2"}), [node(gpu="2")]) == ""
    assert shortage(spec(), [node()]) == ""


def test_too_many_gpus_are_reported_with_the_node_that_has_most() -> None:
    said = "no node has nvidia.com/gpu >= 2; the most is 1 on node x"
    assert shortage(spec(limits={GPU: "2"}), [node("a"), node("x", gpu="1"), node("z")]) == said


def test_a_resource_that_no_node_knows_is_zero_of_it() -> None:
    said = "no node has nvidia.com/mig-1g.10gb >= 1; the most is 0 on node a"
    assert shortage(spec(limits={"nvidia.com/mig-1g.10gb": "1"}), [node(gpu="8")]) == said


def test_memory_is_rounded_so_that_it_never_looks_like_enough() -> None:
    said = "no node has memory >= 8192Mi; the most is 7940Mi on node a"
    assert shortage(spec(requests={"memory": "8Gi"}), [node()]) == said


def test_no_two_nodes_together_make_one() -> None:
    wanted = spec(limits={GPU: "1"}, requests={"cpu": "8"})
    said = "no node that would do otherwise has cpu >= 8; the most is 4 on node b"
    assert shortage(wanted, [node("a", cpu="16"), node("b", gpu="1")]) == said


def test_gpus_are_counted_by_resource(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    cluster_double.add({"kind": "Node"} | node("c", gpu="0"))
    without = nodes.gpus(cluster)
    assert (without.state, without.text) == ("note", "no node has any, so GANs train on CPUs")
    others = {"nvidia.com/mig-1g.10gb": "7", "example.com/tpu": "1", "hugepages-2Mi": "0"}
    for one in (node("a", gpu="2"), node("b", gpu="4", **others)):
        cluster_double.add({"kind": "Node"} | one)
    assert nodes.gpus(cluster).text == "6 nvidia.com/gpu on 2 nodes, 7 nvidia.com/mig-1g.10gb on 1 node"


def test_nodes_of_a_pool_may_be_followed_by_others() -> None:
    assert not nodes.may_grow([node()])
    assert nodes.may_grow([node(), node("b", labels={"eks.amazonaws.com/nodegroup": "cpu"})])
