"""A run's record in the store: what was asked, the plan, and what happened since.

runs/<run>/run.json                 the resolved experiment and the plan
runs/<run>/events/<time>-<id>.json  append-only
"""

import datetime
import json
import secrets
import tempfile
from pathlib import Path
from typing import Any

import pydantic

from ganbalance.config import Experiment
from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import Frozen, dump
from ganbalance.pipeline.plan import Plan
from ganbalance.store import MissingError, Store


class Record(Frozen):
    """run.json. Whoever carries on a run needs this and nothing else."""

    experiment: Experiment
    plan: Plan


def submit(store: Store, record: Record) -> str:
    """Write the record unless the run is there already; its name follows from its content. Returns the name."""
    run = record.plan.run
    name = f"runs/{run}/run.json"
    data = json.dumps(dump(record), indent=1).encode()
    if not store.create(name, data) and store.read(name) != data:
        # same stages and settings, other resources: the newest wish holds
        _replace(store, name, data)
    return run


def _replace(store: Store, name: str, data: bytes) -> None:
    """In one step: a run without its record would be no run to programs that start, and garbage to a clean-up."""
    with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
        source = Path(scratch) / "record"
        source.write_bytes(data)
        store.put(name, source)


def load(store: Store, run: str) -> Record:
    """The record of a run. Raises ConfigError when there is no such run."""
    name = f"runs/{run}/run.json"
    try:
        return Record.model_validate_json(store.read(name))
    except MissingError as error:
        known = sorted({name.split("/")[1] for name in store.names("runs")})
        raise ConfigError(f"the store {store.url} has no run {run!r}, only: {', '.join(known) or 'none'}") from error
    except pydantic.ValidationError as error:
        raise DataError(
            f"{name} in the store {store.url} is corrupt or of another version; delete it and run the experiment again"
        ) from error


def note(store: Store, run: str, event: str, **fields: Any) -> None:
    """Append one event to the run's history."""
    now = datetime.datetime.now(datetime.UTC)
    data = {"at": now.isoformat(timespec="seconds"), "event": event} | fields
    store.create(f"runs/{run}/events/{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.json", json.dumps(data).encode())
