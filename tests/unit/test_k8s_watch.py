"""What is typed to look at a run: a part of its stages, on a terminal, and logs that go on."""

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from ganbalance.cli.watching import CLEAR
from ganbalance.errors import ConfigError, DataError
from ganbalance.k8s import operations
from tests.cluster_double import Object
from tests.job_controller import Runs, exits
from tests.unit.commands_bench import Bench

FAILED = DataError.exit_code


@pytest.fixture
def failing(bench: Bench) -> str:
    """A run that is over: three stages failed, one is done, the others are blocked."""
    bench.pods.fates |= dict.fromkeys(("imbalance/seed-0", "imbalance/seed-1", "backbone"), exits(65, "a bad file"))
    run = bench.stopped_after(7)
    bench.double.remove("Job", bench.driver_jobs()[0]["metadata"]["name"])
    return run


def stages(table: str) -> list[str]:
    """The first column."""
    lines = table[table.index("stage  ") :].split("\n\n", maxsplit=1)[0].splitlines()
    return [line.split()[0] for line in lines[1:]]


def test_status_shows_the_stages_that_are_asked_for_and_counts_them_all(bench: Bench, failing: str) -> None:
    def shown(*words: str) -> list[str]:
        return stages(bench.type("status", "--run", failing, *words)[1])

    assert sorted(shown("--state", "failed")) == ["backbone", "imbalance/seed-0", "imbalance/seed-1"]
    assert shown("--stage", "imbalance") == ["imbalance/seed-0", "imbalance/seed-1"]
    assert shown("--stage", "imbalance", "--state", "done") == []
    assert shown("--stage", "imbal") == []  # a name's parts are whole
    counted = [
        bench.type("status", "--run", failing, *words)[1].splitlines()[-2:] for words in ((), ("--state", "done"))
    ]
    assert counted[0] == counted[1]


def test_a_state_that_is_none_is_refused(bench: Bench) -> None:
    code, said = bench.type("status", "--state", "broken")
    assert code == ConfigError.exit_code
    assert "'failed'" in said


def test_watch_on_a_terminal_shows_failures_and_groups_and_not_every_stage(
    bench: Bench, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "30")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, said = bench.type("watch", "--run", failing)
    assert (code, said.count(CLEAR)) == (FAILED, 1)
    lines = said.partition(CLEAR)[2].splitlines()
    assert {tuple(line.split()[:2]) for line in lines[:3]} == {
        ("failed", "backbone"), ("failed", "imbalance/seed-0"), ("failed", "imbalance/seed-1"),
    }  # fmt: skip
    assert "a bad file" in lines[0]
    (line,) = [line for line in lines if line.startswith("imbalance ")]
    assert line.split() == ["imbalance", "2"]
    assert "train-gan/" not in said  # which is blocked: its group has a line
    said = bench.type("watch", "--run", failing, "--stage", "backbone")[1].partition(CLEAR)[2]
    assert (said.count("backbone"), said.count("imbalance")) == (2, 0)


def test_a_stage_whose_node_does_not_answer_names_the_node(bench: Bench) -> None:
    bench.pods.fates["dataset"] = Runs()
    run = bench.stopped_after(2)
    bench.double.tick()
    (pod,) = [pod for pod in bench.double.objects("Pod") if "-dataset-" in pod["metadata"]["name"]]
    pod["status"]["containerStatuses"][0]["ready"] = True
    pod["status"]["conditions"] += [{"type": "Ready", "status": "True"}]
    bench.double.add(pod)
    assert "NotReady" not in bench.type("status", "--run", run)[1]
    pod["status"]["conditions"][-1]["status"] = "False"
    bench.double.add(pod)
    said = bench.type("status", "--run", run, "--stage", "dataset")[1]
    assert "running" in said
    assert "its node node-1 is NotReady" in said


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let things happen, one each time that logs are waited for."""

    def happen(*things: Callable[[], object]) -> None:
        left = iter(things)
        monkeypatch.setattr(operations, "time", SimpleNamespace(sleep=lambda seconds: next(left)()))

    return happen


def running_pod(bench: Bench, log: bytes) -> tuple[str, Object]:
    """A run whose dataset is being made, and the pod that does so."""
    bench.pods.fates["dataset"] = Runs()
    run = bench.stopped_after(2)
    bench.double.tick()
    (pod,) = [pod for pod in bench.double.objects("Pod") if "-dataset-" in pod["metadata"]["name"]]
    bench.double.logs[pod["metadata"]["name"]] = log
    return run, pod


def test_logs_that_are_followed_go_on_until_the_pod_ends(bench: Bench, meanwhile: Callable[..., None]) -> None:
    run, pod = running_pod(bench, b"step 1\n")
    name = pod["metadata"]["name"]

    def prints(log: bytes) -> None:
        bench.double.logs[name] += log

    def ends() -> None:
        prints(b"step 4\n")
        bench.double.add(pod | {"status": pod["status"] | {"phase": "Succeeded"}})

    meanwhile(lambda: prints(b"step 2\n"), lambda: None, lambda: prints(b"step 3\n"), ends)
    code, said = bench.type("logs", "--run", run, "--stage", "dataset", "--follow")
    assert code == 0, said
    assert said[said.index("==>") :] == f"==> {name} <==\nstep 1\nstep 2\nstep 3\nstep 4\n"


def test_a_line_is_printed_when_it_is_whole_or_the_pod_has_ended(bench: Bench, meanwhile: Callable[..., None]) -> None:
    whole = "café: 1\ncafé".encode()
    run, pod = running_pod(bench, whole[:4])
    name = pod["metadata"]["name"]

    def prints(log: bytes) -> None:
        bench.double.logs[name] = log

    def ends() -> None:
        prints(whole)
        bench.double.add(pod | {"status": pod["status"] | {"phase": "Succeeded"}})

    meanwhile(lambda: prints(whole[:6]), lambda: prints(whole[:-1]), ends)
    said = bench.type("logs", "--run", run, "--stage", "dataset", "--follow")[1]
    assert said[said.index("==>") :].split() == ["==>", name, "<==", "café:", "1", "café"]


def test_logs_that_a_node_begins_anew_are_followed_on(bench: Bench, meanwhile: Callable[..., None]) -> None:
    run, pod = running_pod(bench, b"many steps\n")
    name = pod["metadata"]["name"]

    def printed(log: bytes) -> None:
        bench.double.logs[name] = log

    def ends() -> None:
        bench.double.add(pod | {"status": pod["status"] | {"phase": "Failed"}})

    meanwhile(lambda: printed(b"one\n"), lambda: printed(b"one\ntwo\n"), ends)
    said = bench.type("logs", "--run", run, "--stage", "dataset", "--follow")[1]
    assert said[said.index("==>") :] == f"==> {name} <==\nmany steps\none\ntwo\n"


def test_logs_that_are_not_followed_end_while_the_pod_runs(bench: Bench) -> None:
    run, _pod = running_pod(bench, b"step 1\n")
    code, said = bench.type("logs", "--run", run, "--stage", "dataset")
    assert (code, said.endswith("step 1\n")) == (0, True)
