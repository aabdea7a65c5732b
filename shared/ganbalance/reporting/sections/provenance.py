"""Show where the numbers come from, and how to reproduce them."""

import json
from collections.abc import Iterator

from ganbalance.reporting.layout import Item, Report, Section
from ganbalance.reporting.wording import classifier


def sections(report: Report) -> Iterator[Section]:
    """Yield one section from the provenance in the summary."""
    summary, made = report.summary, report.summary.provenance
    seconds = " · ".join(f"{stage} {spent:,.1f}" for stage, spent in made.seconds.items())
    versions = "".join(f", {name} {' and '.join(found)}" for name, found in made.versions.items())
    items = {
        "To make it again": made.command,
        "Code": ", ".join(made.git_commit) or "unknown commit",
        "Seeds": ", ".join(map(str, summary.seeds)),
        "Data": f"{summary.dataset.name}, fingerprint {summary.dataset.fingerprint}",
        "Classifier": classifier(summary) + (f", weights {made.weights_sha256}" if made.weights_sha256 else ""),
        "Machine": f"{', '.join([*made.cpu, *made.accelerator])}; {_either(made.cores)} cores, threads per "
        f"stage: {_either(made.threads)}",
        "Seconds": f"{seconds} · all stages read here {made.total_seconds:,.1f}",
        "Versions": f"Python {', '.join(made.python)}{versions}",
        "Beside this page": "summary.json, results.csv, confusion.csv, experiment.yaml, figures/. From the run’s "
        "predictions.npz any metric can be computed anew; a published copy leaves it out.",
    }
    resolved = json.dumps(made.experiment, indent=1, sort_keys=True)
    yield Section(
        title="Provenance",
        items=tuple(Item(term, text) for term, text in items.items()),
        sections=(Section(title="The resolved experiment", code=resolved, folded=True, measured=False),),
        measured=False,
    )


def _either(values: list[int]) -> str:
    return " or ".join(map(str, values))
