"""Diagnose a store: one finding per check, a check after those it rests on, each failure with its fix.

Nothing is left behind: what is written is a store of its own inside the examined one. So no marker is written to the
examined store, and no writer is disturbed.
"""

from collections.abc import Iterator, Sequence

from ganbalance.errors import EXIT_DONE
from ganbalance.maintenance.doctor.checks import Check, CheckResult, Finding, failure, findings
from ganbalance.maintenance.doctor.folder import Folder
from ganbalance.maintenance.doctor.target import Target
from ganbalance.store import S3_SCHEME

__all__ = ["Check", "CheckResult", "Finding", "examine", "failure", "findings", "judged"]


def examine(url: str) -> Iterator[Finding]:
    """Every check of the store at `url`, each as soon as it is made. Raises nothing."""
    try:
        if url.startswith(S3_SCHEME):
            from ganbalance.maintenance.doctor.bucket import Bucket

            target: Target = Bucket(url)
        else:
            target = Folder(url)
    except Exception as error:  # a URL can be wrong in more ways than one thinks of
        yield failure("store", error)
        return
    try:
        yield from findings(target.checks())
    finally:
        target.clean_up()


def judged(found: Sequence[Finding], what: str, next_command: str, *, again: str) -> tuple[str, int]:
    """Sum up all findings in one line, with the exit code: that of the first failure."""
    failed = [finding for finding in found if finding.state == "FAIL"]
    if failed:
        first, *others = (finding.check for finding in failed)
        then = f", then {', '.join(others)}" if others else ""
        return f"{what} cannot be used: fix {first}{then}; then run '{again}' again", failed[0].exit_code
    warned = ", ".join(finding.check for finding in found if finding.state == "warn")
    verdict = f"can be used, with warnings: {warned}" if warned else "is OK"
    return f"{what} {verdict}; next: {next_command}", EXIT_DONE
