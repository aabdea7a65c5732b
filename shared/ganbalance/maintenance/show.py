"""List what a store holds as rows, and describe one run or one artifact as plain data."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import Frozen, dump
from ganbalance.maintenance.inventory import Address, Holding, Inventory, address, is_open, load_record, references
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.state import State
from ganbalance.store.artifacts import Artifacts, Commit, Outcome
from ganbalance.store.transfer import side_by_side

REPORT = "report"
LEAST_KEY_CHARS = 6


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
    """List every run, in the order in which they were recorded."""
    states = inventory.states(inventory.records())
    rows = [run_row(inventory, state) for state in states.values()]
    rows += [
        RunRow(run=run, recorded=_recorded(inventory, run), problem=str(inventory.problems[run]))
        for run in inventory.recorded
        if run in inventory.problems
    ]
    return sorted(rows, key=lambda row: (row.recorded, row.run))


def stages_of(inventory: Inventory, run: str) -> list[StageRow]:
    """List every stage of a run, inputs first. Raises ConfigError when there is no such run, DataError."""
    state = inventory.state(run)
    return [_stage_row(inventory, state, node) for node in state.plan.nodes]


def run_row(inventory: Inventory, state: State) -> RunRow:
    """Describe one run."""
    commits = {node.name: commit for node in state.plan.nodes if (commit := state.commit(node.name))}
    left = {node.name for node in state.unsettled(state.plan.nodes)}
    return RunRow(
        run=state.plan.run,
        recorded=_recorded(inventory, state.plan.run),
        done=len(state.plan.nodes) - len(left),
        stages=len(state.plan.nodes),
        size=sum(commit.n_bytes for commit in commits.values()),
        report="no" if REPORT not in commits else "partial" if REPORT in left else "yes",
    )


def _recorded(inventory: Inventory, run: str) -> datetime:
    """Find when its record or its first event was written; an event's name says so even after it was copied."""
    entries = inventory.runs[run]
    names = [entry.name.rpartition("/")[2] for entry in entries if "/events/" in entry.name]
    return min([entry.modified for entry in entries] + [time for name in names if (time := _event_time(name))])


def _event_time(name: str) -> datetime | None:
    try:
        return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
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
        state="partial" if state.unsettled([node]) else commit.outcome,
        name=node.name,
        key=at.key,
        files=len(commit.files),
        size=commit.n_bytes,
        seconds=commit.provenance.get("seconds"),
        when=holding.committed.modified if holding.committed else None,
    )


def describe(inventory: Inventory, what: str) -> dict[str, Any]:
    """Describe a run, `RUN:STAGE-NAME` or `STAGE/KEY`. Raises ConfigError when there is no such thing, DataError."""
    if ":" in what:
        run, _, name = what.partition(":")
        state = inventory.state(run)
        return _artifact(inventory, address(state, state.plan.node(name)))
    return _artifact(inventory, _resolve(inventory, what)) if "/" in what else _run(inventory, what)


def _run(inventory: Inventory, run: str) -> dict[str, Any]:
    record = load_record(inventory.store, run)
    row = run_row(inventory, inventory.states({run: record})[run])
    names = sorted(entry.name for entry in inventory.runs[run] if "/events/" in entry.name)
    read = side_by_side(inventory.store.read, names)
    try:
        events = [json.loads(read[name]) for name in names]
    except ValueError as error:
        raise DataError(f"an event of run {run} in the store {inventory.store.url} is no JSON ({error})") from error
    return row.model_dump(mode="json", exclude_none=True) | {
        "seeds": list(record.experiment.seeds),
        "notes": [*record.plan.notes, *record.plan.forecast],
        "events": events,
        "experiment": dump(record.experiment),
    }


def _resolve(inventory: Inventory, what: str) -> Address:
    """Find the one address that STAGE/KEY names; the first characters of a key will do. Raises ConfigError."""
    stage, _, start = what.removeprefix("stages/").partition("/")
    if len(start) < LEAST_KEY_CHARS:
        raise ConfigError(f"{what}: give at least {LEAST_KEY_CHARS} characters of the key, STAGE/KEY")
    found = [at for at in inventory.holdings if at.stage == stage and at.key.startswith(start)]
    if len(found) > 1:
        raise ConfigError(f"{what} names {len(found)} artifacts: {', '.join(sorted(at.key for at in found))}")
    if not found:
        known = ", ".join(sorted({at.stage for at in inventory.holdings})) or "none"
        raise ConfigError(f"the store {inventory.store.url} has no {what}; the stages in it are: {known}")
    return found[0]


def _artifact(inventory: Inventory, at: Address) -> dict[str, Any]:
    commit = Artifacts(inventory.store).find(*at)
    holding = inventory.holdings.get(at, Holding())
    described: dict[str, Any] = {"stage": at.stage, "key": at.key}
    if commit is None:
        described |= {"state": "not started", "checkpoint": holding.checkpoint}
    else:
        when = holding.committed and holding.committed.modified.isoformat(timespec="seconds")
        described |= {"state": commit.outcome, "committed": when} | dump(commit)
    others = sorted(attempt for attempt in holding.attempts if commit is None or attempt != commit.attempt)
    return described | {"other_attempts": others, "runs": sorted(_referring(inventory, at, commit))}


def _referring(inventory: Inventory, at: Address, commit: Commit | None) -> Iterable[str]:
    """Find the runs whose plans lead to this artifact."""
    records = inventory.records()
    if commit is not None and is_open(at.stage):
        return (run for run, state in inventory.states(records).items() if at in references(state))
    return (run for run, record in records.items() if at in map(Address.of, record.plan.nodes))
