"""Is a store all right, and what is to be mended if not: one finding per check, in the order in which trouble spreads.

Looking leaves no trace: trials are written to a store of their own, `.doctor/<token>` inside the examined one, and
removed whatever happens. So the examined store is not marked by it, and no writer is disturbed.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from ganbalance.errors import EXIT_DONE
from ganbalance.store import S3_SCHEME
from ganbalance.store.base import redacted
from ganbalance.store.doctor.checks import Check, Finding, Said, failure, findings
from ganbalance.store.doctor.folder import folder_checks

__all__ = ["Check", "Finding", "Said", "examine", "failure", "findings", "judged", "redacted", "verdict"]


def examine(url: str) -> Iterator[Finding]:
    """Every check of the store at `url`, each as soon as it is made. Raises nothing."""
    try:
        patient = _checks(url)
    except Exception as error:  # a URL can be wrong in more ways than one thinks of
        yield failure("store", error)
        return
    with patient as checks:
        yield from findings(checks)


def verdict(url: str, found: Sequence[Finding]) -> tuple[str, int]:
    """One line for all findings of a store, and the exit code."""
    go_on = f"go on with 'ganbalance run --store {redacted(url)}'"
    return judged(found, "the store", go_on, again="ganbalance doctor")


def judged(found: Sequence[Finding], what: str, go_on: str, *, again: str) -> tuple[str, int]:
    """One line for all findings of something, and the exit code: that of the first failure."""
    failed = [finding for finding in found if finding.state == "FAIL"]
    warned = [finding.check for finding in found if finding.state == "warn"]
    if failed:
        first, *others = (finding.check for finding in failed)
        then = f", then {', '.join(others)}" if others else ""
        return f"{what} cannot be used: mend {first}{then}; then run '{again}' again", failed[0].exit_code
    if warned:
        return f"{what} can be used, but look after {', '.join(warned)}; {go_on}", EXIT_DONE
    return f"{what} is all right; {go_on}", EXIT_DONE


def _checks(url: str) -> AbstractContextManager[list[Check]]:
    if not url.startswith(S3_SCHEME):
        return folder_checks(url)
    from ganbalance.store.doctor.bucket import bucket_checks

    return bucket_checks(url)
