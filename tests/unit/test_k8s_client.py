"""The client asks again when that can help and says what to do when it cannot."""

import json
from typing import Any

import pytest

from ganbalance.errors import UnavailableError
from ganbalance.k8s import client
from ganbalance.k8s.client import Access, Cluster, ForbiddenError, QuotaError, RefusedError
from tests.cluster_double import KUEUE, ClusterDouble
from tests.http_double import Fault
from tests.job_controller import Exits, Waits


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {}}


# ---- what it can do ------------------------------------------------------------------------------------------------


def test_a_list_has_every_page(
    cluster: Cluster, cluster_double: ClusterDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 3)
    for number in range(8):
        cluster_double.add(config_map(f"map-{number}", even=str(number % 2 == 0)))
    assert [one["metadata"]["name"] for one in cluster.list("ConfigMap")] == [f"map-{number}" for number in range(8)]
    assert cluster_double.count("GET .*/configmaps") == 3
    assert len(cluster.list("ConfigMap", {"even": "True"})) == 4
    assert cluster.list("ConfigMap", {"even": "neither"}) == []


def test_a_list_is_of_one_namespace_and_can_be_by_field(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    cluster_double.add({"kind": "Event", "metadata": {"name": "far", "namespace": "elsewhere"}, "type": "one"})
    assert cluster.list("Event") == []
    for name in ("one", "two"):
        cluster_double.add({"kind": "Event", "metadata": {"name": name}, "type": name})
    assert [one["type"] for one in cluster.list("Event", fields="type=one")] == ["one"]


def test_what_is_there_is_not_created_again(cluster: Cluster) -> None:
    assert cluster.create(config_map("one")) is not None
    assert cluster.create(config_map("one")) is None


def test_a_dry_run_creates_nothing_and_still_meets_what_is_there(cluster: Cluster) -> None:
    assert cluster.create(config_map("one"), dry_run=True) is not None
    assert cluster.find("ConfigMap", "one") is None
    cluster.create(config_map("one"))
    assert cluster.create(config_map("one"), dry_run=True) is None


def test_a_change_is_merged(cluster: Cluster) -> None:
    cluster.create(config_map("one", a="1", b="2"))
    cluster.patch("ConfigMap", "one", {"metadata": {"labels": {"a": None, "c": "3"}}})
    found = cluster.find("ConfigMap", "one")
    assert found is not None
    assert found["metadata"]["labels"] == {"b": "2", "c": "3"}


def test_a_change_of_something_that_is_gone_or_has_changed_does_nothing(cluster: Cluster, naps: list[float]) -> None:
    cluster.patch("ConfigMap", "one", {"data": {"x": "1"}})
    cluster.create(config_map("one"))
    cluster.patch("ConfigMap", "one", {"metadata": {"resourceVersion": "0"}, "data": {"x": "1"}})
    found = cluster.find("ConfigMap", "one")
    assert found is not None
    assert found["data"] == {}
    assert naps == []


def test_with_a_job_go_its_pods(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    pods = {"metadata": {}, "spec": {"containers": [{"name": "program"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": pods}}
    cluster.create(job)
    cluster_double.tick()
    assert len(cluster.list("Pod")) == 1
    cluster.delete("Job", "job")
    assert cluster.list("Pod") == []
    (request,) = [request for request in cluster_double.requests if request.method == "DELETE"]
    assert request.body == {"propagationPolicy": "Background"}
    cluster.delete("Job", "job")


def test_a_log_is_there_from_the_start_of_the_container_on(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    pods = {"metadata": {}, "spec": {"containers": [{"name": "program"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": pods}}
    cluster_double.pods = lambda job, index: Waits("ContainerCreating")
    cluster.create(job)
    cluster_double.tick()
    (pod,) = [one["metadata"]["name"] for one in cluster_double.objects("Pod")]
    assert cluster.log(pod) is None
    cluster_double.pods = lambda job, index: Exits(log="grüße\n".encode())
    cluster_double.tick()
    cluster_double.tick()
    assert cluster.log(pod) == "grüße\n".encode()
    assert cluster.log("another") is None


def test_a_log_on_a_node_that_does_not_answer_is_one_that_nobody_knows(
    cluster: Cluster, cluster_double: ClusterDouble
) -> None:
    away = 'Get "https://10.0.0.5:10250/containerLogs/tests/one/program": dial tcp: connect: no route to host'
    cluster_double.faults.append(Fault(status=500, message=away, only="GET .*/log", times=99))
    assert cluster.log("one") is None
    assert len(cluster_double.requests) == 2
    cluster_double.faults[:] = [Fault(status=None, only="GET .*/log", times=99)]  # the API server itself
    with pytest.raises(UnavailableError):
        cluster.log("one")


def test_it_knows_the_version_and_that_a_kind_is_not_served(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    assert cluster.version() == (1, 34)
    with pytest.raises(RefusedError):
        cluster.list("Workload")
    cluster_double.kinds |= KUEUE
    assert cluster.list("Workload") == []


# ---- asking again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 504, None])
def test_servers_and_connections_that_break_are_asked_again_without_a_word(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float], status: int | None,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    cluster_double.faults.append(Fault(status=status, times=3))
    assert cluster.list("Job") == []
    assert len(cluster_double.requests) == 4
    assert len(naps) == 2  # the first time at once
    assert caplog.text == ""
    assert all(2**i <= nap <= 2**i + 1 for i, nap in enumerate(naps))  # longer each time, and never in step


def test_a_busy_server_says_itself_when_to_ask_again(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float]
) -> None:
    cluster_double.faults.append(Fault(status=429, retry_after=7, times=2))
    assert cluster.list("Job") == []
    assert naps == [7, 7]


def test_a_server_that_stays_away_is_given_up_without_another_wait(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float]
) -> None:
    cluster_double.faults.append(Fault(status=503, message="apiserver not ready", times=99))
    with pytest.raises(UnavailableError, match=r"cannot list jobs: apiserver not ready; see that the cluster is up"):
        cluster.list("Job")
    assert len(cluster_double.requests) == client.ATTEMPTS
    assert len(naps) == client.ATTEMPTS - 2


def test_an_address_where_nobody_is_is_reported(cluster_double: ClusterDouble, naps: list[float]) -> None:
    config = json.loads(cluster_double.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    cluster_double.kubeconfig.write_text(json.dumps(config))
    with pytest.raises(UnavailableError, match=r"cannot list jobs: .*refused"):
        Cluster(Access(kubeconfig=str(cluster_double.kubeconfig)), attempts=1).list("Job")
    assert naps == []


def test_two_writers_that_meet_at_a_quota_are_not_the_same_as_a_name_that_is_taken(
    cluster: Cluster, cluster_double: ClusterDouble
) -> None:
    cluster_double.faults.append(Fault(status=409, reason="Conflict", message="the quota has been modified", times=2))
    assert cluster.create(config_map("one")) is not None
    assert cluster_double.count("POST") == 3


def test_a_creation_whose_answer_was_lost_is_found_to_be_there(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    cluster_double.faults.append(Fault(after=True))
    assert cluster.create(config_map("one")) is None
    assert cluster.find("ConfigMap", "one") is not None


# ---- refusals ------------------------------------------------------------------------------------------------------


def test_a_missing_permission_is_an_error_of_its_own(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float]
) -> None:
    cluster_double.deny("create", "jobs")
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": {}}
    message = (
        r"cannot create the Job x in namespace tests: jobs.batch is forbidden: .*cannot create.*; ask whoever runs"
    )
    with pytest.raises(ForbiddenError, match=message):
        cluster.create(job)
    assert naps == []


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (403, "Forbidden", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'),
        (403, "Forbidden", 'pods "x" is forbidden: exceeded quota: small'),
        (403, "Forbidden", 'jobs.batch "x" is forbidden: status unknown for quota: small, resources: count/jobs.batch'),
        (404, "NotFound", 'namespaces "tests" not found'),
        (422, "Invalid", 'Job.batch "x" is invalid: spec.parallelism: must be greater than 0'),
        (400, "BadRequest", "unknown field"),
    ],
)
def test_what_the_server_does_not_take_is_reported_in_its_words(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float], status: int, reason: str, message: str
) -> None:
    cluster_double.faults.append(Fault(status=status, reason=reason, message=message))
    with pytest.raises(RefusedError) as caught:
        cluster.create(config_map("one"))
    assert message in str(caught.value)
    assert str(caught.value).endswith("; see k8s/README.md")
    assert not isinstance(caught.value, ForbiddenError)
    assert isinstance(caught.value, QuotaError) == (" quota: small" in message)
    assert naps == []


def test_a_namespace_that_is_not_there_is_reported(cluster_double: ClusterDouble) -> None:
    cluster = Cluster(Access(kubeconfig=str(cluster_double.kubeconfig), namespace="nowhere"))
    with pytest.raises(RefusedError, match='in namespace nowhere: namespaces "nowhere" not found'):
        cluster.create(config_map("one"))
