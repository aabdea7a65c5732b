"""imbalance: make the rare class rare, once per seed, for everything that follows.

Reads   the dataset named in the experiment
Writes  dataset    images.npy uint8 NCHW, labels.npy int64, classes.json, groups.npy int64 where images are grouped,
                   and card.json of images of one's own; once, whatever the seed
        imbalance  split.npz (train, validation, tuning, removed and test rows), split.json with a sha256 of each,
                   counts.csv and counts.png: class counts before and after; COMMIT.json last
Exit    0 done · 65 bad data · 75 try again · 78 bad configuration · 143 stopped
Try     python -m jobs.imbalance --experiment jobs/experiments/quick.yaml --seed 0 --dry-run
"""

import csv
import json
import sys

import numpy as np

from ganbalance.called import typed
from ganbalance.data.datasets import open_dataset
from ganbalance.data.images import TaskImages
from ganbalance.data.split import class_counts, draw
from ganbalance.errors import DataError
from ganbalance.frozen import dump
from ganbalance.pipeline import stages
from ganbalance.pipeline.job import JobContext, program
from ganbalance.reporting import figures
from ganbalance.seeding import derive


def dataset(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Dataset)
    source = open_dataset(ctx.experiment.dataset)
    source.ensure()
    source = source.of([label for labels in declared.classes for label in labels])
    if source.fingerprint() != declared.fingerprint:
        raise DataError(f"the dataset's files changed since the run was planned; start it again with '{typed('run')}'")
    chosen = TaskImages.select(source.load(), declared.classes, declared.class_names)
    chosen.check_every_class_is_tested()
    chosen.save(ctx.folder)
    if card := source.card():
        (ctx.folder / "card.json").write_text(json.dumps(dump(card), indent=1), "utf-8")
    ctx.metrics["n_train"], ctx.metrics["n_test"] = chosen.n_train, len(chosen.labels) - chosen.n_train


def imbalance(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Imbalance)
    data = TaskImages.load(ctx.inputs["dataset"].path)
    split = draw(
        data.labels,
        data.n_train,
        keep=declared.keep,
        validation=declared.validation,
        seed=derive(ctx.seed, "split"),
        groups_N=data.groups,
        fold=declared.fold,
    )
    if data.groups is not None:
        split.check_groups(data.groups)
    split.save(ctx.folder / "split.npz")
    (ctx.folder / "split.json").write_text(json.dumps(split.hashes, indent=1), "utf-8")

    n_classes = len(data.class_names)
    before = class_counts(np.delete(data.labels, split.test), n_classes)
    parts = (split.train, split.validation, split.tuning)
    train, validation, tuning = (class_counts(data.labels[rows], n_classes) for rows in parts)
    after = [a + b for a, b in zip(train, validation, strict=True)]
    with (ctx.folder / "counts.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["class", "before", "after", "train", "validation", "tuning"])
        table.writerows(zip(data.class_names, before, after, train, validation, tuning, strict=True))
    figures.class_counts(data.class_names, before, after).savefig(ctx.folder / "counts.png")
    ctx.metrics["kept"] = after


main = program(__doc__, {stages.Dataset: dataset, stages.Imbalance: imbalance})

if __name__ == "__main__":
    sys.exit(main())
