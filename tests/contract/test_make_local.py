"""What `make compose-run`, `clean-local` and `publish` do here. Docker is a stand-in that writes its calls down."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from ganbalance import called
from ganbalance.pipeline import heartbeat
from ganbalance.store import open_store

MAKEFILE = Path("Makefile").resolve()
DOCKER = """#!/bin/bash
echo "docker $* (OUT_USER=${OUT_USER-})" >>"$NOTES/calls"
echo "${COMPOSE_FILE-} ${PLAN_FLAGS-}" >>"$NOTES/settings"
case "$*" in
    "compose version") exit "${NO_PLUGIN-0}";;
    version) exit "${NO_DAEMON-0}";;
    *"config --environment") echo "$(<"$NOTES/dotenv")";;
    *" rm "*) echo "${TROUBLE-}" >&2; [[ -z ${TROUBLE-} ]];;
    *" ps "*${FAILED-none}) echo 75;;
    *" ps "*) echo 0;;
    *"port minio 9001") echo 127.0.0.1:9001;;
esac
"""


class Bench:
    """An empty folder to make things in, where the stand-in, if any, and what `make` itself calls are all there is."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tools = folder / "work", folder / "tools"
        self.folder.mkdir()
        self.tools.mkdir()
        (self.folder / "images").symlink_to(MAKEFILE.parent / "images")
        for name in ("bash", "find", "id", "mkdir", "rm", "sed"):
            (self.tools / name).symlink_to(str(shutil.which(name)))
        self.make_program = str(shutil.which("make"))
        self.dotenv()

    def install_docker(self) -> None:
        (self.tools / "docker").write_text(DOCKER)
        (self.tools / "docker").chmod(0o755)

    def install_ganbalance(self, script: str) -> None:
        """A stand-in for the program, in an environment that is ready with VENV=."""
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "ganbalance").write_text(script)
        (self.folder / "bin" / "ganbalance").chmod(0o755)
        (self.folder / "ready").touch()
        for name in ("requirements.lock", "pyproject.toml"):
            (self.folder / name).touch()
            os.utime(self.folder / name, (0, 0))

    def dotenv(self, *lines: str) -> None:
        """What Compose reads from the shell and from .env."""
        (self.folder / "dotenv").write_text("\n".join(["HOME=/", *lines, ""]))

    def make(self, *arguments: str, answer: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        plain = {"HOME": str(self.folder), "PATH": str(self.tools), "NOTES": str(self.folder), **environment}
        command = [self.make_program, "--no-print-directory", "--file", str(MAKEFILE), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=plain, input=answer, capture_output=True, text=True, check=False
        )

    @property
    def up(self) -> str:
        """The call that starts the programs."""
        (up,) = (call for call in (self.folder / "calls").read_text().splitlines() if " up " in call)
        return up


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def first_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line in which `make` says why it ended with 78."""
    line, ended = done.stderr.splitlines()
    assert ended.endswith("Error 78")
    return line


def test_without_docker_it_says_so_and_what_to_do(bench: Bench) -> None:
    assert first_line(bench.make("compose-run")).startswith("compose-run needs Docker: install it")


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"NO_PLUGIN": "1"}, "compose-run needs Docker's Compose plugin: install"),
        ({"NO_DAEMON": "1"}, "compose-run needs a Docker daemon that answers: start it"),
        ({"TROUBLE": "compose.yaml is not as it should be"}, "compose.yaml is not as it should be"),
    ],
)
def test_with_half_a_docker_it_says_which_half_is_missing(bench: Bench, environment: dict[str, str], says: str) -> None:
    bench.install_docker()
    assert first_line(bench.make("compose-run", **environment)).startswith(says)
    assert list(bench.folder.glob("out")) == []


def test_the_report_goes_where_out_says_and_belongs_to_whoever_asks(bench: Bench) -> None:
    bench.install_docker()
    done = bench.make("compose-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the report is in out; MinIO stays up, its console is http://127.0.0.1:9001")
    assert (bench.folder / "out").is_dir()
    assert bench.up.endswith(f"(OUT_USER={os.getuid()}:{os.getgid()})")


@pytest.mark.parametrize("given", ["my reports", "~/my reports"])
def test_what_dotenv_says_of_the_report_holds_for_make_too(bench: Bench, given: str) -> None:
    bench.install_docker()
    bench.dotenv(f"OUT={given}", "OUT_USER=7:8")
    done = bench.make("compose-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"the report is in {given}; ")
    assert {path.name for path in bench.folder.iterdir()} == {"calls", "dotenv", "images", "my reports", "settings"}
    assert bench.up.endswith("(OUT_USER=7:8)")


def test_a_gpu_and_changed_settings_reach_compose_by_the_environment(bench: Bench) -> None:
    bench.install_docker()
    assert bench.make("compose-run", "DEVICE=cuda", "SET=a.b=1 seeds=[0,1]").returncode == 0
    assert bench.make("compose-down", "DEVICE=cuda").returncode == 0
    settings = (bench.folder / "settings").read_text().splitlines()
    assert {line.split(" ", 1)[0] for line in settings} == {"compose.yaml:compose.gpu.yaml"}
    assert settings[0].endswith(" --set 'a.b=1' --set 'seeds=[0,1]'")


def test_a_stage_that_failed_gives_its_exit_code_and_says_how_to_go_on(bench: Bench) -> None:
    bench.install_docker()
    done = bench.make("compose-run", FAILED="train-gan")
    line, ended = done.stderr.splitlines()
    assert line == "train-gan ended with exit code 75; the same command resumes"
    assert ended.endswith("Error 75")


def test_clean_deletes_the_given_store_and_nothing_that_is_none(bench: Bench) -> None:
    (bench.folder / "mine").mkdir()
    assert first_line(bench.make("clean-local", "STORE=mine", "YES=1")) == "mine is no store; not deleted"
    (bench.folder / "mine" / "store.json").touch()
    assert bench.make("clean-local", "STORE=mine", "YES=1").returncode == 0
    assert not (bench.folder / "mine").exists()


def test_clean_leaves_a_store_that_a_run_works_in(bench: Bench) -> None:
    store = open_store(str(bench.folder / "mine"))
    with heartbeat.beating(store, "quick-1a2b3c4d", "ganbalance run") as name:
        assert first_line(bench.make("clean-local", "STORE=mine", "YES=1")).startswith("a run in mine is at work")
        os.utime(bench.folder / "mine" / name, (time.time() - 130,) * 2)  # it was killed then
        assert bench.make("clean-local", "STORE=mine", "YES=1").returncode == 0
    assert not (bench.folder / "mine").exists()


@pytest.mark.parametrize(
    ("answer", "deleted"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_clean_asks_before_it_deletes(bench: Bench, answer: str, deleted: bool) -> None:
    (bench.folder / "out").mkdir()
    done = bench.make("clean-local", answer=answer)
    assert (done.returncode == 0) is deleted
    assert (bench.folder / "out").exists() is not deleted
    assert ("nothing was deleted; YES=1 answers yes" in done.stderr) is not deleted


@pytest.mark.parametrize("arguments", [["clean"], ["clean", "RUN="], ["clean", "NAMESPACE=team"], ["clean", "YES=1"]])
def test_clean_alone_deletes_nothing_and_says_what_deletes_what(bench: Bench, arguments: list[str]) -> None:
    (bench.folder / "out").mkdir()
    said = first_line(bench.make(*arguments, answer="y\n"))
    assert "clean-run RUN=" in said
    assert "clean-local" in said
    assert (bench.folder / "out").exists()


@pytest.mark.parametrize("run", [[], ["RUN="], ["RUN= "], ["RUN=", "NAMESPACE=team"]])
def test_clean_of_a_run_that_is_not_named_asks_the_program_and_deletes_nothing_here(
    bench: Bench, run: list[str]
) -> None:
    (bench.folder / ".store").mkdir()
    (bench.folder / ".store" / "store.json").touch()
    (bench.folder / "out").mkdir()
    bench.install_ganbalance("#!/bin/bash\necho $* >>$NOTES/calls; exit 2\n")
    assert bench.make("clean-run", "VENV=.", "YES=1", *run).returncode != 0
    namespace = "team" if len(run) > 1 else "ganbalance"
    assert (bench.folder / "calls").read_text() == f"clean --namespace {namespace}\n"
    assert (bench.folder / ".store").exists()
    assert (bench.folder / "out").exists()


def test_the_program_knows_that_make_called_it_and_takes_the_last_run_unless_one_is_named(bench: Bench) -> None:
    bench.install_ganbalance("#!/bin/bash\necho $GANBALANCE_CALLED: $*\n")
    for command, target in called.TARGETS.items():
        assert bench.make(target, "VENV=.").stdout.startswith(f"make: {command} ")
    assert bench.make("data", "VENV=.").stdout == ": data get\n"
    assert bench.make("resume", "VENV=.").stdout == "make: resume --namespace ganbalance\n"
    assert bench.make("resume", "VENV=.", "RUN=a-1").stdout == "make: resume --namespace ganbalance --run a-1\n"


def test_make_alone_lists_its_targets(bench: Bench) -> None:
    (bench.tools / "expand").symlink_to(str(shutil.which("expand")))
    assert "this list" in bench.make().stdout


@pytest.mark.parametrize("store", ["", " "])
def test_clean_of_a_store_without_a_name_deletes_nothing(bench: Bench, store: str) -> None:
    (bench.folder / "out").mkdir()
    assert first_line(bench.make("clean-local", f"STORE={store}", "YES=1")) == "STORE= names no store; not deleted"
    assert (bench.folder / "out").exists()


def test_clean_says_that_it_deletes_no_bucket_and_what_does(bench: Bench) -> None:
    (bench.folder / "out").mkdir()
    said = first_line(bench.make("clean-local", "STORE=s3://bucket/prefix", "YES=1"))
    assert "s3://bucket/prefix" in said
    assert "ganbalance store gc" in said
    assert (bench.folder / "out").exists()


def test_a_report_that_is_published_takes_the_place_of_the_one_before_and_nothing_does_where_there_is_none(
    tmp_path: Path,
) -> None:
    publish = tmp_path / "reports" / "publish"
    kept, made = publish.parent / "quick", tmp_path / "out" / "quick-0123abcd"
    kept.mkdir(parents=True)
    shutil.copy("reports/publish", publish)
    (kept / "old.md").touch()
    ended = subprocess.run([publish, "quick", made.name], capture_output=True, text=True, check=False)
    assert (ended.returncode, "run the experiment first" in ended.stderr) == (65, True)
    assert [path.name for path in kept.iterdir()] == ["old.md"]

    (made / "figures").mkdir(parents=True)
    names = ("report.html", "report.md", "results.csv", "confusion.csv", "summary.json", "experiment.yaml")
    for name in (*names, "predictions.csv"):
        (made / name).touch()
    subprocess.run([publish, "quick", made.name], check=True)
    assert {path.name for path in kept.iterdir()} == {*names, "figures"}
