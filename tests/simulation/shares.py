"""From simulated runs to shares of them: how often an interval held the truth, how often an arm was called."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtr

from ganbalance.metrics.crossed import ALPHA, POWER, detectable_effect
from ganbalance.metrics.verdicts import HELPS, HURTS, NO_DIFFERENCE, enough_images

POINT = ("task", "design", "seeds", "rare", "scenario")
Row = dict[str, Any]


def shares(rows: Sequence[Row]) -> list[Row]:
    """Means over the runs of every point: one line per kind of arm, and one per family."""
    found: list[Row] = []
    for point, of_point in _grouped(rows, POINT):
        with_verdict = float(np.mean([_has_verdict(row) for row in of_point]))
        for kind, of_kind in _grouped_by(of_point, _kind):
            found += [
                point | {"of": kind, "what": what, "verdicts": with_verdict} | share
                for what, share in _of_arm(of_kind).items()
            ]
        for family, of_family in _grouped_by(of_point, lambda row: row["family"]):
            if family != "control":
                found.append(
                    point
                    | {"of": family, "what": "any call", "verdicts": with_verdict}
                    | _share(of_family, lambda row: row["called"], max)
                )
    return found


def _has_verdict(row: Row) -> bool:
    """Whether the run had test images enough for one."""
    return enough_images(row["rare"], row["auc"])


def _kind(row: Row) -> str:
    """Equal arms are one kind, except the one that diverges."""
    if row["scenario"] == "diverging":
        return "diverged" if row["arm"] == "generative-1" else "the others"
    return "equal" if row["scenario"] != "effects" else str(row["arm"])


def _of_arm(rows: Sequence[Row]) -> dict[str, Row]:
    """Everything that is said of one kind of arm at one point."""
    spread = float(np.std([row["mean"] - row["truth"] for row in rows], ddof=1))
    df, tests = _true_df(rows, spread), rows[0]["tests"]
    planted = detectable_effect(df, tests) * spread
    with_verdict = [row for row in rows if _has_verdict(row)]
    wrong_size = [row for row in rows if abs(row["truth"]) > row["margin"]]
    found = {
        "coverage": _share(rows, lambda row: row["low"] <= row["truth"] <= row["high"]),
        "coverage, new data": _share(rows, lambda row: row["low"] <= row["truth_anywhere"] <= row["high"]),
        "call": _share(rows, lambda row: row["called"]),
        "helps": _share(rows, lambda row: row["finding"] == HELPS),
        "hurts": _share(rows, lambda row: row["finding"] == HURTS),
        "no difference": _share(rows, lambda row: row["finding"] == NO_DIFFERENCE),
        "call on the wrong side": _share(rows, lambda row: row["called"] and row["mean"] * row["truth"] < 0),
        "beats oversample": _share(rows, lambda row: row["beats"]),
        "vetoed": _share(rows, lambda row: row["vetoed"]),
        "interval above 0": _share(rows, lambda row: row["low"] > 0),
        "power where the formula says .80": _share(rows, lambda row: _called_with(row, planted)),
        "needed over the formula": {"value": _needed(rows) / planted, "runs": len(rows)},
        "range holds the effect": _share(rows, lambda row: row["seen_low"] <= planted <= row["seen_high"]),
        "truth": {"value": float(np.mean([row["truth"] for row in rows])), "runs": len(rows)},
        "mean": {
            "value": float(np.mean([row["mean"] for row in rows])),
            "runs": len(rows),
            "error": spread / math.sqrt(len(rows)),
        },
        "standard error over its truth": {
            "value": float(np.sqrt(np.mean([row["se"] ** 2 for row in rows]))) / spread,
            "runs": len(rows),
        },
    }
    if with_verdict:
        found["coverage, with a verdict"] = _share(with_verdict, lambda row: row["low"] <= row["truth"] <= row["high"])
    if wrong_size:
        found["no difference, though beyond the margin"] = _share(
            wrong_size, lambda row: row["finding"] == NO_DIFFERENCE
        )
    return found


def _true_df(rows: Sequence[Row], spread: float) -> float:
    """Satterthwaite's, with the variance of the means and the mean part that comes from seeds."""
    of_seeds = float(np.mean([row["seeds_part"] + row["interaction"] for row in rows]))
    return float((rows[0]["seeds"] - 1) * max(1.0, spread**2 / of_seeds) ** 2)


def _needed(rows: Sequence[Row]) -> float:
    """The effect that four runs in five do call, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        enough = np.mean([_called_with(row, middle) for row in rows[:1000]]) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def _called_with(row: Row, effect: float) -> bool:
    """Whether the run would have called an effect this much above the truth, alone in its step of Holm's method."""
    moved = row["mean"] - row["truth"] + effect
    return bool(moved > 0 and 2 * stdtr(row["df"], -moved / row["se"]) < ALPHA / row["tests"])


def _share(rows: Sequence[Row], true: Callable[[Row], Any], over_run: Callable[[list[float]], float] = np.mean) -> Row:
    """Mean over runs, each the mean or the maximum over its arms, with its Monte Carlo standard error."""
    of_run: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        of_run[row["run"]].append(float(true(row)))
    values = np.array([over_run(found) for found in of_run.values()])
    return {"value": float(values.mean()), "runs": len(values), "error": _error(values)}


def _error(values: np.ndarray) -> float:
    """Never 0: a share of 0 or 1 among n runs is known to about 1 / n."""
    return float(max(values.std() / math.sqrt(len(values)), 1 / len(values)))


def _grouped(rows: Iterable[Row], names: Sequence[str]) -> Iterable[tuple[Row, list[Row]]]:
    for key, found in _grouped_by(rows, lambda row: tuple(row[name] for name in names)):
        yield dict(zip(names, key, strict=True)), found


def _grouped_by(rows: Iterable[Row], key: Callable[[Row], Any]) -> Iterable[tuple[Any, list[Row]]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return sorted(found.items())
