"""synthesize: draw images of the rare class from a trained generator.

Reads   a train-gan artifact; the imbalance artifact says how many images balance the classes
Writes  images.npy uint8 NCHW at the dataset's size, labels.npy int64, samples.png; COMMIT.json last
Exit    0 done · 65 bad data · 75 try again · 78 bad configuration · 143 stopped
Try     python -m jobs.synthesize --experiment jobs/experiments/quick.yaml --gan dcgan --seed 0 --dry-run
PNGs    ganbalance export --run RUN --gan dcgan --seed 0 --to folder
"""

import sys

import numpy as np

from ganbalance.data.split import class_counts, synthetic_count
from ganbalance.frozen import parse
from ganbalance.models import gans
from ganbalance.pipeline import reading, stages
from ganbalance.pipeline.job import JobContext, program
from ganbalance.reporting import figures
from ganbalance.training import device, weights
from ganbalance.training.synthesis import synthesise


def synthesize(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Synthesize)
    data = reading.task_images(ctx.inputs["dataset"])
    split = reading.split(ctx.inputs["imbalance"])
    counts = class_counts(data.labels[split.train], len(data.class_names))
    n = synthetic_count(counts, declared.column, declared.n)

    described = ctx.inputs["gan"].json("gan.json")
    config = parse(gans.load(described["gan"]).Config, described["settings"], where="gan.json")
    gan = gans.build(described["gan"], config, described["channels"], seed=0)
    gan.G.load_state_dict(weights.load(ctx.inputs["gan"].path("generator.safetensors")))
    images = synthesise(
        gan,
        n,
        label=declared.column,
        seed=ctx.seed,
        stream=f"synthesis/{declared.column}",
        side_px=data.side_px,
        device=device.resolve(ctx.experiment.resources.device),
        on_progress=ctx.progress,
    )
    np.save(ctx.folder / "images.npy", images)
    np.save(ctx.folder / "labels.npy", np.full(n, declared.column, np.int64))
    if n:
        figures.image_grid(images[:64]).save(ctx.folder / "samples.png")
    ctx.metrics["images"] = n


main = program(__doc__, {stages.Synthesize: synthesize})

if __name__ == "__main__":
    sys.exit(main())
