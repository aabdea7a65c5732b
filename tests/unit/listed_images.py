"""Ten images, and a table that lists them."""

from pathlib import Path
from typing import Any

from ganbalance import config
from ganbalance.data.datasets import open_dataset
from ganbalance.frozen import parse
from tests.unit.wild_images import Counted, painted

READ = {"cat": (4, 1), "dog": (4, 1)}
NAMES = [f"{kind}{number}" for kind in ("cat", "dog") for number in range(5)]


def own(name: str, path: Path, **settings: Any) -> Any:
    given = {"name": name, "path": str(path), "side_px": 8, **settings}
    return open_dataset(parse(config.OwnImages, given, where="dataset"))


def counted(source: Any) -> Counted:
    return {one.name: (one.train, one.test) for one in source.card().classes}


def images(root: Path) -> Path:
    for number, name in enumerate(NAMES):
        (root / "images").mkdir(parents=True, exist_ok=True)
        painted(root / "images" / f"{name}.png", seed=number)
    return root


def lines(separator: str = ",", head: str = "path,label", path: str = "images/{}.png") -> str:
    rows = [separator.join([path.format(name), name[:3]]) for name in NAMES]
    return "\n".join([head.replace(",", separator), *rows] if head else rows) + "\n"
