"""Reports that several tests read, each made once per process, and ways to read them."""

import atexit
import shutil
import tempfile
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from tests.unit.report_run import Outcome, SyntheticRun


@cache
def known():
    """Two classes; one GAN helps, one hurts, one moves the threshold."""
    return Outcome(SyntheticRun(_folder("known"), note="A demonstration."))


@cache
def shut():
    """Giving the removed images back makes no difference; one GAN helps all the same, another makes none."""
    return Outcome(
        SyntheticRun(
            _folder("shut"),
            arms=("none", "threshold", "class-weight", "dcgan", "vanilla", "wgan-gp", "oracle"),
            signal={"oracle": 2.0, "wgan-gp": 3.2, "dcgan": 2.0, "vanilla": lambda seed: 2 + 0.4 * (seed - 2)},
            imbalanced=("dcgan",),
        )
    )


@cache
def four():
    """Four classes, two of them rare; one GAN diverged once, another at two seeds of five."""
    return Outcome(
        SyntheticRun(
            _folder("four"),
            k=4,
            rare=(2, 3),
            arms=("none", "class-weight", "dcgan", "vanilla", "oracle"),
            diverged=(
                *("gan/dcgan/class-2/seed-3", "cell/dcgan/3"),
                *("gan/vanilla/class-3/seed-1", "cell/vanilla/1", "gan/vanilla/class-3/seed-2", "cell/vanilla/2"),
            ),
        )
    )


@cache
def hurting():
    """Like the quick preset: a GAN that hurts, cheap arms that move the threshold, and a gain to be seen."""
    return Outcome(
        SyntheticRun(
            _folder("hurting"),
            arms=("none", "threshold", "class-weight", "oversample", "dcgan", "oracle"),
            seeds=(10, 11, 12, 13, 14),
            keep=0.01,
            signal={"dcgan": 1.2, "oracle": 3.4},
        )
    )


def _folder(name):
    """A folder that lasts as long as the process."""
    folder = Path(tempfile.mkdtemp(prefix=f"report-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def row(table, name):
    """The texts of the row of that name, by column head."""
    (entries,) = [one for group in table.groups for one in group.rows if one[0].text == name]
    return {head: f"{entry.text} {entry.detail}".strip() for head, entry in zip(table.head, entries, strict=True)}


class Strict(HTMLParser):
    """Fails on tags that do not match, and collects what the page would load from elsewhere."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, text):
        super().__init__()
        self.open, self.loaded, self.alts = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.loaded += [given[name] for name in ("src", "href", "srcset") if name in given]
        if tag == "img":
            self.alts.append(given.get("alt", ""))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
