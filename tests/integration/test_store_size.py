"""A store of ten thousand artifacts is listed with as few requests as one of ten."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ganbalance.keys import KEY_CHARS, digest
from ganbalance.maintenance import show
from ganbalance.maintenance.inventory import Inventory
from ganbalance.pipeline import runs
from ganbalance.pipeline.plan import Node, Plan
from ganbalance.store import Store, open_store, transfer
from ganbalance.store.artifacts import Commit, commit_name
from ganbalance.store.base import Entry
from tests import servers
from tests.integration.conftest import Capsys, Stocked, UseS3, json_output


def many_artifacts(n_runs: int, n_stages: int, like: runs.Record) -> dict[str, bytes]:
    """Runs whose stages were all committed: name -> bytes."""
    files: dict[str, bytes] = {}
    for r in range(n_runs):
        keys = [digest([r, i])[:KEY_CHARS] for i in range(n_stages)]
        nodes = tuple(Node(name=f"d/{k}", stage="imbalance", config={}, inputs={}, key=k, seed=0) for k in keys)
        record = runs.Record(experiment=like.experiment, plan=Plan(run=f"many-{r}", nodes=nodes, notes=()))
        files[f"runs/many-{r}/run.json"] = record.model_dump_json().encode()
        for key in keys:
            commit = Commit(
                stage="imbalance", key=key, attempt="a", outcome="done", files=[], digest="", inputs={}, metrics={},
                provenance={},
            )  # fmt: skip
            files[commit_name("imbalance", key)] = commit.model_dump_json().encode()
            files[f"stages/imbalance/{key}/attempts/a/file"] = b""
    return files


class Memory(Store):
    """Files in memory, and a record of what was asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.url = "memory"
        self.files = files
        self.asked: list[tuple[str, str]] = []

    def entries(self, prefix: str) -> Iterator[Entry]:
        self.asked.append(("list", prefix))
        return (Entry(name, len(self.files[name]), datetime.now(UTC)) for name in sorted(self.files))

    def read(self, name: str) -> bytes:
        self.asked.append(("read", name))
        return self.files[name]

    def refuse(self, *_: Any) -> Any:
        raise AssertionError("listing reads, and fetches nothing")

    fetch = delete = unfinished = discard = _put = _create = refuse


def test_ten_thousand_artifacts_are_listed_once_and_each_record_is_read_once(two_runs: Stocked) -> None:
    files = many_artifacts(20, 500, runs.load(two_runs.store, two_runs.runs[0]))
    memory = Memory(files)
    rows = show.runs_of(Inventory(memory))
    assert [(row.done, row.stages) for row in rows] == [(500, 500)] * 20
    records = [("read", name) for name in files if name.endswith(".json")]
    assert sorted(memory.asked) == sorted([("list", ""), *records])


def test_a_server_is_asked_for_its_list_once_and_for_each_record_once(
    two_runs: Stocked, moto: servers.Server, use_s3: UseS3, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = many_artifacts(2, 60, runs.load(two_runs.store, two_runs.runs[0]))
    url = use_s3(moto)
    target = open_store(url)
    transfer.side_by_side(lambda name: target.create(name, files[name]), files)
    proxy = servers.FaultyProxy(moto)
    with proxy.running() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        assert {row["done"] for row in json_output(capsys, "ls", "--store", url)} == {60}
    lists = [path for _, path in proxy.seen if "list-type=2" in path]
    assert len(lists) == 1
    assert len(proxy.seen) == 1 + 120 + 2 + 1  # commits, records, the store's marker
