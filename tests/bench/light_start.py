"""What a command costs before it does anything: seconds and peak MB, beside a bare Python and one that loads torch.

    python -m tests.bench.light_start                  rounds of each command, after one that is not counted
    python -m tests.bench.light_start --rounds 9

In a round every command takes its turn between `python -c pass` and `python -c 'import torch'`. Seconds are of the
processor, which other work on the machine disturbs least, and of the clock; both are medians. A ratio is that of one
round: how many bare Pythons the command costs, and how many commands an import of torch does.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.conftest import tiny_settings, write_tiny_npz

PASS, TORCH = "python -c pass", "python -c 'import torch'"
# a process of its own, since one starts with the peak of whoever started it
LAUNCHER = """
import os, sys, time
started = time.perf_counter()
_, _, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(used.ru_utime + used.ru_stime, time.perf_counter() - started, used.ru_maxrss / 1000, file=sys.stderr)
"""


class Cost(NamedTuple):
    """Of one process."""

    processor_s: float
    clock_s: float
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= {"PYTHONPYCACHEPREFIX": f"{scratch}/compiled", "KUBECONFIG": f"{scratch}/none"}
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        commands = {PASS: ["-c", "pass"]} | ganbalance(Path(scratch)) | {TORCH: ["-c", "import torch"]}
        for words in commands.values():
            cost(words)
        costs = [{name: cost(words) for name, words in commands.items()} for _ in range(rounds)]
    print(f"{rounds} rounds, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    print(f"{'':<26}processor     clock      peak  in bare Pythons  torch is")
    for name in commands:
        processor_s, clock_s, peak_mb = map(statistics.median, zip(*(of[name] for of in costs), strict=True))
        bare = statistics.median(of[name].processor_s / of[PASS].processor_s for of in costs)
        torch = statistics.median(of[TORCH].processor_s / of[name].processor_s for of in costs)
        print(f"{name:<26}{processor_s:7.2f} s {clock_s:7.2f} s {peak_mb:6.0f} MB {bare:13.1f} x {torch:8.1f} x")


def ganbalance(scratch: Path) -> dict[str, list[str]]:
    """List the commands; `run` is of a tiny experiment, run here, of which nothing is left to do."""
    path = scratch / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(write_tiny_npz(scratch / "tiny.npz"))))
    words = {
        "--help": "--help",
        "plan": "plan jobs/experiments/quick.yaml",
        "plan (three GANs)": "plan jobs/experiments/honest.yaml",
        "run, everything done": f"run {path} --out {scratch / 'out'}",
        "store ls": "store ls",
        "table": "table reports/quick/summary.json",
        "status (no cluster)": "status",
    }
    store = ["--store", str(scratch / "store")]
    commands = {
        name: ["-m", "ganbalance.cli", *line.split(), *(store if line.split()[0] in ("plan", "run", "store") else [])]
        for name, line in words.items()
    }
    cost(commands["run, everything done"])
    return commands


def cost(words: list[str]) -> Cost:
    launcher = [sys.executable, "-c", LAUNCHER, sys.executable, *words]
    done = subprocess.run(launcher, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return Cost(*map(float, done.stderr.splitlines()[-1].split()))


if __name__ == "__main__":
    main()
