"""What `make` says before it runs anything: of what it installs, of lists, and of programs that are not there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

MAKEFILE = Path("Makefile").resolve()
NOTHING = "#!/bin/bash\n"


class Bench:
    """A folder where `make` finds the programs that a test puts there, and few others."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tools = folder, folder / "bin"
        self.tools.mkdir()
        for name in ("awk", "bash", "cat", "dirname", "env", "grep", "mkdir", "realpath", "sed", "touch"):
            (self.tools / name).symlink_to(str(shutil.which(name)))
        self.make_program = str(shutil.which("make"))
        for name in ("requirements.lock", "pyproject.toml"):
            (folder / name).touch()
            os.utime(folder / name, (0, 0))

    def install(self, name: str, script: str = NOTHING) -> None:
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Make a target with the folder itself as the environment."""
        command = [self.make_program, "--no-print-directory", "--file", str(MAKEFILE), "VENV=.", *arguments]
        plain = {"HOME": str(self.folder), "PATH": str(self.tools), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        return subprocess.run(command, cwd=self.folder, env=plain, capture_output=True, text=True, check=False)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def installed(bench: Bench, tiny: dict) -> Bench:
    """With the command itself, and an experiment."""
    (bench.folder / "ready").touch()
    bench.install("ganbalance", f'{NOTHING}exec {sys.executable} -m ganbalance.cli "$@"\n')
    (bench.folder / "tiny.yaml").write_text(yaml.safe_dump(tiny))
    return bench


@pytest.fixture
def bare(bench: Bench) -> Bench:
    """With a Python that installs nothing."""
    for name in ("python3", "pip"):
        bench.install(name)
    return bench


def test_lists_of_seeds_and_gans_take_commas_and_blanks(installed: Bench) -> None:
    wanted = installed.make("plan", "EXPERIMENT=tiny.yaml", "SEEDS=0,1,2", "GAN=dcgan wgan-gp")
    assert wanted.returncode == 0, wanted.stderr
    for given in (
        ["SEEDS=0 1 2", "GAN=dcgan,wgan-gp"],
        ["SEEDS=0, 1, 2", "GAN=dcgan, wgan-gp"],
        ["SEEDS=0..2", "GAN= dcgan  wgan-gp "],
    ):
        assert installed.make("plan", "EXPERIMENT=tiny.yaml", *given).stdout == wanted.stdout
    refused = installed.make("plan", "EXPERIMENT=tiny.yaml", "SEEDS=0 to 2")
    assert refused.stderr.startswith("ganbalance: seeds '0 to 2': give numbers")
    assert refused.stderr.rstrip().endswith("Error 78")


def test_a_store_below_the_home_folder_is_the_same_for_make(installed: Bench) -> None:
    (installed.folder / "kept").mkdir()
    (installed.folder / "kept" / "store.json").touch()
    installed.install("rm", f'{NOTHING}exec {shutil.which("rm")} "$@"\n')
    installed.install("find", f'{NOTHING}exec {shutil.which("find")} "$@"\n')
    done = installed.make("clean-local", "STORE=~/kept", "YES=1")
    assert done.returncode == 0, done.stderr
    assert not (installed.folder / "kept").exists()


def test_without_a_gpu_what_is_installed_is_said_and_how_to_get_less(bare: Bench) -> None:
    done = bare.make("venv")
    assert done.returncode == 0, done.stderr
    what, less = done.stderr.splitlines()
    assert "about 6 GB" in what
    assert "minutes" in what
    assert "TORCH_INDEX=" in less
    assert "pytorch.org" in less
    assert bare.make("venv").stderr == ""


def test_with_a_gpu_the_large_one_is_right_and_who_chose_an_index_gets_no_advice(bare: Bench) -> None:
    said = bare.make("venv", "TORCH_INDEX=somewhere").stderr
    assert not [word for word in ("6 GB", "pytorch.org") if word in said]
    (bare.folder / "ready").unlink()
    bare.install("nvidia-smi")
    (line,) = bare.make("venv").stderr.splitlines()
    assert "about 6 GB" in line


@pytest.mark.parametrize(
    ("target", "there", "missing"),
    [
        (["cluster"], ["kubectl"], "kind"),
        (["cluster"], ["kind"], "kubectl"),
        (["cluster-delete"], [], "kind"),
        (["load"], [], "kind"),
        (["load", "IMAGE_LOAD=copy images"], ["kind"], "copy"),
        (["deploy"], [], "kubectl"),
        (["deploy", "KUBECTL=KUBECONFIG=mine k3s kubectl", "CONTEXT=lab"], ["kubectl"], "k3s"),
    ],
)
def test_a_program_that_is_not_there_is_named_before_anything_is_done(
    bench: Bench, target: list[str], there: list[str], missing: str
) -> None:
    for name in there:
        bench.install(name, f"{NOTHING}echo {name} >>calls\n")
    line, ended = bench.make(*target).stderr.splitlines()
    assert line == f"{missing} is not on the PATH; install it (kubernetes.io/docs/tasks/tools has kind and kubectl)"
    assert ended.endswith("Error 78")
    assert not (bench.folder / "calls").exists()


def test_with_the_programs_there_they_are_called(bench: Bench) -> None:
    bench.install("kind", f'{NOTHING}echo "$*" >>calls\n')
    assert bench.make("load").returncode == 0
    assert (bench.folder / "calls").read_text().startswith("load docker-image")
