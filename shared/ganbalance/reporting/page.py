"""Write report.html, report.md and their pictures from one list of sections."""

import re
from pathlib import Path
from typing import Any

import jinja2

from ganbalance.printing import escaped
from ganbalance.reporting import headline, sections, tables, wording
from ganbalance.reporting.formats import SIGNS
from ganbalance.reporting.layout import Report


def write(folder: Path, report: Report) -> None:
    """Write the page as HTML, in one self-contained file, and as Markdown beside figures/*.png."""
    render(folder, "report", content(report))


def render(folder: Path, name: str, shown: dict[str, Any]) -> None:
    """Write what is `shown` as name.html and name.md."""
    (folder / "figures").mkdir(exist_ok=True)
    for section in shown["sections"]:
        for picture in section.pictures:
            (folder / "figures" / picture.file).write_bytes(picture.png)
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("ganbalance.reporting"),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"signs": SIGNS, "markdown": tables.markdown}
    templates.filters |= {"escaped": escaped, "unbroken": _unbroken}
    for ending in ("html", "md"):
        (folder / f"{name}.{ending}").write_text(templates.get_template(f"report.{ending}.j2").render(shown), "utf-8")


def _unbroken(text: str) -> str:
    """Keep intervals, p values and percentages of a text on one line."""
    return re.sub(r"\[[^]]*\]|\bp [<\d]\S*|\d %", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def content(report: Report) -> dict[str, Any]:
    """Collect everything the templates show."""
    summary = report.summary
    return {
        "name": summary.experiment,
        "note": summary.note,
        "label": wording.label(summary),
        "advice": summary.advice,
        "headline": headline.headline(summary),
        "asked": wording.asked(summary),
        "flaws": wording.flaws(summary),
        "deviation": wording.deviation(summary),
        "remarks": summary.remarks,
        "sections": sections.all_of(report),
    }
