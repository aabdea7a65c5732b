"""A terminal, a pipe and files where the locale is not UTF-8: nothing ends a run, and what is written is UTF-8."""

import ast
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from ganbalance.config import read
from tests.conftest import write_tiny_npz

ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
UTF8 = {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "", "PYTHONUTF8": "1"}
RARE, ESCAPED = "Schuhe ü ☃", r"Schuhe \xfc \u2603"


def _in(folder: Path, locale: dict[str, str]) -> dict[str, Any]:
    path = os.pathsep.join([str(Path("shared").resolve()), str(Path().resolve())])
    return {"cwd": folder, "env": os.environ | locale | {"PYTHONPATH": path}}


def _say(folder: Path, locale: dict[str, str], module: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a program with a pipe for its output."""
    return subprocess.run(
        [sys.executable, "-m", module, *words], capture_output=True, check=False, **_in(folder, locale)
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run of classes whose names are not ASCII, made where everything is."""
    folder = tmp_path_factory.mktemp("locale")
    with np.load(write_tiny_npz(folder / "tiny.npz")) as arrays:
        for number, (image, label) in enumerate(zip(arrays["images"], arrays["labels"], strict=True)):
            place = folder / "images" / ("T-Shirt ♥", RARE)[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{number}é.png")
    settings = {
        "name": "tiny", "note": "ü",
        "dataset": {"name": "folder", "path": "images", "side_px": 16},
        "task": {"kind": "pair", "positive": RARE, "negative": "T-Shirt ♥"},
        "imbalance": {"keep": {RARE: 0.5}},
        "arms": ["none", "class-weight"],
        "classifier": {"side_px": 16, "l2": [1.0]},
        "statistics": {"replicates": 200},
        "seeds": [0],
    }  # fmt: skip
    (folder / "e.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")
    done = _say(folder, ASCII, "ganbalance.cli", "run", "e.yaml", "--workers", "1")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.splitlines()[-1].startswith(b"finished in ")
    return folder


def test_a_run_in_an_ascii_pipe_shows_what_it_cannot_write_as_escapes_and_its_files_are_utf_8(home: Path) -> None:
    (run,) = (path.name for path in (home / "out").iterdir())
    again = _say(home, ASCII, "ganbalance.cli", "run", "e.yaml")
    assert again.returncode == 0, again.stderr.decode()
    assert "Δ".encode() not in again.stdout
    assert rb"\u0394" in again.stdout
    assert again.stdout.isascii()
    assert RARE in (home / "out" / run / "report.md").read_text("utf-8")
    assert RARE in read(home / "out" / run / "experiment.yaml")["imbalance"]["keep"]
    fetched = _say(home, UTF8, "ganbalance.cli", "fetch-report", "--run", run, "--out", "fetched")
    assert fetched.returncode == 0, fetched.stderr.decode()
    assert "Δ".encode() in fetched.stdout
    for name in ("report.md", "report.html", "results.csv", "experiment.yaml"):
        assert (home / "fetched" / run / name).read_bytes() == (home / "out" / run / name).read_bytes()


def test_the_locale_is_in_no_key(home: Path) -> None:
    plans = [_say(home, locale, "ganbalance.cli", "plan", "e.yaml").stdout.split()[:40] for locale in (ASCII, UTF8)]
    assert plans[0] == plans[1] != []


def test_an_ascii_terminal_takes_a_runs_last_lines(home: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ganbalance.cli", "run", "e.yaml"]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, **_in(home, ASCII)) as process:
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
    os.close(ours)
    assert process.returncode == 0, said.decode()
    assert said.splitlines()[-1].startswith(b"everything was done already")
    assert said.isascii()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody is left at the other end
        return b""


def test_a_job_program_and_the_card_take_an_ascii_pipe(home: Path) -> None:
    done = _say(home, ASCII, "jobs.imbalance", "--experiment", "e.yaml", "--dry-run")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.isascii()
    card = _say(home, ASCII, "ganbalance.cli", "data", "card", "e.yaml")
    assert card.returncode == 0, card.stderr.decode()
    assert ESCAPED.encode() in card.stdout
    assert RARE.encode() in _say(home, UTF8, "ganbalance.cli", "data", "card", "e.yaml").stdout


def test_a_folder_whose_name_the_locale_lacks_is_refused_in_one_line(home: Path) -> None:
    (run,) = (path.name for path in (home / "out").iterdir())
    words = ["ganbalance.cli", "export", "--run", run, "--to", "pngs"]
    refused = _say(home, ASCII, *words)
    assert refused.returncode == 78
    (line,) = refused.stderr.decode().splitlines()
    assert line.endswith("set PYTHONUTF8=1")
    assert _say(home, UTF8, *words).returncode == 0
    assert (home / "pngs").exists()


def _leaves_it_to_the_locale(call: ast.Call) -> bool:
    """Whether a call reads or writes text and says no encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    said = {keyword.arg for keyword in call.keywords}
    if said & {"encoding", None}:
        return False
    if name in ("read_text", "write_text"):
        return len(call.args) == (name == "write_text")
    mode = next((one.value for one in call.args if isinstance(one, ast.Constant)), "")
    return name == "open" and (not call.args or "newline" in said or mode in ("r", "w", "a"))


def test_every_file_of_text_is_opened_as_utf_8() -> None:
    found = [
        f"{path}:{node.lineno}"
        for folder in ("shared", "jobs", "offline", "examples")
        for path in Path(folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and _leaves_it_to_the_locale(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "leaves_it"),
    [
        ("path.read_text()", True),
        ("path.write_text(text)", True),
        ("path.open()", True),
        ("path.open('w', newline='')", True),
        ("path.write_text(text, 'utf-8')", False),
        ("path.read_text('utf-8', 'replace')", False),
        ("path.open('rb')", False),
        ("path.open('w', newline='', encoding='utf-8')", False),
        ("artifacts.open(commit)", False),
    ],
)
def test_what_leaves_it_to_the_locale_is_found(code: str, leaves_it: bool) -> None:
    (statement,) = ast.parse(code).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    assert _leaves_it_to_the_locale(statement.value) is leaves_it
