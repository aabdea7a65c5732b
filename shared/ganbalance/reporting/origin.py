"""Collect the provenance of a report: machines, versions, time, and the command that reproduces it."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganbalance import config, sweep
from ganbalance.config import Experiment
from ganbalance.errors import ConfigError
from ganbalance.frozen import dump
from ganbalance.reporting.collect import Question
from ganbalance.reporting.summary import Provenance
from ganbalance.store.artifacts import Artifact

EXPERIMENT_FILE = "experiment.yaml"


def origin(question: Question, inputs: Mapping[str, Artifact], here: Mapping[str, Any], *, presets: Path) -> Provenance:
    """Build the `provenance` of summary.json; `here` describes the process that writes the report."""
    seconds: dict[str, float] = {}
    for artifact in inputs.values():
        spent = float(artifact.commit.provenance.get("seconds", 0.0))
        seconds[artifact.commit.stage] = round(seconds.get(artifact.commit.stage, 0.0) + spent, 2)
    made = [artifact.commit.provenance for artifact in inputs.values()]
    return Provenance(
        command=command(question.experiment, presets),
        git_commit=_distinct([*(one.get("git_commit") for one in made), here.get("git_commit")]),
        cpu=_distinct(one.get("cpu") for one in made),
        accelerator=_distinct(one.get("accelerator") for one in made),
        cores=_distinct(one.get("cores") for one in made),
        threads=_distinct(one.get("threads") for one in made),
        python=_distinct(one.get("python") for one in made),
        platform=_distinct(one.get("platform") for one in made),
        versions=_versions([*(one.get("versions", {}) for one in made), here.get("versions", {})]),
        seconds=dict(sorted(seconds.items())),
        total_seconds=round(sum(seconds.values()), 2),
        weights_sha256=question.weights_sha256,
        experiment=dump(question.experiment),
    )


def command(experiment: Experiment, presets: Path) -> str:
    """Write the command that makes this report again: of the preset if this is one, else of the file beside it."""
    for path in sorted(presets.glob("*.yaml")):
        if f"{experiment.name}-".startswith(f"{path.stem}-"):
            for member in _members(path):
                if _without(member.experiment, "resources", "seeds") == _without(experiment, "resources", "seeds"):
                    return f"make run EXPERIMENT=jobs/experiments/{path.name}{_changes(member, experiment)}"
    return f"make run EXPERIMENT={EXPERIMENT_FILE}"


def _members(path: Path) -> tuple[sweep.Member, ...]:
    """Read the experiments of a preset; none of one that is not valid."""
    try:
        return sweep.check(sweep.combinations(config.read(path)), where=str(path))
    except ConfigError:
        return ()


def _changes(member: sweep.Member, experiment: Experiment) -> str:
    """Write the seeds where they are not the preset's, and which of a sweep this is."""
    seeds = "" if member.experiment.seeds == experiment.seeds else f" SEEDS={','.join(map(str, experiment.seeds))}"
    values = " ".join(f"{key}={sweep.shown(value)}" for key, value in member.values.items())
    return seeds + (f" SET={shlex.quote(values)}" if values else "")


def _without(experiment: Experiment, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in dump(experiment).items() if key not in keys}


def _distinct(values: Any) -> list[Any]:
    """Keep each value once, in the order seen: stages may have run on several machines."""
    return list(dict.fromkeys(value for value in values if value is not None))


def _versions(found: list[Mapping[str, str]]) -> dict[str, list[str]]:
    names = sorted({name for one in found for name in one})
    return {name: _distinct(one.get(name) for one in found) for name in names}
