"""Parse the flags that say which experiment: the same for every program."""

import argparse
import os
from pathlib import Path
from typing import Any

from ganbalance import config, sweep
from ganbalance.config import Experiment
from ganbalance.errors import ConfigError
from ganbalance.models import gans

DEFAULT_EXPERIMENT = Path("jobs/experiments/quick.yaml")


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add the flags that change an experiment."""
    parser.add_argument("--seeds", metavar="LIST", help="0,1,5 or 0..9 instead of the experiment's seeds")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting, e.g. gans.dcgan.steps=200"
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the flag that says where artifacts are kept."""
    default = os.environ.get("GANBALANCE_STORE", ".store")
    parser.add_argument(
        "--store", default=default, metavar="URL", help=f"a folder or s3://bucket/prefix (default: {default})"
    )


def experiment(path: Path, **overrides: Any) -> Experiment:
    """Find the one experiment in `path` by `experiments`. Raises ConfigError also where the file sweeps several."""
    return only(experiments(path, **overrides), path)


def only(found: tuple[sweep.Member, ...], path: Path) -> Experiment:
    """Take the one of the experiments found in `path`. Raises ConfigError where there are several."""
    if len(found) > 1:
        which = sweep.which(found)
        raise ConfigError(f"{path} sweeps {len(found)} experiments, and here it takes one; pick its values: {which}")
    return found[0].experiment


def experiments(
    path: Path, *, sets: list[str], seeds: str | None = None, only_gans: list[str] | None = None
) -> tuple[sweep.Member, ...]:
    """Read the experiments in `path` with overrides; `only_gans` replaces their GAN arms. Raises ConfigError."""
    given = config.read(path, sets=sets, seeds=seeds)
    picked = [config.parse_set(text)[0] for text in sets] + (["seeds"] if seeds is not None else [])
    try:
        found = sweep.combinations(given, picked=picked)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if only_gans is not None:
        for one in found:
            one.settings["arms"] = _with_gans(one.settings.get("arms"), only_gans)
    return sweep.check(found, where=str(path))


def _with_gans(arms: Any, wanted: list[str]) -> Any:
    """Replace the GANs of the arms by `wanted`, where the first GAN stood, else before the oracle."""
    known = gans.names()
    if not wanted:
        raise ConfigError(f"--gan names no GAN; choose among {', '.join(known)}")
    for name in wanted:
        if name not in known:
            raise ConfigError(f"GAN {name!r}: there is no such GAN; choose among {', '.join(known)}")
    if not isinstance(arms, list):
        return arms  # the check will say what is wrong
    place = next((i for i, arm in enumerate(arms) if _gan_of(arm) or arm == "oracle"), len(arms))
    return arms[:place] + wanted + [arm for arm in arms[place:] if not _gan_of(arm)]


def _gan_of(arm: Any) -> Any:
    """Return the GAN of an arm, by name or as a recipe that is not yet checked; None where it has none."""
    if isinstance(arm, dict):
        synthetic = arm.get("synthetic")
        return synthetic.get("gan") if isinstance(synthetic, dict) else None
    return arm if arm in gans.names() else None
