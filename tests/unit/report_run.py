"""A synthetic run whose answer is known, and what the report job makes of it."""

import csv
import html
import json
import operator
import re
from contextlib import closing
from dataclasses import dataclass, field, fields
from functools import cached_property, reduce
from types import SimpleNamespace

import numpy as np
import pytest

from ganbalance import arms, config
from ganbalance.config import Recipe
from ganbalance.frozen import dump
from ganbalance.keys import digest
from ganbalance.metrics.quality import Quality
from ganbalance.metrics.scores import PairScores, Scores
from ganbalance.pipeline import stages
from ganbalance.pipeline.job import JobContext
from ganbalance.pipeline.plan import Node, Plan
from ganbalance.reporting import collect, sections
from ganbalance.reporting.layout import Report
from ganbalance.reporting.summarise import analyse
from ganbalance.reporting.summary import Summary
from ganbalance.store.artifacts import Artifacts
from ganbalance.store.local import LocalStore
from jobs import report as job

SEEDS = (0, 1, 2, 3, 4)
ARMS = ("none", "class-weight", "dcgan", "vanilla", "wgan-gp", "oracle")
GANS = ("dcgan", "vanilla", "wgan-gp")
KEPT = (400, 100)
STRENGTHS = (10.0, 1.0, 0.1)
QUALITY = (0.9, 1.0, 0.8)
"""How much of an arm's signal is left at each strength: held-out images choose the second."""


@dataclass
class SyntheticRun:
    """A run whose answer is known, committed to a real store without training anything.

    `signal` is how far an arm pulls the classes apart, or a function of the seed; arms but `none` and the oracles are
    fitted under equal priors. `quality` is what is left of it along the grid.
    """

    root: object
    seeds: tuple = SEEDS
    arms: tuple = ARMS
    k: int = 2
    rare: tuple = ()
    n_test: int = 600
    per_group: int = 0  # images of one class that belong together; 0 where each stands for itself
    protocol: str = "honest"
    validation: tuple = (100, 25)
    tuning: int = 75
    keep: float = 0.2
    backbone: str = "efficientnet-lite0"
    notes: tuple = ()
    note: str = ""
    signal: dict = field(default_factory=lambda: {"dcgan": 2.0, "vanilla": 1.2, "wgan-gp": 3.2, "oracle": 3.4})
    imbalanced: tuple = ()  # arms fitted under the imbalanced prior, as `none` is
    quality: dict = field(default_factory=dict)  # by arm, instead of QUALITY
    statistics: dict = field(default_factory=dict)
    skip: tuple = ()
    diverged: tuple = ()
    channels: int = 1
    machine: dict = field(default_factory=dict)  # what the provenance of every artifact adds
    class_names: tuple = ()
    elsewhere: tuple = ()  # the roles that another processor made
    kid: dict = field(default_factory=dict)  # of the images that an arm adds (None: the control), a function of seed
    fewest: int = 2048  # synthetic and real images that quality was measured on, whichever are fewer

    def __post_init__(self):
        self.rare = self.rare or (self.k - 1,)

    def gans(self):
        return [arm for arm in self.arms if arm in GANS]

    def experiment(self):
        return config.check(
            {
                "name": "known",
                "note": self.note,
                "dataset": {"name": "fashion-mnist"},
                "task": {"kind": "pair", "positive": 1, "negative": 0} if self.k == 2 else {"kind": "multiclass"},
                "imbalance": {"keep": {str(c): self.keep for c in self.rare}},
                "arms": list(self.arms),
                "classifier": {"backbone": self.backbone} | self.kind(),
                "statistics": {"replicates": 200, **self.statistics},
                "seeds": list(self.seeds),
            },
            where="test",
        )

    def kind(self):
        return {"kind": "paper"} if self.protocol == "paper" else {"l2": list(STRENGTHS)}

    def names(self):
        if self.class_names:
            return self.class_names
        return tuple(f"class {c} & <co>" if c == 0 else f"class {c}" for c in range(self.k))

    def labels(self):
        return np.arange(self.n_test) % self.k

    def counts(self, of_common, of_rare):
        return [of_rare if c in self.rare else of_common for c in range(self.k)]

    def prior(self):
        kept = np.array(self.counts(*KEPT), float)
        return kept / kept.sum()

    def scores(self, arm, seed):
        if arm == "threshold":
            return self.scores("none", seed).rescored()
        held, kept = self.held_out()
        test = self.logits(arm, seed, self.labels(), np.random.default_rng(7))  # the images: shared by all arms
        held_out = self.logits(arm, seed, held, np.random.default_rng([8, seed]))
        grid = len(self.strengths())
        equal = np.full(self.k, 1 / self.k)
        return Scores(
            strengths=np.array(self.strengths()),
            test=test,
            test_labels=self.labels(),
            held_out=held_out,
            held_out_labels=held,
            validation=kept,
            scale=np.ones(grid),
            offsets=np.zeros((grid, self.k)),
            prior=self.prior() if self.keeps_prior(arm) else equal,
            pairs=self.pairs(test, held_out, held),
            **(
                {"test_groups": self.groups(self.labels()), "held_out_groups": self.groups(held)}
                if self.per_group
                else {}
            ),
        )

    def groups(self, labels):
        of_class = np.arange(len(labels)) // self.k // self.per_group  # test images take turns
        return of_class * self.k + labels

    def keeps_prior(self, arm):
        return arm == "none" or "oracle" in arm or arm in self.imbalanced

    def strengths(self):
        return STRENGTHS if self.protocol == "honest" else (np.nan,)

    def held_out(self):
        """The labels of the held-out images, and which of them come out of the kept ones."""
        if self.protocol == "paper":
            return np.zeros(0, int), np.zeros(0, bool)
        kept, removed = self.counts(*self.validation), self.counts(0, self.tuning)
        labels = np.concatenate([np.repeat(np.arange(self.k), counts) for counts in (kept, removed)])
        return labels, np.arange(len(labels)) < sum(kept)

    def logits(self, arm, seed, labels, rng):
        noise = rng.normal(size=(len(labels), self.k))
        noise = noise + 0.01 * np.random.default_rng([seed, len(arm)]).normal(size=noise.shape)
        signal = self.signal.get(arm, 2.0)
        signal = signal(seed) if callable(signal) else signal
        truth = np.eye(self.k)[labels]
        shift = np.log(self.prior()) if self.keeps_prior(arm) else 0.0
        quality = self.quality.get(arm, QUALITY)[: len(self.strengths())]
        return np.stack([noise + share * signal * truth + shift for share in quality])

    def pairs(self, test, held_out, held):
        if self.k == 2:
            return {}
        pairs = [(low, high) for low in range(self.k) for high in range(low + 1, self.k) if {low, high} & {*self.rare}]

        def of_pair(logits, labels, low, high):
            rows = np.isin(labels, (low, high))
            return logits[:, rows, high] - logits[:, rows, low]

        return {
            (low, high): PairScores(of_pair(test, self.labels(), low, high), of_pair(held_out, held, low, high))
            for low, high in pairs
        }

    def context(self):
        artifacts = Artifacts(LocalStore(str(self.root / "store")), self.root)
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
                    **({"cpu": "another cpu"} if role in self.elsewhere else {}),
                },
            )
        out = self.root / "out"
        out.mkdir()
        inputs = {role: artifacts.open(commit) for role, commit in commits.items()}
        return JobContext(self.report_node(writers), self.experiment(), self.plan(writers), inputs, out, None, None)

    def report_node(self, roles):
        declared = stages.Report(
            name="known",
            families=tuple((arm, arms.resolve(Recipe(name=arm)).family) for arm in self.arms),
            parts=(),
            seeds=self.seeds,
            statistics=self.experiment().statistics,
            note=self.note,
        )
        named = {role: f"train-{role}" if role.startswith("gan/") else role for role in roles}
        return self.node(declared, "report", inputs=named)

    def node(self, declared, name, **labels):
        labels = {"inputs": {}, **labels}
        return Node(name=name, stage=declared.stage, config=dump(declared), key="0" * 32, **labels)

    def plan(self, roles):
        dataset = stages.Dataset(
            name="fashion-mnist",
            fingerprint="f" * 64,
            classes=tuple((c,) for c in range(self.k)),
            class_names=self.names(),
        )
        imbalance = stages.Imbalance(keep=dict.fromkeys(self.rare, self.keep), validation=0.2)
        backbone = stages.Backbone(name=self.backbone, sha256="0" * 64)
        nodes = [self.node(declared, declared.stage) for declared in (dataset, backbone)]
        nodes += [self.node(imbalance, f"imbalance/{seed}", seed=seed) for seed in self.seeds]
        for arm in self.arms:
            declared = stages.TrainClassifier(
                removed=None, matched=None, method="none", objective="cross-entropy", l2=STRENGTHS, rare=self.rare
            )
            gan = arm if arm in GANS else None
            for seed in self.seeds:
                inputs = {}
                for c in self.rare if gan else ():
                    name = inputs[stages.synthetic_role(c)] = f"train-gan/{gan}/class-{c}/seed-{seed}"
                    trained = stages.TrainGan(gan=gan, settings={}, class_index=c, canvas="pad")
                    nodes.append(self.node(trained, name, seed=seed, gan=gan))
                nodes.append(self.node(declared, f"cell/{arm}/{seed}", arm=arm, seed=seed, gan=gan, inputs=inputs))
        for role, (_, c, seed) in self.measured().items():
            declared = stages.Quality(class_index=c, drawn_again=None)
            nodes.append(self.node(declared, role, seed=seed))
        return Plan(run="known-1", nodes=(*nodes, self.report_node(roles)), notes=self.notes)

    def measured(self):
        """The arm, class and seed of what is measured of images, by its role."""
        sets = [(arm, c, seed) for arm in self.kid for c in self.rare for seed in self.seeds]
        return {stages.quality_role(*one): one for one in sets}

    def writers(self):
        made = {"dataset": ("dataset", self.write_dataset), "backbone": ("backbone", lambda folder: None)}
        cell = "train-classifier" if self.protocol == "honest" else "train-paper-classifier"
        for arm in self.arms:
            for seed in self.seeds:
                made[f"cell/{arm}/{seed}"] = (cell, lambda folder, a=arm, s=seed: self.write_cell(folder, a, s))
        for seed in self.seeds:
            made[f"imbalance/{seed}"] = ("imbalance", self.write_imbalance)
            for gan in self.gans():
                for c in self.rare:
                    role = f"gan/{gan}/class-{c}/seed-{seed}"
                    made[role] = ("train-gan", lambda folder, s=seed: self.write_gan(folder, s))
        for role, of in self.measured().items():
            made[role] = ("quality", lambda folder, one=of: self.write_quality(folder, *one))
        return made

    def write_dataset(self, folder):
        rng = np.random.default_rng(0)
        np.save(folder / "images.npy", rng.integers(0, 255, (40 * self.k, self.channels, 28, 28), np.uint8))
        np.save(folder / "labels.npy", np.arange(40 * self.k) % self.k)
        (folder / "classes.json").write_text(json.dumps({"class_names": self.names(), "n_train": 30 * self.k}))

    def write_imbalance(self, folder):
        kept, held = self.counts(*KEPT), self.counts(*((0, 0) if self.protocol == "paper" else self.validation))
        train = [a - b for a, b in zip(kept, held, strict=True)]
        tuning = self.counts(0, 0 if self.protocol == "paper" else self.tuning)
        rows = zip(self.names(), [500] * self.k, kept, train, held, tuning, strict=True)
        with (folder / "counts.csv").open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("class", "before", "after", "train", "validation", "tuning"))
            table.writerows(rows)
        parts = np.split(np.arange(40 * self.k), [20 * self.k, 25 * self.k, 27 * self.k, 30 * self.k])
        names = ("train", "validation", "tuning", "removed", "test")
        np.savez(folder / "split.npz", **dict(zip(names, parts, strict=True)))
        return {"kept": kept}

    def write_quality(self, folder, arm, c, seed):
        names = [field.name for field in fields(Quality)]
        found = dict.fromkeys(names, 0.25 + 0.01 * seed) | dict.fromkeys(("synthetic", "reference"), self.fewest)
        found |= {"training": 80 + c, "kid": self.kid[arm](seed), "kid_se": 0.001, "recall": None}
        found |= {} if arm else dict.fromkeys(("twins", "copies", "memorised", "nearer"), 1.0)
        (folder / "quality.json").write_text(json.dumps(found))

    def write_cell(self, folder, arm, seed):
        self.scores(arm, seed).save(folder / "scores.npz")
        if self.protocol == "paper":
            rows = [f"{e},{1 / e + 0.01 * seed},{1.2 / e + 0.02 * seed}" for e in range(1, 16)]
            (folder / "curve.csv").write_text("\n".join(["epoch,train_loss,validation_loss", *rows]) + "\n")
        else:
            rows = [f",{strength},{9 + i},{arm != 'vanilla' or i < 2}" for i, strength in enumerate(STRENGTHS)]
            (folder / "solver.csv").write_text("\n".join(["pair,l2,iterations,converged", *rows]) + "\n")
        return {"images": 500}

    def write_gan(self, folder, seed):
        rows = [f"{e},{0.6 + 0.1 / e},{0.1 * seed},{1 + 0.5 / e}" for e in range(1, 21)]
        (folder / "losses.csv").write_text("\n".join(["epoch,d_real,d_fake,g_adversarial", *rows]) + "\n")
        rng = np.random.default_rng(seed)
        grids = {f"epoch-{e}": rng.integers(0, 255, (64, self.channels, 32, 32), np.uint8) for e in (4, 8, 12, 16, 20)}
        np.savez(folder / "samples.npz", **grids)


def read_markdown(text):
    """What a reader sees of a text in which nothing is markup."""
    return re.sub(r"\\([!-/:-@\[-`{-~])|&#?\w+;", lambda found: found[1] or html.unescape(found[0]), text)


def coarse_pictures():
    """What is on a picture is tested and not how fine it is, which takes a third of a report's time."""
    patch = pytest.MonkeyPatch()
    patch.setattr("ganbalance.reporting.plotting.DPI", 40)
    return closing(SimpleNamespace(close=patch.undo))


class Outcome:
    """What the report job left in its folder, and what it made that from."""

    def __init__(self, run):
        self.context = run.context()
        with coarse_pictures():
            job.report(self.context)
        self.folder = self.context.folder
        self.html = (self.folder / "report.html").read_text()
        self.md = (self.folder / "report.md").read_text()
        self.summary = Summary.read(self.folder / "summary.json")

    @cached_property
    def report(self):
        question = job._question(self.context)
        found = collect.collect([*job._inputs(self.context)], question)
        return Report(question, found, analyse(question, found), self.summary)

    @cached_property
    def sections(self):
        with coarse_pictures():
            return sections.all_of(self.report)

    @property
    def pages(self):
        """The text of the HTML and of the Markdown page as a reader sees it."""
        return html.unescape(self.html), read_markdown(self.md)

    def section(self, title):
        (one,) = [made for made in self.sections if made.title == title]
        return one

    def rows(self, name):
        with (self.folder / name).open(newline="") as file:
            return list(csv.DictReader(file))

    def verdict(self, arm):
        return self.summary.arms[arm].verdict.name

    def change(self, arm, metric=None):
        return self.summary.arms[arm].metrics[metric or self.summary.primary].difference


def changed(summary, changes):
    """The summary with other values by path ("arms dcgan verdict name"), as if a report had written them."""
    data = dump(summary)
    for path, value in changes.items():
        *parents, last = path.split()
        part = reduce(operator.getitem, parents, data)
        part[last] = part[last] | value if isinstance(value, dict) and part[last] else value
    return Summary.of(data, where="changed")
