"""Run checks, and turn what each returns or raises into a finding with a fix.

A check returns what it saw or raises; the message of an error ends in "; " and the fix.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ganbalance.errors import EXIT_DONE, GanbalanceError, UnavailableError
from ganbalance.store.base import redacted

State = Literal["ok", "note", "warn", "FAIL", "skipped"]
TRIALS = ".doctor"  # where trials are written, inside the store
ANOTHER = "choose another store (--store, STORE=...)"


@dataclass(frozen=True)
class Finding:
    """What one check found; `fix` says what to do, `exit_code` is that of the error that was raised."""

    check: str
    state: State
    text: str
    fix: str = ""
    exit_code: int = EXIT_DONE


class CheckResult(NamedTuple):
    """What a check that did not fail returns."""

    text: str
    state: State = "ok"
    fix: str = ""


class Check(NamedTuple):
    """One thing to check, once the checks that it `needs` have passed."""

    name: str
    run: Callable[[], CheckResult]
    needs: Sequence[str] = ()


def findings(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run each check and yield its finding at once. Raises nothing."""
    causes: dict[str, str] = {}  # check without a result -> the failed check that is the cause
    for check in checks:
        if cause := next((causes[need] for need in check.needs if need in causes), None):
            finding = Finding(check.name, "skipped", f"cannot run before {cause} is fixed")
        else:
            try:
                result = check.run()
                finding = Finding(check.name, result.state, redacted(result.text), redacted(result.fix))
            except Exception as error:  # whatever one check raises, the others still run
                finding = failure(check.name, error)
        if finding.state in ("FAIL", "skipped"):
            causes[check.name] = cause or check.name
        yield finding


def failure(check: str, error: Exception) -> Finding:
    """Turn an error into a finding: the fix is what follows its last semicolon."""
    if isinstance(error, OSError):
        error = UnavailableError(f"{error}; {ANOTHER}, or see to its permissions and its disk")
    elif not isinstance(error, GanbalanceError):
        error = GanbalanceError(f"{type(error).__name__}: {error}; a bug, please report it")
    text, parted, fix = str(error).rpartition("; ")
    if not parted:
        text, fix = fix, "give --store (or STORE=...) a store as described here"
    if "ganbalance doctor" in fix:
        fix = "look up the server's answer in its documentation and its log"
    return Finding(check, "FAIL", redacted(" ".join(text.split())), redacted(fix), error.exit_code)
