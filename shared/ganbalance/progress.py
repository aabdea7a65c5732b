"""Show the progress of long work: a bar on a terminal, a JSON line per interval elsewhere."""

import json
import sys
import time
from typing import Any, Literal

from tqdm import tqdm

INTERVAL_S = 5.0


class Progress:
    """Call it with how much is done; it prints that once per interval.

    `what` names the work, and `kind` says whether that is a stage or a transfer of its files.
    """

    def __init__(self, what: str, kind: Literal["stage", "transfer"] = "stage") -> None:
        self._what, self._kind = what, kind
        self._started = self._printed = time.monotonic()
        self._bar: tqdm[Any] | None = None

    def __call__(self, done: int, total: int, unit: str = "images", /, **fields: float) -> None:
        """Show `done` of `total` units; `fields` are numbers to show beside it, such as losses."""
        if sys.stderr.isatty():
            self._draw(done, total, unit, fields)
        elif time.monotonic() - self._printed >= INTERVAL_S:
            self._printed = time.monotonic()
            row = {self._kind: self._what, "done": done, "total": total, "unit": unit}
            shown = {name: round(value, 4) for name, value in fields.items()}
            print(json.dumps(row | {"seconds": round(self._printed - self._started, 1)} | shown), flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()

    def _draw(self, done: int, total: int, unit: str, fields: dict[str, float]) -> None:
        if self._bar is None or self._bar.total != total:
            self.close()
            self._bar = tqdm(total=total, unit=f" {unit}", desc=self._what, unit_scale=True)
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in fields.items()}, refresh=False)
        self._bar.update(done - self._bar.n)
