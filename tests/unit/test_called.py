"""Messages name commands as they were called: by make, by a path, by the name alone."""

import sys
from pathlib import Path

import pytest

from ganbalance import called
from ganbalance.called import typed
from tests.unit.commands_bench import Bench

BAD_CONFIG = 78


@pytest.mark.parametrize(
    ("line", "by_make"),
    [
        ("resume --run tiny-1a2b3c4d --namespace team", "make resume RUN=tiny-1a2b3c4d NAMESPACE=team"),
        ("logs --run a --namespace b --context c --stage STAGE", "make logs RUN=a NAMESPACE=b CONTEXT=c STAGE=STAGE"),
        ("clean --run RUN", "make clean-run RUN=RUN"),
        ("submit 'my own.yaml' --namespace b", "make submit 'EXPERIMENT=my own.yaml' NAMESPACE=b"),
        ("store ls", "ganbalance store ls"),
        ("compare a b --namespace c", "ganbalance compare a b --namespace c"),
    ],
)
def test_who_called_by_make_is_answered_in_targets_where_there_are_some(
    line: str, by_make: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert typed(line) == f"ganbalance {line}"
    monkeypatch.setenv(called.CALLED, "make")
    assert typed(line) == by_make


def test_a_program_that_the_name_alone_would_not_find_is_named_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "my bin" / "ganbalance"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert typed("status") == f"'{program}' status"
    monkeypatch.setenv("PATH", str(program.parent))
    assert typed("status") == "ganbalance status"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/train-gan"])
    assert typed("status") == "ganbalance status"


def test_what_make_starts_says_what_make_takes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(called.CALLED, "make")
    said = bench.submit()[1]
    run = bench.run
    assert f"; next: make watch RUN={run} NAMESPACE=tests KUBECONFIG=" in said
    said = bench.type("logs", "--run", run, "--stage", "none")[1]
    assert f"'make status RUN={run} NAMESPACE=tests KUBECONFIG=" in said
    assert f"to resume: make resume RUN={run} NAMESPACE=tests" in bench.type("cancel", "--run", run)[1]
    status = bench.type("status", "--run", run)[1]
    assert f"no driver in the cluster: nothing there starts what is missing; type: make resume RUN={run} " in status


def test_resume_takes_the_run_that_was_submitted_last(bench: Bench) -> None:
    assert bench.type("resume")[0] == BAD_CONFIG  # there is none
    bench.submit()
    bench.double.tick()
    bench.double.tick()  # its driver ends
    code, said = bench.type("resume")
    assert (code, f"run {bench.run}: " in said, len(bench.driver_jobs())) == (0, True, 2), said
