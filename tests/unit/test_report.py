import csv
import io
import json
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from ganbalance import config
from ganbalance.data.predictions import Predictions
from ganbalance.errors import DataError
from ganbalance.frozen import dump
from ganbalance.keys import digest
from ganbalance.metrics.classification import measure
from ganbalance.pipeline import stages
from ganbalance.pipeline.job import JobContext
from ganbalance.pipeline.plan import Node, Plan
from ganbalance.reporting import figures, tables
from ganbalance.store.artifacts import Artifacts
from ganbalance.store.local import LocalStore
from jobs import report as job

SEEDS = (0, 1, 2, 3, 4)
ARMS = ("none", "class-weight", "dcgan", "vanilla", "wgan-gp", "oracle")
KEPT = (400, 100)


@dataclass
class SyntheticRun:
    """A run whose answer is known, committed to a real store without training anything.

    `signal` is how far an arm pulls the classes apart, `balanced` whether it was fitted under equal priors.
    """

    root: object
    seeds: tuple = SEEDS
    arms: tuple = ARMS
    k: int = 2
    n_test: int = 600
    protocol: str = "honest"
    validation: tuple = (100, 25)
    backbone: str = "efficientnet-lite0"
    notes: tuple = ()
    note: str = ""
    signal: dict = field(default_factory=lambda: {"dcgan": 2.0, "vanilla": 1.2, "wgan-gp": 3.2, "oracle": 3.4})
    skip: tuple = ()
    diverged: tuple = ()

    def gans(self):
        return [arm for arm in self.arms if arm in ("dcgan", "vanilla", "wgan-gp")]

    def experiment(self):
        return config.check(
            {
                "name": "known",
                "note": self.note,
                "protocol": self.protocol,
                "dataset": {"name": "fashion-mnist"},
                "task": {"kind": "pair", "positive": 1, "negative": 0} if self.k == 2 else {"kind": "multiclass"},
                "imbalance": {"keep": {"1": 0.2}},
                "arms": list(self.arms),
                "classifier": {"backbone": self.backbone},
                "statistics": {"replicates": 200},
                "seeds": list(self.seeds),
            },
            where="test",
        )

    def names(self):
        return tuple(f"class {c} & <co>" if c == 0 else f"class {c}" for c in range(self.k))

    def labels(self):
        return np.arange(self.n_test) % self.k

    def predictions(self, arm, seed):
        labels = self.labels()
        prior = np.array([KEPT[0]] * (self.k - 1) + [KEPT[1]], float)
        prior /= prior.sum()
        noise = np.random.default_rng(7).normal(size=(self.n_test, self.k))  # the images: shared by all arms
        noise = noise + 0.01 * np.random.default_rng([seed, len(arm)]).normal(size=noise.shape)
        logits = noise + self.signal.get(arm, 2.0) * np.eye(self.k)[labels]
        if arm in ("none", "oracle"):
            logits += np.log(prior)
        else:
            prior = np.full(self.k, 1 / self.k)
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        held = [] if self.protocol == "paper" else self.held_out()
        return Predictions(probabilities, labels, probabilities[held], labels[held], prior)

    def held_out(self):
        """As many test images of each class, for want of others, as there are validation images."""
        counts = [self.validation[0]] * (self.k - 1) + [self.validation[1]]
        return np.concatenate([np.flatnonzero(self.labels() == c)[:count] for c, count in enumerate(counts)])

    def context(self):
        artifacts = Artifacts(LocalStore(self.root / "store"), self.root)
        writers = self.writers()
        commits = {}
        for role, (stage, write) in writers.items():
            if role in self.skip:
                continue
            folder = self.root / "made" / role
            folder.mkdir(parents=True)
            lost = role in self.diverged
            because = (
                {"because": "train-gan"} if role.startswith("cell/") else {"diverged_at": {"epoch": 3, "step": 21}}
            )
            metrics = dict(because) if lost else {}
            if not lost:
                metrics |= write(folder) or {}
            commits[role] = artifacts.commit(
                stage,
                digest(role)[:32],
                attempt="a",
                folder=folder,
                inputs={},
                outcome="diverged" if lost else "done",
                metrics=metrics,
                provenance={
                    "seconds": 1.5,
                    "threads": 1,
                    "cpu": "a cpu",
                    "cores": 2,
                    "python": "3.11",
                    "git_commit": "abc",
                },
            )
        out = self.root / "out"
        out.mkdir()
        inputs = {role: artifacts.open(commit) for role, commit in commits.items()}
        return JobContext(self.node(writers), self.experiment(), self.plan(writers), inputs, out, None, None, None)

    def node(self, roles):
        declared = stages.Report(
                name="known",
            protocol=self.protocol, arms=self.arms, seeds=self.seeds, margin=0.005, reference="class-weight",
            replicates=200, note=self.note,
        )  # fmt: skip
        inputs = {role: role for role in roles}
        return Node(name="report", stage="report", config=dump(declared), inputs=inputs, key="0" * 32)

    def plan(self, roles):
        dataset = stages.Dataset(
            name="fashion-mnist", fingerprint="f" * 64, classes=tuple(range(self.k)), class_names=self.names()
        )
        imbalance = stages.Imbalance(keep={self.k - 1: 0.2}, validation=0.2)
        backbone = stages.Backbone(name=self.backbone, sha256="0" * 64)
        nodes = [
            Node(name=stage.stage, stage=stage.stage, config=dump(stage), inputs={}, key="0" * 32)
            for stage in (dataset, imbalance, backbone)
        ]
        return Plan(run="known-1", nodes=(*nodes, self.node(roles)), notes=self.notes)

    def writers(self):
        made = {"dataset": ("dataset", self.write_dataset), "backbone": ("backbone", lambda folder: None)}
        cell = "train-classifier" if self.protocol == "honest" else "train-paper-classifier"
        for arm in self.arms:
            for seed in self.seeds:
                made[f"cell/{arm}/{seed}"] = (cell, lambda folder, a=arm, s=seed: self.write_cell(folder, a, s))
        for seed in self.seeds:
            made[f"imbalance/{seed}"] = ("imbalance", self.write_imbalance)
            for gan in self.gans():
                role = f"gan/{gan}/class-{self.k - 1}/seed-{seed}"
                made[role] = ("train-gan", lambda folder, s=seed: self.write_gan(folder, s))
        return made

    def write_dataset(self, folder):
        rng = np.random.default_rng(0)
        np.save(folder / "images.npy", rng.integers(0, 255, (40 * self.k, 1, 28, 28), np.uint8))
        np.save(folder / "labels.npy", np.arange(40 * self.k) % self.k)
        (folder / "classes.json").write_text(json.dumps({"class_names": self.names(), "n_train": 30 * self.k}))

    def write_imbalance(self, folder):
        rows = [("class", "before", "after", "train", "validation")]
        for c, name in enumerate(self.names()):
            rare = c == self.k - 1
            held = 0 if self.protocol == "paper" else self.validation[rare]
            rows.append((name, 500, KEPT[rare], KEPT[rare] - held, held))
        with (folder / "counts.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        parts = np.split(np.arange(40 * self.k), [20 * self.k, 25 * self.k, 30 * self.k])
        np.savez(folder / "split.npz", **dict(zip(("train", "validation", "removed", "test"), parts, strict=True)))
        return {"kept": [KEPT[0]] * (self.k - 1) + [KEPT[1]]}

    def write_cell(self, folder, arm, seed):
        self.predictions(arm, seed).save(folder / "predictions.npz")
        if self.protocol == "paper":
            rows = [f"{e},{1 / e + 0.01 * seed},{1.2 / e + 0.02 * seed}" for e in range(1, 16)]
            (folder / "curve.csv").write_text("\n".join(["epoch,train_loss,validation_loss", *rows]) + "\n")
        else:
            rows = [f"{10.0**-i},{0.9 - 0.02 * abs(i - 2) + 0.004 * seed},{9 + i},True" for i in range(6)]
            (folder / "tuning.csv").write_text("\n".join(["l2,validation_auc,iterations,converged", *rows]) + "\n")
        return {"images": 500}

    def write_gan(self, folder, seed):
        rows = [f"{e},{0.6 + 0.1 / e},{0.1 * seed},{1 + 0.5 / e}" for e in range(1, 21)]
        (folder / "losses.csv").write_text("\n".join(["epoch,d_real,d_fake,g_adversarial", *rows]) + "\n")
        rng = np.random.default_rng(seed)
        grids = {f"epoch-{e}": rng.integers(0, 255, (64, 1, 32, 32), np.uint8) for e in (4, 8, 12, 16, 20)}
        np.savez(folder / "samples.npz", **grids)


class Outcome:
    """What the report job left in its folder."""

    def __init__(self, run):
        self.context = run.context()
        job.report(self.context)
        self.folder = self.context.folder
        self.html = (self.folder / "report.html").read_text()
        self.md = (self.folder / "report.md").read_text()
        self.summary = json.loads((self.folder / "summary.json").read_text())

    def rows(self, name):
        with (self.folder / name).open(newline="") as file:
            return list(csv.DictReader(file))

    def verdict(self, arm):
        return self.summary["arms"][arm]["verdict"]["name"]


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
