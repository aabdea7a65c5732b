"""train-classifier: what a classifier learns from each arm's training images.

Reads   dataset and imbalance artifacts, and for an arm with a GAN its synthetic images
Writes  backbone          backbone.safetensors: published weights, verified; once
        features          features.npy float32 (N, d) of real images once, of synthetic ones once per synthesize
        train-classifier  predictions.npz: test and validation probabilities float64, labels, training prior;
                          tuning.csv (a row per penalty strength); COMMIT.json last
        rescore           predictions.npz: the scores of `none`, corrected for the training prior
        train-paper-classifier  predictions.npz, curve.csv (a row per epoch): the course report's protocol
Exit    0 done · 65 bad data · 75 try again · 78 bad configuration · 143 stopped
Try     python -m jobs.train_classifier --experiment jobs/experiments/quick.yaml --arm none --seed 0 --dry-run
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganbalance import arms
from ganbalance.data.predictions import Predictions
from ganbalance.metrics.decisions import prior_shifted
from ganbalance.models import backbones
from ganbalance.pipeline import reading, stages
from ganbalance.pipeline.job import JobContext, program
from ganbalance.seeding import derive
from ganbalance.store.artifacts import Artifact
from ganbalance.training import device, head, paper, weights
from ganbalance.training.features import extract


def backbone(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Backbone)
    published = backbones.find(declared.name)
    path = published.weights_file(ctx.experiment.classifier.weights)
    weights.save(ctx.folder / "backbone.safetensors", published.read_weights(path, declared.sha256))


def features(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Features)
    images = np.load(ctx.inputs["images"].path("images.npy"), mmap_mode="r", allow_pickle=False)
    frozen, network = _network(declared.backbone, ctx.inputs["backbone"])
    found = extract(
        network,
        frozen,
        images,
        side_px=declared.side_px,
        device=device.resolve(ctx.experiment.resources.device),
        on_progress=ctx.progress,
    )
    np.save(ctx.folder / "features.npy", found)


def train_classifier(ctx: JobContext) -> None:
    declared = ctx.stage(stages.TrainClassifier)
    data = reading.task_images(ctx.inputs["dataset"])
    split = reading.split(ctx.inputs["imbalance"])
    real = np.load(ctx.inputs["features"].path("features.npy"), mmap_mode="r", allow_pickle=False)

    chosen = arms.find(declared.arm).training_set(split, data.labels, seed=ctx.seed)
    synthetic = list(_synthetic(ctx, "features.npy"))
    train = head.Examples(
        np.concatenate([real[chosen.rows], *(made for _, made in synthetic)]),
        _labels(data.labels[chosen.rows], synthetic),
        _weights(chosen.weights, synthetic),
    )
    solved = head.fit(
        train,
        real[split.validation],
        data.labels[split.validation],
        scaler=head.fit_scaler(real[split.train]),
        grid=declared.l2,
        on_progress=lambda done, total: ctx.progress(done, total, "strengths"),
    )
    Predictions(
        test=solved.predict(real[split.test]),
        test_labels=data.labels[split.test],
        validation=solved.predict(real[split.validation]),
        validation_labels=data.labels[split.validation],
        prior=_prior(train.labels, train.weights, len(data.class_names)),
    ).save(ctx.folder / "predictions.npz")
    _table(ctx.folder / "tuning.csv", (asdict(row) for row in solved.tried))
    ctx.metrics |= {"l2": solved.l2, "images": len(train.labels)}


def rescore(ctx: JobContext) -> None:
    scores = Predictions.load(ctx.inputs["source"].path("predictions.npz"))
    scores.rescored(lambda probabilities: prior_shifted(probabilities, scores.prior)).save(
        ctx.folder / "predictions.npz"
    )


def train_paper_classifier(ctx: JobContext) -> None:
    declared = ctx.stage(stages.TrainPaperClassifier)
    data = reading.task_images(ctx.inputs["dataset"])
    split = reading.split(ctx.inputs["imbalance"])
    where = device.resolve(ctx.experiment.resources.device)

    chosen = arms.find(declared.arm).training_set(split, data.labels, seed=ctx.seed)
    synthetic = list(_synthetic(ctx, "images.npy"))
    labels = _labels(data.labels[chosen.rows], synthetic)
    image_weights = _weights(chosen.weights, synthetic)
    frozen, network = _network(declared.backbone, ctx.inputs["backbone"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(ctx.seed, "paper", "head"))
        model = paper.PaperNetwork(frozen, network, len(data.class_names), declared.side_px)
    curve = paper.train(
        model,
        np.concatenate([data.images[chosen.rows], *(made for _, made in synthetic)]),
        labels,
        image_weights,
        settings=declared.paper,
        seed=ctx.seed,
        device=where,
        on_progress=ctx.progress,
    )
    Predictions(
        test=paper.predict(model, data.images[split.test], where),
        test_labels=data.labels[split.test],
        validation=np.empty((0, len(data.class_names))),
        validation_labels=np.empty(0, np.int64),
        prior=_prior(labels, image_weights, len(data.class_names)),
    ).save(ctx.folder / "predictions.npz")
    _table(ctx.folder / "curve.csv", (asdict(row) for row in curve))
    ctx.metrics["images"] = len(labels)


def _network(name: str, artifact: Artifact) -> tuple[Any, torch.nn.Module]:
    frozen = backbones.find(name)
    network = frozen.build()
    network.load_state_dict(weights.load(artifact.path("backbone.safetensors")))
    return frozen, network


def _synthetic(ctx: JobContext, file: str) -> Iterator[tuple[int, NDArray[Any]]]:
    """What the arm's GAN made of each rare class: its column, and the images or their features."""
    for role, artifact in ctx.inputs.items():
        kind, _, column = role.partition("/")
        if kind == "synthetic":
            yield int(column), np.load(artifact.path(file), allow_pickle=False)


def _labels(real: NDArray[np.int64], synthetic: list[tuple[int, NDArray[Any]]]) -> NDArray[np.int64]:
    return np.concatenate([real, *(np.full(len(made), column, np.int64) for column, made in synthetic)])


def _weights(real: NDArray[np.float64], synthetic: list[tuple[int, NDArray[Any]]]) -> NDArray[np.float64]:
    return np.concatenate([real, *(np.ones(len(made)) for _, made in synthetic)])


def _prior(labels: NDArray[np.int64], weights: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Each class's share of the training weight: the prior that the scores were learned under."""
    shares: NDArray[np.float64] = np.bincount(labels, weights, minlength=columns) / weights.sum()
    return shares


def _table(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    first, *rest = rows
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, first, lineterminator="\n")
        table.writeheader()
        table.writerows([first, *rest])


main = program(
    __doc__,
    {
        stages.TrainClassifier: train_classifier,
        stages.Backbone: backbone,
        stages.Features: features,
        stages.Rescore: rescore,
        stages.TrainPaperClassifier: train_paper_classifier,
    },
)

if __name__ == "__main__":
    sys.exit(main())
