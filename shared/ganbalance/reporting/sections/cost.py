"""Show what each arm cost beside what it gained: seconds, money, and the price of a point."""

from collections.abc import Iterator

from ganbalance.reporting.cost import priced
from ganbalance.reporting.formats import NOTHING, amount, metric_name, seconds
from ganbalance.reporting.layout import Entry, Report, Section
from ganbalance.reporting.summary import ArmCost, Cost, Spent, Summary
from ganbalance.reporting.tables import of_arms


def sections(report: Report) -> Iterator[Section]:
    """Show one table, and how to read it."""
    summary = report.summary
    if (found := summary.cost) is None:
        return
    metrics = [name for name in priced(summary) if any(name in of_arm.metrics for of_arm in summary.arms.values())]
    head = (
        "arm",
        "seconds, all seeds",
        "on an accelerator",
        "in failed attempts",
        *([f"{_unit(found)}, all seeds"] if found.prices else []),
        f"on top of {summary.baseline}, one seed",
        *(f"a point of {metric_name(name)}" for name in metrics),
    )
    table = of_arms(
        summary,
        "What each arm cost, and a point of its gain",
        head,
        lambda arm: _row(found, found.arms[arm], metrics),
        notes=tuple(_notes(summary, found)),
    )
    yield Section(title="Cost", text=(_run(found),), tables=(table,))


def _row(cost: Cost, arm: ArmCost, metrics: list[str]) -> tuple[Entry, ...]:
    whole = arm.whole
    return (
        Entry(seconds(whole.seconds), f"({seconds(arm.shared_seconds)} shared)"),
        Entry(seconds(whole.accelerator_seconds)),
        Entry(seconds(whole.lost_seconds)),
        *([Entry(amount(whole.money))] if whole.money is not None else []),
        _on_top(cost, arm.on_top),
        *(_point(arm, name, _unit(cost)) for name in metrics),
    )


def _on_top(cost: Cost, found: Spent) -> Entry:
    """Format in seconds and, where there are prices, in money; nothing of the baseline."""
    if not found.seconds:
        return Entry(NOTHING)
    return Entry(f"{seconds(found.seconds)} s", "" if found.money is None else f"{amount(found.money)} {_unit(cost)}")


def _point(found: ArmCost, metric: str, unit: str) -> Entry:
    if metric not in found.per_point:
        return Entry(NOTHING)
    if (price := found.per_point[metric]) is None:
        return Entry("no gain to price")
    return Entry(f"{amount(price.mean)} {unit}", f"[{amount(price.low)}, {amount(price.high)}]")


def _unit(cost: Cost) -> str:
    """Name what a point is priced in."""
    return cost.prices.currency if cost.prices else "s"


def _run(cost: Cost) -> str:
    run = cost.run
    paid = "" if run.money is None else f" and {amount(run.money)} {_unit(cost)}"
    return (
        f"All stages that are read here, each once, took {seconds(run.seconds)} s{paid}. Of that "
        f"{seconds(run.accelerator_seconds)} s were on an accelerator, and {seconds(run.lost_seconds)} s were lost in "
        "attempts that failed or were stopped, since their last checkpoint."
    )


def _notes(summary: Summary, cost: Cost) -> Iterator[str]:
    yield (
        "A stage counts with the seconds that it took when it ran, also where its result was there already, and for "
        "every arm that needs it: rows share stages, such as the features of the real images, and do not add up. An "
        "attempt that was killed outright leaves no record."
    )
    yield (
        f"On top of {summary.baseline}: the stages that {summary.baseline} does not need, divided by the seeds. Of "
        "that a point, .01 of a metric, has the price shown, in brackets over the 95 % interval of the gain, which is "
        "not adjusted for the number of arms. Where that does not lie above 0 there is no gain to price."
    )
    if any(found.family == "control" for found in summary.arms.values()):
        yield "Controls have no price: what it costs to collect the images that they add is not known."
    if cost.run.accelerator_seconds:
        yield "Stages that ran on one accelerator at a time each count with the whole of it."
    if cost.prices is None:
        yield (
            "For money give prices in the experiment, cost: {cpu_hour: 0.04, accelerator_hour: 2.5, currency: EUR}; "
            "only the report is made anew."
        )
    else:
        prices = cost.prices
        yield (
            f"Prices: {prices.cpu_hour:g} {prices.currency} for an hour of a core, {prices.accelerator_hour:g} "
            f"{prices.currency} for an hour of an accelerator with the machine around it."
        )
