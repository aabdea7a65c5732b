"""Say in sentences where verdicts change along a comparison, and whether there was anything to gain."""

from itertools import pairwise

from ganbalance.metrics import verdicts
from ganbalance.plurals import plural
from ganbalance.reporting.comparison.runs import Comparison
from ganbalance.reporting.formats import arm_name, capitalised, listed, quoted, some, verdict_label
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.verdict_text import shut
from ganbalance.reporting.wording import classifier

LONGEST_SPAN = 40
NO_CLAIM = (
    "A verdict is that of its own run, against that run’s own baseline. That it changes does not show that an arm does "
    "more in one run than in another: where their intervals overlap, it may do the same in both. Nothing is claimed "
    "about the order of arms, nor of runs."
)


def along(comparison: Comparison, arm: str) -> str:
    """Say where the verdict on an arm changes, in one sentence; nothing of an arm that no run judges."""
    axis = comparison.axis
    judged = [
        (label, found)
        for label, summary in zip(axis.labels, comparison.summaries, strict=True)
        if (found := _verdict(summary, arm))
    ]
    if not judged:
        return ""
    lacking = [label for label in axis.labels if label not in dict(judged)]
    absent = f"; no arm or no verdict at {listed(lacking)}" if lacking else ""
    kinds = list(dict.fromkeys(found for _, found in judged))
    if len(kinds) == 1:
        where = (
            f"at {judged[0][0]} alone" if len(judged) == 1 else "at every value" if not lacking else "wherever it is"
        )
        return f"{capitalised(kinds[0])}, {where}{absent}."
    if axis.places is None:
        parts = [f"{kind} at {listed([label for label, found in judged if found == kind])}" for kind in kinds]
        return f"{capitalised('; '.join(parts))}{absent}."
    changes = [
        f"between {before} and {after}, from “{old}” to “{new}”"
        for (before, old), (after, new) in pairwise(judged)
        if old != new
    ]
    return f"The verdict changes {listed(changes)}{absent}."


def _verdict(summary: Summary, arm: str) -> str:
    """Name the verdict with its direction, without details that differ from run to run; empty where there is none."""
    found = summary.arms.get(arm)
    if not found or not found.verdict:
        return ""
    if found.verdict.name == verdicts.MOVES:
        return verdict_label(summary, arm)
    return str(found.verdict.name)


def title(comparison: Comparison) -> str:
    """Say how many runs there are, along what."""
    axis = comparison.axis
    span = f"from {axis.labels[0]} to {axis.labels[-1]}" if axis.places else listed(axis.labels)
    along = f"{plural(len(comparison.runs), 'run')} along {axis.title}"
    return f"{along}: {span}" if len(span) <= LONGEST_SPAN else along


def headline(comparison: Comparison) -> str:
    """Say in which runs a gain could have been seen, and on which arms the verdict is not the same in all."""
    arms = [arm for of_family in comparison.arms.values() for arm in of_family]
    found = {arm: {_verdict(one, arm) for one in comparison.summaries} - {""} for arm in arms}
    changing = [arm_name(arm) for arm, kinds in found.items() if len(kinds) > 1]
    if not any(found.values()):
        return f"{gates(comparison)} No arm was judged."
    if not changing:
        return f"{gates(comparison)} No verdict changes along the way."
    verdict = "verdict on" if len(changing) == 1 else "verdicts on"
    return f"{gates(comparison)} The {verdict} {listed(changing)} change{'s' * (len(changing) == 1)} along the way."


def gates(comparison: Comparison) -> str:
    """Say in which runs giving the removed images back makes a gain, so that an arm could have shown one."""
    of = [("unknown" if one.gate is None else "shut" if shut(one) else "open") for one in comparison.summaries]
    where = {
        state: listed([label for label, found in zip(comparison.axis.labels, of, strict=True) if found == state])
        for state in dict.fromkeys(of)
    }
    said = {
        "open": "a gain could have been seen",
        "shut": "no arm could have shown a gain",
        "unknown": "whether a gain could have been seen is not known",
    }
    if len(where) == 1:
        return f"{capitalised(said[of[0]])} in {'each' if of[0] == 'open' else 'any'} of these runs."
    return capitalised("; ".join(f"{said[state]} at {labels}" for state, labels in where.items())) + "."


def asked(comparison: Comparison) -> str:
    """Say what all the runs have in common, in one line."""
    data = [one.dataset for one in comparison.summaries]
    parts = {
        "data": [f"{one.name}, {listed(some([*map(quoted, one.classes)]))}" for one in data],
        "classifier": [classifier(one) for one in comparison.summaries],
        "seeds": [plural(len(one.seeds), "seed") for one in comparison.summaries],
        "test": [f"{one.test:,} test images" for one in data],
    }
    common = [
        next(values) for values in (map(str, dict.fromkeys(found)) for found in parts.values() if len(set(found)) == 1)
    ]
    return f"{', '.join(common)}." if common else ""
