"""Recipes of arms, and the plan of some."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganbalance import config
from ganbalance.pipeline.plan import Node, Plan, make_plan

Settings = dict[str, Any]
Recipe = dict[str, Any]

HALF = {"name": "half-half", "synthetic": {"gan": "dcgan", "n": "half"}, "method": "oversample"}
BEST = {"name": "best-half", "synthetic": {"gan": "dcgan", "filter": {"by": "discriminator", "keep": 0.5}}}
SURE = {"name": "sure-half", "synthetic": {"gan": "dcgan", "filter": {"by": "classifier", "keep": 0.5}}}
WEAK = {"name": "dcgan-weak", "synthetic": {"gan": "dcgan", "settings": {"epochs": 1}}}
MOVED = {"name": "dcgan-threshold", "synthetic": {"gan": "dcgan"}, "rescoring": "threshold"}
NARROW = {"name": "narrow", "method": {"name": "smote", "k_neighbors": 2}}
GAN = "train-gan/dcgan/class-1/seed-0"
SPLIT = {"dataset": "dataset", "imbalance": "imbalance/seed-0"}


def planned(tiny: Settings, *arms: Any, **changes: Any) -> Plan:
    """The plan of `none` and these arms, of one seed."""
    settings = tiny | {"arms": ["none", *arms], "seeds": [0]} | changes
    return make_plan(config.check(settings, where="test.yaml"))


def of_stage(plan: Plan, stage: str) -> list[Node]:
    return [node for node in plan.nodes if node.stage == stage]


def names(plan: Plan, stage: str) -> list[str]:
    return [node.name for node in of_stage(plan, stage)]


def cell(plan: Plan, arm: str) -> Node:
    """What the report reads of an arm."""
    return plan.node(plan.node("report").inputs[f"cell/{arm}/0"])


def key(tiny: Settings, arm: Recipe, **changes: Any) -> str:
    return cell(planned(tiny, arm, **changes), arm["name"]).key


def outside(folder: Path, *places: str, images: int = 2) -> str:
    """Image files in folders of seeds and classes; the pattern that names them."""
    rng = np.random.default_rng(0)
    for place in places:
        (folder / place).mkdir(parents=True)
        for number in range(images):
            Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(folder / place / f"{number}.png")
    return f"{folder}/{{seed}}/{{class}}"
