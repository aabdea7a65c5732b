"""The command that diagnoses a store, or a cluster and its store: doctor."""

import argparse
import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack

from ganbalance.called import typed
from ganbalance.cli.commands import FLAGS, access, add_access, command, flag, is_named
from ganbalance.errors import GanbalanceError
from ganbalance.k8s import preflight
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.connection import reach
from ganbalance.maintenance import doctor
from ganbalance.maintenance.doctor import Check, CheckResult, Finding
from ganbalance.pipeline import request
from ganbalance.store.base import redacted

COLOURS = {"ok": "32", "warn": "33", "FAIL": "31;1", "note": "2", "skipped": "2"}
STATE_WIDTH, CHECK_WIDTH = 7, 11
ATTEMPTS = 2  # a diagnosis does not wait for a server to come back


@command(
    "doctor", "--store s3://bucket/prefix", "--cluster", request.add_store,
    flag("--json", action="store_true", help="the same as data"),
    flag("--cluster", action="store_true",
         help="check the cluster and its store as reached from here; so does any flag that names a cluster"),
    add_access,
)  # fmt: skip
def examine(flags: argparse.Namespace) -> int:
    """Check the store, or the cluster, and say how to fix what fails.

    One line per check: ok, note, warn, FAIL with its fix, or skipped where an earlier failure hides it.
    Nothing stays in the store, nothing is made on a cluster. The exit code is 0 when nothing failed, else
    that of the first failure.
    """
    where = {"store": flags.store}  # of a cluster the checks find it out
    if flags.cluster or is_named(flags):
        named = {f"--{name}": value for name in FLAGS if (value := getattr(flags, name))}
        given = shlex.join(word for pair in named.items() for word in pair)
        what, again = "the cluster", typed(f"doctor {given or '--cluster'}")
        then = typed(f"submit jobs/experiments/quick.yaml {given}".rstrip())
        checks = _of_cluster(flags, where)
    else:
        what, again, then = "the store", typed("doctor"), typed(f"run --store {shlex.quote(redacted(flags.store))}")
        checks = doctor.examine(flags.store)
    found: list[Finding] = []
    for finding in checks:
        found.append(finding)
        if not flags.json:
            print(_line(finding), flush=True)
    verdict, code = doctor.judged(found, what, then, again=again)
    if flags.json:
        named = where | {"store": redacted(where["store"])}
        as_data = [dataclasses.asdict(finding) for finding in found]
        print(json.dumps({**named, "checks": as_data, "verdict": verdict, "exit_code": code}, indent=1))
    else:
        print(f"\n{verdict}")
    return code


def _of_cluster(flags: argparse.Namespace, where: dict[str, str]) -> Iterator[Finding]:
    """Make the checks of a namespace of a cluster, and after it of its store; both go to `where`."""
    where |= {"namespace": "", "store": ""}
    try:
        cluster = Cluster(access(flags), attempts=ATTEMPTS)
    except GanbalanceError as error:
        yield doctor.failure("cluster", error)
        return
    where["namespace"] = cluster.namespace
    with ExitStack() as stack:

        def reach_store() -> CheckResult:
            where["store"] = stack.enter_context(reach(cluster))
            return CheckResult(f"{where['store']}, checked from this machine in what follows")

        way = Check("store", reach_store, ["templates", "environment"])
        yield from doctor.findings([*preflight.checks(cluster, []), way])
        if where["store"]:
            yield from doctor.examine(where["store"])


def _line(finding: Finding) -> str:
    state = f"{finding.state:<{STATE_WIDTH}}"
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        state = f"\033[{COLOURS[finding.state]}m{state}\033[0m"
    fix = f" -> fix: {finding.fix}" if finding.fix else ""
    return f"{state}  {finding.check:<{CHECK_WIDTH}}  {finding.text}{fix}"
