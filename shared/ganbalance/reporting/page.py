"""report.html, report.md and their pictures: one page, told twice."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ganbalance.metrics.statistics import RULE
from ganbalance.reporting import figures, tables, wording
from ganbalance.reporting.collect import Found, GanRun, Question
from ganbalance.reporting.files import confusion_of
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.tables import Table

DPI = 130


@dataclass(frozen=True)
class Picture:
    """A PNG under `figures/`, what it shows for who cannot see it, and its caption."""

    file: str
    png: bytes
    alt: str
    caption: str

    @property
    def embedded(self) -> str:
        """A data URI, so that the page needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class GanSection:
    """What the page shows of one GAN."""

    name: str
    table: Table | None
    pictures: list[Picture]
    diverged: str


def write(folder: Path, question: Question, found: Found, summary: Summary) -> None:
    """Write the page as HTML, in one self-contained file, and as Markdown beside figures/*.png."""
    shown = content(question, found, summary)
    (folder / "figures").mkdir()
    for picture in _pictures(shown):
        (folder / "figures" / picture.file).write_bytes(picture.png)
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("ganbalance.reporting"),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"badges": tables.BADGES, "markdown": tables.markdown}
    for name in ("report.html", "report.md"):
        (folder / name).write_text(templates.get_template(f"{name}.j2").render(shown))


def content(question: Question, found: Found, summary: Summary) -> dict[str, Any]:
    """Everything the templates show, in words, tables and pictures."""
    return {
        "s": summary,
        "label": f" ({wording.PAPER})" if summary["protocol"] == "paper" else "",
        "asked": wording.asked(summary),
        "flaws": wording.flaws(summary),
        "deviation": wording.deviation(summary),
        "answers": wording.answers(summary),
        "evidence": wording.evidence(summary),
        "rule": [line.removeprefix("- ") for line in _paragraphs(RULE)],
        "verdicts": tables.verdicts(summary),
        "thresholds": tables.thresholds(summary),
        "headline": tables.headline(summary),
        "deployed": tables.deployed(summary),
        "holes": tables.holes(summary),
        "forest": _forest(summary),
        "bars": _bars(summary),
        "ranking": _ranking(summary, found),
        "counts": _counts(summary),
        "gans": _gan_sections(question, found, summary),
        "classifier": _classifier(summary, found),
        "confusion": _confusion(summary, found),
    }


def _pictures(shown: dict[str, Any]) -> list[Picture]:
    alone = [shown[name] for name in ("forest", "bars", "ranking", "counts", "classifier", "confusion") if shown[name]]
    return alone + [picture for gan in shown["gans"] for picture in gan.pictures]


def _picture(figure: Figure, file: str, alt: str, caption: str, *, full_colour: bool = False) -> Picture:
    drawn, kept = io.BytesIO(), io.BytesIO()
    # read again at once, so not worth compressing
    figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 0})
    picture = Image.open(drawn).convert("RGB")
    # 256 colours are all that charts and grey images show, at a third of the bytes; photographs would be posterised
    (picture if full_colour else picture.quantize(256)).save(kept, format="png", optimize=True)
    return Picture(file, kept.getvalue(), alt, caption)


def _paragraphs(text: str) -> list[str]:
    """A text in lines of limited length as one line per item."""
    items: list[str] = []
    for line in text.splitlines():
        if line.startswith("- ") or not items:
            items.append(line)
        else:
            items[-1] += " " + line.strip()
    return items


def _forest(summary: Summary) -> Picture:
    told = "; ".join(
        f"{arm} {tables.interval(change, signed=True)}"
        for arm, found in summary["arms"].items()
        if (change := found["metrics"].get("auc", {}).get("difference"))
    )
    return _picture(
        figures.forest(summary),
        "auc-differences.png",
        f"AUC difference to none with 95 % interval: {told}.",
        "Difference in AUC to doing nothing. An interval right of 0 knows more, left of 0 less; the grey band is the "
        "margin below which a difference is not worth having.",
    )


def _bars(summary: Summary) -> Picture:
    names = ", ".join(wording.metric_name(metric) for metric in tables.REPORTED)
    return _picture(
        figures.metric_bars(summary),
        "metrics.png",
        f"Bars of {names} for every arm with 95 % intervals; the table of all arms holds the same numbers.",
        "The reported metrics, mean over seeds; the line at the end of a bar is the 95 % interval. GANs are violet.",
    )


def _ranking(summary: Summary, found: Found) -> Picture | None:
    figure = figures.ranking(summary, found)
    if figure is None:
        return None
    alt = "ROC curve and precision-recall curve of every arm; AUC and average precision in the table sum them up."
    caption = "ROC and precision-recall curves on the test set, mean over seeds."
    return _picture(figure, "ranking.png", alt, caption)


def _counts(summary: Summary) -> Picture:
    data = summary["dataset"]
    names = data["classes"]
    told = ", ".join(f"{name} {data['before'][name]} before and {data['after'][name]} after" for name in names)
    figure = figures.class_counts(names, list(data["before"].values()), list(data["after"].values()))
    return _picture(figure, "class-counts.png", f"Training images per class: {told}.", "Class counts.")


def _gan_sections(question: Question, found: Found, summary: Summary) -> list[GanSection]:
    sections = []
    for arm in (arm for arm, of_arm in summary["arms"].items() if of_arm["gan"]):
        runs = [run for run in found.gans if run.gan == arm]
        lost = [f"seed {run.seed}" for run in runs if run.diverged]
        pictures: list[Picture] = []
        for label in sorted({run.label for run in runs}):
            of_label = [run for run in runs if run.label == label]
            pictures += _gan_pictures(arm, found.class_names[question.labels.index(label)], of_label, found)
        sections.append(
            GanSection(
                wording.arm_name(arm, gan=True),
                tables.against_baseline(summary, found, arm),
                pictures,
                f"Training diverged at {', '.join(lost)}." if lost else "",
            )
        )
    return sections


def _gan_pictures(arm: str, class_name: str, runs: list[GanRun], found: Found) -> list[Picture]:
    name, label = wording.arm_name(arm, gan=True), runs[0].label
    pictures = []
    shown = next((run for run in runs if run.samples), None)
    if shown:
        epochs = ", ".join(map(str, shown.samples))
        channels = {images.shape[1] for images in (*shown.samples.values(), found.real[label])}
        pictures.append(
            _picture(
                figures.samples(shown, found.real[label]),
                f"samples-{arm}-class-{label}.png",
                f"Rows of images of class {class_name} that {name} makes from the same noise at epochs {epochs}; the "
                "last row holds real images.",
                f"{name}, class “{class_name}”, seed {shown.seed}: the same noise over training, real images below.",
                full_colour=channels != {1},
            )
        )
    if figure := figures.losses(runs):
        last = max(run.losses["epoch"][-1] for run in runs if run.losses)
        pictures.append(
            _picture(
                figure,
                f"losses-{arm}-class-{label}.png",
                f"Discriminator and generator loss of {name} against epochs 1 to {last:.0f}, a line per seed.",
                f"{name}, class “{class_name}”: epochs against loss, every seed thin and the mean thick.",
            )
        )
    return pictures


def _classifier(summary: Summary, found: Found) -> Picture | None:
    """Figure 7 of the course report, or what takes its place where the head is solved and not trained."""
    if figure := figures.curves(summary, found):
        alt = "Training and validation loss of the classifier against epochs, a panel per arm; baseline: none."
        return _picture(figure, "classifier-losses.png", alt, "Classifier: epochs against loss; baseline is “none”.")
    if figure := figures.tuning(summary, found):
        return _picture(
            figure,
            "tuning.png",
            "Validation AUC against the strength of the L2 penalty, a panel per arm, chosen strengths as dots.",
            "Classifier: the head is solved to convergence for each strength of its penalty; a dot marks the one that "
            "validation chose, per seed. Every arm has the same grid.",
        )
    return None


def _confusion(summary: Summary, found: Found) -> Picture:
    rule = summary["plain_rule"]
    matrices = {
        arm: np.mean([confusion_of(scored, rule) for scored in cells.values()], axis=0)
        for arm, cells in found.cells.items()
        if cells
    }
    told = "; ".join(f"{arm} {np.round(matrix, 1).tolist()}" for arm, matrix in matrices.items())
    return _picture(
        figures.confusions(summary, matrices),
        "confusion.png",
        f"Confusion matrices at {rule}, mean counts, rows true and columns predicted: {told}.",
        f"Confusion matrices at {rule}, mean counts over seeds: rows are the true class, columns the predicted one.",
    )
