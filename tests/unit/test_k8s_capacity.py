"""Which pods a node could ever hold, and what is said of those that none can."""

from typing import Any

import pytest

from ganbalance.k8s import capacity
from ganbalance.k8s.capacity import Devices, unschedulable

GPU = "nvidia.com/gpu"
TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}


def node(name: str = "a", *, labels: dict[str, str] | None = None, taints: Any = (), **has: str) -> dict[str, Any]:
    given = {"cpu": "4", "memory": "8130712Ki"} | {key.replace("gpu", GPU): amount for key, amount in has.items()}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": list(taints)},
        "status": {"allocatable": given},
    }


def spec(
    *, limits: dict[str, str] | None = None, requests: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    return {"containers": [{"resources": {"limits": limits or {}, "requests": requests or {}}}], **more}


def affinity(*terms: Any) -> dict[str, Any]:
    wanted = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": wanted}}


def milli(**given: float) -> dict[str, float]:
    """Amounts as they are counted: in thousandths."""
    return {name.replace("gpu", GPU): amount * 1000 for name, amount in given.items()}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2), ("500m", 0.5), ("0.1", 0.1), (".5", 0.5), ("8Gi", 8 * 2**30), ("1.5Gi", 3 * 2**29),
        ("8130712Ki", 8130712 * 1024), ("1k", 1000), ("1M", 10**6), ("2E", 2 * 10**18), ("2E3", 2000),
        ("1e-3", 0.001), ("1e3", 1000), ("7u", 0.001), ("1Ei", 2**60), ("-1", -1), ("5.", 5),
    ],
)  # fmt: skip
def test_an_amount_is_counted_in_thousandths_as_the_scheduler_does(text: str, number: float) -> None:
    assert capacity.amounts({"cpu": text}) == milli(cpu=number)


def test_containers_add_up_and_limits_stand_for_missing_requests() -> None:
    pod = spec(limits={"cpu": "1", "memory": "2Gi"}, requests={"cpu": "100m"})
    pod["containers"] += [{"resources": {"limits": {GPU: "1"}, "requests": {"cpu": "200m"}}}, {}]
    assert capacity.requests(pod) == milli(cpu=0.3, memory=2 * 2**30, gpu=1)
    assert capacity.limits(pod) == milli(cpu=1, memory=2 * 2**30, gpu=1)


def test_the_neediest_init_container_counts_when_it_needs_more_than_all_that_follow() -> None:
    pod = spec(requests={"cpu": "1", "memory": "1Gi"})
    pod["initContainers"] = [
        {"resources": {"requests": {"cpu": "2"}}},
        {"resources": {"requests": {"cpu": "500m", "memory": "512Mi"}}},
    ]
    assert capacity.requests(pod) == milli(cpu=2, memory=2**30)


def test_a_sidecar_runs_beside_what_is_started_after_it() -> None:
    pod = spec(requests={"cpu": "1"})
    pod["initContainers"] = [
        {"resources": {"requests": {"cpu": "1200m"}}},
        {"restartPolicy": "Always", "resources": {"requests": {"cpu": "250m"}}},
        {"resources": {"requests": {"cpu": "900m"}}},
    ]
    assert capacity.requests(pod) == milli(cpu=1.25)


def test_overhead_is_added_and_a_pods_own_request_stands_for_its_containers() -> None:
    pod = spec(requests={"cpu": "1", "memory": "1Gi"}, overhead={"cpu": "250m"}, resources={"requests": {"cpu": "3"}})
    assert capacity.requests(pod) == milli(cpu=3.25, memory=2**30)


def test_a_pod_fits_a_node_that_has_exactly_what_it_needs() -> None:
    assert unschedulable(spec(requests={"cpu": "4", "memory": "8130712Ki"}, limits={GPU: "2"}), [node(gpu="2")]) is None


def test_too_many_gpus_are_reported_with_the_node_that_has_most() -> None:
    found = unschedulable(spec(limits={GPU: "2"}), [node("a"), node("x", gpu="1"), node("z")])
    assert found is not None
    assert found.text == "no node has nvidia.com/gpu >= 2; the most is 1 on node x"
    assert not found.transient


def test_a_resource_that_no_node_knows_is_zero_of_it() -> None:
    found = unschedulable(spec(limits={"nvidia.com/mig-1g.10gb": "1"}), [node(gpu="8")])
    assert found is not None
    assert found.text == "no node has nvidia.com/mig-1g.10gb >= 1; the most is 0 on node a"


def test_memory_is_rounded_so_that_it_never_looks_like_enough() -> None:
    found = unschedulable(spec(requests={"memory": "8Gi"}), [node()])
    assert found is not None
    assert found.text == "no node has memory >= 8Gi; the most is 7940Mi on node a"


def test_no_two_nodes_together_make_one() -> None:
    found = unschedulable(spec(limits={GPU: "1"}, requests={"cpu": "8"}), [node("a", cpu="16"), node("b", gpu="1")])
    assert found is not None
    assert found.text == "no node that would do otherwise has cpu >= 8; the most is 4 on node b"


def test_what_every_node_runs_is_never_free() -> None:
    always = {"metadata": {"ownerReferences": [{"kind": "DaemonSet"}]}, "spec": spec(requests={"cpu": "250m"})}
    always["spec"]["nodeName"] = "a"
    other = {"metadata": {"ownerReferences": [{"kind": "ReplicaSet"}]}, "spec": always["spec"]}
    assert unschedulable(spec(requests={"cpu": "4"}), [node()], [other]) is None
    found = unschedulable(spec(requests={"cpu": "4"}), [node()], [always])
    assert found is not None
    assert found.text == "no node has cpu >= 4; the most is 3.75 on node a"
    assert unschedulable(spec(requests={"cpu": "4"}), [node(), node("b")], [always]) is None


def test_a_missing_label_is_named_with_the_command_that_sets_it() -> None:
    found = unschedulable(spec(nodeSelector={"nvidia.com/gpu.present": "true"}), [node(gpu="1")])
    assert found is not None
    assert "nvidia.com/gpu.present=true" in found.text
    assert "kubectl label node NAME nvidia.com/gpu.present=true" in found.fix


def test_a_taint_that_is_not_tolerated_is_named() -> None:
    nodes = [node("a", gpu="1", taints=[TAINT])]
    found = unschedulable(spec(limits={GPU: "1"}), nodes)
    assert found is not None
    assert "nvidia.com/gpu=present:NoSchedule" in found.text
    assert "toleration" in found.fix
    assert not found.transient


@pytest.mark.parametrize(
    "toleration",
    [
        {"operator": "Exists"},
        {"key": GPU, "operator": "Exists", "effect": "NoSchedule"},
        {"key": GPU, "operator": "Exists"},
        {"key": GPU, "value": "present"},
        {"key": GPU, "operator": "Equal", "value": "present", "effect": "NoSchedule"},
    ],
)
def test_a_taint_that_is_tolerated_is_none(toleration: dict[str, str]) -> None:
    assert unschedulable(spec(tolerations=[toleration]), [node(taints=[TAINT])]) is None


@pytest.mark.parametrize(
    "toleration",
    [
        {"key": GPU, "operator": "Exists", "effect": "NoExecute"},
        {"key": GPU},
        {"key": GPU, "value": "absent"},
        {"key": "other", "operator": "Exists"},
    ],
)
def test_another_toleration_does_not_help(toleration: dict[str, str]) -> None:
    assert unschedulable(spec(tolerations=[toleration]), [node(taints=[TAINT])]) is not None


def test_a_preference_repels_nobody() -> None:
    assert unschedulable(spec(), [node(taints=[{"key": "a", "effect": "PreferNoSchedule"}])]) is None


@pytest.mark.parametrize("taints", [[], [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]])
def test_a_cordoned_node_is_not_never(taints: list[dict[str, str]]) -> None:
    cordoned = node(taints=taints)
    cordoned["spec"]["unschedulable"] = True
    found = unschedulable(spec(), [cordoned])
    assert found is not None
    assert found.transient
    assert "uncordon" in found.fix
    assert unschedulable(spec(), [cordoned, node("b")]) is None


def test_a_node_that_is_away_and_too_small_is_never() -> None:
    away = node(taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}])
    found = unschedulable(spec(requests={"cpu": "64"}), [away])
    assert found is not None
    assert not found.transient


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ({"key": "zone", "operator": "In", "values": ["x", "y"]}, True),
        ({"key": "zone", "operator": "In", "values": ["y"]}, False),
        ({"key": "zone", "operator": "NotIn", "values": ["y"]}, True),
        ({"key": "none", "operator": "NotIn", "values": ["y"]}, True),
        ({"key": "zone", "operator": "NotIn", "values": ["x"]}, False),
        ({"key": "zone", "operator": "Exists"}, True),
        ({"key": "none", "operator": "Exists"}, False),
        ({"key": "none", "operator": "DoesNotExist"}, True),
        ({"key": "zone", "operator": "DoesNotExist"}, False),
        ({"key": "count", "operator": "Gt", "values": ["7"]}, True),
        ({"key": "count", "operator": "Gt", "values": ["8"]}, False),
        ({"key": "count", "operator": "Lt", "values": ["9"]}, True),
        ({"key": "zone", "operator": "Lt", "values": ["9"]}, False),
        ({"key": "none", "operator": "Gt", "values": ["0"]}, False),
    ],
)
def test_node_affinity_reads_as_the_scheduler_reads_it(expression: dict[str, Any], fits: bool) -> None:
    nodes = [node(labels={"zone": "x", "count": "8"})]
    assert (unschedulable(spec(**affinity({"matchExpressions": [expression]})), nodes) is None) == fits


def test_one_term_of_an_affinity_is_enough_and_an_empty_one_fits_nothing() -> None:
    other = {"matchExpressions": [{"key": "none", "operator": "Exists"}]}
    by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}
    assert unschedulable(spec(**affinity(other, by_name)), [node("a")]) is None
    assert unschedulable(spec(**affinity(other, by_name)), [node("b")]) is not None
    assert unschedulable(spec(**affinity({})), [node("a")]) is not None


def test_no_nodes_hold_nothing() -> None:
    found = unschedulable(spec(), [])
    assert found is not None
    assert found.text == "the cluster has no nodes"


def test_devices_are_counted_by_resource_and_less_those_in_use() -> None:
    nodes = [node("a", gpu="2"), node("b", gpu="4"), node("c", gpu="0")]
    nodes[1]["status"]["allocatable"] |= {"nvidia.com/mig-1g.10gb": "7", "example.com/tpu": "1", "hugepages-2Mi": "0"}
    users = [{"spec": spec(limits={GPU: "1"}, nodeName="a")}, {"spec": spec(limits={GPU: "3"})}]
    assert capacity.devices(nodes, users) == [Devices(GPU, 6, 2, 5), Devices("nvidia.com/mig-1g.10gb", 7, 1, 7)]
    assert Devices("example.com/tpu", 1, 1, None) in capacity.devices(nodes, None, ["example.com/tpu"])
    assert capacity.devices([node()], []) == []


def test_nodes_of_a_pool_may_be_followed_by_others() -> None:
    assert not capacity.may_grow([node()])
    assert capacity.may_grow([node(), node("b", labels={"eks.amazonaws.com/nodegroup": "cpu"})])
