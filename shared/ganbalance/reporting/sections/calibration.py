"""Show the calibration of the probabilities on real test images."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from ganbalance.metrics.classification import AS_TRAINED, FAIR
from ganbalance.reporting.formats import by_family, capitalised, quoted, rule_name
from ganbalance.reporting.layout import Picture, Report, Section
from ganbalance.reporting.plotting import INK, MUTED, blank, legend_below, line_styles, picture, styled
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.tables import of_metrics

RULES = (AS_TRAINED, FAIR)


def sections(report: Report) -> Iterator[Section]:
    """Show Brier score and log loss of both rules, and the reliability curves."""
    summary = report.summary
    rules = [rule for rule in RULES if any(rule in found.reliability for found in summary.arms.values())]
    table = of_metrics(
        summary,
        "Calibration on the test images",
        [
            (f"{head}, {rule_name(rule)}", f"{metric}@{rule}")
            for head, metric in (("Brier score", "brier"), ("log loss", "log_loss"))
            for rule in rules
        ],
        notes=(
            "Smaller is better. Every class weighs the same, however many test images it has; log loss in nats. As "
            "trained, a probability carries the class shares of the arm's training mix, so on these equal shares it is "
            "too low for a rare class by that alone.",
        ),
    )
    yield Section(
        title="Calibration",
        tables=(table,) if table else (),
        figures=(_picture(summary, report.results.class_names[report.results.shown], rules),) if rules else (),
    )


def _picture(summary: Summary, rare: str, rules: list[str]) -> Picture:
    return picture(
        reliability(summary, rules),
        "reliability.png",
        f"Reliability curves of every arm, a panel for each rule: {', '.join(map(rule_name, rules))}; the table of "
        "Brier scores sums them up.",
        f"Share of test images that are {quoted(rare)} against the predicted probability, in ten bins, all seeds "
        "together, the class and the rest weighted equally. On the diagonal a probability means what it says; above "
        "it, it is too low.",
    )


def reliability(summary: Summary, rules: list[str]) -> Figure:
    """Draw a panel per rule, a line per arm, and the diagonal."""
    styles = line_styles(by_family(summary))
    figure = blank(4.6 * len(rules), 4.6)
    panels = figure.subplots(1, len(rules), sharex=True, sharey=True, squeeze=False)[0]
    for axes, rule in zip(panels, rules, strict=True):
        styled(axes)
        axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1)
        for arm, found in summary.arms.items():
            if curve := found.reliability.get(rule):
                predicted, observed = zip(*curve, strict=True)
                axes.plot(predicted, observed, marker="o", markersize=3, **styles[arm])
        axes.set_title(capitalised(rule_name(rule)), fontsize=9, color=INK)
        axes.set_xlabel("predicted probability", fontsize=8)
    panels[0].set_ylabel("observed share", fontsize=8)
    legend_below(figure, panels[0])
    return figure
