"""What a check is, what it says, and what its trouble means to a person.

A check returns what it saw or raises; the message of an error ends in "; " and what to do.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ganbalance.errors import EXIT_DONE, ConfigError, DataError, GanbalanceError, UnavailableError
from ganbalance.store.base import redacted
from ganbalance.store.local import REFUSED

State = Literal["ok", "note", "warn", "FAIL", "skipped"]
TRIALS = ".doctor"  # where trials are written, inside the store
CONTENT = b"written by ganbalance doctor"
ANOTHER = "choose another store (--store, STORE=...)"


@dataclass(frozen=True)
class Finding:
    """What one check found; `mend` says what to do, `exit_code` is that of the error that was met."""

    check: str
    state: State
    text: str
    mend: str = ""
    exit_code: int = EXIT_DONE


class Said(NamedTuple):
    """What a check that did not fail has to say."""

    text: str
    state: State = "ok"
    mend: str = ""


class Check(NamedTuple):
    """One thing to look at, once the checks that it `needs` have gone well."""

    name: str
    look: Callable[[], Said]
    needs: Sequence[str] = ()


def findings(checks: Iterable[Check]) -> Iterator[Finding]:
    """What each check finds, as soon as it is made. Raises nothing."""
    causes: dict[str, str] = {}  # check that told nothing -> the failed one that is to blame
    for check in checks:
        if cause := next((causes[need] for need in check.needs if need in causes), None):
            finding = Finding(check.name, "skipped", f"tells nothing before {cause} is mended")
        else:
            finding = _look(check)
        if finding.state in ("FAIL", "skipped"):
            causes[check.name] = cause or check.name
        yield finding


def failure(check: str, error: Exception) -> Finding:
    """The finding that an error amounts to."""
    known = error if isinstance(error, GanbalanceError) else _typed(error)
    text, parted, mend = str(known).rpartition("; ")
    if not parted:
        text, mend = mend, "give --store (or STORE=...) a store as told here"
    if "ganbalance doctor" in mend:
        mend = "look the server's answer up in its documentation and its log"
    return Finding(check, "FAIL", redacted(" ".join(text.split())), redacted(mend), known.exit_code)


def same(content: bytes) -> Said:
    """What reading a trial back tells."""
    if content != CONTENT:
        raise DataError("other bytes came back than were written; see what lies between, a proxy or a cache")
    return Said("the same bytes came back")


def _look(check: Check) -> Finding:
    try:
        said = check.look()
    except Exception as error:  # one check's trouble, of whatever kind, is no reason to withhold the others
        return failure(check.name, error)
    return Finding(check.name, said.state, redacted(said.text), redacted(said.mend))


def _typed(error: Exception) -> GanbalanceError:
    """What the operating system said, or nobody foresaw."""
    if isinstance(error, OSError):
        kind = ConfigError if error.errno in REFUSED else UnavailableError
        told = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return kind(f"{told}; {ANOTHER}, or see to its permissions and its disk")
    return GanbalanceError(f"{type(error).__name__}: {error}; tell the authors of ganbalance, the mistake is theirs")
