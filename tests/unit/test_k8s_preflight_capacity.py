"""What is said before a run of what a cluster has for it: nodes, quotas, images, queues."""

from typing import Any

import pytest

from ganbalance.errors import ConfigError
from ganbalance.k8s import preflight
from tests import cluster_double
from tests.cluster_double import ClusterDouble, Object
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


def test_a_cordoned_node_is_a_warning(double: ClusterDouble) -> None:
    double.add(node(gpu="1") | {"spec": {"unschedulable": True}})
    found = preflight_findings(double)["nodes"]
    assert found.state == "warn"
    assert "uncordon" in found.fix


def test_what_a_daemon_set_takes_of_a_node_is_not_free(double: ClusterDouble) -> None:
    daemon = {"containers": [{"name": "a", "resources": {"requests": {"cpu": "500m"}}}], "nodeName": "x"}
    metadata = {"name": "d", "namespace": "kube-system", "ownerReferences": [{"kind": "DaemonSet", "uid": "u"}]}
    double.ticks_on_list = False
    double.add({"kind": "Pod", "metadata": metadata, "spec": daemon, "status": {"phase": "Running"}})
    found = preflight_findings(double, jobs(double, cpu="8"))["nodes"]
    assert found.text == "train-gan: no node has cpu >= 8; the most is 7.5 on node x"


def quota(hard: dict[str, str], used: dict[str, str] | None = None, **more: Any) -> Object:
    return {
        "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": hard, **more},
        "status": {"used": used or {}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("hard", "used", "state", "problem"),
    [
        ({"limits.memory": "100Gi"}, {}, "ok", "room in small"),
        ({"limits.memory": "4Gi"}, {}, "FAIL", "of limits.memory quota small allows 4Gi"),
        ({"limits.memory": "8Gi"}, {}, "FAIL", "a pod of train-gan beside the driver's needs 9Gi"),
        ({"limits.memory": "9Gi"}, {}, "ok", "room in small"),
        ({"memory": "2Gi"}, {}, "FAIL", "of memory quota small allows 2Gi"),
        ({"requests.nvidia.com/gpu": "0"}, {}, "FAIL", "of requests.nvidia.com/gpu quota small allows 0"),
        ({"requests.nvidia.com/gpu": "1"}, {"requests.nvidia.com/gpu": "1"}, "ok", "if nothing else runs"),
        ({"pods": "1"}, {}, "FAIL", "of pods quota small allows 1, and a pod of train-gan beside the driver's needs 2"),
        ({"count/jobs.batch": "1"}, {}, "FAIL", "quota small allows 1 Jobs, and the run has 2"),
        ({"services": "0"}, {}, "ok", "room in small"),
    ],
)
def test_a_quota_that_can_never_do_is_not_one_that_is_in_use_now(
    double: ClusterDouble, hard: dict[str, str], used: dict[str, str], state: str, problem: str
) -> None:
    double.add(quota(hard, used))
    found = preflight_findings(double, jobs(double))["quota"]
    assert (found.state, problem in found.text) == (state, True), found
    assert ("kubectl edit quota small" in found.fix) == (state == "FAIL")


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"scopes": ["NotTerminating"]}, "ok"),  # stages have a deadline, and the driver fits
        ({"scopes": ["Terminating"]}, "FAIL"),
        ({"scopes": ["BestEffort"]}, "ok"),
        ({"scopes": ["NotBestEffort"]}, "FAIL"),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, "ok"),
        (
            {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]}},
            "FAIL",
        ),
    ],
)
def test_a_quota_of_other_pods_is_none(double: ClusterDouble, more: dict[str, Any], state: str) -> None:
    double.add(quota({"limits.memory": "4Gi"}, **more))
    assert preflight_findings(double, jobs(double))["quota"].state == state


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
        ("ganbalance:1.2", "IfNotPresent", "on no node, so looked for at docker.io: ganbalance:1.2"),
        ("ganbalance:local-report", "IfNotPresent", ""),
    ],
)
def test_images_are_warned_of_by_what_will_happen(double: ClusterDouble, image: str, policy: str, problem: str) -> None:
    has = node(gpu="1")
    names = ["docker.io/library/ganbalance:local-report", "docker.io/library/ganbalance:local-cuda"]
    has["status"]["images"] = [{"names": [name]} for name in names]
    double.add(has)
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
    queue = {"kind": "LocalQueue", "metadata": {"name": "mine"}}
    double.add(queue)
    assert preflight_findings(double)["queue"].state == "ok"
    stopped = {"type": "Active", "status": "False", "message": "Can't submit new workloads to clusterQueue"}
    double.add(queue | {"status": {"conditions": [stopped]}})
    assert preflight_findings(double)["queue"].state == "warn"
