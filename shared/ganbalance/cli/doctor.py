"""The command that diagnoses a store, or a cluster and its store: doctor."""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

from ganbalance.cli.access import FLAGS, access, add_access, is_named
from ganbalance.errors import GanbalanceError
from ganbalance.k8s import preflight
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.connection import reach
from ganbalance.maintenance import doctor
from ganbalance.maintenance.doctor import Check, CheckResult, Finding
from ganbalance.pipeline import request

HELP = """One line per check: ok, note, warn, FAIL with its fix, or skipped where an earlier failure hides it.
Nothing stays in the store, nothing is made on a cluster. The exit code is 0 when nothing failed, else that of the first
failure."""
COLOURS = {"ok": "32", "warn": "33", "FAIL": "31;1", "note": "2", "skipped": "2"}
STATE_WIDTH, CHECK_WIDTH = 7, 11
ATTEMPTS = 2  # a diagnosis does not wait for a server to come back


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this command."""
    help_ = "check the store, or the cluster, and say how to fix what fails"
    parser = commands.add_parser("doctor", help=help_, description=HELP)
    request.add_store(parser)
    parser.add_argument("--json", action="store_true", help="the same as data")
    parser.add_argument(
        "--cluster", action="store_true",
        help="check the cluster and its store as reached from here; so does any flag that names a cluster",
    )  # fmt: skip
    add_access(parser)
    parser.set_defaults(command=examine)


def examine(flags: argparse.Namespace) -> int:
    """Print every check as it is made, then the verdict."""
    target: _Target = _OfCluster(flags) if flags.cluster or is_named(flags) else _OfStore(flags)
    found: list[Finding] = []
    for finding in target.findings():
        found.append(finding)
        if not flags.json:
            print(_line(finding), flush=True)
    verdict, code = target.verdict(found)
    if flags.json:
        checks = [dataclasses.asdict(finding) for finding in found]
        print(json.dumps({**target.names(), "checks": checks, "verdict": verdict, "exit_code": code}, indent=1))
    else:
        print(f"\n{verdict}")
    return code


class _Target(Protocol):
    def findings(self) -> Iterator[Finding]: ...

    def names(self) -> dict[str, str]: ...

    def verdict(self, found: list[Finding]) -> tuple[str, int]: ...


class _OfStore:
    def __init__(self, flags: argparse.Namespace) -> None:
        self._url: str = flags.store

    def findings(self) -> Iterator[Finding]:
        return doctor.examine(self._url)

    def names(self) -> dict[str, str]:
        return {"store": doctor.redacted(self._url)}

    def verdict(self, found: list[Finding]) -> tuple[str, int]:
        return doctor.verdict(self._url, found)


class _OfCluster:
    """A namespace of a cluster, and after it its store."""

    def __init__(self, flags: argparse.Namespace) -> None:
        self._access = access(flags)
        self._given = " ".join(f"--{name} {value}" for name in FLAGS if (value := getattr(flags, name)))
        self._url = self._namespace = ""

    def findings(self) -> Iterator[Finding]:
        try:
            cluster = Cluster(self._access, attempts=ATTEMPTS)
        except GanbalanceError as error:
            yield doctor.failure("cluster", error)
            return
        self._namespace = cluster.namespace
        with ExitStack() as stack:
            way = Check("store", lambda: self._reach(cluster, stack), ["templates", "environment"])
            yield from doctor.findings([*preflight.checks(cluster, []), way])
            if self._url:
                yield from doctor.examine(self._url)

    def names(self) -> dict[str, str]:
        return {"namespace": self._namespace, "store": doctor.redacted(self._url)}

    def verdict(self, found: list[Finding]) -> tuple[str, int]:
        then = f"ganbalance submit jobs/experiments/quick.yaml {self._given}".rstrip()
        return doctor.judged(found, "the cluster", then, again=f"ganbalance doctor {self._given or '--cluster'}")

    def _reach(self, cluster: Cluster, stack: ExitStack) -> CheckResult:
        """Reach the store from here while the stack lasts."""
        self._url = stack.enter_context(reach(cluster, self._access))
        return CheckResult(f"{self._url}, checked from this machine in what follows")


def _line(finding: Finding) -> str:
    state = f"{finding.state:<{STATE_WIDTH}}"
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        state = f"\033[{COLOURS[finding.state]}m{state}\033[0m"
    fix = f" -> fix: {finding.fix}" if finding.fix else ""
    return f"{state}  {finding.check:<{CHECK_WIDTH}}  {finding.text}{fix}"
