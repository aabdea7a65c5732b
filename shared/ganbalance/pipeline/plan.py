"""From an experiment to the stages it needs, their order and their keys. Nothing runs, nothing is written.

dataset ──► imbalance ──► train-gan ──► synthesize ──► features ──┐
   │          (seed)     (GAN, rare class, seed)                  ├──► train-classifier ──► report
   └──────► features ◄── backbone ────────────────────────────────┘      (arm, seed)
between synthesize and features a filter, in place of both images made elsewhere; after train-classifier the doses of an
arm that tunes them, then a rescoring
beside train-classifier, from features alone, the quality of the synthetic images, which the report reads
"""

from functools import cached_property
from typing import Any

from ganbalance import arms, registry
from ganbalance.called import typed
from ganbalance.config import Amount, Dose, Experiment, Family, LinearHead, Paper, Recipe, Synthetic
from ganbalance.data import outside
from ganbalance.data.datasets import open_dataset
from ganbalance.errors import ConfigError
from ganbalance.frozen import Frozen, dump, parse
from ganbalance.keys import digest, stage_key
from ganbalance.metrics import decisions
from ganbalance.pipeline import folds, grouping, resolution, stages
from ganbalance.reporting import sections


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
        """Return the part of the experiment that this stage depends on, typed."""
        return parse(self.kind, self.config, where=self.name)


class Plan(Frozen):
    """All nodes of a run, inputs before the nodes that read them.

    `notes` say what was left out and why. `forecast` says what the report will not know; it does so in its own words.
    """

    run: str
    nodes: tuple[Node, ...]
    notes: tuple[str, ...]
    forecast: tuple[str, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """The nodes by name."""
        return {node.name: node for node in self.nodes}

    def node(self, name: str) -> Node:
        """Find the node of that name. Raises ConfigError."""
        if name not in self.by_name:
            raise ConfigError(f"run {self.run} has no stage {name!r}; '{typed('plan')}' lists them")
        return self.by_name[name]

    def upstream(self, name: str) -> set[str]:
        """Name every node that the node of that name rests on."""
        found: set[str] = set()
        wanted = list(self.node(name).inputs.values())
        while wanted:
            if (one := wanted.pop()) not in found:
                found.add(one)
                wanted += self.node(one).inputs.values()
        return found

    def first_arm(self, name: str) -> str:
        """Name the arm that the node of that name was planned for; others that say the same read it too."""
        return next(node.arm for node in self.nodes if node.arm and name in {node.name, *self.upstream(node.name)})


def make_plan(experiment: Experiment) -> Plan:
    """Plan the stages of `experiment`. Raises ConfigError for what cannot work, DataError if own images are missing."""
    stages.check_pods(experiment.resources.pods)
    source = open_dataset(experiment.dataset)
    source, dataset = resolution.dataset(experiment, source)
    of_folds = folds.notes(experiment, source, dataset)
    keep = resolution.keep(experiment, source, dataset)
    recipes, notes = resolution.recipes(experiment, keep, source.side_px)
    notes += of_folds + grouping.notes(experiment, source, dataset, keep)
    notes += tuple(card.divided(experiment.folds).warnings()) if (card := source.card()) else ()
    if (seen := experiment.classifier.side_px) < source.side_px:
        notes += (f"images have {source.side_px} px, and the classifier sees {seen} of them: classifier.side_px",)
    planner = _Planner(experiment, dataset, keep, source.side_px)
    cells = {
        stages.cell_role(recipe.name, seed): planner.cell(recipe, seed)
        for seed in experiment.seeds
        for recipe in sorted(recipes, key=lambda recipe: recipe.rescoring is not None)  # after the arm they rescore
    }
    planner.beside()
    planner.report(tuple((recipe.name, recipe.family) for recipe in recipes), cells | planner.qualities())
    nodes = tuple(planner.nodes.values())
    record = dump(experiment) | {"resources": None}
    run = f"{experiment.name}-{digest([record, [node.key for node in nodes]])[:8]}"
    forecast = resolution.forecast(experiment, source, dataset)
    return Plan(run=run, nodes=nodes, notes=notes, forecast=forecast)


class _Planner:
    """Adds nodes, each after its inputs, and gives each its key, which rests on theirs. Equal keys are one node."""

    def __init__(self, experiment: Experiment, dataset: stages.Dataset, keep: dict[int, float], side_px: int) -> None:
        self.nodes: dict[str, Node] = {}
        self._names: dict[str, str] = {}  # by key
        self._where: dict[str, str] = {}  # by name: its end, which says of what arm, class and seed
        self._added: dict[tuple[str, int, int], str] = {}  # what an arm adds of a class at a seed, at its last dose
        self._experiment, self._dataset, self._keep, self._side_px = experiment, dataset, keep, side_px
        self._classifier = experiment.classifier
        self._add("dataset", "", dataset, {})
        if sha256 := resolution.weights_sha256(self._classifier):
            self._add("backbone", "", stages.Backbone(name=self._classifier.backbone, sha256=sha256), {})
        if self._classifier.reads_features:
            self._features("dataset")
        validation = experiment.imbalance.validation if self._classifier.holds_out else 0.0
        for seed in experiment.seeds:
            declared = stages.Imbalance(keep=keep, validation=validation, fold=experiment.fold(seed))
            self._add("imbalance", f"seed-{seed}", declared, {"dataset": "dataset"}, seed=seed)

    def _add(self, kind: str, where: str, stage: stages.Stage, inputs: dict[str, str], **labels: Any) -> str:
        """Add a node unless another does the same already; return its name, KIND/WHERE, or that of the other."""
        name = f"{kind}/{where}" if where else kind
        config = dump(stage)
        parents = {role: self.nodes[parent].key for role, parent in inputs.items()}
        key = stage_key(stage.stage, stage.version, config, labels.get("seed"), parents)
        if key not in self._names:
            self._names[key], self._where[name] = name, where
            self.nodes[name] = Node(name=name, stage=stage.stage, config=config, inputs=inputs, key=key, **labels)
        return self._names[key]

    def cell(self, recipe: Recipe, seed: int) -> str:
        """Plan one arm at one seed."""
        gan = recipe.synthetic and recipe.synthetic.gan
        labels = {"seed": seed, "arm": recipe.name, "gan": gan}
        where, doses = f"{recipe.name}/seed-{seed}", recipe.doses
        if len(doses) == 1:
            cell = self._of_dose(recipe, doses[0], recipe.name, labels)
        else:
            cells = {
                stages.tuned_role("dose", number): self._of_dose(recipe, dose, f"{recipe.name}/dose-{number}", labels)
                for number, dose in enumerate(doses, start=1)
            }
            cell = self._add("doses", where, stages.Doses(doses=len(doses)), cells, **labels)
        if recipe.rescoring:
            rescored = stages.Rescore(rescoring=recipe.rescoring)
            return self._add("rescore", where, rescored, {"source": cell}, **labels)
        return cell

    def _of_dose(self, recipe: Recipe, dose: Dose, name: str, labels: dict[str, Any]) -> str:
        """Plan an arm's cell with one dose; `name` is that of the arm, and which dose it is where there are several."""
        seed = labels["seed"]
        inputs = self._data(seed)
        if recipe.synthetic:
            for c in range(len(self._dataset.ids)) if self._replaces(recipe) else sorted(self._keep):
                added = self._synthetic(recipe, recipe.synthetic, dose, name, c, seed)
                inputs[stages.synthetic_role(c)] = added
                self._added |= {(recipe.name, c, seed): added} if c in self._keep else {}
        return self._trained(recipe, dose, f"{name}/seed-{seed}", inputs, labels)

    def _replaces(self, recipe: Recipe) -> bool:
        """Tell whether copies take every image's place: a network changes all it sees, a head what is made for it."""
        return self._classifier.reads_features and bool(recipe.synthetic and recipe.synthetic.augment)

    def _trained(self, recipe: Recipe, dose: Dose, where: str, inputs: dict[str, str], labels: dict[str, Any]) -> str:
        """Plan the classifier of one arm at one seed, from images or, for a linear head, their features."""
        settings, rare = self._classifier, tuple(sorted(self._keep))
        parts: dict[str, Any] = {"removed": recipe.removed, "method": recipe.method}
        matched = self._experiment.synthesis.n if recipe.removed == "matched" else None
        learned = parts | {"matched": matched, "objective": recipe.objective, "rare": rare, "weight": dose.weight}
        if isinstance(settings, LinearHead):
            head = stages.TrainClassifier(**learned, l2=settings.l2, replaces=self._replaces(recipe))
            return self._add("train-classifier", where, head, inputs | {"features": "features/real"}, **labels)
        network: dict[str, Any] = {"backbone": settings.backbone, "side_px": settings.side_px}
        inputs |= {"backbone": "backbone"} if "backbone" in self.nodes else {}
        if isinstance(settings, Paper):
            paper = stages.TrainPaperClassifier(**parts, **network, paper=settings.training)
            return self._add("train-classifier", where, paper, inputs, **labels)
        learned |= network | {"train": settings.train, "training": settings.training}
        trained = {}
        for number, (lr, decay) in enumerate(settings.grid, start=1):
            declared = stages.TrainNetwork(**learned, lr=lr, weight_decay=decay)
            name = self._add("train-network", f"{where}/setting-{number}", declared, inputs, **labels)
            trained[stages.tuned_role("setting", number)] = name
        declared_grid = stages.Grid(rare=rare, settings=len(settings.grid))
        return self._add("grid", where, declared_grid, self._data(labels["seed"]) | trained, **labels)

    def _synthetic(  # noqa: PLR0913
        self, recipe: Recipe, synthetic: Synthetic, dose: Dose, name: str, class_index: int, seed: int
    ) -> str:
        """Plan the images of one class that an arm adds, at one dose; for a linear head their features."""
        own = {"seed": seed, "gan": synthetic.gan, "arm": recipe.name}
        of_class = f"class-{self._dataset.ids[class_index]}/seed-{seed}"
        where, n = f"{name}/{of_class}", dose.n or self._experiment.synthesis.n
        if synthetic.gan:
            trained = self._gan(f"{recipe.name}/{of_class}", synthetic, class_index, own)
            images = self._drawn(where, trained, synthetic, n, class_index, own)
        elif change := synthetic.augment or synthetic.noise:
            more, replaces = (n if class_index in self._keep else None), self._replaces(recipe)
            changed = stages.Augment(augment=change, n=more, class_index=class_index, replaces=replaces)
            images = self._add("augment", where, changed, self._data(seed), **own)
        else:
            outside.check_folders(self._dataset.class_names)
            folder = outside.folder(str(synthetic.images), seed, self._dataset.class_names[class_index])
            declared = stages.OutsideImages(fingerprint=outside.fingerprint(folder), n=n, class_index=class_index)
            images = self._add("outside-images", where, declared, self._data(seed), **own)
        return self._features(images) if self._classifier.reads_features else images

    def _gan(self, where: str, synthetic: Synthetic, class_index: int, own: dict[str, Any]) -> str:
        """Plan the GAN that an arm draws from. Arms that say the same of one share its stages, and so do doses."""
        gan = str(synthetic.gan)
        settings = resolution.gan_settings(self._experiment, gan, synthetic.settings, self._side_px)
        canvas = self._classifier.canvas
        of, to = (None, f"{own['arm']}/seed-{own['seed']}") if settings.conditional else (class_index, where)
        declared = stages.TrainGan(gan=gan, settings=dump(settings), class_index=of, canvas=canvas)
        return self._add("train-gan", to, declared, self._data(own["seed"]), **own | {"arm": None})

    def _drawn(  # noqa: PLR0913
        self, where: str, trained: str, synthetic: Synthetic, n: Amount, class_index: int, own: dict[str, Any]
    ) -> str:
        """Plan the images of a trained GAN, filtered if they are to be.

        What is filtered is the arm's `own`: one group of stages cannot read what it makes itself (`runs.group_of`).
        """
        data, chosen, canvas = self._data(own["seed"]), synthetic.filter, self._classifier.canvas
        drawn = stages.Synthesize(n=n, class_index=class_index, keep=chosen.keep if chosen else 1.0)
        images = self._add("synthesize", where, drawn, {"gan": trained} | data, **own | {"arm": None})
        if chosen is None:
            return images
        inputs = {"images": images} | data
        reads = arms.image_filter(chosen.by).reads
        if reads == "gan":
            inputs["gan"] = trained
        if reads == "features":
            inputs |= {"synthetic": self._features(images), "features": "features/real"}
        declared_filter = stages.Filter(by=chosen.by, canvas=canvas, n=n, class_index=class_index)
        return self._add("filter", where, declared_filter, inputs, **own)

    def _features(self, images: str) -> str:
        """Plan what the frozen backbone makes of the images of another node."""
        classifier, of = self._classifier, self.nodes[images]
        declared = stages.Features(backbone=classifier.backbone, side_px=classifier.side_px)
        where = {"dataset": "real", "synthesize": self._where[images]}.get(of.stage, images)
        inputs = {"images": images, "backbone": "backbone"}
        return self._add("features", where, declared, inputs, seed=of.seed, gan=of.gan, arm=of.arm)

    def _data(self, seed: int) -> dict[str, str]:
        return {"dataset": "dataset", "imbalance": f"imbalance/seed-{seed}"}

    def qualities(self) -> dict[str, str]:
        """Plan the quality of all synthetic images, by role, and of the control for each class and seed that has some.

        None where no features are read.
        """
        found: dict[str, str] = {}
        for (arm, c, seed), features in self._added.items() if self._classifier.reads_features else ():
            of = self.nodes[features]
            inputs = self._data(seed) | {"features": "features/real"}
            control = stages.Quality(class_index=c, drawn_again=self._experiment.synthesis.n)
            where = f"class-{self._dataset.ids[c]}/seed-{seed}"
            found[stages.quality_role(None, c, seed)] = self._add("quality", where, control, inputs, seed=seed)
            inputs |= {"synthetic": features, "images": of.inputs["images"]}
            declared = stages.Quality(class_index=c, drawn_again=None)
            labels = {"seed": seed, "gan": of.gan, "arm": of.arm}
            name = self._add("quality", f"{arm}/{where}", declared, inputs, **labels)
            found[stages.quality_role(arm, c, seed)] = name
        return found

    def beside(self) -> None:
        """Plan the stages that say themselves what they are planned beside."""
        for kind in stages.ALL.values():
            for of in [node for node in self.nodes.values() if node.stage == kind.beside]:
                inputs, labels = {of.stage: of.name}, {"seed": of.seed, "gan": of.gan, "arm": of.arm}
                inputs |= {} if of.seed is None else self._data(of.seed)
                self._add(kind.stage, self._where[of.name], kind(), inputs, **labels)

    def report(self, families: tuple[tuple[str, Family], ...], results: dict[str, str]) -> None:
        """Plan the comparison of everything there is; `results` are the cells and what else it reads by its role.

        What is read for nothing else is read for the time it took.
        """
        experiment = self._experiment
        same = {key: getattr(experiment, key) for key in ("name", "seeds", "statistics", "note", "cost")}
        parts = (*registry.names(decisions), *registry.names(sections))
        declared = stages.Report(families=families, parts=parts, **same)
        inputs = {"dataset": "dataset"} | results
        inputs |= {"backbone": "backbone"} if "backbone" in self.nodes else {}
        inputs |= {f"imbalance/{seed}": f"imbalance/seed-{seed}" for seed in experiment.seeds}
        for name in [name for name in self.nodes if name not in inputs.values()]:
            inputs[f"gan/{self._where[name]}" if self.nodes[name].kind is stages.TrainGan else name] = name
        self._add("report", "", declared, inputs)
