"""train-classifier: what a classifier learns from each arm's training images.

Reads   dataset and imbalance artifacts, and for an arm with a GAN its synthetic images
Writes  backbone          backbone.safetensors: published weights, verified; once
        features          features.npy float32 (N, d) of real images once, of synthetic ones once per synthesize
        train-classifier  scores.npz: logits of test and held-out images at every strength of the penalty, and the
                          rule of the training mix (ganbalance.metrics.scores); head.safetensors: the scaler and
                          the solutions themselves (ganbalance.training.saved_head); solver.csv; COMMIT.json last
        train-network     logits.npz of test and held-out images (rows) at one setting; backbone.safetensors and
                          head.safetensors: the network; once per learning rate and weight decay
        grid              scores.npz: the logits of every setting of one arm; solver.csv: which of them diverged
        doses               scores.npz: those of every dose of one arm; solver.csv of all of them
        rescore           scores.npz: the logits of another cell, its rule corrected for the training prior
        train-paper-classifier  scores.npz, curve.csv (a row per epoch): as the course report trained it
Exit    0 done · 65 bad data · 75 try again · 78 bad configuration · 143 stopped
Try     python -m jobs.train_classifier --experiment jobs/experiments/quick.yaml --arm none --seed 0 --dry-run
"""

import csv
import functools
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganbalance import arms
from ganbalance.data.images import TaskImages
from ganbalance.data.split import Split, class_counts, synthetic_count, training_rows
from ganbalance.metrics import calibration, scores
from ganbalance.metrics.scores import PairScores, Scores, of_pair
from ganbalance.models import backbones
from ganbalance.models.backbones.base import Backbone, check_side
from ganbalance.pipeline import stages
from ganbalance.pipeline.job import JobContext, program
from ganbalance.seeding import derive
from ganbalance.store.artifacts import Artifact
from ganbalance.training import device, head, loop, network, paper, saved_head, weights
from ganbalance.training.features import extract

Trained = stages.TrainClassifier | stages.TrainNetwork | stages.TrainPaperClassifier
Made = tuple[int, NDArray[Any], NDArray[np.float64]]
"""Synthetic images of a class, by its index, or their features, and what each counts in the loss."""


def backbone(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Backbone)
    published = backbones.find(declared.name)
    path = published.weights_file(ctx.experiment.classifier.weights)
    weights.save(ctx.folder / "backbone.safetensors", published.read_weights(path, declared.sha256))


def features(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Features)
    images = np.load(ctx.inputs["images"].path("images.npy"), mmap_mode="r", allow_pickle=False)
    backbone, body = _network(declared.backbone, declared.side_px, ctx.inputs["backbone"])
    found = extract(
        body,
        backbone,
        images,
        side_px=declared.side_px,
        device=device.resolve(ctx.experiment.resources.device),
        on_progress=ctx.progress,
    )
    np.save(ctx.folder / "features.npy", found)


def train_classifier(ctx: JobContext) -> None:
    declared = ctx.stage(stages.TrainClassifier)
    data, split = ctx.data()
    real = np.load(ctx.inputs["features"].path("features.npy"), mmap_mode="r", allow_pickle=False)

    rows = training_rows(split, data.labels, declared.removed, seed=ctx.seed, matched=_matched(declared, data, split))
    synthetic = _synthetic(ctx, declared, data, "features.npy")
    if declared.replaces:  # the first copies of a class stand for its images, which are left out
        images, rows = class_counts(data.labels[rows], len(data.class_names)), rows[:0]
        synthetic = [
            (c, made, np.where(np.arange(len(made)) < images[c], 1.0, weights)) for c, made, weights in synthetic
        ]
    train = _balanced(declared, real[rows], data.labels[rows], synthetic, ctx.seed)
    objective = arms.objective(declared.objective)
    solve = functools.partial(
        head.fit, scaler=head.fit_scaler(real[split.train]), grid=declared.l2, objective=objective
    )
    pairs = scores.ranked(declared.rare, len(data.class_names))
    heads: dict[tuple[int, ...], head.Head] = {
        (): solve(train, on_progress=lambda done, total: ctx.progress(done, total, "strengths"))
    }
    for number, pair in enumerate(pairs, start=1):
        ctx.progress(number, len(pairs), "pairs")
        heads[pair] = solve(train.of_pair(pair), on_progress=lambda _done, _total: None)

    whole = heads[()]
    rules = [calibration.fit(logits, train.labels, train.weights) for logits in whole.logits(train.inputs)]
    shift = objective.shift(train.prior)  # it is not there when the head decides
    Scores(
        strengths=whole.strengths,
        test=whole.logits(real[split.test]),
        test_labels=data.labels[split.test],
        held_out=whole.logits(real[split.held_out]),
        held_out_labels=data.labels[split.held_out],
        validation=np.isin(split.held_out, split.validation),
        scale=np.array([rule.scale for rule in rules]),
        offsets=np.stack([rule.offsets - shift for rule in rules]),
        prior=objective.decides_for(train.prior),
        pairs={
            pair: PairScores(*(_log_odds(heads[pair], real, data, rows, pair) for rows in (split.test, split.held_out)))
            for pair in pairs
        },
        test_rows=_test_rows(ctx, split),
        test_groups=data.groups_of(split.test),
        held_out_groups=data.groups_of(split.held_out),
    ).save(ctx.folder / "scores.npz")
    saved_head.save(ctx.folder / "head.safetensors", heads)
    _table(ctx.folder / "solver.csv", (_named(pair) | asdict(row) for pair in heads for row in heads[pair].solved))
    ctx.metrics |= {
        "images": len(train.labels),
        "converged": all(row.converged for one in heads.values() for row in one.solved),
    }


def rescore(ctx: JobContext) -> None:
    Scores.load(ctx.inputs["source"].path("scores.npz")).rescored().save(ctx.folder / "scores.npz")


def train_network(ctx: JobContext) -> None:
    declared = ctx.stage(stages.TrainNetwork)
    data, split = ctx.data()
    where = device.resolve(ctx.experiment.resources.device)

    train = _training_images(ctx, declared, data, split)
    objective = arms.objective(declared.objective)
    with loop.seeded(derive(ctx.seed, "network", "weights")):
        backbone, body = _network(declared.backbone, declared.side_px, ctx.inputs.get("backbone"))
        model = network.ImageClassifier(backbone, body, len(data.class_names), declared.side_px)
    training = network.Training(
        model,
        train,
        trained=declared.train,
        settings=declared.training,
        lr=declared.lr,
        weight_decay=declared.weight_decay,
        method=arms.method(declared.method),
        objective=objective,
        seed=ctx.seed,
        device=where,
    )
    with ctx.resumable() as resumable:
        loop.run(training, **resumable)

    top = saved_head.LinearHead.of(model.head)
    seen = np.concatenate([split.test, split.held_out])
    if training.diverged:  # a setting that ranks nothing; its arm has others
        logits = np.zeros((len(seen), len(data.class_names)))
    else:
        found = extract(
            model.network, backbone, data.images[seen], side_px=declared.side_px, device=where, on_progress=ctx.progress
        )
        logits = top.logits(found)
    np.savez(ctx.folder / "logits.npz", logits=logits, prior=objective.decides_for(train.prior))
    weights.save(ctx.folder / "backbone.safetensors", model.network.state_dict())
    top.save(ctx.folder / "head.safetensors")
    ctx.metrics |= {"images": len(train.labels), "converged": not training.diverged}


def grid(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Grid)
    data, split = ctx.data()
    networks = [ctx.inputs[stages.tuned_role("setting", number)] for number in range(1, declared.settings + 1)]
    logits, priors = zip(*map(_logits, networks), strict=True)
    test, held_out = np.split(np.stack(logits), [len(split.test)], axis=1)
    scores.of_networks(
        test,
        data.labels[split.test],
        held_out,
        data.labels[split.held_out],
        validation=np.isin(split.held_out, split.validation),
        prior=priors[0],
        rare=declared.rare,
        test_rows=_test_rows(ctx, split),
        test_groups=data.groups_of(split.test),
        held_out_groups=data.groups_of(split.held_out),
    ).save(ctx.folder / "scores.npz")
    converged = [network.commit.metrics["converged"] for network in networks]
    rows = ({"setting": number, "converged": right} for number, right in enumerate(converged, start=1))
    _table(ctx.folder / "solver.csv", rows)
    ctx.diverged = not any(converged)


def doses(ctx: JobContext) -> None:
    declared = ctx.stage(stages.Doses)
    cells = [ctx.inputs[stages.tuned_role("dose", number)] for number in range(1, declared.doses + 1)]
    scores.of_doses([Scores.load(cell.path("scores.npz")) for cell in cells]).save(ctx.folder / "scores.npz")
    rows = ({"dose": number} | row for number, cell in enumerate(cells, start=1) for row in _rows(cell))
    _table(ctx.folder / "solver.csv", rows)


def train_paper_classifier(ctx: JobContext) -> None:
    declared = ctx.stage(stages.TrainPaperClassifier)
    data, split = ctx.data()
    where = device.resolve(ctx.experiment.resources.device)

    train = _training_images(ctx, declared, data, split)
    backbone, body = _network(declared.backbone, declared.side_px, ctx.inputs["backbone"])
    with loop.seeded(derive(ctx.seed, "paper", "head")):
        model = network.ImageClassifier(backbone, body, len(data.class_names), declared.side_px, imagenet=False)
    with ctx.resumable() as resumable:
        curve = paper.train(model, train, settings=declared.paper, seed=ctx.seed, device=where, **resumable)
    logits = paper.predict(model, data.images[split.test], where)[None]
    scores.of_networks(
        logits,
        data.labels[split.test],
        logits[:, :0],
        data.labels[:0],
        validation=np.zeros(0, bool),
        prior=train.prior,
        rare=range(len(data.class_names)),
        test_rows=_test_rows(ctx, split),
    ).save(ctx.folder / "scores.npz")
    _table(ctx.folder / "curve.csv", (asdict(row) for row in curve))
    ctx.metrics["images"] = len(train.labels)


def _network(name: str, side_px: int, weights_of: Artifact | None) -> tuple[Backbone, torch.nn.Module]:
    """Build a backbone and its network, with the weights of an artifact if there is one."""
    backbone = backbones.find(name)
    network = backbone.build()
    if weights_of:
        network.load_state_dict(weights.load(weights_of.path("backbone.safetensors")))
    check_side(network, name, side_px)
    return backbone, network


def _training_images(
    ctx: JobContext, declared: stages.TrainNetwork | stages.TrainPaperClassifier, data: TaskImages, split: Split
) -> arms.Examples:
    """Gather what a network learns from."""
    matched = _matched(declared, data, split) if isinstance(declared, stages.TrainNetwork) else {}
    rows = training_rows(split, data.labels, declared.removed, seed=ctx.seed, matched=matched)
    synthetic = _synthetic(ctx, declared, data, "images.npy")
    return _balanced(declared, data.images[rows], data.labels[rows], synthetic, ctx.seed)


def _logits(artifact: Artifact) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read the logits of test and held-out images (T + V, K), and the class shares (K,) that the network learned."""
    with np.load(artifact.path("logits.npz"), allow_pickle=False) as arrays:
        return arrays["logits"], arrays["prior"]


def _synthetic(ctx: JobContext, declared: Trained, data: TaskImages, file: str) -> list[Made]:
    """Load the arm's synthetic images of each class that has some."""
    weight = 1.0 if isinstance(declared, stages.TrainPaperClassifier) else declared.weight
    given = {c: ctx.inputs.get(stages.synthetic_role(c)) for c in range(len(data.class_names))}
    loaded = ((c, np.load(artifact.path(file), allow_pickle=False)) for c, artifact in given.items() if artifact)
    return [(c, made, np.full(len(made), weight)) for c, made in loaded]


def _balanced(
    declared: Trained, real: NDArray[Any], labels: NDArray[np.int64], synthetic: list[Made], seed: int
) -> arms.Examples:
    """Resample or weight the real and synthetic training examples as the arm's method does."""
    examples = arms.Examples(real, labels, np.ones(len(labels)))
    for c, made, counted in synthetic:
        examples = examples.extended(made, np.full(len(made), c), counted)
    return arms.method(declared.method).resample(examples, derive(seed, "training-set") % 2**32)


def _matched(declared: stages.TrainClassifier | stages.TrainNetwork, data: TaskImages, split: Split) -> dict[int, int]:
    """Count the images of each rare class that are given back to the arm that gets as many as a GAN adds."""
    if declared.matched is None:
        return {}
    counts = class_counts(data.labels[split.train], len(data.class_names))
    return {c: synthetic_count(counts, c, declared.matched) for c in declared.rare}


def _test_rows(ctx: JobContext, split: Split) -> NDArray[np.int64] | None:
    """Say which images a seed is tested on, where seeds are tested on different ones."""
    return split.test if ctx.experiment.folds else None


def _log_odds(
    solved: head.Head, real: NDArray[np.float32], data: TaskImages, rows: NDArray[np.int64], pair: tuple[int, int]
) -> NDArray[np.float64]:
    """Compute the log odds, float64 (G, n), of the rows that are of the pair."""
    logits = solved.logits(real[rows[of_pair(data.labels[rows], pair)]])
    return logits[..., 1] - logits[..., 0]


def _named(pair: tuple[int, ...]) -> dict[str, str]:
    return {"pair": "-".join(map(str, pair))}


def _rows(cell: Artifact) -> list[dict[str, str]]:
    """Read what became of every solution or network."""
    with cell.path("solver.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _table(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    first, *rest = rows
    with path.open("w", newline="", encoding="utf-8") as file:
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
        stages.TrainNetwork: train_network,
        stages.Grid: grid,
        stages.Doses: doses,
    },
)

if __name__ == "__main__":
    sys.exit(main())
