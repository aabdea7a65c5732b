import html
import io
import re

import numpy as np
import pytest

from ganbalance.frozen import dump
from ganbalance.reporting import figures, headline, tables, verdict_text, wording
from ganbalance.reporting.formats import interval, p_value
from tests.loading import loaded_by
from tests.unit import known_reports
from tests.unit.known_reports import row
from tests.unit.report_run import ARMS, Outcome, SyntheticRun, changed


@pytest.fixture
def known():
    return known_reports.known()


@pytest.fixture
def shut():
    return known_reports.shut()


@pytest.fixture
def four():
    return known_reports.four()


def first_words(found):
    """What the headline of the HTML and the Markdown page says first, and what the terminal and the README do."""
    yield html.unescape(re.search(r'<p class="headline">(.*?)</p>', found.html)[1])
    yield found.md.splitlines()[4].strip("*")
    yield " ".join(tables.terminal(found.summary).splitlines()[1:])
    yield tables.readme(found.summary).strip("*")


# -- the answer comes first --------------------------------------------------------------------------------------------


def test_the_first_sentence_is_the_answer_on_the_generative_arms_where_a_gain_could_have_been_seen(known):
    for words in first_words(known):
        assert words.startswith(f"WGAN-GP helps: AUC {interval(known.change('wgan-gp'), signed=True)} against none;")
        assert "Vanilla GAN hurts: AUC -0." in words
        assert "DCGAN moves the threshold only, for better" in words
        assert "class-weight" not in words.partition("arm")[0]
    gain = known.summary.gate.gain
    for page in known.pages:
        assert f"A gain could have been seen: giving the removed images back changes AUC by +{gain.mean:.4f}" in page


def test_the_first_sentence_is_the_gate_where_no_gain_could_have_been_shown(shut):
    assert not shut.summary.gate.open
    gain = interval(shut.change("oracle"), signed=True)
    for words in first_words(shut):
        assert words.startswith(
            f"This run could not have shown a gain: giving the removed images back changes AUC by {gain}. It needs more"
        )
        assert "WGAN-GP helps: AUC" in words
        assert "against none, unexpected: confirm with fresh seeds" in words
        assert "DCGAN makes no difference in ranking, nor do the removed images make one" in words
        assert "A gain could have been seen" not in words
    for page in shut.pages:
        assert "On this data DCGAN makes no difference in ranking, nor do the removed images make one" in page
        assert "That is unexpected: confirm with fresh seeds" in page
        assert "oracle makes no difference in ranking, nor do" not in page


@pytest.mark.parametrize(
    ("limit", "images", "said", "unsaid"),
    [
        (
            "test images",
            3e-6,
            "more test images or a harder task: the test images are what limits it (75 %",
            "more seeds or",
        ),
        ("seeds", 1e-6, "more seeds or a harder task: the draw of the seeds", "buy little"),
        ("both", 1e-6, "more seeds, more test images or a harder task", "limits it"),
    ],
)
def test_a_shut_gate_says_what_the_run_needs(shut, limit, images, said, unsaid):
    shares = {"seeds": 1e-6, "images": images, "interaction": 0.0}
    summary = changed(shut.summary, {"gate limited_by": limit, "gate gain components": shares})
    words = headline.headline(summary)
    assert f"It needs {said}" in words
    assert ("more seeds buy little" in words) == (limit == "test images")
    assert unsaid not in words


def test_cheap_arms_are_the_answer_where_there_is_no_generative_one(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, arms=("none", "class-weight", "oversample", "oracle")))
    for words in first_words(found):
        assert words.startswith("Class-weight and oversample move the threshold only, for better")
        assert "No generative arm was run" in words


def test_a_cheap_arm_that_helps_is_in_the_headline_beside_the_generative_ones(shut):
    words = headline.headline(changed(shut.summary, {"arms class-weight verdict name": "helps"}))
    assert "WGAN-GP and class-weight help: AUC" in words
    assert "lass-weight" not in headline.headline(shut.summary)


def test_a_run_without_any_method_says_so(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, arms=("none", "threshold"), seeds=(0, 1)))
    assert headline.headline(found.summary) == "This run holds no balancing method to judge."
    assert "No oracle among the arms" in found.md


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (3, "+0.0100 [-0.0100, +0.0300], +0.0200 [-0.0200, +0.0400] and +0.0300 [-0.0300, +0.0500]"),
        (4, "+0.0100 to +0.0400, every interval within [-0.0400, +0.0600]"),
    ],
)
def test_many_arms_of_one_verdict_share_their_numbers(shut, arms, said):
    every = dump(shut.summary)["arms"]
    (open_arm,) = [name for name, arm in every.items() if arm["gan"] and arm["verdict"]["name"] == "no evidence"]
    copies = {f"arm-{number}": every[open_arm] for number in range(2, arms + 1)}
    numbers = {
        f"arms {name} metrics auc difference": {"mean": n / 100, "low": -n / 100, "high": (n + 2) / 100}
        for n, name in enumerate([open_arm, *copies], start=1)
    }
    words = headline.headline(changed(changed(shut.summary, {"arms": copies}), numbers))
    assert f"helps or hurts (AUC {said})" in words


def test_known_effects_are_stated_in_plain_words_on_both_pages(known):
    for page in known.pages:
        assert "On this data DCGAN moves the threshold only, for better: balanced accuracy as trained rises by" in page
        assert "On this data Vanilla GAN hurts: it lowers AUC by 0." in page
        assert "On this data WGAN-GP helps: it raises AUC by 0." in page
        assert "It beats class-weight (+" in page
        assert "It ranks worse than class-weight (-" in page
        assert "It does not clearly beat class-weight (" in page
        assert "A demonstration." in page


# -- evidence ----------------------------------------------------------------------------------------------------------


def test_every_verdict_is_followed_by_the_numbers_it_rests_on_also_of_arms_without_a_card(known):
    verdicts = [of_arm.verdict for of_arm in known.summary.arms.values() if of_arm.verdict]
    assert len(verdicts) == len(ARMS) - 1
    for page in known.pages:
        evidence = page.partition("Evidence for each verdict")[2].partition("How a verdict is reached")[0]
        assert all(verdict.sentence in evidence for verdict in verdicts)


def test_no_evidence_names_the_differences_that_would_have_been_called(shut):
    sentence = shut.summary.arms["vanilla"].verdict.sentence
    effect = shut.summary.arms["vanilla"].detectable
    assert shut.verdict("vanilla") == "no evidence"
    assert f"a true difference of {effect.low:.4f} to {effect.high:.4f} would have been called in 80 %" in sentence


def test_an_arm_whose_penalty_lies_on_an_end_of_the_grid_has_that_in_its_evidence(tmp_path):
    run = SyntheticRun(
        tmp_path,
        arms=("none", "class-weight", "oracle"),
        quality={"none": (1, 0.9, 0.8), "class-weight": (0.8, 0.9, 1)},
    )
    found = Outcome(run)
    strong = "The penalty of none, 10, is the strongest of the grid: a stronger one might do better."
    weak = "The penalty of class-weight, 0.1, is the weakest of the grid: a weaker one might do better."
    for page in found.pages:
        evidence = page.partition("Evidence for each verdict")[2].partition("How a verdict is reached")[0]
        assert strong in evidence
        assert weak in evidence
        assert "The penalty of oracle" not in page
    table = found.section("Penalty strength").tables[0]
    assert row(table, "none")["chosen for the run"] == "10 the strongest of the grid"
    assert row(table, "oracle")["chosen for the run"] == "1"


# -- the main table ----------------------------------------------------------------------------------------------------


def test_the_main_table_groups_arms_by_family_and_explains_cheap_once(known):
    table = tables.verdicts(known.summary)
    assert [(group.title.partition(":")[0], [one[0].text for one in group.rows]) for group in table.groups] == [
        ("Generative arms", ["DCGAN", "Vanilla GAN", "WGAN-GP"]),
        ("Cheap arms", ["class-weight"]),
        ("Controls", ["oracle"]),
        ("Baseline", ["none"]),
    ]
    for page in known.pages:
        cheap = "Cheap arms: other weights, losses or copies of the images there are; no model draws any"
        assert page.count(cheap) == 1
        assert "Controls: what the removed real images are worth" in page
        assert "an arm can reach" not in page


def test_the_main_table_holds_the_numbers_of_the_summary(known):
    found = row(tables.verdicts(known.summary), "WGAN-GP")
    of_arm = known.summary.arms["wgan-gp"]
    against, share = of_arm.reference_difference, of_arm.gap_recovered
    assert found["AUC"] == f"{of_arm.metrics['auc'].mean:.4f}"
    assert found["Δ to none"] == interval(known.change("wgan-gp"), signed=True)
    assert found["balanced accuracy as trained"] == f"{of_arm.metrics['balanced_accuracy@as-trained'].mean:.4f}"
    assert found["balanced accuracy, fair"] == f"{of_arm.metrics['balanced_accuracy@fair'].mean:.4f}"
    assert found["verdict"] == "helps"
    assert found["beats class-weight?"] == f"yes: {interval(against, signed=True)} p {p_value(against.p_holm)}"
    assert found["share of the gap recovered"].startswith(f"{100 * share.mean:.0f} % [")
    assert found["p (Holm)"] == p_value(known.change("wgan-gp").p_holm)
    assert row(tables.verdicts(known.summary), "oracle")["p (Holm)"].endswith("unadjusted")


def test_the_error_rate_of_each_family_is_named(known, tmp_path):
    both = "at 5 % among the generative arms and at 5 % among the cheap ones, so up to 10 % of runs may hold one"
    assert both in known.html
    assert both in known.md
    alone = wording.error_rates(Outcome(SyntheticRun(tmp_path, arms=("none", "dcgan"), seeds=(0, 1))).summary)
    assert alone == ["Holm’s method holds false calls at 5 % among the generative arms."]


def test_the_threshold_has_no_verdict_and_one_line_says_why_and_what_it_gives(shut):
    found = row(tables.verdicts(shut.summary), "threshold")
    assert (found["verdict"], found["Δ to none"]) == ("–", "0 by construction")
    gain = interval(shut.change("threshold", "balanced_accuracy@as-trained"), signed=True)
    value = shut.summary.arms["threshold"].metrics["balanced_accuracy@as-trained"].mean
    for page in shut.pages:
        assert page.count("its difference in ranking is 0 by construction, so it gets no verdict") == 1
        assert f"Balanced accuracy as trained becomes {value:.4f}, {gain} against none." in page


def test_both_margins_are_printed_with_their_unit_and_origin(known):
    auc = known.summary.arms["none"].metrics["auc"].mean
    fair = known.summary.arms["none"].metrics["balanced_accuracy@fair"].mean
    ranking = f"±{0.1 * (1 - auc):.4f} AUC (10 % of what none still gets wrong, 1 − {auc:.4f})"
    threshold = f"±{0.1 * (1 - fair):.4f} balanced accuracy (10 % of 1 − {fair:.4f}, at the fair threshold)"
    for page in (*known.pages, tables.readme(known.summary)):
        assert f"Margin for ranking: {ranking}" in page
        assert f"Margin for thresholds: {threshold}" in page


def test_a_margin_that_the_oracle_caps_and_one_that_was_given_say_so(known):
    half = known.summary.gate.gain.mean / 2
    summary = changed(known.summary, {"margins": {"ranking": half, "capped": True}})
    assert f"capped by half of the oracle’s gain of {summary.gate.gain.mean:.4f}" in wording.margins(summary)[0]
    margin = {"ranking": 0.01, "threshold": 0.01, "capped": False}
    given = changed(known.summary, {"margin_share": None, "margins": margin})
    assert wording.margins(given) == ["Margin: ±0.0100, in AUC and in balanced accuracy, as the experiment sets it."]


@pytest.mark.parametrize(
    ("verdict", "label"),
    [
        ({"name": "moves the threshold only", "direction": -1}, "moves the threshold only, for worse"),
        ({"name": "no difference in ranking", "measurable": True}, "no difference in ranking, measurably below 0"),
        ({"name": "no difference in ranking"}, "no difference in ranking"),
        ({"name": "too few test images"}, "too few test images"),
        ({"name": "did not train"}, "did not train (2 of 5)"),
    ],
)
def test_a_verdict_is_written_with_its_direction_and_a_sign(known, verdict, label):
    said = {"direction": 0, "measurable": False, "sentence": "It is so.", **verdict}
    changes = {"arms vanilla diverged_seeds": [1, 2], "arms vanilla verdict": said}
    summary = changed(known.summary, changes)
    entry = tables.verdict_entry(summary, "vanilla")
    assert (entry.text, entry.verdict) == (label, verdict["name"])
    assert f"{tables.SIGNS[verdict['name']]} **{label}**" in tables.markdown(tables.verdicts(summary))
    assert verdict_text.answer(summary, "vanilla")
    assert verdict["name"].partition(" (")[0].rpartition("too ")[2] in headline.headline(summary)


def test_no_two_verdicts_that_say_different_things_share_a_sign():
    signs = [sign for name, sign in tables.SIGNS.items() if not name.startswith("too few")]
    assert len(set(signs)) == len(signs)


# -- terminal, README, pictures ----------------------------------------------------------------------------------------


def test_the_terminal_table_fits_a_hundred_columns(known, four):
    for found in (known, four):
        lines = tables.terminal(found.summary).splitlines()
        assert max(map(len, lines)) <= 100
        assert any(re.match(r"dcgan .* moves the threshold only, for better$", line) for line in lines)


def test_the_readme_table_says_how_it_was_made(known):
    text = tables.readme(known.summary)
    assert "\n| arm | AUC |" in text
    assert "make run EXPERIMENT=" in text
    assert "a cpu" in text
    assert "seeds 0, 1, 2, 3, 4" in text


def test_class_counts_can_be_saved_and_are_the_same_bytes_every_time():
    def png():
        buffer = io.BytesIO()
        figures.class_counts(("a", "b"), (500, 500), (500, 100)).savefig(buffer)
        return buffer.getvalue()

    assert png() == png()


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_grid_holds_every_image_whole(channels):
    images = np.random.default_rng(0).integers(0, 255, (10, channels, 28, 28), np.uint8)
    grid = np.asarray(figures.image_grid(images))
    assert grid.shape[:2] == (2 * 29 + 1, 8 * 29 + 1)
    first = grid[1:29, 1:29] if channels == 1 else grid[1:29, 1:29].transpose(2, 0, 1)
    assert np.array_equal(first, images[0, 0] if channels == 1 else images[0])


def test_the_report_needs_no_torch():
    assert "torch" not in loaded_by("import jobs.report, ganbalance.reporting.page")
