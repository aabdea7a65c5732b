"""How a large folder of images is read: the first plan, a second one, and the job, each in a process of its own.

    python -m tests.bench.reading                      20,000 JPEGs of 512 px, and a tenth of them
    python -m tests.bench.reading --images 2000

A line for each number of images: seconds and peak memory of the first card, of the second, of reading the pixels at
64 px, and of the first card on one core; then the ratios. Memory is that of the process less what Python and its
libraries take before they have read anything.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

SIDE_PX, CLASSES, PATTERNS = 512, ("broken", "sound"), 50
PROGRAM = """
import os, resource, sys, time
cores, what, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
from ganbalance.config import OwnImages
from ganbalance.data.datasets import open_dataset
source = open_dataset(OwnImages(name="folder", path=path, side_px=64))
import ganbalance.data.own_images, imagehash, scipy.fftpack
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
if what == "card":
    source.card()
else:
    source.fingerprint()
    started = time.perf_counter()
    source.load()
print(time.perf_counter() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="default: 20000")
    flags = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    for count in (flags.images // 10, flags.images):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            write(root / "images", count)
            time.sleep(2.5)  # what has only just changed is not kept
            first, memory = measured(root, "card", cores)
            second, _ = measured(root, "card", cores)
            pixels, memory_of_pixels = measured(root, "pixels", cores)
            alone, _ = measured(root, "card", 1, cache="alone")
        print(
            f"{count:,} images: card {first:.1f} s ({memory:.0f} MB), again {second:.2f} s, pixels {pixels:.1f} s "
            f"({memory_of_pixels:.0f} MB), card on one core {alone:.1f} s: first over second {first / second:.0f}, "
            f"one core over {cores} {alone / first:.2f}",
            flush=True,
        )


def write(root: Path, count: int) -> None:
    """Write JPEGs of a few pictures, no two with the same bytes."""
    made = []
    for seed in range(PATTERNS):
        blocks = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        file = BytesIO()
        Image.fromarray(blocks).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        made.append(file.getvalue())
    for name in CLASSES:
        (root / name).mkdir(parents=True)
    for number in range(count):
        path = root / CLASSES[number % len(CLASSES)] / f"{number:06}.jpg"
        path.write_bytes(made[number % PATTERNS] + number.to_bytes(4, "big"))  # after the end of the picture


def measured(root: Path, what: str, cores: int, cache: str = "cache") -> tuple[float, float]:
    """Measure seconds, and MB of memory beyond the start."""
    command = [sys.executable, "-c", PROGRAM, str(cores), what, str(root / "images")]
    environment = os.environ | {"GANBALANCE_DATA": str(root / cache)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds, megabytes = map(float, done.stdout.split()[-2:])
    return seconds, megabytes


if __name__ == "__main__":
    main()
