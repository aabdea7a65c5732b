"""Keep a run's record in the store: what was asked, the plan, and what happened since.

runs/<run>/run.json                 the resolved experiment and the plan
runs/<run>/events/<time>-<id>.json  append-only
"""

import datetime
import json
import secrets
import tempfile
from pathlib import Path
from typing import Any

from ganbalance.config import Experiment
from ganbalance.frozen import Frozen
from ganbalance.pipeline import records
from ganbalance.pipeline.plan import Plan
from ganbalance.store import Store


class Record(Frozen):
    """run.json: all that is needed to resume a run."""

    experiment: Experiment
    plan: Plan


def submit(store: Store, record: Record) -> str:
    """Write the record unless the run is there already; its name follows from its content. Returns the name."""
    run = record.plan.run
    name = f"runs/{run}/run.json"
    data = records.written(record)
    if not store.create(name, data) and store.read(name) != data:
        # same stages and settings, other resources: the newest count
        _replace(store, name, data)
    return run


def _replace(store: Store, name: str, data: bytes) -> None:
    """Replace in one step: without its record a run is none to programs that start, and garbage to a clean-up."""
    with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
        source = Path(scratch) / "record"
        source.write_bytes(data)
        store.put(name, source)


def load(store: Store, run: str) -> Record:
    """The record of a run. Raises ConfigError when there is no such run."""

    def absent() -> str:
        known = sorted({name.split("/")[1] for name in store.names("runs")})
        return f"the store {store.url} has no run {run!r}, only: {', '.join(known) or 'none'}"

    fix = "delete it and run the experiment again"
    return records.read(store, f"runs/{run}/run.json", Record, absent=absent, fix=fix)


def note(store: Store, run: str, event: str, **fields: Any) -> None:
    """Append one event to the run's history."""
    now = datetime.datetime.now(datetime.UTC)
    data = {"at": now.isoformat(timespec="seconds"), "event": event} | fields
    store.create(f"runs/{run}/events/{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.json", json.dumps(data).encode())
