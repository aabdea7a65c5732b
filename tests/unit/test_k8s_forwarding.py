"""The port-forward to a store inside the cluster, with a kubectl that is a script."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ganbalance.errors import UnavailableError
from ganbalance.k8s import connection
from ganbalance.k8s.client import Access, Cluster
from tests.unit.commands_bench import Bench

FORWARDING = "echo 'Forwarding from 127.0.0.1:1234 -> 9000'"

Kubectl = Callable[[str], Path]


@pytest.fixture
def kubectl(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    """Make a kubectl of a shell script; its starts are the lines of the file that this returns."""
    store = bench.double.object("ConfigMap", "store")
    store["data"]["AWS_ENDPOINT_URL"] = "http://minio:9000"
    bench.double.add(store)
    monkeypatch.setattr(connection, "AGAIN_S", 0.02)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def make(script: str) -> Path:
        starts = tmp_path / "starts"
        (tmp_path / "kubectl").write_text(f'#!/bin/sh\necho "$$ $AWS_ACCESS_KEY_ID $*" >>{starts}\n{script}\n')
        (tmp_path / "kubectl").chmod(0o755)
        return starts

    return make


def has_ended(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    return False


def test_a_port_forward_whose_pod_goes_is_opened_again_at_the_same_port(
    bench: Bench, tmp_path: Path, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "my-own")
    starts = kubectl(f"{FORWARDING}\n[ -e {tmp_path}/pod-is-back ] && exec sleep 60\nsleep 0.1")
    with connection.reach(Cluster(Access(kubeconfig=str(bench.double.kubeconfig)))):
        while len(starts.read_text().splitlines()) < 3:
            assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1234"
            time.sleep(0.02)
        (tmp_path / "pod-is-back").touch()
        time.sleep(0.5)
        lines = starts.read_text().splitlines()
        time.sleep(0.3)
        assert starts.read_text().splitlines() == lines  # the one that lives is left alone
    assert [line.split()[-1] for line in lines] == [":9000"] + ["1234:9000"] * (len(lines) - 1)
    assert all(has_ended(line.split()[0]) for line in lines)
    assert {line.split()[1] for line in lines} == {"my-own"}  # by which it may log in to the cluster


def test_a_port_forward_that_never_got_through_is_not_tried_again(bench: Bench, kubectl: Kubectl) -> None:
    starts = kubectl("echo 'error: unable to forward port because pod is not running'; exit 1")
    reach = connection.reach(Cluster(Access(kubeconfig=str(bench.double.kubeconfig))))
    with pytest.raises(UnavailableError, match="pod is not running"), reach:
        pass
    time.sleep(0.2)
    assert len(starts.read_text().splitlines()) == 1
