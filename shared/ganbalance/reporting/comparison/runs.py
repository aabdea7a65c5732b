"""Put several runs side by side: check what they must have in common, order them, and warn of what else differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganbalance.errors import ConfigError
from ganbalance.plurals import plural
from ganbalance.reporting.comparison import axis, crossings
from ganbalance.reporting.comparison.axis import LEAST, Axis
from ganbalance.reporting.comparison.differences import PLACES, differences, text
from ganbalance.reporting.formats import FAMILIES, listed, metric_name
from ganbalance.reporting.ranking import Ranking
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.wording import is_paper


@dataclass(frozen=True)
class Comparison:
    """Runs in the order of the axis; `differing` has the values of every key in that order.

    `rankings` are those that the reports kept, None where one of an older version kept none.
    """

    runs: tuple[str, ...]
    summaries: tuple[Summary, ...]
    axis: Axis
    differing: dict[str, list[Any]]
    warnings: tuple[str, ...]
    rankings: tuple[Ranking | None, ...]

    @property
    def first(self) -> Summary:
        """What holds for all of them is read from this one."""
        return self.summaries[0]

    @cached_property
    def pairs(self) -> list[crossings.Pair]:
        """Where arms cross the baseline and the reference."""
        return crossings.pairs(self)

    @property
    def arms(self) -> dict[str, list[str]]:
        """Family -> every arm that some run has, in the order in which they are shown."""
        family = {arm: of_arm.family for one in self.summaries for arm, of_arm in one.arms.items()}
        found = {name: [arm for arm, of_arm in family.items() if of_arm == name] for name in FAMILIES}
        return {name: of_family for name, of_family in found.items() if of_family}


def compare(reports: Mapping[str, Summary], rankings: Mapping[str, Ranking] | None = None) -> Comparison:
    """Put the runs, given by name, in order, with what is kept of their rankings.

    Raises ConfigError where their numbers are not of one kind.
    """
    names, summaries = list(reports), list(reports.values())
    if len(names) < LEAST:
        raise ConfigError(f"a comparison is of two runs or more; given: {listed(names) or 'none'}")
    found = differences(summaries)
    _refuse(names, summaries, found)
    along, order = axis.choose(found, names)
    ordered = {key: [values[place] for place in order] for key, values in found.items()}
    return Comparison(
        runs=tuple(names[place] for place in order),
        summaries=tuple(summaries[place] for place in order),
        axis=along,
        differing=ordered,
        warnings=tuple(_warnings(summaries, ordered)),
        rankings=tuple((rankings or {}).get(names[place]) for place in order),
    )


def _refuse(names: Sequence[str], summaries: Sequence[Summary], found: Mapping[str, Sequence[Any]]) -> None:
    """Refuse what no page can put side by side."""
    for name, summary in zip(names, summaries, strict=True):
        of = f"{names[0]} and {name} cannot be compared"
        metrics = [metric_name(one.primary) for one in (summaries[0], summary)]
        if metrics[0] != metrics[1]:
            raise ConfigError(f"{of}: verdicts rest on {metrics[0]} in one and on {metrics[1]} in the other")
        if summaries[0].dataset.fingerprint != summary.dataset.fingerprint:
            keys = [key for key in found if key.startswith("dataset.")]
            if not keys or {"dataset.name", *PLACES} & set(keys):
                raise ConfigError(f"{of}: their images are not the same; compare runs on one dataset")
    if not found:
        raise ConfigError(f"{listed(names)} do not differ in anything that changes a result: nothing to compare")


def _warnings(summaries: Sequence[Summary], found: Mapping[str, Sequence[Any]]) -> list[str]:
    said = []
    if len(tried := [key for key in found if not axis.is_beside(key)]) > 1:
        said.append(
            f"These runs differ in {plural(len(tried), 'setting')}, so what changes from one to the next may come from "
            f"any of them. {_described(found, tried)}."
        )
    if "seeds" in found:
        said.append(f"Their seeds differ ({_values(found['seeds'])}): some of what changes is the draw of the seeds.")
    if tasks := _under(found, "task"):
        said.append(f"Their tasks differ, so their numbers are about different classes. {_described(found, tasks)}.")
    if "arms" in found:
        said.append("Not every run has every arm, and p values are adjusted among the arms that a run has.")
    if len(set(map(is_paper, summaries))) > 1:
        said.append(
            "Some were made under the paper protocol, which gets wrong what the others get right; their own reports "
            "say what."
        )
    if judged := _under(found, "statistics"):
        said.append(f"Their verdicts are reached differently. {_described(found, judged)}.")
    if lost := [summary.experiment for summary in summaries if summary.missing_results]:
        said.append(f"Results are missing or diverged in {listed(lost)}; the reports of these runs say which.")
    return said


def _under(found: Mapping[str, Sequence[Any]], section: str) -> list[str]:
    return [key for key in found if key.startswith(f"{section}.")]


def _described(found: Mapping[str, Sequence[Any]], keys: Sequence[str]) -> str:
    return "; ".join(f"{key}: {_values(found[key])}" for key in keys)


def _values(values: Sequence[Any]) -> str:
    return " / ".join(dict.fromkeys(map(text, values)))
