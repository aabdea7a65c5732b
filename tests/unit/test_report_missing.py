import re

import numpy as np
import pytest

from ganbalance.errors import DataError
from ganbalance.reporting import headline, tables, verdict_text, wording
from ganbalance.reporting.formats import interval
from tests.unit import known_reports
from tests.unit.known_reports import Strict, row
from tests.unit.report_run import ARMS, SEEDS, Outcome, SyntheticRun, changed


@pytest.fixture
def four():
    return known_reports.four()


# -- what is missing ---------------------------------------------------------------------------------------------------


def test_a_missing_cell_is_shown_and_withholds_only_the_verdicts_that_need_it(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, seeds=(0, 1, 2, 3, 4, 5), skip=("cell/vanilla/2", "cell/oracle/1")))
    assert found.verdict("vanilla") == "withheld"
    assert found.verdict("oracle") == "withheld"
    assert found.summary.gate is None
    assert found.verdict("dcgan") == "moves the threshold only"
    assert found.summary.arms["dcgan"].gap_recovered is None
    assert found.summary.arms["dcgan"].beats_reference is False
    for page in found.pages:
        assert "cell/vanilla/2" in page
        assert "No verdict on Vanilla GAN: results that it needs are missing." in page
        assert "Vanilla GAN hurts" not in page
    assert "there is no verdict on Vanilla GAN: results are missing" in headline.headline(found.summary)
    assert "2 cells missing" in tables.terminal(found.summary)


def test_without_one_cell_of_the_baseline_no_verdict_stands(tmp_path):
    found = Outcome(
        SyntheticRun(tmp_path, seeds=(0, 1, 2, 3, 4, 5), skip=("cell/none/0",), arms=("none", "dcgan", "oracle"))
    )
    assert [found.verdict("dcgan"), found.verdict("oracle")] == ["withheld", "withheld"]


def test_an_arm_without_any_cell_keeps_its_row(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, skip=tuple(f"cell/vanilla/{s}" for s in SEEDS), arms=("none", "vanilla")))
    assert found.verdict("vanilla") == "withheld"
    assert row(tables.verdicts(found.summary), "Vanilla GAN")["arm"] == "Vanilla GAN 0 of 5 seeds"


def test_a_run_without_any_cell_of_the_baseline_still_has_a_page(tmp_path):
    found = Outcome(
        SyntheticRun(tmp_path, skip=tuple(f"cell/none/{s}" for s in SEEDS), arms=("none", "dcgan", "oracle"))
    )
    assert found.verdict("dcgan") == "withheld"
    Strict(found.html)


def test_a_diverged_cell_counts_as_the_baseline_and_is_noted(four):
    assert four.verdict("dcgan") == "moves the threshold only"
    assert four.summary.arms["dcgan"].imputed_seeds == [3]
    assert "Diverged at seed 3, counted as no difference" in four.summary.arms["dcgan"].verdict.sentence
    assert row(tables.verdicts(four.summary), "DCGAN")["arm"] == "DCGAN 4 of 5 seeds, 1 diverged"
    assert "dcgan diverged in 1 of 10 trainings" in four.md
    assert "a loss or a weight became infinite in epoch 3, step 21" in four.html
    assert "Training diverged at seed 3." in four.html
    assert [one.kind for one in four.summary.missing_results] == ["diverged"] * 6
    assert not any(one["arm"] == "dcgan" and one["seed"] == "3" for one in four.rows("results.csv"))


def test_an_arm_that_did_not_train_has_no_verdict_but_the_difference_where_it_did(four):
    finished = interval(four.summary.arms["vanilla"].finished_difference, signed=True)
    assert four.verdict("vanilla") == "did not train"
    found = row(tables.verdicts(four.summary), "Vanilla GAN")
    assert found["verdict"] == "did not train (2 of 5)"
    assert found["Δ to none"] == f"{finished} over the seeds that trained"
    assert "Vanilla GAN did not train" in headline.headline(four.summary)
    assert f"Pairwise AUC {finished} against none over the others" in four.md


def test_one_seed_is_described_and_not_judged(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, seeds=(0,), notes=("no oracle: nothing was removed",), arms=ARMS[:-1]))
    assert found.verdict("wgan-gp") == "too few seeds"
    assert "Too few seeds: 1" in found.html
    assert "no oracle: nothing was removed" in found.html
    assert "No oracle among the arms" in found.html
    assert headline.headline(found.summary) == "There is no verdict on DCGAN, Vanilla GAN and WGAN-GP: too few seeds."
    assert "What limits the intervals" not in found.md
    assert "One seed: single values without intervals." in found.md


def test_too_few_test_images_are_a_verdict_of_their_own(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, n_test=38, arms=("none", "dcgan")))
    assert found.verdict("dcgan") == "too few test images"
    assert "Too few test images for a verdict on DCGAN." in found.md
    assert headline.headline(found.summary) == "There is no verdict on DCGAN: too few test images."


def test_data_that_is_rare_by_nature_makes_every_statement_conditional(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, keep=1.0, tuning=0, arms=("none", "dcgan", "wgan-gp")))
    assert headline.headline(found.summary).endswith("Conditional on these images.")
    for page in found.pages:
        assert "Conditional on these images, WGAN-GP helps" in page
        assert "On this data" not in page
        evidence = page.partition("Evidence for each verdict")[2].partition("How a verdict is reached")[0]
        assert evidence.count("Conditional on these images.") == 2


def test_nothing_to_report_on_is_one_clear_error(tmp_path):
    run = SyntheticRun(tmp_path, seeds=(0,), arms=("none",), skip=("cell/none/0",))
    with pytest.raises(DataError, match="no arm of this run has a result"):
        Outcome(run)


def test_cells_that_were_tested_on_other_images_are_refused(tmp_path, monkeypatch):
    labels = SyntheticRun.labels
    calls = iter(range(100))
    monkeypatch.setattr(SyntheticRun, "labels", lambda run: np.roll(labels(run), next(calls) // 2))
    with pytest.raises(DataError, match="tested on other images"):
        Outcome(SyntheticRun(tmp_path, seeds=(0,), arms=("none", "class-weight")))


# -- the paper protocol ------------------------------------------------------------------------------------------------


def test_the_paper_protocol_is_labelled_wherever_its_numbers_are(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, protocol="paper", arms=("none", "dcgan")))
    numbers = [line for line in found.md.splitlines() if re.match(r"## |\*\*.*\*\*$|\*[^*]", line)][1:]
    unlabelled = [line for line in numbers if "paper protocol" not in line]
    assert [line for line in unlabelled if line.startswith("#")] == ["## Data", "## Provenance"]
    assert all("mage" in line and "class" in line for line in unlabelled if not line.startswith("#"))  # of the data
    assert "Every arm trains for the same number of epochs" in found.html
    assert "Deviation: the course report used resnet18; this run used efficientnet-lite0." in found.html
    assert "(paper protocol)" in tables.terminal(found.summary)
    assert "paper protocol" in tables.readme(found.summary)
    assert (found.folder / "figures" / "classifier-losses.png").is_file()
    assert "Penalty strength" not in found.md
    assert "fair" not in found.section("Threshold or ranking?").tables[0].head
    assert "deployment" not in " ".join(found.section("At the class shares of deployment").tables[0].head)


@pytest.mark.parametrize(
    ("seeds", "flaw"),
    [((0,), "with one seed there is no mean and no interval"), ((0, 1), "This run has 2 seeds: its tables give means")],
)
def test_the_last_flaw_of_the_paper_protocol_speaks_of_the_seeds_there_are(tmp_path, seeds, flaw):
    found = Outcome(SyntheticRun(tmp_path, protocol="paper", arms=("none", "dcgan"), seeds=seeds))
    for page in found.pages:
        assert flaw in page
        assert ("One seed: single values without intervals." in page) == (seeds == (0,))


def test_the_report_s_own_backbone_is_no_deviation(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, protocol="paper", backbone="resnet18", arms=("none", "dcgan"), seeds=(0,)))
    assert "Deviation" not in found.html


@pytest.mark.parametrize(
    ("elsewhere", "mixed"),
    [
        ((), None),
        (("cell/dcgan/3",), "dcgan"),
        (("gan/dcgan/class-1/seed-3",), "dcgan"),
        # all classifiers on one kind of machine and all GANs on another is no mix
        (tuple(f"gan/{gan}/class-1/seed-{s}" for gan in ("dcgan", "vanilla", "wgan-gp") for s in SEEDS), None),
    ],
)
def test_an_arm_whose_seeds_ran_on_several_kinds_of_machines_is_named(tmp_path, elsewhere, mixed):
    found = Outcome(SyntheticRun(tmp_path, elsewhere=elsewhere))
    said = [remark for remark in found.summary.remarks if "kinds of processors" in remark]
    assert len(said) == (mixed is not None)
    assert mixed is None or f"the cells of {mixed}." in said[0]


def test_data_that_is_rare_by_nature_and_tested_by_folds_is_judged_as_new_data(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, keep=1.0, arms=("none", "class-weight", "wgan-gp"), tuning=0))
    folded = changed(found.summary, {"dataset folds": 5})
    assert headline.headline(found.summary).endswith("Conditional on these images.")
    assert "onditional" not in headline.headline(folded)
    assert verdict_text.answer(folded, "wgan-gp").startswith("On this data WGAN-GP helps")
    assert "in 5 folds." in wording.asked(folded)
