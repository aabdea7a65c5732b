"""synthesize: the synthetic images of a rare class: drawn from a GAN, changed copies, or brought from elsewhere.

Reads   dataset, imbalance and train-gan artifacts; the imbalance artifact says how many images balance the classes
Writes  synthesize      images.npy uint8 NCHW at the dataset's size, labels.npy int64, samples.png; COMMIT.json last
        filter          the same of the images that score best, and scores.npy float64 of all that were drawn
        augment         the same of changed copies of the real training images, of any class
        outside-images  the same of files that were made elsewhere
Exit    0 done · 65 bad data · 75 try again · 78 bad configuration · 143 stopped
Try     python -m jobs.synthesize --experiment jobs/experiments/quick.yaml --gan dcgan --seed 0 --dry-run
PNGs    ganbalance export --run RUN --gan dcgan --seed 0 --to folder
"""

import math
import sys

import numpy as np
from numpy.typing import NDArray

from ganbalance import arms
from ganbalance.config import Noise
from ganbalance.data import outside
from ganbalance.data.augmentation import augmented, noisy
from ganbalance.data.canvas import to_canvas
from ganbalance.data.images import TaskImages
from ganbalance.data.split import Split, class_counts, synthetic_count
from ganbalance.errors import DataError
from ganbalance.frozen import parse
from ganbalance.models import gans
from ganbalance.models.base import Gan, ImageSpec
from ganbalance.pipeline import stages
from ganbalance.pipeline.job import JobContext, program
from ganbalance.reporting import figures
from ganbalance.seeding import numpy_rng
from ganbalance.store.artifacts import Artifact
from ganbalance.training import device, head, weights
from ganbalance.training.synthesis import discriminate, synthesise

MILD = 0.01
"""Strength of the penalty of a filter's classifier: nothing is held out for it to be chosen on."""


def synthesize(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Synthesize)
    data, split = ctx.data()
    n = math.ceil(_wanted(data, split, declared.class_index, declared.n) / declared.keep)
    images = synthesise(
        _gan(ctx.inputs["gan"]),
        n,
        label=declared.class_index,
        seed=ctx.seed,
        stream=f"synthesis/{declared.class_index}",
        side_px=data.side_px,
        device=device.resolve(ctx.experiment.resources.device),
        on_progress=ctx.progress,
    )
    _save(ctx, images, declared.class_index)


def filtered(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Filter)
    data, split = ctx.data()
    images = np.load(ctx.inputs["images"].path("images.npy"), allow_pickle=False)
    where = device.resolve(ctx.experiment.resources.device)
    candidates = arms.Candidates(
        images,
        discriminator=lambda: discriminate(
            _gan(ctx.inputs["gan"]), to_canvas(images, declared.canvas), declared.class_index, where
        ),
        classifier=lambda: _log_odds(ctx, data, split, declared.class_index),
    )
    scores = arms.image_filter(declared.by).score(candidates) if len(images) else np.zeros(0)
    n = _wanted(data, split, declared.class_index, declared.n)
    best = np.sort(np.argsort(-scores, kind="stable")[:n])
    np.save(ctx.folder / "scores.npy", scores)
    _save(ctx, images[best], declared.class_index)


def augment(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Augment)
    data, split = ctx.data()
    rows = split.train[data.labels[split.train] == declared.class_index]
    rng = numpy_rng(ctx.seed, f"augment/{declared.class_index}")
    drawn = rng.choice(rows, _wanted(data, split, declared.class_index, declared.n) if declared.n else 0)
    drawn = np.concatenate([rows, drawn]) if declared.replaces else drawn
    copies, how = data.images[drawn], declared.augment
    changed = noisy(copies, how, rng) if isinstance(how, Noise) else augmented(copies, how, rng)
    _save(ctx, changed, declared.class_index)


def outside_images(ctx: JobContext) -> None:
    declared = ctx.stage(stages.OutsideImages)
    data, split = ctx.data()
    pattern = next(arm.synthetic.images for arm in ctx.experiment.arms if arm.name == ctx.node.arm and arm.synthetic)
    folder = outside.folder(str(pattern), ctx.seed, data.class_names[declared.class_index])
    outside.check_unchanged(folder, declared.fingerprint)
    images = outside.load(folder, data, getattr(ctx.experiment.dataset, "fit", "pad"))
    outside.check_no_copies(images, data, split)
    n = _wanted(data, split, declared.class_index, declared.n)
    if len(images) < n:
        raise DataError(f"{folder} holds {len(images)} images, and {n} are asked for; give more, or set synthetic.n")
    _save(ctx, images[:n], declared.class_index)


def _wanted(data: TaskImages, split: Split, class_index: int, n: int | str) -> int:
    return synthetic_count(class_counts(data.labels[split.train], len(data.class_names)), class_index, n)


def _gan(artifact: Artifact) -> Gan:
    """Load the trained GAN of a train-gan artifact, both networks."""
    described = artifact.json("gan.json")
    config = parse(gans.load(described["gan"]).Config, described["settings"], where="gan.json")
    gan = gans.build(described["gan"], config, ImageSpec(**described["images"]), seed=0)
    gan.drawing.load_state_dict(weights.load(artifact.path("generator.safetensors")))
    gan.D.load_state_dict(weights.load(artifact.path("discriminator.safetensors")))
    return gan


def _log_odds(ctx: JobContext, data: TaskImages, split: Split, class_index: int) -> NDArray[np.float64]:
    """Weigh the class against the rest by a head that learned from the real training images, penalised mildly."""
    real = np.load(ctx.inputs["features"].path("features.npy"), mmap_mode="r", allow_pickle=False)[split.train]
    is_class = (data.labels[split.train] == class_index).astype(np.int64)
    examples = arms.Examples(real, is_class, np.ones(len(is_class)))
    solved = head.fit(
        examples,
        scaler=head.fit_scaler(real),
        grid=[MILD],
        objective=arms.objective("cross-entropy"),
        on_progress=lambda _done, _total: None,
    )
    synthetic = np.load(ctx.inputs["synthetic"].path("features.npy"), allow_pickle=False)
    logits: NDArray[np.float64] = solved.logits(synthetic)[0]
    return logits[:, 1] - logits[:, 0]


def _save(ctx: JobContext, images: NDArray[np.uint8], class_index: int) -> None:
    np.save(ctx.folder / "images.npy", images)
    np.save(ctx.folder / "labels.npy", np.full(len(images), class_index, np.int64))
    if len(images):
        figures.image_grid(images[:64]).save(ctx.folder / "samples.png")
    ctx.metrics["images"] = len(images)


main = program(
    __doc__,
    {
        stages.Synthesize: synthesize,
        stages.Filter: filtered,
        stages.Augment: augment,
        stages.OutsideImages: outside_images,
    },
)

if __name__ == "__main__":
    sys.exit(main())
