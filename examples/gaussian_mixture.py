"""Make images of a rare class with a generator that ganbalance does not know, to have them judged like a GAN's.

    python examples/gaussian_mixture.py SPLIT TO [CLASS]

Reads SPLIT/seed-*/, what `ganbalance export --split` wrote: the images that a generator may see at each seed.
Writes TO/SEED/CLASS/*.png: as many as balance the classes. CLASS is a folder's name there, else the rarest.

The generator is a mixture of Gaussians on the principal components of the pixels (Bishop 2006, "Pattern Recognition and
Machine Learning", sections 9.2 and 12.1). Put your own in the place of `fit_and_draw`; no part of ganbalance is needed.
"""

import argparse
import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

VARIANCE = 0.95
"""Share of the pixels' variance that is modelled; what is left out is noise and the finest texture."""
IMAGES_PER_COMPONENT = 8


def main() -> None:
    """Make the images of every seed in the split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("split", type=Path, metavar="SPLIT")
    parser.add_argument("to", type=Path, metavar="TO")
    parser.add_argument("class_name", metavar="CLASS", nargs="?")
    flags = parser.parse_args()
    folders = sorted(flags.split.glob("seed-*"))
    if not folders:
        parser.error(f"{flags.split} holds no seeds; 'ganbalance export --split --to {flags.split}' writes them")
    if flags.to.exists():
        parser.error(f"{flags.to} is there already; delete it or name another")
    for folder in folders:
        seed = int(folder.name.removeprefix("seed-"))
        files = listed(folder)
        counts = Counter({name: len(of_class) for name, of_class in files.items()})
        chosen = flags.class_name or counts.most_common()[-1][0]
        n = counts.most_common(1)[0][1] - counts[chosen]
        images = fit_and_draw(np.stack([np.asarray(Image.open(file)) for file in files[chosen]]), n, seed)
        save(images, flags.to / str(seed) / chosen)
        print(f"seed {seed}: {n} images of {chosen}, from {counts[chosen]}")


def listed(folder: Path) -> dict[str, list[Path]]:
    """List the images of each class in split.csv, each with the bytes that the list says."""
    files: dict[str, list[Path]] = {}
    with (folder / "split.csv").open(newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table):
            file = folder / row["file"]
            if hashlib.sha256(file.read_bytes()).hexdigest() != row["sha256"]:
                raise SystemExit(f"{file} is not the image that split.csv lists; export the split anew")
            files.setdefault(row["class"], []).append(file)
    return files


def fit_and_draw(images: NDArray[np.uint8], n: int, seed: int) -> NDArray[np.uint8]:
    """Draw `n` new images like `images`, uint8 (N, H, W) or (N, H, W, 3)."""
    pixels = images.reshape(len(images), -1).astype(np.float64)
    pca = PCA(VARIANCE, svd_solver="full").fit(pixels)
    found = pca.transform(pixels)
    mixture = GaussianMixture(
        n_components=max(1, len(images) // IMAGES_PER_COMPONENT),
        covariance_type="tied",  # one for all: a component's few images cannot give it one of its own
        reg_covar=1e-3 * found.var(),
        n_init=5,
        random_state=seed,
    ).fit(found)
    drawn, _component = mixture.sample(n)  # one component after the other, and a run may take the first few only
    drawn = np.random.default_rng(seed).permutation(drawn)
    levels: NDArray[np.uint8] = pca.inverse_transform(drawn).round().clip(0, 255).astype(np.uint8)
    return levels.reshape(n, *images.shape[1:])


def save(images: NDArray[np.uint8], folder: Path) -> None:
    """Write PNG files whose names keep the order."""
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:05d}.png")


if __name__ == "__main__":
    main()
