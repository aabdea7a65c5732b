"""From an experiment to the stages it needs, their order and their keys. Nothing runs, nothing is written.

dataset ──► imbalance ──► train-gan ──► synthesize ──► features ──┐
   │          (seed)     (GAN, rare class, seed)                  ├──► train-classifier ──► report
   └──────► features ◄── backbone ────────────────────────────────┘      (arm, seed)
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ganbalance import arms
from ganbalance.config import Experiment, Fit, Multiclass
from ganbalance.data.datasets import Dataset, open_dataset
from ganbalance.errors import ConfigError
from ganbalance.frozen import Frozen, dump, parse
from ganbalance.keys import digest, stage_key
from ganbalance.metrics import verdicts
from ganbalance.models import backbones, gans
from ganbalance.pipeline import stages

MIN_CLASSES = 2
# read for their pictures or, the last two, for the time they took
REPORTED = {stages.TrainGan.stage, stages.Synthesize.stage, stages.Features.stage}


class Node(Frozen):
    """One stage to run. `inputs` maps a role to the name of the node that fills it."""

    name: str
    stage: str
    config: dict[str, Any]
    inputs: dict[str, str]
    key: str
    seed: int | None = None
    gan: str | None = None
    arm: str | None = None

    @property
    def kind(self) -> type[stages.Stage]:
        """The stage's class."""
        return stages.ALL[self.stage]

    @property
    def program(self) -> str:
        """The job program that runs this node."""
        return self.kind.program

    def declared(self) -> stages.Stage:
        """The part of the experiment that this stage depends on, typed."""
        return parse(self.kind, self.config, where=self.name)


class Plan(Frozen):
    """All nodes of a run, inputs before the nodes that read them.

    `notes` say what was left out and why. `forecast` says what the report will not know; it does so in its own words.
    """

    run: str
    nodes: tuple[Node, ...]
    notes: tuple[str, ...]
    forecast: tuple[str, ...] = ()

    def node(self, name: str) -> Node:
        """The node of that name. Raises ConfigError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise ConfigError(f"run {self.run} has no stage {name!r}; 'ganbalance plan' lists them")


@dataclass
class _Builder:
    """Collects nodes and gives each its key, which rests on the keys of its inputs."""

    nodes: dict[str, Node]

    def add(
        self,
        name: str,
        stage: stages.Stage,
        inputs: dict[str, str],
        **labels: Any,
    ) -> str:
        config = dump(stage)
        parents = {role: self.nodes[parent].key for role, parent in inputs.items()}
        key = stage_key(stage.stage, stage.version, config, labels.get("seed"), parents)
        self.nodes[name] = Node(name=name, stage=stage.stage, config=config, inputs=inputs, key=key, **labels)
        return name


def make_plan(experiment: Experiment) -> Plan:
    """Every stage of `experiment`. Raises ConfigError for what cannot work, DataError when own images are missing."""
    if find_spec("torch") is None:
        raise ConfigError(
            "a plan reads the settings of GANs from their code, which needs torch, and it is not installed here; "
            "plan where it is ('ganbalance plan --record FILE'), then name the run: --run"
        )
    source = open_dataset(experiment.dataset)
    dataset = _dataset(experiment, source)
    keep = _keep(experiment, source.classes(), dataset)
    names, notes = _possible_arms(experiment, keep)
    build = _Builder({})
    build.add("dataset", dataset, {})
    backbone, sha256 = experiment.classifier.backbone, _backbone_sha256(experiment)
    build.add("backbone", stages.Backbone(name=backbone, sha256=sha256), {})
    honest = experiment.protocol == "honest"
    if honest:
        _features(build, experiment, "features/real", "dataset")
    cells = {}
    for seed in experiment.seeds:
        validation = experiment.imbalance.validation if honest else 0.0
        declared = stages.Imbalance(keep=keep, validation=validation)
        build.add(f"imbalance/seed-{seed}", declared, {"dataset": "dataset"}, seed=seed)
        for arm in sorted(names, key=lambda arm: arms.find(arm).rescores is not None):  # after the arm they rescore
            synthetic = _synthetic(build, experiment, arm, dataset, keep, seed) if arms.gan_of(arm) else {}
            cells[f"cell/{arm}/{seed}"] = _cell(build, experiment, arm, seed, keep, synthetic)
    _report(build, experiment, names, cells)
    nodes = tuple(build.nodes.values())
    record = dump(experiment) | {"resources": None}
    run = f"{experiment.name}-{digest([record, [node.key for node in nodes]])[:8]}"
    return Plan(run=run, nodes=nodes, notes=notes, forecast=_forecast(experiment, source, dataset))


def _dataset(experiment: Experiment, source: Dataset) -> stages.Dataset:
    known = source.classes()
    task = experiment.task
    if isinstance(task, Multiclass):
        columns = list(range(len(known)))
    else:
        columns = [
            _label(known, task.negative, "task.negative"),
            _label(known, task.positive, "task.positive"),
        ]
    if len(set(columns)) < MIN_CLASSES:
        raise ConfigError(f"task: positive and negative are the same class, {known[columns[0]]!r}")
    return stages.Dataset(
        name=experiment.dataset.name,
        fingerprint=source.fingerprint(),
        classes=tuple(columns),
        class_names=tuple(known[label] for label in columns),
    )


def _label(known: list[str], given: int | str, key: str) -> int:
    """The label of a class given by name or by number. Raises ConfigError."""
    if str(given) in known:
        return known.index(str(given))
    numbered = not any(name.isdecimal() for name in known)  # where names are numbers, a number is a name
    if numbered and str(given).isdecimal() and int(given) < len(known):
        return int(given)
    listed = ", ".join(f"{label} {name}" for label, name in enumerate(known))
    raise ConfigError(f"{key} = {given!r}: the dataset has no such class; its classes are {listed}")


def _keep(experiment: Experiment, known: list[str], dataset: stages.Dataset) -> dict[int, float]:
    """Keep ratios by column. `known` are the dataset's classes."""
    keep: dict[int, float] = {}
    for given, share in experiment.imbalance.keep.items():
        label = _label(known, given, "imbalance.keep")
        if label not in dataset.classes:
            raise ConfigError(f"imbalance.keep names class {given}, which the task does not tell apart")
        if dataset.classes.index(label) in keep:
            raise ConfigError(f"imbalance.keep names class {given} twice, by name and by number")
        keep[dataset.classes.index(label)] = share
    return keep


def _possible_arms(experiment: Experiment, keep: dict[int, float]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The experiment's arms without an oracle that would have nothing to give back, and a note that says so.

    Raises ConfigError for what the arms of the experiment cannot be.
    """
    for gan in experiment.gans:
        _gan_settings(experiment, gan)
    for arm in experiment.arms:
        if arms.find(arm).matches_synthetic and experiment.protocol == "paper":
            raise ConfigError(
                f"arms names {arm}, which 'protocol: paper' does not know; leave it out, or set 'protocol: honest'"
            )
    arms.find(experiment.statistics.reference)
    removes = any(share < 1 for share in keep.values())
    chosen = tuple(arm for arm in experiment.arms if removes or not arms.find(arm).needs_removed)
    left_out = [arm for arm in experiment.arms if arm not in chosen]
    return chosen, tuple(
        f"no {arm}: imbalance.keep removes no images, so there are none to give back" for arm in left_out
    )


def _forecast(experiment: Experiment, source: Dataset, dataset: stages.Dataset) -> tuple[str, ...]:
    """What the report will not be able to say, known before hours are spent."""
    lines = []
    if len(experiment.seeds) < verdicts.MIN_SEEDS:
        lines.append(f"no verdicts: {len(experiment.seeds)} of the {verdicts.MIN_SEEDS} seeds that one needs")
    counts = source.test_counts()
    for label, name in zip(dataset.classes, dataset.class_names, strict=True):
        has = f"class {name!r} has {counts[label]}"
        if counts[label] < verdicts.MIN_TEST_IMAGES:
            lines.append(f"no verdicts: {has} of the {verdicts.MIN_TEST_IMAGES} test images that one needs")
        elif counts[label] < verdicts.FEW_TEST_IMAGES:
            few = verdicts.FEW_TEST_IMAGES
            lines.append(f"verdicts with caution: {has} of the {few} test images from which error rates hold")
    return tuple(lines)


def _backbone_sha256(experiment: Experiment) -> str:
    return experiment.classifier.weights_sha256 or backbones.find(experiment.classifier.backbone).sha256


def _features(build: _Builder, experiment: Experiment, name: str, images: str, **labels: Any) -> str:
    declared = stages.Features(backbone=experiment.classifier.backbone, side_px=experiment.classifier.side_px)
    return build.add(name, declared, {"images": images, "backbone": "backbone"}, **labels)


def _synthetic(  # noqa: PLR0913 - the plan's dimensions
    build: _Builder, experiment: Experiment, gan: str, dataset: stages.Dataset, keep: dict[int, float], seed: int
) -> dict[str, str]:
    """Train, sample and, under the honest protocol, look at images of every rare class: role -> node."""
    settings = _gan_settings(experiment, gan)
    data = {"dataset": "dataset", "imbalance": f"imbalance/seed-{seed}"}
    made: dict[str, str] = {}
    for column in sorted(keep):
        label = f"{gan}/class-{dataset.classes[column]}/seed-{seed}"
        labels = {"seed": seed, "gan": gan}
        # the report enlarged its images to the GAN's canvas; padding keeps the size that cropping gives back
        canvas: Fit = "pad" if experiment.protocol == "honest" else "resize"
        declared = stages.TrainGan(gan=gan, settings=dump(settings), column=column, canvas=canvas)
        trained = build.add(f"train-gan/{label}", declared, data, **labels)
        synthesize = stages.Synthesize(n=experiment.synthesis.n, column=column)
        images = build.add(f"synthesize/{label}", synthesize, {"gan": trained} | data, **labels)
        made[f"synthetic/{column}"] = (
            _features(build, experiment, f"features/{label}", images, **labels)
            if experiment.protocol == "honest"
            else images
        )
    return made


def _gan_settings(experiment: Experiment, gan: str) -> Frozen:
    """The whole Config of a GAN. Raises ConfigError."""
    if gan not in gans.names():
        raise ConfigError(f"gans.{gan}: there is no such GAN; choose among {', '.join(gans.names())}")
    return parse(gans.load(gan).Config, experiment.gans.get(gan, {}), where=f"gans.{gan}")


def _cell(  # noqa: PLR0913 - the plan's dimensions
    build: _Builder, experiment: Experiment, arm: str, seed: int, keep: dict[int, float], synthetic: dict[str, str]
) -> str:
    """One arm at one seed."""
    name = f"train-classifier/{arm}/seed-{seed}"
    labels = {"seed": seed, "arm": arm, "gan": arms.gan_of(arm)}
    settings = experiment.classifier
    if source := arms.find(arm).rescores:
        return build.add(name, stages.Rescore(arm=arm), {"source": f"train-classifier/{source}/seed-{seed}"}, **labels)
    data = {"dataset": "dataset", "imbalance": f"imbalance/seed-{seed}"} | synthetic
    if experiment.protocol == "honest":
        matched = experiment.synthesis.n if arms.find(arm).matches_synthetic else None
        honest = stages.TrainClassifier(arm=arm, l2=settings.l2, rare=tuple(sorted(keep)), matched=matched)
        return build.add(name, honest, data | {"features": "features/real"}, **labels)
    paper = stages.TrainPaperClassifier(
        arm=arm, backbone=settings.backbone, side_px=settings.side_px, paper=settings.paper
    )
    return build.add(name, paper, data | {"backbone": "backbone"}, **labels)


def _report(build: _Builder, experiment: Experiment, names: tuple[str, ...], cells: dict[str, str]) -> None:
    declared = stages.Report(
        name=experiment.name,
        protocol=experiment.protocol,
        arms=names,
        seeds=experiment.seeds,
        statistics=experiment.statistics,
        note=experiment.note,
    )
    inputs = {"dataset": "dataset", "backbone": "backbone"} | cells
    inputs |= {f"imbalance/{seed}": f"imbalance/seed-{seed}" for seed in experiment.seeds}
    inputs |= {_report_role(node): node.name for node in build.nodes.values() if node.stage in REPORTED}
    build.add("report", declared, inputs)


def _report_role(node: Node) -> str:
    return node.name.replace("train-gan", "gan", 1)
