"""Write commands in messages as whoever reads them called this one: by make, by the program's path, or by its name."""

import os
import shlex
import shutil
import sys
from pathlib import Path

CALLED = "GANBALANCE_CALLED"  # set by the Makefile, to what calls its targets
PROGRAM = "ganbalance"
SAME = ("run", "plan", "submit", "render", "status", "watch", "cancel", "fetch-report", "doctor", "logs", "resume")
TARGETS = {name: name for name in SAME} | {"clean": "clean-run"}  # command -> the target of make that is the same


def typed(line: str) -> str:
    """Write a command line that begins after the program's name; each of its flags has a value."""
    make, (command, *words) = os.environ.get(CALLED), shlex.split(line)
    if not make or command not in TARGETS:
        return f"{program()} {line}"
    given = iter(words)
    variables = [
        f"{word[2:].upper()}={next(given, '')}" if word.startswith("--") else f"EXPERIMENT={word}" for word in given
    ]
    return shlex.join([make, TARGETS[command], *variables])


def program() -> str:
    """Name the program, by its path where the name alone would not find it."""
    path, found = Path(sys.argv[0]), shutil.which(PROGRAM)
    if path.name != PROGRAM or (found and Path(found).resolve() == path.resolve()):
        return PROGRAM
    return shlex.quote(sys.argv[0])
