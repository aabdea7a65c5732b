"""Keep a run's record in the store: what was asked, the plan, what happened since, and the Jobs of a cluster.

runs/<run>/run.json                    the resolved experiment and the plan
runs/<run>/events/<time>-<id>.json     append-only
runs/<run>/submissions/<number>.json   the pod templates as they were then, and how much may run at a time
runs/<run>/heartbeats/<id>.json        who works on it now; see `heartbeat`
runs/<run>/drivers/<number>-<id>.json  who has driven it, the last of them now; see `heartbeat`
runs/<run>/logs/<stage>/<pod>.log      what a pod printed; <stage> is "driver" for a driver

A driver reads the last submission and the run's record, so a template that is changed later changes no run that is
under way.
"""

import datetime
import json
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from ganbalance.config import Experiment, from_protocol
from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import Frozen, dump, parse
from ganbalance.keys import digest
from ganbalance.pipeline.plan import Node, Plan
from ganbalance.pipeline.state import State, open_state
from ganbalance.store import MissingError, Store

R = TypeVar("R", bound=Frozen)

LONGEST_JOB = 52  # characters; a pod's name is the Job's, an index and a random suffix, 63 in all
LONGEST_GROUP = 34
AWAY_S = 6 * 3600.0  # how long a store may be away: a night's maintenance


class Record(Frozen):
    """run.json: all that is needed to resume a run."""

    experiment: Experiment
    plan: Plan

    @classmethod
    def of(cls, written: bytes) -> "Record":
        """Read a record, also one from before there were kinds of classifiers. Raises ConfigError or ValueError."""
        given = json.loads(written)
        return parse(cls, given | {"experiment": from_protocol(given["experiment"])}, where="run.json")


class Submission(Frozen):
    """What a driver gets. `templates` are PodTemplate objects by name.

    `pending_s` is how long a pod may wait; `away_s` how long the store or the API server may be away.
    """

    run: str
    number: int = Field(ge=1)
    parallel: int = Field(ge=1)
    pending_s: float = Field(gt=0)
    away_s: float = Field(gt=0, default=AWAY_S)
    templates: dict[str, dict[str, Any]]


def written(record: Frozen) -> bytes:
    """Serialise a record: equal records, equal bytes."""
    return json.dumps(dump(record), indent=1).encode()


def read(store: Store, name: str, of: Callable[[bytes], R], *, fix: str) -> R:
    """Read the record `name`, which `of` parses. Raises MissingError, and DataError with `fix` when it is not whole."""
    data = store.read(name)
    try:
        return of(data)
    except (ConfigError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{name} in the store {store.url} is corrupt or of another version; {fix}") from error


def submit(store: Store, record: Record) -> str:
    """Write the record unless the run is there already; its name follows from its content. Returns the name."""
    name, data = f"runs/{record.plan.run}/run.json", written(record)
    if not store.create(name, data) and store.read(name) != data:
        # same stages and settings, other resources: the newest count. Replaced in one step, since without its record
        # a run is none to programs that start, and garbage to a clean-up
        replace(store, name, data)
    return record.plan.run


def replace(store: Store, name: str, data: bytes) -> None:
    """Keep `data` under `name`, in place of what is there."""
    with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
        source = Path(scratch) / "record"
        source.write_bytes(data)
        store.put(name, source)


def load(store: Store, run: str) -> Record:
    """Load the record of a run. Raises ConfigError when there is no such run."""
    try:
        return read(store, f"runs/{run}/run.json", Record.of, fix="delete it and run the experiment again")
    except MissingError as error:
        known = ", ".join(sorted({name.split("/")[1] for name in store.names("runs")})) or "none"
        raise ConfigError(f"the store {store.url} has no run {run!r}, only: {known}") from error


@contextmanager
def opened(store: Store, run: str) -> Iterator[tuple[Record, State]]:
    """Provide the record of a run, and its plan compared with the store. Raises ConfigError if there is no such run."""
    record = load(store, run)
    with open_state(record.plan, store) as state:
        yield record, state


def note(store: Store, run: str, event: str, **fields: Any) -> None:
    """Append one event to the run's history."""
    now = datetime.datetime.now(datetime.UTC)
    data = {"at": now.isoformat(timespec="seconds"), "event": event} | fields
    store.create(f"runs/{run}/events/{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.json", json.dumps(data).encode())


def log_name(run: str, stage: str, pod: str) -> str:
    """Say where the log of a pod is kept."""
    return f"{log_folder(run, stage)}/{pod}.log"


def log_folder(run: str, stage: str) -> str:
    """Say where the logs of a stage's pods are, or of all stages whose names begin so; "" is all."""
    return f"runs/{run}/logs/{stage}".rstrip("/")


def group_of(node: Node) -> str:
    """Name a node's group: stages of one kind and one GAN or arm, whatever their seeds; the name fits into labels."""
    name = f"{node.stage}-{of}" if (of := node.arm or node.gan) else node.stage
    return name if len(name) <= LONGEST_GROUP else f"{name[: LONGEST_GROUP - 9].rstrip('-')}-{digest(name)[:8]}"


def groups(plan: Plan) -> dict[str, list[Node]]:
    """Sort the nodes into groups, each group after all that it reads; a plan's order is by seed."""
    found: dict[str, list[Node]] = {}
    for node in plan.nodes:
        found.setdefault(group_of(node), []).append(node)
    reads = {
        group: {group_of(plan.node(parent)) for node in nodes for parent in node.inputs.values()} - {group}
        for group, nodes in found.items()
    }
    ordered: dict[str, list[Node]] = {}
    while len(ordered) < len(found):
        first = next(group for group in found if group not in ordered and reads[group] <= ordered.keys())
        ordered[first] = found[first]
    return ordered


def job_name(run: str, what: str, number: int) -> str:
    """Make a name of at most 52 characters that says as much of the run and of what the Job does as fits."""
    name, _, unique = run.rpartition("-")
    rest = f"{unique}-{what}-{number}"
    shown = name[: LONGEST_JOB - len(rest) - 1].strip("-")
    return f"{shown}-{rest}" if shown else rest


def record_submission(store: Store, new: Submission) -> Submission:
    """Keep a submission; return the one that stands: another's, if that was made at the same moment and was first."""
    made = store.create(_submission_name(new.run, new.number), written(new))
    return new if made else load_submission(store, new.run, new.number)


def load_submission(store: Store, run: str, number: int) -> Submission:
    """Load a submission of a run. Raises ConfigError when there is none of that number."""
    try:
        return read(store, _submission_name(run, number), Submission.model_validate_json, fix="submit again")
    except MissingError as error:
        raise ConfigError(f"run {run} has no submission {number} in the store {store.url}; submit it") from error


def submission_numbers(store: Store, run: str) -> set[int]:
    """Find the numbers of a run's submissions."""
    return {int(Path(name).stem) for name in store.names(f"runs/{run}/submissions")}


def _submission_name(run: str, number: int) -> str:
    return f"runs/{run}/submissions/{number:06d}.json"
