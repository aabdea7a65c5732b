"""Describe one run or one artifact as plain data."""

import json
from collections.abc import Iterable
from typing import Any

from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import dump
from ganbalance.maintenance.inventory import Address, Holding, Inventory, address, is_open, load_record, references
from ganbalance.maintenance.ls import run_row
from ganbalance.store.artifacts import Artifacts, Commit
from ganbalance.store.transfer import side_by_side

LEAST_KEY_CHARS = 6


def describe(inventory: Inventory, what: str) -> dict[str, Any]:
    """A run, `RUN:STAGE-NAME` or `STAGE/KEY`. Raises ConfigError when there is no such thing, DataError."""
    if ":" in what:
        run, _, name = what.partition(":")
        state = inventory.state(run)
        return _artifact(inventory, address(state, state.plan.node(name)))
    return _artifact(inventory, _resolve(inventory, what)) if "/" in what else _run(inventory, what)


def _run(inventory: Inventory, run: str) -> dict[str, Any]:
    record = load_record(inventory.store, run)
    row = run_row(inventory, inventory.states({run: record})[run])
    return row.model_dump(mode="json", exclude_none=True) | {
        "seeds": list(record.experiment.seeds),
        "notes": [*record.plan.notes, *record.plan.forecast],
        "events": _events(inventory, run),
        "experiment": dump(record.experiment),
    }


def _events(inventory: Inventory, run: str) -> list[dict[str, Any]]:
    names = sorted(entry.name for entry in inventory.runs[run] if "/events/" in entry.name)
    read = side_by_side(inventory.store.read, names)
    try:
        return [json.loads(read[name]) for name in names]
    except ValueError as error:
        raise DataError(f"an event of run {run} in the store {inventory.store.url} is no JSON ({error})") from error


def _resolve(inventory: Inventory, what: str) -> Address:
    """The one address that STAGE/KEY names; the first characters of a key will do. Raises ConfigError."""
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
        when = holding.committed_at
        described |= {"state": commit.outcome, "committed": when and when.isoformat(timespec="seconds")} | dump(commit)
    others = sorted(attempt for attempt in holding.attempts if commit is None or attempt != commit.attempt)
    return described | {"other_attempts": others, "runs": sorted(_referring(inventory, at, commit))}


def _referring(inventory: Inventory, at: Address, commit: Commit | None) -> Iterable[str]:
    """The runs whose plans lead to this artifact."""
    records = inventory.records()
    if commit is not None and is_open(at.stage):
        return (run for run, state in inventory.states(records).items() if at in references(state))
    return (run for run, record in records.items() if at in map(Address.of, record.plan.nodes))
