import html
import io
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from ganbalance import config
from ganbalance.errors import DataError
from ganbalance.metrics.classification import measure
from ganbalance.reporting import figures, tables
from tests.unit.report_run import ARMS, SEEDS, Outcome, SyntheticRun


@pytest.fixture(scope="module", autouse=True)
def coarse_pictures():
    """What is on a picture is tested here and not how fine it is, which takes a third of a report's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganbalance.reporting.page.DPI", 40)
        yield


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return Outcome(SyntheticRun(tmp_path_factory.mktemp("known"), note="A demonstration."))


class Strict(HTMLParser):
    """Fails on tags that do not match, and collects what the page would load from elsewhere."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, text):
        super().__init__()
        self.open, self.loaded, self.alts = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.loaded += [given[name] for name in ("src", "href", "srcset") if name in given]
        if tag == "img":
            self.alts.append(given.get("alt", ""))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_known_effects_are_told_in_plain_words_on_both_pages(known):
    for page in (known.html, known.md):
        assert "On this data DCGAN moves the threshold only" in page
        assert "On this data Vanilla GAN hurts" in page
        assert "On this data WGAN-GP helps" in page
        assert "It beats the cheap arm class-weight in AUC." in page
        assert "A demonstration." in page


def test_every_verdict_is_followed_by_the_numbers_it_rests_on_also_of_arms_without_a_card(tmp_path):
    signal = {"dcgan": 1.8, "oracle": 2.0}
    found = Outcome(SyntheticRun(tmp_path, arms=("none", "class-weight", "dcgan", "oracle"), signal=signal))
    verdicts = {arm: of_arm["verdict"] for arm, of_arm in found.summary["arms"].items() if arm != "none"}
    assert verdicts["oracle"]["name"] == "no evidence"
    assert "would have been seen in 80% of such runs." in verdicts["oracle"]["sentence"]
    assert verdicts["dcgan"]["name"] == "hurts"
    assert "although balanced accuracy at 0.5 +" in verdicts["dcgan"]["sentence"]
    for page in (html.unescape(found.html), found.md):
        told = page.partition("What each verdict rests on")[2].partition("AUC difference to none")[0]
        assert all(verdict["sentence"] in told for verdict in verdicts.values())


def test_the_main_table_says_which_arms_share_holm_s_family(known, tmp_path):
    assert "Holm’s family is all arms beside the baseline, oracle included." in known.html
    found = Outcome(SyntheticRun(tmp_path, arms=("none", "threshold", "dcgan", "oracle"), seeds=(0, 1)))
    for page in (found.html, found.md):
        assert "Holm’s family is all arms beside the baseline, oracle and threshold included." in page


def test_the_pages_do_not_promise_predictions_that_a_published_copy_leaves_out(known):
    for page in (known.html, known.md):
        beside = page.partition("Beside this page:")[2]
        assert "predictions.npz" not in beside.partition("From the run’s")[0]
        assert "a published copy leaves it out" in beside


def test_an_accelerator_is_shown_beside_the_cpu_and_old_records_have_none(known, tmp_path):
    assert known.summary["provenance"]["accelerator"] == []
    assert "a cpu; 2 cores" in known.html
    found = Outcome(SyntheticRun(tmp_path, seeds=(0,), arms=("none",), machine={"accelerator": "a gpu"}))
    for text in (found.html, found.md, tables.readme(found.summary)):
        assert "a cpu, a gpu;" in text
    del found.summary["provenance"]["accelerator"]
    assert "; a cpu; commit" in tables.readme(found.summary)


@pytest.mark.parametrize(("channels", "mode"), [(1, "P"), (3, "RGB")])
def test_only_pictures_of_colour_images_keep_all_their_colours(tmp_path, channels, mode):
    found = Outcome(SyntheticRun(tmp_path, seeds=(0,), arms=("none", "dcgan"), channels=channels))
    modes = {}
    for path in (found.folder / "figures").iterdir():
        with Image.open(path) as picture:
            modes[path.name] = picture.mode
            if path.name == "samples-dcgan-class-1.png":
                colours = len(set(picture.convert("RGB").get_flattened_data()))
    assert modes.pop("samples-dcgan-class-1.png") == mode
    assert set(modes.values()) == {"P"}
    assert (colours > 1000) == (channels == 3)


def test_the_html_page_is_well_formed_and_needs_no_other_file(known):
    page = Strict(known.html)
    assert len(page.loaded) == len(page.alts) >= 11
    assert all(source.startswith("data:image/png;base64,") for source in page.loaded)
    assert all(len(alt) > 20 for alt in page.alts)
    assert "url(" not in known.html
    assert "@import" not in known.html
    assert "class 0 &amp; &lt;co&gt;" in known.html


def test_every_picture_of_the_markdown_page_is_there(known):
    named = {line.rpartition("(figures/")[2].rstrip(")") for line in known.md.splitlines() if line.startswith("![")}
    assert named == {path.name for path in (known.folder / "figures").iterdir()}
    for path in (known.folder / "figures").iterdir():
        with Image.open(path) as picture:
            assert picture.info.keys() <= {"dpi"}  # no date, no software version


def test_results_are_tidy_and_can_be_recomputed_from_the_predictions(known):
    rows = known.rows("results.csv")
    assert list(rows[0]) == ["arm", "seed", "metric", "value"]
    written = {row["metric"]: row["value"] for row in rows if row["arm"] == "dcgan" and row["seed"] == "3"}
    with np.load(known.folder / "predictions.npz", allow_pickle=False) as arrays:
        offsets = {name.rpartition("/")[2]: arrays[name] for name in arrays if name.startswith("offsets/dcgan/3/")}
        measured = measure(arrays["labels"], arrays["test/dcgan/3"], offsets, arrays["deployment_prior"])
    assert written == {name: repr(value) for name, value in measured.items()}
    assert len(rows) == len(ARMS) * len(SEEDS) * len(measured)


def test_confusions_count_every_test_image_once_per_rule(known):
    rows = known.rows("confusion.csv")
    assert list(rows[0]) == ["arm", "seed", "rule", "true", "predicted", "count"]
    assert {row["rule"] for row in rows} == {"0.5", "prior", "validation"}
    assert sum(int(row["count"]) for row in rows) == 600 * 3 * len(ARMS) * len(SEEDS)


def test_the_summary_holds_the_analysis_and_where_it_comes_from(known):
    summary = known.summary
    assert set(summary["arms"]) == set(ARMS)
    assert summary["dataset"]["after"] == {"class 0 & <co>": 400, "class 1": 100}
    assert summary["dataset"]["rare"] == [{"class": "class 1", "keep": 0.2}]
    assert summary["arms"]["dcgan"]["metrics"]["auc"]["difference"]["p_holm"] <= 1
    made = summary["provenance"]
    assert made["seconds"] == {
        "backbone": 1.5,
        "dataset": 1.5,
        "imbalance": 7.5,
        "train-classifier": 45.0,
        "train-gan": 22.5,
    }
    assert made["command"].startswith("make run EXPERIMENT=")
    assert "abc" in made["git_commit"]
    assert known.context.metrics["verdicts"]["vanilla"] == "hurts"


def test_equal_inputs_give_equal_files_apart_from_the_provenance(known, tmp_path):
    again = Outcome(SyntheticRun(tmp_path, note="A demonstration."))
    for name in ("results.csv", "confusion.csv", "predictions.npz"):
        assert (again.folder / name).read_bytes() == (known.folder / name).read_bytes()
    assert {**again.summary, "provenance": 0} == {**known.summary, "provenance": 0}
    for path in (known.folder / "figures").iterdir():
        assert (again.folder / "figures" / path.name).read_bytes() == path.read_bytes()


def test_the_experiment_beside_the_report_reads_back_as_the_same_experiment(known):
    again = config.check(config.read(known.folder / "experiment.yaml"), where="again")
    assert again == known.context.experiment


def test_a_missing_cell_is_shown_and_withholds_only_the_verdicts_that_need_it(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, seeds=(0, 1, 2, 3, 4, 5), skip=("cell/vanilla/2", "cell/oracle/1")))
    assert found.verdict("vanilla") == "withheld"
    assert found.verdict("oracle") == "withheld"
    assert found.verdict("dcgan") == "moves the threshold only"
    assert found.summary["arms"]["dcgan"]["gap_recovered"] is None
    assert found.summary["arms"]["dcgan"]["beats_reference"] is False
    for page in (found.html, found.md):
        assert "cell/vanilla/2" in page
        assert "No verdict on Vanilla GAN: results that it needs are missing." in page
        assert "Vanilla GAN hurts" not in page
    assert "2 cells missing" in tables.terminal(found.summary)


def test_without_one_cell_of_the_baseline_no_verdict_stands(tmp_path):
    found = Outcome(
        SyntheticRun(tmp_path, seeds=(0, 1, 2, 3, 4, 5), skip=("cell/none/0",), arms=("none", "dcgan", "oracle"))
    )
    assert [found.verdict("dcgan"), found.verdict("oracle")] == ["withheld", "withheld"]


def test_an_arm_without_any_cell_keeps_its_row(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, skip=tuple(f"cell/vanilla/{s}" for s in SEEDS), arms=("none", "vanilla")))
    assert found.verdict("vanilla") == "withheld"
    assert "Vanilla GAN (0 of 5 seeds)" in found.html


def test_a_diverged_gan_is_counted_as_a_result(tmp_path):
    lost = ("gan/dcgan/class-1/seed-3", "cell/dcgan/3")
    found = Outcome(SyntheticRun(tmp_path, diverged=lost, arms=("none", "dcgan")))
    assert found.verdict("dcgan") == "too few seeds"
    assert found.summary["arms"]["dcgan"]["diverged_seeds"] == [3]
    assert "dcgan diverged in 1 of 5 trainings" in found.md
    assert "a loss or a weight became infinite in epoch 3, step 21" in found.html
    assert [hole["kind"] for hole in found.summary["holes"]] == ["diverged", "diverged"]
    assert not any(row["arm"] == "dcgan" and row["seed"] == "3" for row in found.rows("results.csv"))


def test_the_paper_protocol_is_labelled_wherever_its_numbers_are(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, protocol="paper", arms=("none", "dcgan")))
    numbers = [line for line in found.md.splitlines() if line.startswith(("## ", "**", "*"))]
    unlabelled = [line for line in numbers if "paper protocol" not in line]
    assert unlabelled == ["## Data", "## Where this comes from"]
    assert "Every arm trains for the same number of epochs" in found.html
    assert "Deviation: the course report used resnet18; this run used efficientnet-lite0." in found.html
    assert "(paper protocol)" in tables.terminal(found.summary)
    assert "paper protocol" in tables.readme(found.summary)
    assert (found.folder / "figures" / "classifier-losses.png").is_file()


@pytest.mark.parametrize(
    ("seeds", "told"),
    [((0,), "with one seed there is no mean and no interval"), ((0, 1), "This run has 2 seeds: its tables give means")],
)
def test_the_last_flaw_of_the_paper_protocol_speaks_of_the_seeds_there_are(tmp_path, seeds, told):
    found = Outcome(SyntheticRun(tmp_path, protocol="paper", arms=("none", "dcgan"), seeds=seeds))
    for page in (found.html, found.md):
        assert told in page
        assert ("One seed: single values without intervals." in page) == (seeds == (0,))


def test_the_report_s_own_backbone_is_no_deviation(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, protocol="paper", backbone="resnet18", arms=("none", "dcgan"), seeds=(0,)))
    assert "Deviation" not in found.html


def test_one_seed_is_described_and_not_judged(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, seeds=(0,), notes=("no oracle: nothing was removed",), arms=ARMS[:-1]))
    assert found.verdict("wgan-gp") == "too few seeds"
    assert "Too few seeds: 1" in found.html
    assert "no oracle: nothing was removed" in found.html
    assert "No oracle among the arms" in found.html
    assert len(tables.terminal(found.summary).splitlines()) == 2 + 5


def test_few_rare_validation_images_mean_the_prior_corrected_threshold(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, validation=(100, 12), seeds=(0, 1), arms=("none", "dcgan")))
    assert "The rarest class has 12 validation images, fewer than 20" in found.md
    values = {(row["arm"], row["seed"], row["metric"]): row["value"] for row in found.rows("results.csv")}
    assert values["none", "0", "recall@prior"] == values["none", "0", "recall@validation"]


def test_four_classes_are_reported_as_macro_averages(tmp_path):
    found = Outcome(SyntheticRun(tmp_path, k=4, validation=(100, 100), arms=("none", "dcgan", "oracle")))
    assert found.summary["plain_rule"] == "argmax"
    assert "AUC is macro one-vs-rest" in found.html
    assert "no choice of threshold" not in found.md
    assert len(found.rows("confusion.csv")) == 16 * 3 * 3 * len(SEEDS)
    Strict(found.html)


def test_nothing_to_report_on_is_one_clear_error(tmp_path):
    run = SyntheticRun(tmp_path, seeds=(0,), arms=("none",), skip=("cell/none/0",))
    with pytest.raises(DataError, match="no arm of this run has a result"):
        Outcome(run)


def test_cells_that_were_tested_on_other_images_are_refused(tmp_path, monkeypatch):
    labels = SyntheticRun.labels
    calls = iter(range(100))
    monkeypatch.setattr(SyntheticRun, "labels", lambda run: np.roll(labels(run), next(calls)))
    with pytest.raises(DataError, match="tested on other images"):
        Outcome(SyntheticRun(tmp_path, seeds=(0,), arms=("none", "class-weight")))


def test_the_terminal_table_fits_a_hundred_columns(known):
    lines = tables.terminal(known.summary).splitlines()
    assert max(map(len, lines)) <= 100
    assert any("WGAN-GP" in line or "wgan-gp" in line for line in lines)
    assert sum("moves the threshold only" in line for line in lines) == 1 + (known.verdict("class-weight")[0] == "m")


def test_the_readme_table_says_how_it_was_made(known):
    text = tables.readme(known.summary)
    assert text.startswith("| arm | AUC |")
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
    code = "import sys, jobs.report, ganbalance.reporting.page; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_difference_inside_the_margin_is_said_to_be_too_small_to_care_for(tmp_path):
    arms = ("none", "dcgan")
    found = Outcome(SyntheticRun(tmp_path, arms=arms, signal={"none": 3.5, "dcgan": 3.3}, n_test=2000))
    change = found.summary["arms"]["dcgan"]["metrics"]["auc"]["difference"]
    assert found.verdict("dcgan") == "hurts"
    assert -0.005 < change["low"] < 0
    assert "That is less than the ±0.005 worth having." in found.html
