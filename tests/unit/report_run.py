"""A synthetic run whose answer is known, and what the report job makes of it."""

import csv
import json
from dataclasses import dataclass, field

import numpy as np

from ganbalance import config
from ganbalance.data.predictions import Predictions
from ganbalance.frozen import dump
from ganbalance.keys import digest
from ganbalance.pipeline import stages
from ganbalance.pipeline.job import JobContext
from ganbalance.pipeline.plan import Node, Plan
from ganbalance.store.artifacts import Artifacts
from ganbalance.store.local import LocalStore
from jobs import report as job

SEEDS = (0, 1, 2, 3, 4)
ARMS = ("none", "class-weight", "dcgan", "vanilla", "wgan-gp", "oracle")
KEPT = (400, 100)


@dataclass
class SyntheticRun:
    """A run whose answer is known, committed to a real store without training anything.

    `signal` is how far an arm pulls the classes apart, `balanced` whether it was fitted under equal priors.
    """

    root: object
    seeds: tuple = SEEDS
    arms: tuple = ARMS
    k: int = 2
    n_test: int = 600
    protocol: str = "honest"
    validation: tuple = (100, 25)
    backbone: str = "efficientnet-lite0"
    notes: tuple = ()
    note: str = ""
    signal: dict = field(default_factory=lambda: {"dcgan": 2.0, "vanilla": 1.2, "wgan-gp": 3.2, "oracle": 3.4})
    skip: tuple = ()
    diverged: tuple = ()
    channels: int = 1
    machine: dict = field(default_factory=dict)  # what the provenance of every artifact adds

    def gans(self):
        return [arm for arm in self.arms if arm in ("dcgan", "vanilla", "wgan-gp")]

    def experiment(self):
        return config.check(
            {
                "name": "known",
                "note": self.note,
                "protocol": self.protocol,
                "dataset": {"name": "fashion-mnist"},
                "task": {"kind": "pair", "positive": 1, "negative": 0} if self.k == 2 else {"kind": "multiclass"},
                "imbalance": {"keep": {"1": 0.2}},
                "arms": list(self.arms),
                "classifier": {"backbone": self.backbone},
                "statistics": {"replicates": 200},
                "seeds": list(self.seeds),
            },
            where="test",
        )

    def names(self):
        return tuple(f"class {c} & <co>" if c == 0 else f"class {c}" for c in range(self.k))

    def labels(self):
        return np.arange(self.n_test) % self.k

    def predictions(self, arm, seed):
        labels = self.labels()
        prior = np.array([KEPT[0]] * (self.k - 1) + [KEPT[1]], float)
        prior /= prior.sum()
        noise = np.random.default_rng(7).normal(size=(self.n_test, self.k))  # the images: shared by all arms
        noise = noise + 0.01 * np.random.default_rng([seed, len(arm)]).normal(size=noise.shape)
        logits = noise + self.signal.get(arm, 2.0) * np.eye(self.k)[labels]
        if arm in ("none", "oracle"):
            logits += np.log(prior)
        else:
            prior = np.full(self.k, 1 / self.k)
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        held = [] if self.protocol == "paper" else self.held_out()
        return Predictions(probabilities, labels, probabilities[held], labels[held], prior)

    def held_out(self):
        """As many test images of each class, for want of others, as there are validation images."""
        counts = [self.validation[0]] * (self.k - 1) + [self.validation[1]]
        return np.concatenate([np.flatnonzero(self.labels() == c)[:count] for c, count in enumerate(counts)])

    def context(self):
        artifacts = Artifacts(LocalStore(self.root / "store"), self.root)
        writers = self.writers()
        commits = {}
        for role, (stage, write) in writers.items():
            if role in self.skip:
                continue
            folder = self.root / "made" / role
            folder.mkdir(parents=True)
            lost = role in self.diverged
            because = (
                {"because": "train-gan"} if role.startswith("cell/") else {"diverged_at": {"epoch": 3, "step": 21}}
            )
            metrics = dict(because) if lost else {}
            if not lost:
                metrics |= write(folder) or {}
            commits[role] = artifacts.commit(
                stage,
                digest(role)[:32],
                attempt="a",
                folder=folder,
                inputs={},
                outcome="diverged" if lost else "done",
                metrics=metrics,
                provenance={
                    "seconds": 1.5,
                    "threads": 1,
                    "cpu": "a cpu",
                    "cores": 2,
                    "python": "3.11",
                    "git_commit": "abc",
                    **self.machine,
                },
            )
        out = self.root / "out"
        out.mkdir()
        inputs = {role: artifacts.open(commit) for role, commit in commits.items()}
        return JobContext(self.node(writers), self.experiment(), self.plan(writers), inputs, out, None, None, None)

    def node(self, roles):
        declared = stages.Report(
                name="known",
            protocol=self.protocol, arms=self.arms, seeds=self.seeds, margin=0.005, reference="class-weight",
            replicates=200, note=self.note,
        )  # fmt: skip
        inputs = {role: role for role in roles}
        return Node(name="report", stage="report", config=dump(declared), inputs=inputs, key="0" * 32)

    def plan(self, roles):
        dataset = stages.Dataset(
            name="fashion-mnist", fingerprint="f" * 64, classes=tuple(range(self.k)), class_names=self.names()
        )
        imbalance = stages.Imbalance(keep={self.k - 1: 0.2}, validation=0.2)
        backbone = stages.Backbone(name=self.backbone, sha256="0" * 64)
        nodes = [
            Node(name=stage.stage, stage=stage.stage, config=dump(stage), inputs={}, key="0" * 32)
            for stage in (dataset, imbalance, backbone)
        ]
        return Plan(run="known-1", nodes=(*nodes, self.node(roles)), notes=self.notes)

    def writers(self):
        made = {"dataset": ("dataset", self.write_dataset), "backbone": ("backbone", lambda folder: None)}
        cell = "train-classifier" if self.protocol == "honest" else "train-paper-classifier"
        for arm in self.arms:
            for seed in self.seeds:
                made[f"cell/{arm}/{seed}"] = (cell, lambda folder, a=arm, s=seed: self.write_cell(folder, a, s))
        for seed in self.seeds:
            made[f"imbalance/{seed}"] = ("imbalance", self.write_imbalance)
            for gan in self.gans():
                role = f"gan/{gan}/class-{self.k - 1}/seed-{seed}"
                made[role] = ("train-gan", lambda folder, s=seed: self.write_gan(folder, s))
        return made

    def write_dataset(self, folder):
        rng = np.random.default_rng(0)
        np.save(folder / "images.npy", rng.integers(0, 255, (40 * self.k, self.channels, 28, 28), np.uint8))
        np.save(folder / "labels.npy", np.arange(40 * self.k) % self.k)
        (folder / "classes.json").write_text(json.dumps({"class_names": self.names(), "n_train": 30 * self.k}))

    def write_imbalance(self, folder):
        rows = [("class", "before", "after", "train", "validation")]
        for c, name in enumerate(self.names()):
            rare = c == self.k - 1
            held = 0 if self.protocol == "paper" else self.validation[rare]
            rows.append((name, 500, KEPT[rare], KEPT[rare] - held, held))
        with (folder / "counts.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        parts = np.split(np.arange(40 * self.k), [20 * self.k, 25 * self.k, 30 * self.k])
        np.savez(folder / "split.npz", **dict(zip(("train", "validation", "removed", "test"), parts, strict=True)))
        return {"kept": [KEPT[0]] * (self.k - 1) + [KEPT[1]]}

    def write_cell(self, folder, arm, seed):
        self.predictions(arm, seed).save(folder / "predictions.npz")
        if self.protocol == "paper":
            rows = [f"{e},{1 / e + 0.01 * seed},{1.2 / e + 0.02 * seed}" for e in range(1, 16)]
            (folder / "curve.csv").write_text("\n".join(["epoch,train_loss,validation_loss", *rows]) + "\n")
        else:
            rows = [f"{10.0**-i},{0.9 - 0.02 * abs(i - 2) + 0.004 * seed},{9 + i},True" for i in range(6)]
            (folder / "tuning.csv").write_text("\n".join(["l2,validation_auc,iterations,converged", *rows]) + "\n")
        return {"images": 500}

    def write_gan(self, folder, seed):
        rows = [f"{e},{0.6 + 0.1 / e},{0.1 * seed},{1 + 0.5 / e}" for e in range(1, 21)]
        (folder / "losses.csv").write_text("\n".join(["epoch,d_real,d_fake,g_adversarial", *rows]) + "\n")
        rng = np.random.default_rng(seed)
        grids = {f"epoch-{e}": rng.integers(0, 255, (64, self.channels, 32, 32), np.uint8) for e in (4, 8, 12, 16, 20)}
        np.savez(folder / "samples.npz", **grids)


class Outcome:
    """What the report job left in its folder."""

    def __init__(self, run):
        self.context = run.context()
        job.report(self.context)
        self.folder = self.context.folder
        self.html = (self.folder / "report.html").read_text()
        self.md = (self.folder / "report.md").read_text()
        self.summary = json.loads((self.folder / "summary.json").read_text())

    def rows(self, name):
        with (self.folder / name).open(newline="") as file:
            return list(csv.DictReader(file))

    def verdict(self, arm):
        return self.summary["arms"][arm]["verdict"]["name"]
