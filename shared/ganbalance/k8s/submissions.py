"""Keep the submissions of a run: the pod templates as they were then, and how much may run at a time.

runs/<run>/submissions/<number>.json

The driver reads this and the run's record, so a template that is changed later changes no run that is under way.
"""

from typing import Any

from pydantic import Field

from ganbalance.frozen import Frozen
from ganbalance.pipeline import runs
from ganbalance.store import Store

DIGITS = 6


class Submission(Frozen):
    """What a driver gets. `templates` are PodTemplate objects by name; `pending_s` is how long a pod may wait."""

    run: str
    number: int = Field(ge=1)
    parallel: int = Field(ge=1)
    pending_s: float = Field(gt=0)
    templates: dict[str, dict[str, Any]]


def record(store: Store, new: Submission) -> Submission:
    """Keep a submission; return the one that stands: another's, if that was made at the same moment and was first."""
    name = _name(new.run, new.number)
    return new if store.create(name, runs.written(new)) else load(store, new.run, new.number)


def load(store: Store, run: str, number: int) -> Submission:
    """A submission of a run. Raises ConfigError when there is none of that number."""
    return runs.read(
        store, _name(run, number), Submission.model_validate_json, fix="submit again",
        absent=lambda: f"run {run} has no submission {number} in the store {store.url}; submit it",
    )  # fmt: skip


def numbers(store: Store, run: str) -> set[int]:
    """The numbers of a run's submissions."""
    return {int(name.rpartition("/")[2].removesuffix(".json")) for name in store.names(f"runs/{run}/submissions")}


def last(store: Store, run: str) -> int:
    """The number of a run's last submission, 0 when there is none."""
    return max(numbers(store, run), default=0)


def _name(run: str, number: int) -> str:
    return f"runs/{run}/submissions/{number:0{DIGITS}d}.json"
