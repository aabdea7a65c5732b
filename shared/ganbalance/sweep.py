"""Expand the sweep of an experiment file into one experiment for each combination of its values.

sweep:
  imbalance.keep.shirt: [0.2, 0.05]     dotted keys, as --set takes them
  classifier.side_px: [32, 64]          with the first: four experiments, the last key changing first

A list of such mappings, as scikit-learn's ParameterGrid takes one, is the experiments of each of them in turn.

Each is the experiment that a file of its own would describe, under a name that tells its values, so stages that do not
depend on what differs are shared by their keys.
"""

import copy
import itertools
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ganbalance import config
from ganbalance.config import Experiment
from ganbalance.errors import ConfigError
from ganbalance.frozen import dump
from ganbalance.keys import digest
from ganbalance.printing import printable

LONGEST_NAME = 40
LEAST_OF_BASE = 8
"""Characters of the file's own name that stay; a name gives up on telling keys first, and on values next."""
RESULTLESS = ("name", "note", "resources", "cost", "sweep")
"""Settings that change no result."""


class Combination(NamedTuple):
    """One experiment, not yet checked: its settings, and what of them the sweep gave, by dotted key."""

    settings: dict[str, Any]
    values: dict[str, Any]


class Member(NamedTuple):
    """One experiment of a file; `values` are what tells it from the others there, by dotted key."""

    experiment: Experiment
    values: dict[str, Any]

    def __str__(self) -> str:
        return _described(self.values)


def combinations(given: dict[str, Any], *, picked: Iterable[str] = ()) -> list[Combination]:
    """List the experiments that `given`, an experiment file, stands for: one where it sweeps nothing.

    `picked` are the dotted keys that the command line gave: of a swept one, its value there is the only one left.
    Raises ConfigError for a sweep that cannot be.
    """
    if "sweep" not in given:
        return [Combination(given, {})]
    base = {key: value for key, value in given.items() if key != "sweep"}
    grids, only = _grids(given["sweep"]), dict[str, Any]()
    swept = _values_of(grids)
    for key in picked:
        if key in swept:
            section, name = config.find(base, key, where=f"--set {key}")
            only[key] = section[name]
        elif other := next((other for other in swept if _within(key, other) or _within(other, key)), None):
            raise ConfigError(f"--set {key}: {other} is swept; pick one of its values: {_pick(other, swept[other])}")
    for key, value in only.items():
        if not any(_equal(value, other) for other in swept[key]):
            grids = [grid | {key: [*grid[key], value]} if key in grid else grid for grid in grids]
    found = [dict(zip(grid, values, strict=True)) for grid in grids for values in itertools.product(*grid.values())]
    names = _names(base.get("name"), found)
    chosen = [
        _combination(base, name, values)
        for name, values in zip(names, found, strict=True)
        if all(key in values and _equal(values[key], value) for key, value in only.items())
    ]
    if not chosen:
        sets = " ".join(_pick(key, [value]) for key, value in only.items())
        raise ConfigError(f"{sets}: no experiment of the sweep has these together; set fewer of them")
    return chosen


def _combination(base: Mapping[str, Any], name: Any, values: dict[str, Any]) -> Combination:
    settings = copy.deepcopy(dict(base)) | {"name": name}
    for key, value in values.items():
        config.put(settings, key, value, where=f"sweep.{printable(key)} = {shown(value)}")
    return Combination(settings, values)


def check(found: Sequence[Combination], *, where: str) -> tuple[Member, ...]:
    """Check the experiments that these combinations describe. Raises ConfigError for the first that is none."""
    members: list[Member] = []
    for one in found:
        of = f"{where} with {_described(one.values)}" if one.values else where
        member = Member(config.check(one.settings, where=of), one.values)
        if twin := next((other for other in members if _results(other) == _results(member)), None):
            raise ConfigError(f"{where}: the same experiment twice, with {twin} and with {member}; leave one value out")
        members.append(member)
    return tuple(members)


def _results(member: Member) -> dict[str, Any]:
    return {key: value for key, value in dump(member.experiment).items() if key not in RESULTLESS}


def which(found: Sequence[Member]) -> str:
    """Say how to choose one of them on the command line."""
    values = _values_of([{key: [value] for key, value in one.values.items()} for one in found])
    first, *others = found
    if any(one.values.keys() != first.values.keys() for one in others):
        return " ".join(_pick(key, [value]) for key, value in first.values.items()) + " (or those of another)"
    return " ".join(_pick(key, of_key) for key, of_key in values.items() if len(of_key) > 1)


def shown(value: Any) -> str:
    """Write a value as one would after `--set key=`."""
    if isinstance(value, str) and _reads_as(value) == value:
        return value
    return json.dumps(value, default=str)


def _reads_as(text: str) -> Any:
    try:
        return config.parse_set(f"key={text}")[1]
    except ConfigError:
        return None


def _described(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{printable(key)} = {shown(value)}" for key, value in values.items())


# -- what is swept -----------------------------------------------------------------------------------------------------


Grid = dict[str, list[Any]]
"""Dotted key -> its values."""


def _grids(sweep: Any) -> list[Grid]:
    """List the grids of a sweep. Raises ConfigError."""
    return [_grid(one) for one in sweep] if isinstance(sweep, list) and sweep else [_grid(sweep)]


def _values_of(grids: Sequence[Grid]) -> Grid:
    """Collect every swept key with all of its values."""
    values: Grid = {}
    for grid in grids:
        for key, of_key in grid.items():
            known = values.setdefault(key, [])
            known += [value for value in of_key if not any(_equal(value, other) for other in known)]
    return values


def _grid(sweep: Any) -> Grid:
    """Check one grid of a sweep. Raises ConfigError."""
    if not isinstance(sweep, dict) or not sweep:
        raise ConfigError(f"sweep = {sweep!r}: map keys to lists of values, such as imbalance.keep.shirt: [0.2, 0.05]")
    for key, values in sweep.items():
        if not all(config.parts(key)):
            raise ConfigError(f"sweep.{printable(key)}: write a key as --set takes it, such as gans.dcgan.steps")
        if key.partition(".")[0] in RESULTLESS:
            raise ConfigError(f"sweep.{key} = {values!r}: {key} changes no result, so there is nothing to compare")
        if not isinstance(values, list) or not values:
            raise ConfigError(f"sweep.{printable(key)} = {values!r}: give a list of at least one value")
        if twice := [value for value, other in itertools.combinations(values, 2) if _equal(value, other)]:
            raise ConfigError(f"sweep.{printable(key)} = {values!r}: every value once; given twice: {shown(twice[0])}")
        if other := next((other for other in sweep if _within(key, other)), None):
            raise ConfigError(
                f"sweep.{printable(key)} = {values!r}: it is a part of {other}, which is swept too; sweep one of them"
            )
    return {key: list(values) for key, values in sweep.items()}


def _within(key: str, other: str) -> bool:
    whole = config.parts(other)
    return key != other and config.parts(key)[: len(whole)] == whole


def _equal(one: Any, other: Any) -> bool:
    """Tell whether two values are equal: 1 is 1.0, but not true."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _pick(key: str, values: Sequence[Any]) -> str:
    first, *others = (shown(value) for value in values)
    more = f" (or {', '.join(others)})" if others else ""
    return f"--set {shlex.quote(f'{key}={first}')}{more}"


# -- names -------------------------------------------------------------------------------------------------------------


def _names(base: Any, found: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Give each a name of at most 40 characters: the file's and as much of its values as fits for all of them."""
    if not isinstance(base, str) or not re.fullmatch(f"[a-z0-9-]{{1,{LONGEST_NAME}}}", base):
        return [base] * len(found)  # the check says what is wrong with it
    keys = list(dict.fromkeys(key for values in found for key in values))
    labels = {key: _label(key, keys) for key in keys}
    for tails in ([_tail(values, labels) for values in found], [_tail(values, {}) for values in found]):
        room = [LONGEST_NAME - len(tail) - 1 for tail in tails]
        if len(set(tails)) == len(tails) and min(room) >= min(LEAST_OF_BASE, len(base)):
            break
    else:
        tails = [_short(values) for values in found]
    return [f"{base[: LONGEST_NAME - len(tail) - 1].rstrip('-')}-{tail}" for tail in tails]


def _tail(values: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    return "-".join(part for key, value in values.items() for part in (labels.get(key), _slug(value)) if part)


def _label(key: str, keys: Iterable[str]) -> str:
    """Take as much of the end of a dotted key as tells it from the others and is not a number."""
    parts = config.parts(key)
    others = [config.parts(other) for other in keys if other != key]
    for length in range(1, len(parts) + 1):
        end = parts[-length:]
        if not any(other[-length:] == end for other in others) and not end[0].isdecimal():
            break
    return _slug("-".join(end))


def _slug(value: Any) -> str:
    """Write a value in the letters of a name; a digest of what has none of them."""
    if isinstance(value, (list, dict)):
        text = json.dumps(value)
    elif isinstance(value, float):
        text = f"{value!r}".removesuffix(".0")
    else:
        text = shown(value)
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-") or _short(value)


def _short(value: Any) -> str:
    return digest(json.dumps(value, default=str))[:8]
