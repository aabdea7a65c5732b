"""The command that looks a store over: doctor."""

import argparse
import dataclasses
import json
import os
import sys

from ganbalance.pipeline import request
from ganbalance.store import doctor
from ganbalance.store.doctor import Finding

HELP = """One line per check: ok, note, warn, FAIL with what to mend, or skipped where an earlier failure hides it.
Nothing stays in the store. The exit code is 0 when nothing failed, else that of the first failure."""
COLOURS = {"ok": "32", "warn": "33", "FAIL": "31;1", "note": "2", "skipped": "2"}
STATE_WIDTH, CHECK_WIDTH = 7, 11


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this command."""
    parser = commands.add_parser("doctor", help="is the store all right, and what to mend if not", description=HELP)
    request.add_store(parser)
    parser.add_argument("--json", action="store_true", help="the same as data")
    parser.set_defaults(command=examine)


def examine(flags: argparse.Namespace) -> int:
    """Print every check as it is made, then the verdict."""
    found: list[Finding] = []
    for finding in doctor.examine(flags.store):
        found.append(finding)
        if not flags.json:
            print(_line(finding), flush=True)
    verdict, code = doctor.verdict(flags.store, found)
    if flags.json:
        checks = [dataclasses.asdict(finding) for finding in found]
        told = {"store": doctor.redacted(flags.store), "checks": checks, "verdict": verdict, "exit_code": code}
        print(json.dumps(told, indent=1))
    else:
        print(f"\n{verdict}")
    return code


def _line(finding: Finding) -> str:
    state = f"{finding.state:<{STATE_WIDTH}}"
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        state = f"\033[{COLOURS[finding.state]}m{state}\033[0m"
    mend = f" -> mend: {finding.mend}" if finding.mend else ""
    return f"{state}  {finding.check:<{CHECK_WIDTH}}  {finding.text}{mend}"
