"""The examples of CONTRIBUTING.md work as they stand, and each touches as many files as its table says."""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import yaml
from torch import Generator

from ganbalance import arms, config
from ganbalance.arms import Candidates, Examples, filters, methods, objectives
from ganbalance.data import datasets
from ganbalance.metrics import decisions
from ganbalance.models import gans
from ganbalance.models.base import ImageSpec
from ganbalance.pipeline import stages
from ganbalance.pipeline.plan import Plan, make_plan
from ganbalance.reporting import sections
from ganbalance.store import MissingError, open_store, schemes
from jobs import synthesize
from tests.conftest import Lab, tiny_settings

PAGE = Path("CONTRIBUTING.md").read_text()
LIBRARY = "shared/ganbalance/"
PACKAGES = {
    "models/gans": gans,
    "arms/methods": methods,
    "arms/objectives": objectives,
    "arms/filters": filters,
    "metrics/decisions": decisions,
    "reporting/sections": sections,
    "data/datasets": datasets,
    "store/schemes": schemes,
}
EXAMPLES = dict(re.findall(r"`(\S+\.py)`[^\n`]*\n\n```python\n(.*?)```\n", PAGE, re.DOTALL))
TABLE = re.findall(r"^\| a [^|]*\| (?:`([^`]*)`)? *\|.*\| (\d) \|$", PAGE, re.MULTILINE)
STAGES, JOB = f"{LIBRARY}pipeline/stages.py", "jobs/synthesize.py"


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example that is a file, in a folder that its package looks in too."""
    for path, text in EXAMPLES.items():
        place, _, name = path.removeprefix(LIBRARY).rpartition("/")
        if place in PACKAGES:
            package: ModuleType = PACKAGES[place]
            folder = tmp_path / "added" / place
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
            monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])


@pytest.fixture
def added_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage of the example, and its program with what it does."""
    declared = dict(vars(stages))
    exec(EXAMPLES[STAGES], declared)  # noqa: S102
    monkeypatch.setattr(stages, "Nearest", declared["Nearest"], raising=False)
    monkeypatch.setitem(stages.ALL, "nearest", declared["Nearest"])
    before, after = Path(JOB).read_text().split("\nmain = ")
    program = dict(vars(synthesize))
    text = f"{before}\n{EXAMPLES[JOB]}\nmain = {after.replace('{', '{stages.Nearest: nearest, ', 1)}"
    exec(compile(text, JOB, "exec"), program)  # noqa: S102
    monkeypatch.setattr(synthesize, "main", program["main"])


def plan(arm: object) -> Plan:
    quick = config.read(Path("jobs/experiments/quick.yaml"), sets=["seeds=[0]"])
    return make_plan(config.check(quick | {"arms": ["none", arm]}, where="quick"))


def test_each_thing_has_an_example_that_touches_as_many_files_as_the_table_says() -> None:
    touched = Counter(path.removeprefix(LIBRARY).rpartition("/")[0] for path in EXAMPLES)
    assert {place: int(files) for place, files in TABLE if place} == {place: touched[place] for place in PACKAGES}
    ((_, files),) = [row for row in TABLE if not row[0]]
    assert [path for path in EXAMPLES if Path(path).exists()] == [STAGES, JOB]
    assert int(files) == 2


@pytest.mark.usefixtures("added")
def test_one_file_is_a_gan_of_any_size() -> None:
    assert "train-gan/lsgan/class-6/seed-0" in {node.name for node in plan("lsgan").nodes}
    for spec in (ImageSpec(1), ImageSpec(3, 64)):
        settings = gans.load("lsgan").Config(latent=4, g_widths=(8,), d_widths=(8,)).at(spec)  # type: ignore[call-arg]
        gan = gans.build("lsgan", settings, spec, 0)
        rng = Generator().manual_seed(0)
        labels_B = torch.zeros(5, dtype=torch.int64)
        fake_BCHW = gan.generate(gan.noise(5, rng), labels_B)
        assert fake_BCHW.shape == (5, spec.channels, spec.side_px, spec.side_px)
        d_terms = gan.d_loss(torch.zeros_like(fake_BCHW), fake_BCHW, labels_B, rng)
        scores = gan.D(torch.zeros_like(fake_BCHW)), gan.D(fake_BCHW)
        assert d_terms["real"].item() == pytest.approx(((scores[0] - 1) ** 2).mean().item() / 2, rel=1e-4)
        assert d_terms["fake"].item() == pytest.approx((scores[1] ** 2).mean().item() / 2, rel=1e-4)


@pytest.mark.usefixtures("added")
def test_one_file_is_a_sampler_in_the_space_of_features() -> None:
    assert plan("rose").node("train-classifier/rose/seed-0").config["method"]
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [40, 12])
    examples = Examples(rng.normal(size=(52, 3)) + labels[:, None], labels, np.ones(52))
    left = arms.method("rose").resample(examples, 0)
    assert np.bincount(left.labels).tolist() == [40, 40]
    assert left.inputs[:52].tolist() == examples.inputs.tolist()
    rare, made = examples.inputs[labels == 1], left.inputs[52:]
    width = (4 / (5 * 52)) ** (1 / 7) * rare.std(axis=0)  # d = 3, by Silverman's rule
    nearest = np.abs((made[:, None] - rare[None]) / width).max(axis=2).min(axis=1)
    assert ((nearest > 0) & (nearest < 5)).all()


@pytest.mark.usefixtures("added")
def test_one_file_is_a_loss_of_the_head() -> None:
    assert plan("squared").node("train-classifier/squared/seed-0").config["objective"] == "squared"
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 3)), rng.integers(0, 3, 6)
    loss, slope = arms.objective("squared").loss(logits, labels)
    for c in range(3):
        step = np.zeros_like(logits)
        step[:, c] = 1e-6
        ahead, behind = (arms.objective("squared").loss(logits + side * step, labels)[0] for side in (1, -1))
        assert slope[:, c] == pytest.approx((ahead - behind) / 2e-6, abs=1e-6)
    assert (loss >= 0).all()


@pytest.mark.usefixtures("added")
def test_one_file_is_a_filter() -> None:
    arm = yaml.safe_load("{name: crisp, synthetic: {gan: dcgan, filter: {by: contrast, keep: 0.5}}}")
    assert "filter/crisp/class-6/seed-0" in {node.name for node in plan(arm).nodes}
    images = np.zeros((3, 1, 4, 4), np.uint8)
    images[1, :, :2], images[2, :, :2] = 200, 90

    def unasked() -> np.ndarray:
        raise AssertionError("it reads images alone")

    scores = arms.image_filter("contrast").score(Candidates(images, unasked, unasked))
    assert np.argsort(scores).tolist() == [0, 2, 1]


@pytest.mark.usefixtures("added")
def test_one_file_is_a_store(tmp_path: Path) -> None:
    store = open_store(f"sqlite://{tmp_path}/store")
    assert store.is_new
    (tmp_path / "given").write_bytes(b"12")
    store.put("a/b", tmp_path / "given")
    assert [store.create("a/c", b"one"), store.create("a/c", b"two")] == [True, False]
    assert [(entry.name, entry.size) for entry in open_store(store.url).entries("a")] == [("a/b", 2), ("a/c", 3)]
    assert store.fetch("a/b", tmp_path).read_bytes() == b"12"
    store.delete("a/b")
    with pytest.raises(MissingError, match="a/b"):
        store.read("a/b")


@pytest.mark.usefixtures("added", "added_stage")
def test_a_dataset_a_sampler_a_metric_a_figure_a_store_and_a_stage_of_the_examples_make_one_run(tmp_path: Path) -> None:
    """Digits in a database, one resampled arm, one GAN whose images are looked at, and what the report says of them."""
    settings = tiny_settings(tmp_path) | {
        "dataset": {"name": "digits", "n_train": 1200},
        "task": {"kind": "pair", "positive": 8, "negative": 3},
        "imbalance": {"keep": {"8": 0.3}},
        "arms": ["none", "rose", "dcgan"],
        "seeds": [0],
    }
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(settings))
    lab = Lab(tmp_path / "experiment.yaml", f"sqlite://{tmp_path}/store")  # type: ignore[arg-type]
    ran = lab.run_all(tmp_path)
    nearest = lab.state(tmp_path).artifact("nearest/dcgan/class-8/seed-0")
    assert "nearest/dcgan/class-8/seed-0" in ran
    assert nearest is not None
    assert np.load(nearest.path("distances.npy")).shape == (12,)
    report = lab.state(tmp_path).artifact("report")
    assert report is not None
    summary, page = report.json("summary.json"), report.path("report.md").read_text()
    assert summary["dataset"]["name"] == "digits"
    measured = summary["arms"]["rose"]["metrics"]
    with report.path("confusion.csv").open(newline="") as file:
        counts = [row for row in csv.DictReader(file) if (row["arm"], row["rule"]) == ("rose", "fair")]
    hits, of_class = ({row["true"]: 0 for row in counts} for _ in range(2))
    for row in counts:
        of_class[row["true"]] += int(row["count"])
        hits[row["true"]] += int(row["count"]) * (row["true"] == row["predicted"])
    recalls = [hits[name] / of_class[name] for name in hits]
    assert measured["g_mean@fair"]["mean"] == pytest.approx(np.sqrt(np.prod(recalls)))
    assert "Other metrics of the decisions" in page
    assert "G mean, fair" in page
    assert page.index("## Every seed") < page.index("## Data")
    assert "figures/seeds.png" in report.names


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with every example that is a file in it."""
    root = tmp_path_factory.mktemp("added") / "project"
    for folder in ("shared", "jobs", "tests", "k8s"):
        shutil.copytree(folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(file, root)
    for path in EXAMPLES.keys() - {STAGES, JOB}:
        (root / path).write_text(EXAMPLES[path])
    return root


@pytest.mark.parametrize("tool", [["ruff", "check"], ["ruff", "format", "--check"]], ids=" ".join)
def test_files_as_the_examples_are_pass_the_checks(project: Path, tool: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *tool, "."], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_other_tests_take_the_files_for_what_is_there(project: Path) -> None:
    tests = ["tests/unit/test_arms.py", "tests/unit/test_plan_combinations.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    path = {"PYTHONPATH": f"{project / 'shared'}:{project}"}
    done = subprocess.run(command, cwd=project, env=os.environ | path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_file_that_the_report_computes_or_shows_makes_it_anew(
    request: pytest.FixtureRequest,
) -> None:
    before = plan("class-weight")
    request.getfixturevalue("added")
    after = plan("class-weight")
    changed = {node.name for node in after.nodes if node.key != before.node(node.name).key}
    assert changed == {"report"}
