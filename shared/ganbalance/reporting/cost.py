"""Add up what each arm cost, and what a point of its gain costs, from the seconds that its stages took."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ganbalance.config import Prices
from ganbalance.metrics import verdicts
from ganbalance.metrics.results import Difference
from ganbalance.reporting.formats import WITHHELD, change
from ganbalance.reporting.summary import ArmCost, Cost, PerPoint, Spent, Summary
from ganbalance.store.artifacts import Artifact, Ended

HOUR_S = 3600
POINT = 0.01
"""What a point of a metric between 0 and 1 is."""
UNPRICED = (WITHHELD, verdicts.DID_NOT_TRAIN, verdicts.TOO_FEW_SEEDS, verdicts.TOO_FEW_IMAGES)
"""Verdicts of arms whose gain is not known."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a stage, and the arms that need it; `lost_seconds` are those that nothing came of."""

    arms: frozenset[str]
    seconds: float
    lost_seconds: float
    threads: int
    device: str

    def money(self, prices: Prices) -> float:
        """Price the hours of the accelerator where it was used, else of each core."""
        hour = prices.accelerator_hour if self.device == "cuda" else prices.cpu_hour * self.threads
        return self.seconds / HOUR_S * hour


def attempts(arms: frozenset[str], artifact: Artifact | None, ended: Sequence[Ended]) -> Iterator[Attempt]:
    """Yield every attempt at a stage that is known: the one that made its artifact, and those that ended without one.

    An artifact knows the attempts before it; `ended` are those at a stage that has none. An artifact from before there
    was a device in its provenance counts as made on the accelerator that it names.
    """
    if artifact is not None:
        made = artifact.commit.provenance
        device = made.get("device", "cuda" if made.get("accelerator") else "cpu")
        yield Attempt(arms, float(made.get("seconds", 0.0)), 0.0, int(made.get("threads", 1)), device)
        ended = [Ended.model_validate(one) for one in made.get("ended", ())]
    for one in ended:
        yield Attempt(arms, one.seconds, one.seconds - one.kept_seconds, one.threads, one.device)


def measure(summary: Summary, found: Sequence[Attempt], prices: Prices | None) -> Cost:
    """Compute what the run and each of its arms cost, and what a point of each gain does."""
    return Cost(
        run=spent(found, prices),
        arms={arm: _arm(summary, arm, found, prices) for arm in summary.arms},
        prices=prices,
    )


def spent(found: Iterable[Attempt], prices: Prices | None) -> Spent:
    """Add up these attempts; money only where there are prices."""
    all_of_them = list(found)
    return Spent(
        seconds=_sum(one.seconds for one in all_of_them),
        accelerator_seconds=_sum(one.seconds for one in all_of_them if one.device == "cuda"),
        lost_seconds=_sum(one.lost_seconds for one in all_of_them),
        money=sum(one.money(prices) for one in all_of_them) if prices else None,
    )


def _sum(seconds: Iterable[float]) -> float:
    return round(sum(seconds), 2)


def _arm(summary: Summary, arm: str, found: Sequence[Attempt], prices: Prices | None) -> ArmCost:
    needed = [one for one in found if arm in one.arms]
    own = spent((one for one in needed if summary.baseline not in one.arms), prices)
    on_top = own.over(len(summary.seeds))
    return ArmCost(
        whole=spent(needed, prices),
        shared_seconds=_sum(one.seconds for one in needed if len(one.arms) > 1),
        on_top=on_top,
        per_point=_per_point(summary, arm, on_top.seconds if on_top.money is None else on_top.money),
    )


def priced(summary: Summary) -> list[str]:
    """List the metrics whose points have a price: the primary one, and recall at each fixed precision."""
    return [summary.primary, *(f"recall_at_precision_{level:g}" for level in summary.levels.precision)]


def _per_point(summary: Summary, arm: str, cost: float) -> Mapping[str, PerPoint | None]:
    """Price, by metric, a point of the arm's gain at one seed; None where there is no gain to price.

    Nothing of arms that are not for sale, as controls are not, nor where the gain or its interval is not known.
    """
    of_arm = summary.arms[arm]
    unknown = of_arm.verdict is not None and of_arm.verdict.name in UNPRICED
    if unknown or of_arm.family in ("baseline", "control"):
        return {}
    gains = {metric: change(summary, arm, metric) for metric in priced(summary)}
    return {metric: _price(cost, gain) for metric, gain in gains.items() if gain and gain.low is not None}


def _price(cost: float, gain: Difference) -> PerPoint | None:
    """Price a point, with the range that the interval of the gain leaves; None unless that lies above 0."""
    if gain.low is None or gain.high is None or gain.low <= 0:
        return None
    return PerPoint(*(cost * POINT / each for each in (gain.mean, gain.high, gain.low)))
