import numpy as np
import pytest
from PIL import Image

from ganbalance import config
from ganbalance.frozen import dump
from ganbalance.metrics.calibration import Rule
from ganbalance.reporting import tables
from ganbalance.reporting.summary import Rare, Summary
from tests.unit import known_reports
from tests.unit.report_run import ARMS, SEEDS, Outcome, SyntheticRun


@pytest.fixture
def known():
    return known_reports.known()


# -- files -------------------------------------------------------------------------------------------------------------


def test_the_pages_do_not_promise_predictions_that_a_published_copy_leaves_out(known):
    for page in known.pages:
        beside = page.partition("Beside this page")[2]
        assert "predictions.npz" not in beside.partition("From the run’s")[0]
        assert "a published copy leaves it out" in beside


def test_an_accelerator_is_shown_beside_the_cpu_and_old_records_have_none(known, tmp_path):
    assert known.summary.provenance.accelerator == []
    assert "a cpu; 2 cores" in known.html
    found = Outcome(SyntheticRun(tmp_path, seeds=(0,), arms=("none",), machine={"accelerator": "a gpu"}))
    for text in (found.html, found.md, tables.readme(found.summary)):
        assert "a cpu, a gpu;" in text
    data = dump(found.summary)
    del data["provenance"]["accelerator"]
    assert "; a cpu; commit" in tables.readme(Summary.of(data, where="old"))


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


def test_every_picture_of_the_markdown_page_is_there(known):
    named = {line.rpartition("(figures/")[2].rstrip(")") for line in known.md.splitlines() if line.startswith("![")}
    assert named == {path.name for path in (known.folder / "figures").iterdir()}
    for path in (known.folder / "figures").iterdir():
        with Image.open(path) as picture:
            assert picture.info.keys() <= {"dpi"}  # no date, no software version


def test_results_are_tidy_and_can_be_recomputed_from_the_predictions(known):
    rows = known.rows("results.csv")
    assert list(rows[0]) == ["arm", "seed", "metric", "value"]
    written = {one["metric"]: float(one["value"]) for one in rows if one["arm"] == "dcgan" and one["seed"] == "3"}
    with np.load(known.folder / "predictions.npz", allow_pickle=False) as arrays:
        labels, logits = arrays["labels"], arrays["test/dcgan/3"]
        scale, *offsets = arrays["rule/fair/dcgan/3"]
    decided = Rule(scale, np.array(offsets)).decide(logits)
    assert written["recall@fair"] == pytest.approx((decided == 1)[labels == 1].mean())
    margin = logits[:, 1] - logits[:, 0]
    above = (margin[labels == 1][:, None] > margin[labels == 0]).mean()
    assert written["auc"] == pytest.approx(above)
    assert len(rows) == len(ARMS) * len(SEEDS) * len(written)


def test_confusions_count_every_test_image_once_per_rule(known):
    rows = known.rows("confusion.csv")
    assert list(rows[0]) == ["arm", "seed", "rule", "true", "predicted", "count"]
    assert {one["rule"] for one in rows} == {"as-trained", "fair", "deployment"}
    assert sum(int(one["count"]) for one in rows) == 600 * 3 * len(ARMS) * len(SEEDS)


def test_the_summary_holds_the_analysis_and_where_it_comes_from(known):
    summary = known.summary
    assert set(summary.arms) == set(ARMS)
    assert summary.dataset.after == {"class 0 & <co>": 400, "class 1": 100}
    assert summary.dataset.rare == [Rare(class_name="class 1", keep=0.2)]
    assert summary.margin_share == 0.1
    assert summary.arms["dcgan"].metrics["auc"].difference.p_holm <= 1
    made = summary.provenance
    assert made.seconds == {
        "backbone": 1.5,
        "dataset": 1.5,
        "imbalance": 7.5,
        "train-classifier": 45.0,
        "train-gan": 22.5,
    }
    assert made.command.startswith("make run EXPERIMENT=")
    assert "abc" in made.git_commit
    assert known.context.metrics["verdicts"]["vanilla"] == "hurts"


def test_equal_inputs_give_equal_files_apart_from_the_provenance(known, tmp_path):
    again = Outcome(SyntheticRun(tmp_path, note="A demonstration."))
    for name in ("results.csv", "confusion.csv", "predictions.npz"):
        assert (again.folder / name).read_bytes() == (known.folder / name).read_bytes()
    assert again.summary.model_copy(update={"provenance": known.summary.provenance}) == known.summary
    for path in (known.folder / "figures").iterdir():
        assert (again.folder / "figures" / path.name).read_bytes() == path.read_bytes()


def test_the_experiment_beside_the_report_reads_back_as_the_same_experiment(known):
    again = config.check(config.read(known.folder / "experiment.yaml"), where="again")
    assert again == known.context.experiment
