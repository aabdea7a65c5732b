"""Show that a process works on a run, and find those that do: what they write must not be deleted under them.

runs/<run>/heartbeats/<id>.json    written anew every 30 s, deleted at the end

Drivers, local runs and stages have one each. A process that was killed leaves its own behind; two minutes after its
last beat it counts as dead. Only times of the store are compared, so no clock of a machine has to be right.

runs/<run>/drivers/<number>-<id>.json    who has driven it; kept, and the last by name is the one that drives it now
"""

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from ganbalance.errors import ConfigError, GanbalanceError
from ganbalance.frozen import Frozen
from ganbalance.pipeline import runs
from ganbalance.store import MissingError, Store

POD = "GANBALANCE_POD"  # the pod's name, which the pod template sets
EVERY_S = 30.0
DEAD_AFTER = timedelta(minutes=2)  # three beats may get lost
LAST_BEAT_S = 10.0
DRIVER = "the driver in namespace "


class Worker(Frozen):
    """Who works on a run: what it is, the name of its pod, else its host and process, and since when."""

    what: str
    process: str
    since: datetime


@contextmanager
def beating(store: Store, run: str, what: str) -> Iterator[str]:
    """Have a heartbeat while the block lasts; gives its name in the store."""
    name = f"runs/{run}/heartbeats/{secrets.token_hex(6)}.json"
    data = _signed(what)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(EVERY_S):
            with suppress(GanbalanceError, OSError):  # the next one may get through
                runs.replace(store, name, data)

    thread = threading.Thread(target=beat, daemon=True)
    runs.replace(store, name, data)
    thread.start()
    try:
        yield name
    finally:
        ended.set()
        thread.join(LAST_BEAT_S)
        with suppress(GanbalanceError):  # then it dies by itself
            store.delete(name)


def others(store: Store, run: str, mine: str) -> list[tuple[Worker, timedelta]]:
    """Find who else works on a run and how long ago each was seen, from the one that has for longest; `mine` is fresh.

    Raises DataError when one is unreadable: then nobody knows who it is.
    """
    seen = {entry.name: entry.modified for entry in store.entries(f"runs/{run}/heartbeats")}
    now = seen.pop(mine)
    found = []
    for name, modified in seen.items():
        if now - modified < DEAD_AFTER:
            with suppress(MissingError):  # it has ended by now
                worker = runs.read(store, name, Worker.model_validate_json, fix="see who works on the run")
                found.append((worker, max(now - modified, timedelta(0))))
    return sorted(found, key=lambda one: one[0].since)


def take_over(store: Store, run: str) -> str:
    """Become the driver of a run, in place of any other; gives the claim's name, for `check_claim`."""
    number = 1 + sum(1 for _ in store.names(f"runs/{run}/drivers"))
    # two that count at one moment differ by the id, and one of them is the last
    name = f"runs/{run}/drivers/{number:06d}-{secrets.token_hex(4)}.json"
    store.create(name, _signed("driver"))
    return name


def check_claim(store: Store, run: str, mine: str) -> None:
    """Raise ConfigError when another driver has taken the run over, MissingError when the run was deleted.

    A pod that ends so is not started again: no two drivers take a run from one another in turn.
    """
    if (last := max(store.names(f"runs/{run}/drivers"), default="")) != mine:
        driver = runs.read(store, last or mine, Worker.model_validate_json, fix="see who drives the run")
        raise ConfigError(
            f"run {run} is driven by {driver.process} since {driver.since:%Y-%m-%d %H:%M} UTC; this driver steps back, "
            "nothing that it started is lost"
        )


def _signed(what: str) -> bytes:
    process = os.environ.get(POD) or f"{socket.gethostname()}, process {os.getpid()}"
    return runs.written(Worker(what=what, process=process, since=datetime.now(UTC)))
