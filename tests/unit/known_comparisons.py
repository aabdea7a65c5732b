"""Reports of several runs whose comparison is known: that of a run whose GAN hurts, changed where a test wants it."""

import copy
from typing import Any

from ganbalance.frozen import dump
from ganbalance.metrics.results import Metric
from ganbalance.metrics.verdicts import MOVES
from ganbalance.reporting.comparison.runs import Comparison, compare
from ganbalance.reporting.summary import Summary
from tests.unit.known_reports import hurting

KEEP = "imbalance.keep.1"


def report(
    name: str,
    settings: dict[str, Any] | None = None,
    *,
    verdicts: dict[str, str] | None = None,
    gate: bool | None = True,
    without: tuple[str, ...] = (),
    **changes: Any,
) -> Summary:
    """One report: `settings` by dotted key of its experiment, a verdict by arm, whether a gain could be seen."""
    summary = dump(hurting().summary) | {"experiment": name}
    experiment = summary["provenance"]["experiment"] | {"name": name}
    summary["provenance"]["experiment"] = experiment
    for key, value in (settings or {}).items():
        *parents, last = key.split(".")
        section = experiment
        for part in parents:
            section = section.setdefault(part, {})
        section[last] = value
    for arm, verdict in (verdicts or {}).items():
        summary["arms"][arm]["verdict"] |= {"name": verdict, "direction": int(verdict == MOVES), "measurable": False}
    for arm in without:
        del summary["arms"][arm]
        experiment["arms"].remove(arm)
    summary["gate"] = None if gate is None else summary["gate"] | {"open": gate}
    return Summary.of(summary | copy.deepcopy(changes), where=name)


def along(key: str, values: list[Any], **changes: Any) -> dict[str, Summary]:
    """A report per value of one setting; `changes` are lists with an entry for each."""
    return {
        f"run-{place}": report(f"run-{place}", {key: value}, **{what: of[place] for what, of in changes.items()})
        for place, value in enumerate(values)
    }


def compared(key: str, values: list[Any], **changes: Any) -> Comparison:
    """The comparison of these."""
    return compare(along(key, values, **changes))


def auc(arm: str = "dcgan") -> Metric:
    return report("any").arms[arm].metrics["auc"]


def judged(*of: str, key: str = KEEP, values: tuple[Any, ...] = (0.01, 0.05, 0.2)) -> Comparison:
    return compared(key, list(values[: len(of)]), verdicts=[{"dcgan": verdict} for verdict in of])
