"""Find what differs between the resolved experiments of several runs, by dotted key."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ganbalance.printing import printable
from ganbalance.reporting.summary import Summary

NOT_SET = object()
"""The value of a key that an experiment does not have."""
RESULTLESS = ("name", "note", "resources", "cost")
"""Settings that change no result."""
PLACES = ("dataset.path", "dataset.folder")
"""Where images lie, which says nothing of what they are."""


def differences(summaries: Sequence[Summary]) -> dict[str, list[Any]]:
    """Find the keys that do not have one value in all runs: dotted key -> its value in each run.

    Arms that all runs have are compared part by part, the others as the value of `arms`.
    """
    experiments = [summary.provenance.experiment for summary in summaries]
    common = set.intersection(*(set(_arms(experiment)) for experiment in experiments))
    flat = [dict(_flat(experiment, common)) for experiment in experiments]
    same_data = len({summary.dataset.fingerprint for summary in summaries}) == 1
    ignored = (*RESULTLESS, *(PLACES if same_data else ()))
    keys = [key for key in dict.fromkeys(key for one in flat for key in one) if not _in(key, ignored)]
    found = {key: [one.get(key, NOT_SET) for one in flat] for key in keys}
    if len(set(found.get("classifier.kind", ()))) > 1:  # each kind has settings of its own
        found = {key: values for key, values in found.items() if "classifier." not in key or NOT_SET not in values}
    return {key: values for key, values in found.items() if any(value != values[0] for value in values)}


def text(value: Any) -> str:
    """Format a value as a reader knows it from the experiment file."""
    if value is NOT_SET or value is None:
        return "not set"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(text, value)) or "–"
    return printable(str(value))


def _flat(experiment: Mapping[str, Any], common: set[str]) -> Iterator[tuple[str, Any]]:
    for key, value in experiment.items():
        if key == "arms":
            yield "arms", sorted(set(_arms(experiment)) - common)
            yield from _leaves("arms", {name: parts for name, parts in _arms(experiment).items() if name in common})
        else:
            yield from _leaves(key, value)


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{key}.{printable(name)}", inner)
    else:
        yield key, value


def _arms(experiment: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Map each arm's name to the parts that the file gives it; none where it gives a name alone."""
    given = [{"name": arm} if isinstance(arm, str) else arm for arm in experiment["arms"]]
    return {arm["name"]: {part: value for part, value in arm.items() if part != "name"} for arm in given}


def _in(key: str, sections: Sequence[str]) -> bool:
    return any(key == section or key.startswith(f"{section}.") for section in sections)
