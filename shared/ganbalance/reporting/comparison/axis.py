"""Choose the axis along which runs are compared: what tells their experiments apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ganbalance.reporting.comparison.differences import NOT_SET, text

LEAST = 2
"""Runs that a comparison needs."""
LOG_FROM = 10.0
"""Ratio of the largest to the smallest value beyond which equal steps are equal ratios."""
LONGEST_LABEL = 28
TIMES = " × "
BESIDE = ("seeds", "task", "test", "statistics")
"""Sections of how a question is put, not of what is tried: an axis only where nothing else differs."""


@dataclass(frozen=True)
class Axis:
    """`labels` name the runs in order; `places` are their numbers on an axis, None where they have none."""

    title: str
    labels: tuple[str, ...]
    places: tuple[float, ...] | None
    is_log: bool = False


def choose(found: Mapping[str, Sequence[Any]], names: Sequence[str]) -> tuple[Axis, list[int]]:
    """Choose the axis, and the order of the runs on it.

    One setting: that one. Several: the runs themselves, called by their values where these are short; where some runs
    lack a setting, their tasks are part of what they are called.
    """
    mine = {key: values for key, values in found.items() if not is_beside(key)} or dict(found)
    if len(mine) > 1:
        if any(NOT_SET in values for values in mine.values()):
            mine = {key: values for key, values in found.items() if key in mine or key.startswith("task.")}
        return Axis(title(mine), _called(list(mine.values()), names), None), list(range(len(names)))
    ((key, values),) = mine.items()
    if not _is_numeric(key, values):
        return Axis(key, _called([values], names), None), list(range(len(names)))
    order = sorted(range(len(values)), key=lambda place: float(values[place]))
    places = tuple(float(values[place]) for place in order)
    is_log = places[0] > 0 and places[-1] / places[0] > LOG_FROM
    return Axis(key, tuple(text(values[place]) for place in order), places, is_log), order


def title(found: Mapping[str, Sequence[Any]]) -> str:
    """Name the settings together: a section, as imbalance.keep, for those of it that some runs lack."""
    sections = ((key.rpartition(".")[0] or key if NOT_SET in values else key) for key, values in found.items())
    return TIMES.join(dict.fromkeys(sections))


def label(values: Iterable[Any]) -> str:
    """Name a run: its values of these settings, without those that it lacks."""
    return TIMES.join(text(value) for value in values if value is not NOT_SET) or text(NOT_SET)


def is_beside(key: str) -> bool:
    """Tell whether a setting is a warning rather than an axis; `arms` holds only those that some runs lack."""
    return key == "arms" or key.partition(".")[0] in BESIDE


def _is_numeric(key: str, values: Sequence[Any]) -> bool:
    """Tell whether these are numbers, no two alike; of `keep` all shares or all counts, which are not on one scale."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return False
    if key.startswith("imbalance.keep.") and len({value > 1 for value in values}) > 1:
        return False
    return all(low < high for low, high in pairwise(sorted(map(float, values))))


def _called(values: Sequence[Sequence[Any]], names: Sequence[str]) -> tuple[str, ...]:
    labels = [label(of_run) for of_run in zip(*values, strict=True)]
    is_short = max(map(len, labels)) <= LONGEST_LABEL
    return tuple(labels) if is_short and len(set(labels)) == len(labels) else tuple(names)
