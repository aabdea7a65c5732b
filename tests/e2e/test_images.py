"""The images, as a careful cluster runs them: no root, no writable disk but /tmp, no capability, no network."""

import re
import secrets
from collections.abc import Iterator

import pytest

from tests.containers import ROOT, Image, docker

PROGRAMS = ["imbalance", "train-gan", "synthesize", "train-classifier", "report", "ganbalance"]
# a preset cut down until it takes a minute
TINY = [
    "--experiment=jobs/experiments/quick.yaml", "--seeds=0", "--set=arms=[none,class-weight,dcgan]",
    "--set=gans.dcgan={epochs: 2, g_widths: [8, 8, 4], d_widths: [4, 4, 4]}", "--set=synthesis.n=50",
    "--set=classifier={side_px: 16, l2: [0.1]}", "--set=statistics.replicates=200",
]  # fmt: skip


@pytest.fixture(params=["programs", "small"])
def image(request: pytest.FixtureRequest) -> Image:
    found: Image = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def volume() -> Iterator[str]:
    """An empty volume."""
    name = f"ganbalance-test-{secrets.token_hex(4)}"
    yield name
    docker("volume", "rm", name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_is_a_command_of_its_image(programs: Image, program: str) -> None:
    said = programs.run(program, "--help")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"usage: {program} ")
    assert not said.stderr


@pytest.mark.parametrize("program", ["report", "ganbalance"])
def test_the_small_image_has_what_needs_no_torch(small: Image, program: str) -> None:
    said = small.run(program, "--help")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"usage: {program} ")


def test_without_a_command_an_image_says_what_it_can_do(image: Image) -> None:
    said = image.run()
    assert said.returncode == 0
    assert said.stdout.startswith("usage: ganbalance ")


def test_a_whole_run_needs_no_network_and_no_disk_but_its_store(programs: Image, small: Image, volume: str) -> None:
    store = (f"--volume={volume}:/store",)
    for program in ["imbalance", "train-gan", "synthesize", "train-classifier"]:
        done = programs.run(program, *TINY, options=store)
        assert done.returncode == 0, done.stdout + done.stderr
    run = small.run("ls", "/store/runs", options=store).stdout.strip()
    done = small.run("report", f"--run={run}", options=store)
    assert done.returncode == 0, done.stdout + done.stderr
    fetched = small.run("ganbalance", "fetch-report", f"--run={run}", "--out=/tmp/out", options=store)
    assert fetched.returncode == 0, fetched.stderr
    assert re.search(r"^dcgan +0\.\d{4}", fetched.stdout, re.MULTILINE)


def test_the_small_image_plans_the_same_run_and_refuses_to_run_it_in_one_line(small: Image, programs: Image) -> None:
    planned = [image.run("ganbalance", "plan", "jobs/experiments/honest.yaml") for image in (small, programs)]
    assert planned[0].returncode == 0, planned[0].stderr
    assert planned[0].stdout == planned[1].stdout
    refused = small.run("ganbalance", "run", "jobs/experiments/honest.yaml", "--out", "/tmp/out")  # noqa: S108 - of the container
    assert refused.returncode == 78
    assert re.fullmatch(r"ganbalance: .*torch.*not installed.*submit.*\n", refused.stderr)


@pytest.mark.parametrize("module", ["torch", "torchvision", "timm", "safetensors"])
def test_the_small_image_has_no_torch(small: Image, module: str) -> None:
    assert small.run("python3", "-c", f"import {module}").returncode == 1


@pytest.mark.parametrize("module", ["boto3", "matplotlib", "scipy", "sklearn", "yaml", "ganbalance", "jobs.report"])
def test_the_small_image_has_what_reports_and_stores_are_made_with(small: Image, module: str) -> None:
    found = small.run("python3", "-c", f"import {module}")
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("module", ["pydicom", "pyarrow.parquet"])
def test_the_programs_read_images_that_take_an_extra(programs: Image, module: str) -> None:
    assert programs.run("python3", "-c", f"import {module}").returncode == 0


def test_an_image_has_nothing_to_install_or_build_with(image: Image) -> None:
    for tool in ("pip", "pip3", "hatchling", "gcc", "make", "git"):
        assert image.run("bash", "-c", f"! command -v {tool}").returncode == 0, tool
    assert image.run("python3", "-m", "pip").returncode == 1


def test_an_image_runs_as_an_ordinary_user_by_itself(image: Image) -> None:
    assert image.config["User"] == "10001:10001"
    assert docker("run", "--rm", image.name, "id", "-u").stdout == "10001\n"


def test_nothing_of_the_programs_belongs_to_their_user(image: Image) -> None:
    assert image.run("find", "/opt", "/usr", "-user", "10001").stdout == ""


def test_an_image_says_what_it_was_made_of(image: Image) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in image.config["Labels"].items()}
    assert labels["licenses"] == "Apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", labels["version"])
    assert re.fullmatch(r"[0-9a-f]{12}\+?", labels["revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S+", labels["created"])
    assert f"GANBALANCE_COMMIT={labels['revision']}" in image.config["Env"]


def test_an_image_starts_from_compiled_code(image: Image) -> None:
    command = "import ganbalance, os; print(os.path.exists(ganbalance.__cached__))"
    assert image.run("python3", "-c", command).stdout == "True\n"


def test_the_baked_images_are_whole(programs: Image) -> None:
    checked = programs.run("ganbalance", "data", "get", "jobs/experiments/quick.yaml")
    assert checked.returncode == 0, checked.stderr
    assert "60,000 training and 10,000 test images" in checked.stdout


def test_an_image_keeps_nothing_of_the_secrets_of_its_build(image: Image) -> None:
    history = docker("history", "--no-trunc", "--format={{.CreatedBy}}", image.name).stdout
    assert "--mount=type=secret" not in history  # a mount leaves no trace, so nothing secret was ever an argument
    assert not re.search(r"BEGIN CERTIFICATE|password|token|://[^/ ]*:[^/ ]*@", history, re.IGNORECASE)
    left = image.run("bash", "-c", "find /run/secrets -type f -size +0 2>/dev/null; test ! -s /etc/pip.conf")
    assert (left.returncode, left.stdout) == (0, "")


def test_only_what_an_image_is_built_from_is_sent_to_the_builder() -> None:
    allowed = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in allowed
    assert not [line for line in allowed if line.startswith("!") and line.lstrip("!").startswith((".", "tests", "out"))]
