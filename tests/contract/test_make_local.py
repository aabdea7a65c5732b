"""What `make compose-run` and `make clean` do on this machine. Docker is a stand-in that only writes down its calls."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path("Makefile").resolve()
DOCKER = """#!/bin/bash
echo "docker $* (OUT_USER=${OUT_USER-})" >>"$NOTES/calls"
case "$*" in
    "compose version") exit "${NO_PLUGIN-0}";;
    version) exit "${NO_DAEMON-0}";;
    *"config --environment") echo "$(<"$NOTES/dotenv")";;
    *" rm "*) echo "${TROUBLE-}" >&2; [[ -z ${TROUBLE-} ]];;
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
        for name in ("id", "mkdir", "rm", "sed"):
            (self.tools / name).symlink_to(str(shutil.which(name)))
        self.make_program = str(shutil.which("make"))
        self.dotenv()

    def install_docker(self) -> None:
        (self.tools / "docker").write_text(DOCKER)
        (self.tools / "docker").chmod(0o755)

    def dotenv(self, *lines: str) -> None:
        """What Compose reads from the shell and from .env."""
        (self.folder / "dotenv").write_text("\n".join(["HOME=/", *lines, ""]))

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        plain = {"HOME": str(self.folder), "PATH": str(self.tools), "NOTES": str(self.folder), **environment}
        command = [self.make_program, "--no-print-directory", "--file", str(MAKEFILE), *arguments]
        return subprocess.run(command, cwd=self.folder, env=plain, capture_output=True, text=True, check=False)

    @property
    def up(self) -> str:
        """The call that starts the programs."""
        (up,) = (call for call in (self.folder / "calls").read_text().splitlines() if " up " in call)
        return up


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def told(done: subprocess.CompletedProcess[str]) -> str:
    """The one line in which `make` says why it ended with 78."""
    told, ended = done.stderr.splitlines()
    assert ended.endswith("Error 78")
    return told


def test_without_docker_it_says_so_and_what_to_do(bench: Bench) -> None:
    assert told(bench.make("compose-run")).startswith("compose-run needs Docker: install it")


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
    assert told(bench.make("compose-run", **environment)).startswith(says)
    assert list(bench.folder.glob("out")) == []


def test_the_report_goes_where_compose_is_told_and_belongs_to_whoever_asks(bench: Bench) -> None:
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
    assert sorted(path.name for path in bench.folder.iterdir()) == ["calls", "dotenv", "my reports"]
    assert bench.up.endswith("(OUT_USER=7:8)")


def test_clean_deletes_the_store_that_it_is_told_and_nothing_that_is_none(bench: Bench) -> None:
    (bench.folder / "mine").mkdir()
    assert told(bench.make("clean", "STORE=mine")) == "mine is no store; not deleted"
    (bench.folder / "mine" / "store.json").touch()
    assert bench.make("clean", "STORE=mine").returncode == 0
    assert not (bench.folder / "mine").exists()


def test_clean_says_that_it_deletes_no_bucket_and_what_does(bench: Bench) -> None:
    (bench.folder / "out").mkdir()
    said = told(bench.make("clean", "STORE=s3://bucket/prefix"))
    assert "s3://bucket/prefix" in said
    assert "ganbalance store gc" in said
    assert (bench.folder / "out").exists()
