"""List what a store holds as rows: its runs, and the stages of one."""

from datetime import UTC, datetime
from typing import Literal

from ganbalance.frozen import Frozen
from ganbalance.maintenance.inventory import Holding, Inventory, address
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.state import State
from ganbalance.store.artifacts import Outcome

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
    rows = [run_row(inventory, state) for state in states.values()]
    rows += [
        RunRow(run=run, recorded=_recorded(inventory, run), problem=str(inventory.problems[run]))
        for run in inventory.recorded
        if run in inventory.problems
    ]
    return sorted(rows, key=lambda row: (row.recorded, row.run))


def stages_of(inventory: Inventory, run: str) -> list[StageRow]:
    """Every stage of a run, inputs first. Raises ConfigError when there is no such run, DataError."""
    state = inventory.state(run)
    return [_stage_row(inventory, state, node) for node in state.plan.nodes]


def run_row(inventory: Inventory, state: State) -> RunRow:
    """One run."""
    commits = {node.name: commit for node in state.plan.nodes if (commit := state.commit(node.name))}
    settled = [name for name in commits if state.is_settled(name)]
    return RunRow(
        run=state.plan.run,
        recorded=_recorded(inventory, state.plan.run),
        done=len(settled),
        stages=len(state.plan.nodes),
        size=sum(commit.n_bytes for commit in commits.values()),
        report="yes" if REPORT in settled else "partial" if REPORT in commits else "no",
    )


def _recorded(inventory: Inventory, run: str) -> datetime:
    """When its record or its first event was written; an event's name says so even after it was copied."""
    entries = inventory.runs[run]
    names = [entry.name.rpartition("/")[2] for entry in entries if "/events/" in entry.name]
    return min([entry.modified for entry in entries] + [time for name in names if (time := _event_time(name))])


def _event_time(name: str) -> datetime | None:
    try:
        return datetime.strptime(name.partition("-")[0], EVENT_TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _stage_row(inventory: Inventory, state: State, node: Node) -> StageRow:
    at = address(state, node)
    holding = inventory.holdings.get(at, Holding())
    commit = state.commit(node.name)
    if commit is None:
        step = holding.checkpoint
        rest: Literal["checkpoint", "not started"] = "not started" if step is None else "checkpoint"
        return StageRow(state="corrupt" if at in inventory.problems else rest, step=step, name=node.name, key=at.key)
    return StageRow(
        state=commit.outcome if state.is_settled(node.name) else "partial",
        name=node.name,
        key=at.key,
        files=len(commit.files),
        size=commit.n_bytes,
        seconds=commit.provenance.get("seconds"),
        when=holding.committed_at,
    )
