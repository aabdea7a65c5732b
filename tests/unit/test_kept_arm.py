"""Which arm is kept where none is named, and what is said beside its classifier."""

from ganbalance.reporting.kept_arm import best, statements
from ganbalance.reporting.summary import Summary
from tests.unit.known_reports import four, known, shut
from tests.unit.report_run import changed


def with_verdicts(summary: Summary, **verdicts: str) -> Summary:
    return changed(summary, {f"arms {arm.replace('_', '-')} verdict name": name for arm, name in verdicts.items()})


def test_the_arm_that_helps_is_kept() -> None:
    chosen = best(known().summary)
    assert chosen.arm == "wgan-gp"
    assert chosen.why.startswith("the only arm that helps, AUC +0.0")
    assert chosen.why.endswith("] against none")


def test_of_several_that_help_the_one_with_the_largest_gain_is_kept() -> None:
    summary = with_verdicts(known().summary, dcgan="helps", class_weight="helps")
    assert best(summary).arm == "wgan-gp"
    summary = changed(summary, {"arms class-weight metrics auc difference mean": 0.2})
    assert best(summary).arm == "class-weight"
    assert best(summary).why.startswith("the largest gain of those that help, AUC +0.2000")


def test_an_oracle_is_not_kept_though_it_helps_most() -> None:
    summary = with_verdicts(known().summary, wgan_gp="no evidence")
    assert summary.arms["oracle"].verdict.name == "helps"
    chosen = best(summary)
    assert (chosen.arm, chosen.why) == ("none", "no arm is shown to help, so the baseline with the fair threshold")


def test_a_gain_that_the_run_could_not_have_shown_is_called_unexpected() -> None:
    chosen = best(shut().summary)
    assert chosen.arm == "wgan-gp"
    assert chosen.why.endswith("; unexpected: confirm with fresh seeds")


def test_the_verdict_is_said_to_be_about_all_seeds() -> None:
    said = statements(known().summary, "wgan-gp", 2)
    assert said["verdict"] == "helps"
    assert said["evidence"] == known().summary.arms["wgan-gp"].verdict.sentence
    assert said["caveat"] == (
        "The verdict on WGAN-GP, “helps”, is about all seeds together, 0, 1, 2, 3 and 4. "
        "This is the classifier of seed 2, one draw of the images."
    )
    assert said["note"] == "A demonstration."
    assert said["seeds"] == (0, 1, 2, 3, 4)


def test_the_baseline_has_no_verdict() -> None:
    said = statements(known().summary, "none", 0)
    assert said["verdict"] is said["evidence"] is None
    assert said["caveat"].startswith("none is what the other arms are compared with, so it has no verdict. This is ")


def test_an_arm_that_only_moves_a_threshold_has_no_verdict() -> None:
    said = statements(shut().summary, "threshold", 0)
    assert said["verdict"] is None
    assert said["caveat"].startswith("threshold only moves a threshold, so it has no verdict. This is ")


def test_a_control_is_said_to_have_seen_what_was_removed() -> None:
    said = statements(known().summary, "oracle", 0)
    assert said["caveat"].endswith("It learned from images that the imbalance removed.")
    assert "imbalance" not in statements(known().summary, "dcgan", 0)["caveat"]


def test_of_many_classes_the_verdict_is_about_other_heads() -> None:
    sentence = "It rests on heads of two classes each; this is the head of all classes."
    assert sentence in statements(four().summary, "dcgan", 0)["caveat"]
    assert sentence not in statements(known().summary, "dcgan", 0)["caveat"]


def test_of_one_seed_nothing_is_said_to_be_about_several() -> None:
    summary = changed(known().summary, {"seeds": [2]})
    assert "is about seed 2 alone." in statements(summary, "wgan-gp", 2)["caveat"]


def test_of_folds_a_classifier_lacks_one() -> None:
    summary = changed(known().summary, {"dataset folds": 5})
    assert "It learned from none of the images of one fold of 5." in statements(summary, "none", 0)["caveat"]
    assert "fold" not in statements(known().summary, "none", 0)["caveat"]
