"""List what a store holds as rows: its runs, and the stages of one."""

from datetime import UTC, datetime
from typing import Literal

from ganbalance.frozen import Frozen
from ganbalance.maintenance.inventory import Address, Holding, Inventory, address, load_record
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.state import State
from ganbalance.store.artifacts import Commit, Outcome

REPORT = "report"
EVENT_TIME = "%Y%m%dT%H%M%S"


class RunRow(Frozen):
    """One run. `recorded` is when it was first recorded; `problem` says why nothing else is known of it."""

    run: str
    recorded: datetime
    done: int = 0
    stages: int = 0
    size: int = 0
    report: Literal["yes", "partial", "no"] = "no"
    problem: str | None = None


class StageRow(Frozen):
    """One stage of a run; `when` is when it was committed, by the store's clock."""

    state: Outcome | Literal["partial", "checkpoint", "not started", "corrupt"]
    step: int | None = None
    name: str
    key: str
    files: int = 0
    size: int = 0
    seconds: float | None = None
    when: datetime | None = None


def runs_of(inventory: Inventory) -> list[RunRow]:
    """Every run, in the order in which they were recorded."""
    states = inventory.states(inventory.records())
    rows = [_run_row(inventory, run, state) for run, state in states.items()]
    rows += [
        RunRow(run=run, recorded=first_heard_of(inventory, run), problem=str(inventory.problems[run]))
        for run in inventory.recorded
        if run in inventory.problems
    ]
    return sorted(rows, key=lambda row: (row.recorded, row.run))


def stages_of(inventory: Inventory, run: str) -> list[StageRow]:
    """Every stage of a run, inputs first. Raises ConfigError when there is no such run, DataError."""
    state = open_run(inventory, run)
    return [_stage_row(inventory, state, node) for node in state.plan.nodes]


def open_run(inventory: Inventory, run: str) -> State:
    """A run compared with the listed store. Raises ConfigError when there is no such run, DataError."""
    return inventory.states({run: load_record(inventory.store, run)})[run]


def run_row(inventory: Inventory, run: str) -> RunRow:
    """One run. Raises ConfigError when there is no such run, DataError."""
    return _run_row(inventory, run, open_run(inventory, run))


def first_heard_of(inventory: Inventory, run: str) -> datetime:
    """When its record or its first event was written; an event's name says so even after it was copied."""
    entries = inventory.runs[run]
    names = [entry.name.rpartition("/")[2] for entry in entries if "/events/" in entry.name]
    return min([entry.modified for entry in entries] + [time for name in names if (time := _event_time(name))])


def _event_time(name: str) -> datetime | None:
    try:
        return datetime.strptime(name.partition("-")[0], EVENT_TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _run_row(inventory: Inventory, run: str, state: State) -> RunRow:
    names = [node.name for node in state.plan.nodes]
    commits = [commit for name in names if (commit := state.commit(name))]
    reported: Literal["yes", "partial", "no"] = "no"
    if REPORT in names and state.commit(REPORT):
        reported = "yes" if state.is_settled(REPORT) else "partial"
    return RunRow(
        run=run,
        recorded=first_heard_of(inventory, run),
        done=sum(state.is_settled(name) for name in names),
        stages=len(names),
        size=sum(size(commit) for commit in commits),
        report=reported,
    )


def _stage_row(inventory: Inventory, state: State, node: Node) -> StageRow:
    at = address(state, node)
    commit = state.commit(node.name)
    if commit is None:
        step = inventory.holdings.get(at, Holding()).checkpoint
        rest: Literal["checkpoint", "not started"] = "not started" if step is None else "checkpoint"
        return StageRow(state="corrupt" if at in inventory.problems else rest, step=step, name=node.name, key=at.key)
    return StageRow(
        state=commit.outcome if state.is_settled(node.name) else "partial",
        name=node.name,
        key=at.key,
        files=len(commit.files),
        size=size(commit),
        seconds=commit.provenance.get("seconds"),
        when=committed_at(inventory, at),
    )


def committed_at(inventory: Inventory, at: Address) -> datetime | None:
    """When the artifact was committed, by the store's clock."""
    entry = inventory.holdings.get(at, Holding()).committed
    return entry.modified if entry else None


def size(commit: Commit) -> int:
    """Bytes in an artifact's files."""
    return sum(file.size for file in commit.files)
