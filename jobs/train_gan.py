"""train-gan: fit one GAN to the training images of one rare class, or a conditional one to those of every class.

Reads   dataset and imbalance artifacts: images uint8 NCHW, the training rows
Writes  generator.safetensors, discriminator.safetensors, gan.json (to build them again),
        losses.csv (a row per epoch), samples.npz (uint8 grids at fixed noise); COMMIT.json last
Exit    0 done, also when training diverged: that is a result · 65 bad data · 75 try again ·
        78 bad configuration · 143 stopped after a checkpoint; the same command resumes
Try     python -m jobs.train_gan --experiment jobs/experiments/quick.yaml --gan dcgan --seed 0 --dry-run
"""

import csv
import json
import sys
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from ganbalance.config import canvas_side
from ganbalance.data.canvas import to_canvas
from ganbalance.frozen import parse
from ganbalance.models import gans
from ganbalance.models.base import ImageSpec
from ganbalance.pipeline import stages
from ganbalance.pipeline.job import JobContext, program
from ganbalance.seeding import derive
from ganbalance.training import device, gan_loop, weights


def train_gan(ctx: JobContext) -> None:
    declared = ctx.stage(stages.TrainGan)
    data, split = ctx.data()
    config = parse(gans.load(declared.gan).Config, declared.settings, where=f"gans.{declared.gan}")
    rows, classes = split.train, len(data.class_names) if config.conditional else None
    if not config.conditional:
        rows = rows[data.labels[rows] == declared.class_index]

    stream = "gan/all" if config.conditional else f"gan/{declared.class_index}"
    spec = ImageSpec(data.channels, canvas_side(data.side_px), classes)
    gan = gans.build(declared.gan, config, spec, derive(ctx.seed, stream))
    with ctx.resumable() as resumable:
        trained = gan_loop.train(
            gan,
            to_canvas(data.images[rows], declared.canvas),
            torch.from_numpy(data.labels[rows]),
            seed=ctx.seed,
            stream=stream,
            device=device.resolve(ctx.experiment.resources.device),
            **resumable,
        )
    weights.save(ctx.folder / "generator.safetensors", gan.drawing.state_dict())
    weights.save(ctx.folder / "discriminator.safetensors", gan.D.state_dict())
    images = {key: value for key, value in asdict(spec).items() if value is not None}
    described = {"gan": declared.gan, "settings": declared.settings, "images": images}
    (ctx.folder / "gan.json").write_text(json.dumps(described, indent=1), "utf-8")
    with (ctx.folder / "losses.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, trained.rows[0] if trained.rows else ["epoch"], lineterminator="\n")
        table.writeheader()
        table.writerows(trained.rows)
    grids: dict[str, Any] = {f"epoch-{epoch}": grid for epoch, grid in trained.grids.items()}
    np.savez(ctx.folder / "samples.npz", **grids)
    ctx.metrics |= {"images": len(rows), "steps": trained.steps}
    if trained.diverged_at is not None:
        ctx.diverged = True
        ctx.metrics["diverged_at"] = asdict(trained.diverged_at)


main = program(__doc__, {stages.TrainGan: train_gan})

if __name__ == "__main__":
    sys.exit(main())
