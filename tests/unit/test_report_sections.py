import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ganbalance.config import Recipe
from ganbalance.reporting import tables, wording
from ganbalance.reporting.formats import interval, metric_name
from ganbalance.reporting.sections import answer, classifier, metrics, penalty, recipes
from ganbalance.reporting.summarise import remarks
from tests.unit import known_reports
from tests.unit.known_reports import Strict, row
from tests.unit.report_run import ARMS, SEEDS, STRENGTHS, changed


@pytest.fixture
def known():
    return known_reports.known()


@pytest.fixture
def four():
    return known_reports.four()


# -- the figures -------------------------------------------------------------------------------------------------------


def test_the_forest_shows_the_paired_difference_of_every_seed(known):
    seeds = answer.seed_differences(known.report)
    values = {
        (one["arm"], int(one["seed"])): float(one["value"])
        for one in known.rows("results.csv")
        if one["metric"] == "auc"
    }
    for seed in SEEDS:
        assert seeds["wgan-gp"][seed] == pytest.approx(values["wgan-gp", seed] - values["none", seed])
    (axes,) = answer.forest(known.summary, seeds).axes
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_markersize() < 4 and line.get_marker() == "o"]
    assert sorted(dots) == pytest.approx(sorted(value for arm in ARMS[1:] for value in seeds[arm].values()))
    low, high = axes.get_xlim()
    assert low < known.change("vanilla").low
    assert high > known.change("oracle").high
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == [
        "Generative arms",
        "DCGAN",
        "Vanilla GAN",
        "WGAN-GP",
        "Cheap arms",
        "class-weight",
        "Controls",
        "oracle",
    ]


def test_a_diverged_seed_is_a_hollow_dot_at_0_and_an_arm_that_did_not_train_has_no_interval(four):
    seeds = answer.seed_differences(four.report)
    assert seeds["dcgan"][3] is None
    (axes,) = answer.forest(four.summary, seeds).axes
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata()[0] for line in hollow] == [0]
    whiskers = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 2]
    assert len(whiskers) == 3  # class-weight, dcgan, oracle; not vanilla


def test_every_panel_of_the_metrics_fits_its_data_and_has_the_baseline_as_a_line(known):
    panels = metrics.dots(known.summary).axes
    assert len(panels) == len(metrics.REPORTED)
    for axes, metric in zip(panels, metrics.REPORTED, strict=True):
        found = [of_arm.metrics[metric] for of_arm in known.summary.arms.values()]
        low, high = min(one.low for one in found), max(one.high for one in found)
        assert axes.get_xlim()[0] == pytest.approx(low, abs=0.1 * (high - low))
        assert axes.get_xlim()[1] == pytest.approx(high, abs=0.1 * (high - low))
        base = known.summary.arms["none"].metrics[metric].mean
        assert any(list(line.get_xdata()) == [base, base] and list(line.get_ydata()) == [0, 1] for line in axes.lines)


def test_roc_curves_come_from_the_log_odds_and_their_area_is_the_auc(known):
    roc, _ = metrics.curves(known.report).axes
    assert len(roc.lines) == len(ARMS)
    for line in roc.lines:
        arm = {"DCGAN": "dcgan", "Vanilla GAN": "vanilla", "WGAN-GP": "wgan-gp"}.get(line.get_label(), line.get_label())
        area = np.trapezoid(line.get_ydata(), line.get_xdata())
        assert area == pytest.approx(known.summary.arms[arm].metrics["auc"].mean, abs=0.003)


# -- sections ----------------------------------------------------------------------------------------------------------


def test_what_of_a_gain_is_threshold_stands_beside_balanced_accuracy_under_both_rules(known):
    found = row(known.section("Threshold or ranking?").tables[0], "DCGAN")
    trained, fair = (known.change("dcgan", f"balanced_accuracy@{rule}") for rule in ("as-trained", "fair"))
    moved = known.summary.arms["dcgan"].moved
    assert found["Δ to none, as trained"] == interval(trained, signed=True)
    assert found["Δ to none, fair"] == interval(fair, signed=True)
    assert found["threshold moved: as trained minus fair"] == interval(moved, signed=True)
    assert moved.mean == pytest.approx(trained.mean - fair.mean)


def test_the_penalty_is_shown_along_the_grid_for_every_arm_with_the_chosen_strength_marked(known):
    arms = {arm: found.sensitivity for arm, found in known.summary.arms.items()}
    tuning, test, difference = penalty.along_grid(known.summary, arms).axes
    for axes, part in ((tuning, "tuning"), (test, "test"), (difference, "difference")):
        lines = {line.get_label(): line for line in axes.lines if len(line.get_xdata()) == len(STRENGTHS)}
        assert len(lines) == len(ARMS) - (part == "difference")
        assert list(lines["WGAN-GP"].get_xdata()) == list(STRENGTHS)
        assert list(lines["WGAN-GP"].get_ydata()) == getattr(arms["wgan-gp"], part)
        marked = [(x, y) for line in axes.lines for x, y in line.get_xydata() if len(line.get_xdata()) == 1]
        assert (1.0, getattr(arms["wgan-gp"], part)[1]) in marked
        assert axes.get_xscale() == "log"


def test_the_penalty_table_sets_the_choice_of_the_run_beside_that_of_each_seed(known):
    table = known.section("Penalty strength").tables[0]
    found = row(table, "WGAN-GP")
    tuned = known.summary.arms["wgan-gp"].sensitivity
    assert found["chosen for the run"] == "1"
    assert sum(map(int, re.findall(r"\((\d) seed", found["chosen by each seed alone"]))) == len(SEEDS)
    assert found["ΔAUC to none"] == interval(known.change("wgan-gp"), signed=True)
    assert found["ΔAUC to none, each seed’s own"] == interval(tuned.per_seed_difference, signed=True)
    assert found["verdict vetoed?"] == "no"
    summary = changed(known.summary, {"arms wgan-gp vetoed": True})
    (vetoed,) = penalty.sections(replace(known.report, summary=summary))
    assert row(vetoed.tables[0], "WGAN-GP")["verdict vetoed?"] == "vetoed"


def test_the_shares_of_the_variance_add_up_and_say_what_would_narrow_the_interval(known):
    table = known.section("What limits the intervals").tables[0]
    for name in ("DCGAN", "WGAN-GP", "oracle"):
        found = row(table, name)
        shares = [int(found[part].removesuffix(" %")) for part in ("seeds", "test images", "interaction")]
        assert sum(shares) == pytest.approx(100, abs=1)
    effect = known.summary.arms["wgan-gp"].detectable
    assert row(table, "WGAN-GP")["difference that would be called"] == f"{effect.low:.4f} to {effect.high:.4f}"


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.6, 0.3, 0.1), "more seeds; more test images buy little"),
        ((0.3, 0.6, 0.1), "more test images; more seeds buy little"),
        ((0.4, 0.4, 0.2), "more seeds, and more test images"),
        ((), "nothing: the difference has no variance"),
    ],
)
def test_what_holds_most_of_the_variance_is_what_narrows_an_interval(shares, said):
    assert wording.would_shrink(dict(zip(("seeds", "images", "interaction"), shares, strict=False))) == said


def test_calibration_is_shown_for_both_rules_and_is_right_where_the_rule_is(known):
    made = known.section("Calibration")
    found = row(made.tables[0], "none")
    brier = known.summary.arms["none"].metrics
    for rule, head in (("as-trained", "as trained"), ("fair", "fair")):
        assert found[f"Brier score, {head}"] == interval(brier[f"brier@{rule}"])
        assert found[f"log loss, {head}"] == interval(brier[f"log_loss@{rule}"])
    assert [picture.file for picture in made.figures] == ["reliability.png"]
    # no fifth of the test images is rarer than it is said to be where the threshold was never moved
    assert brier["brier@fair"].mean < brier["brier@as-trained"].mean
    for predicted, observed in known.summary.arms["none"].reliability["as-trained"][2:6]:
        assert observed > predicted


def test_at_deployment_shares_levels_are_named_in_words(known):
    ranked, fixed = known.section("At the class shares of deployment").tables
    assert fixed.head[1:] == (
        "Recall at precision 0.5",
        "Recall at precision 0.9",
        "Precision at recall 0.5",
        "Precision at recall 0.8",
    )
    metric = known.summary.arms["none"].metrics
    assert row(fixed, "none")["Precision at recall 0.8"] == interval(metric["precision_at_recall_0.8"])
    assert row(ranked, "none")["F1, deployment"] == interval(metric["deployed_f1@deployment"])
    assert row(ranked, "none")["Precision, as trained"] == interval(metric["deployed_precision@as-trained"])
    assert "“class 1” 20 %" in known.md


def test_of_many_classes_average_precision_at_deployment_is_that_of_the_rare_ones(known, four):
    note = "Average precision is the mean over the rare classes, precision and F1 over all."
    assert four.section("At the class shares of deployment").tables[0].notes == (note,)
    assert known.section("At the class shares of deployment").tables[0].notes == ()


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("recall/3@fair", "recall of “bag”, fair"),
        ("pairwise_auc/1-3", "pairwise AUC of “coat” and “bag”"),
        ("recall_at_precision_0.5", "recall at precision 0.5"),
        ("deployed_average_precision", "average precision"),
        ("log_loss@as-trained", "log loss, as trained"),
    ],
)
def test_a_metric_is_written_in_words(metric, name):
    assert metric_name(metric, ("top", "coat", "shoe", "bag")) == name


def test_each_rare_class_has_rows_of_its_own_beside_the_means(four):
    means, second, third, pairs = four.section("Each rare class").tables
    assert (second.caption, third.caption) == ("“class 2” alone", "“class 3” alone")
    found = four.summary.arms["none"].metrics
    assert row(third, "none")["Recall, fair"] == interval(found["recall/3@fair"])
    assert row(third, "none")["AUC, one-vs-rest"] == interval(found["auc/3"])
    assert row(third, "none")["pairwise AUC"] == interval(found["pairwise_auc/3"])
    assert row(means, "none")["F1, as trained"] == interval(found["f1@as-trained"])
    assert row(pairs, "none")["“class 2” and “class 3”"] == interval(found["pairwise_auc/2-3"])
    assert found["recall@fair"].mean != pytest.approx(found["recall/3@fair"].mean)


def test_two_classes_have_no_section_for_rare_ones(known):
    assert "Each rare class" not in known.html + known.md


def test_four_classes_are_judged_by_pairs_and_reported_as_macro_averages(four):
    for page in four.pages:
        assert "Pairwise AUC: how well two-class heads tell each rare class from every other class" in page
        assert "Macro averages; AUC and average precision are one-vs-rest." in page
        assert "ROC curve" not in page
    assert "pairwise AUC" in tables.terminal(four.summary)
    cells = sum(len(cells) for cells in four.report.results.cells.values())
    assert len(four.rows("confusion.csv")) == 16 * 3 * cells
    Strict(four.html)


def test_confusions_are_drawn_under_both_rules_and_hold_every_test_image(known):
    matrices = classifier.mean_confusions(known.report)
    assert set(matrices) == {"as-trained", "fair"}
    assert all(matrix.sum() == pytest.approx(600) for arms in matrices.values() for matrix in arms.values())
    recall = matrices["fair"]["none"][1, 1] / matrices["fair"]["none"][1].sum()
    assert recall == pytest.approx(known.summary.arms["none"].metrics["recall@fair"].mean)
    assert {"confusion-as-trained.png", "confusion-fair.png"} <= {
        path.name for path in (known.folder / "figures").iterdir()
    }


def test_solutions_that_did_not_converge_are_counted(known):
    assert known.summary.arms["vanilla"].unsolved == len(SEEDS)
    assert "Vanilla GAN: 5 solutions of the head did not converge." in known.md
    assert "WGAN-GP: " not in known.section("Classifier").text


def test_both_pages_show_every_section_table_and_figure(known, four):
    for found in (known, four):
        for made in found.sections:
            for page in found.pages:
                assert made.title in page
                assert all(table.caption in page and all(note in page for note in table.notes) for table in made.tables)
                assert all(picture.caption in page and picture.alt in page for picture in made.pictures)
                assert all(text in page for text in (*made.text, *made.warnings))


def test_no_two_figures_share_a_file(four):
    files = [picture.file for made in four.sections for picture in made.pictures]
    assert len(set(files)) == len(files)


def test_the_html_page_is_well_formed_and_needs_no_other_file(known):
    page = Strict(known.html)
    assert len(page.loaded) == len(page.alts) >= 11
    assert all(source.startswith("data:image/png;base64,") for source in page.loaded)
    assert all(len(alt) > 20 for alt in page.alts)
    assert "url(" not in known.html
    assert "@import" not in known.html
    assert "class 0 &amp; &lt;co&gt;" in known.html
    assert "&lt;co>" in known.md


def test_the_table_of_a_gan_holds_the_metrics_of_the_course_report_over_shared_seeds(four):
    table = four.section("DCGAN").tables[0]
    seeds = [0, 1, 2, 4]
    points = four.report.analysis.points
    before, after = (np.mean([points[arm][seed]["f1@as-trained"] for seed in seeds]) for arm in ("none", "dcgan"))
    assert row(table, "F1, as trained") == {
        "Metric": "F1, as trained",
        "Baseline": f"{before:.4f}",
        "DCGAN balanced": f"{after:.4f}",
        "Absolute difference": f"{after - before:+.4f}",
        "Performance shift": f"{(after - before) / before:+.2%}",
    }
    assert table.notes == ("Means over 4 shared seeds; the shift is relative to the baseline.",)


def test_recipes_that_are_spelled_out_are_listed_with_what_differs_from_the_plain_parts():
    arms = (
        Recipe(name="none"),
        Recipe(name="same", method="none"),
        Recipe(name="mine", method={"name": "smote", "k_neighbors": 3}, rescoring="threshold"),
    )
    asked = SimpleNamespace(question=SimpleNamespace(experiment=SimpleNamespace(arms=arms)))
    (section,) = recipes.sections(asked)
    assert [(item.term, item.text) for item in section.items] == [
        ("mine", "method: {name: smote, k_neighbors: 3}, rescoring: threshold")
    ]
    asked.question.experiment.arms = arms[:2]
    assert list(recipes.sections(asked)) == []


# -- what was tuned on -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "removed", "said"),
    [
        ((9, 5), (0, 75), "on 80 held-out images of “cat” per seed, 75 of them removed by the imbalance. Who has the "
         "imbalanced data alone has 5: the"),
        ((5, 5), (75, 75), "on 80 held-out images of each of “dog” and “cat” per seed, 75 of them removed by the "
         "imbalance. Who has the imbalanced data alone has 5: the"),
        ((1000, 50), (300, 250), "on 300 to 1,300 held-out images of each of “dog” and “cat” per seed, 250 to 300 of "
         "them removed by the imbalance. Who has the imbalanced data alone has 50 to 1,000: the"),
        ((9, 5), (0, 0), None),
    ],
)  # fmt: skip
def test_one_sentence_says_on_what_was_tuned_of_all_rare_classes(known, kept, removed, said):
    report = known.report
    counts = report.results.counts | {"validation": list(kept), "tuning": list(removed)}
    results = replace(report.results, class_names=("dog", "cat"), counts=counts)
    found = [one for one in remarks(report.question, results, report.analysis) if "fair thresholds are chosen" in one]
    assert len(found) == bool(said)
    assert not said or said in found[0]
