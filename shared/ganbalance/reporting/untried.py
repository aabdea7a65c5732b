"""Say which kinds of arms a run did not try: those that the registries hold, less those of its recipes."""

from collections.abc import Sequence

from ganbalance import arms, config, registry
from ganbalance.arms import methods, objectives
from ganbalance.config import Experiment, LinearHead, Paper, Recipe
from ganbalance.models import gans
from ganbalance.reporting.formats import arm_name, listed
from ganbalance.reporting.summary import Summary

RESAMPLING, NEW_VECTORS = "class weights and resampling", "resampling that makes new features (smote)"
LOSS, COPIES = "a loss for imbalance (focal)", "changed copies of the images (augment)"


def untried(summary: Summary) -> list[str]:
    """List a short phrase for each kind of arm, and of classifier, that this run could have had and did not."""
    experiment = config.check(summary.provenance.experiment, where=f"the experiment of {summary.experiment}")
    recipes = [arms.resolve(recipe) for recipe in experiment.arms]
    sources = [recipe.synthetic for recipe in recipes if recipe.synthetic]
    removes = any(one.keep < 1 for one in summary.dataset.rare)
    said = [_gans(sorted({str(source.gan) for source in sources if source.gan}))]
    said += _parts(experiment, recipes)
    said += [] if any(source.augment for source in sources) else [COPIES]
    said += ["the removed images given back"] if removes and not any(recipe.removed for recipe in recipes) else []
    return [*filter(None, said), _classifier(experiment)]


def _gans(tried: Sequence[str]) -> str:
    """Say which GANs are left; nothing where all were tried."""
    if not tried:
        return "any GAN"
    return f"GANs other than {listed([*map(arm_name, tried)])}" if set(gans.names()) - set(tried) else ""


def _parts(experiment: Experiment, recipes: Sequence[Recipe]) -> list[str]:
    """List the kinds of methods and losses of which no recipe has one, as far as the classifier can have them."""
    tried = {_name(recipe.method) for recipe in recipes} | {_name(recipe.objective) for recipe in recipes}
    offered: dict[str, list[str]] = {RESAMPLING: [], NEW_VECTORS: [], LOSS: []}
    for name in set(registry.names(methods)) - {"none"}:
        offered[NEW_VECTORS if arms.method(name).new_inputs else RESAMPLING].append(name)
    offered[LOSS] = [name for name in registry.names(objectives) if name != "cross-entropy"]
    if not isinstance(experiment.classifier, LinearHead):
        del offered[NEW_VECTORS]  # a network learns from images
    if isinstance(experiment.classifier, Paper):
        del offered[LOSS]
    return [kind for kind, names in offered.items() if names and not tried & set(names)]


def _name(choice: config.Choice) -> str:
    return choice if isinstance(choice, str) else str(choice["name"])


def _classifier(experiment: Experiment) -> str:
    """Name the other way to train one."""
    return "a network trained on the images" if isinstance(experiment.classifier, LinearHead) else "a frozen backbone"
