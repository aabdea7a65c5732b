"""Which images of a folder are read, of which class and part, and what is said of everything else: one row per case."""

import re
from pathlib import Path

import pytest

from ganbalance import config
from ganbalance.errors import DataError
from tests.unit.wild_images import Counted, counted, own, painted, tree

LAYOUTS: dict[str, tuple[list[str], Counted, str]] = {
    # what is there, what is read, what is said
    "a folder per class": (["10*cat/.png", "5*dog/.png"], {"cat": (8, 2), "dog": (4, 1)}, ""),
    "folders in a class": (["5*cat/a/.png", "5*cat/b/c/.png", "5*dog/.png"], {"cat": (8, 2), "dog": (4, 1)}, ""),
    "train and test": (
        ["3*train/cat/.png", "2*train/dog/.png", "1*test/cat/.png", "2*test/dog/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "capitals": (
        ["3*Train/cat/.png", "2*Train/dog/.png", "1*TEST/cat/.png", "2*TEST/dog/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "other spellings": (
        ["3*training_set/cat/.png", "2*training_set/dog/.png", "1*Test Images/cat/.png", "2*Test Images/dog/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "a validation part": (
        ["3*train/cat/.png", "2*train/dog/.png", "1*valid/cat/.png", "1*test/cat/.png", "2*test/dog/.png"],
        {"cat": (4, 1), "dog": (2, 2)}, r"validation part \(1 image\) joins the training part",
    ),
    "a validation part alone": (
        ["3*train/cat/.png", "2*train/dog/.png", "1*val/cat/.png", "2*val/dog/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, r"validation part \(3 images\) is tested on",
    ),
    "parts in the class folders": (
        ["3*cat/train/.png", "1*cat/test/.png", "2*dog/train/.png", "2*dog/test/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "parts in the class folders, and an image beside them": (
        ["3*cat/train/.png", "1*cat/test/.png", "2*dog/train/.png", "2*dog/test/.png", "cat/cover.png",
         "dog/masks/0.png"],
        {"cat": (3, 1), "dog": (2, 2)}, r"2 \(cat/cover.png, dog/masks/0.png\), beside the folders",
    ),
    "test parts in the class folders, beside the images": (
        ["3*cat/.png", "1*cat/test/.png", "2*dog/.png", "2*dog/test/.png"], {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "parts in one of the class folders": (
        ["4*cat/train/.png", "1*cat/test/.png", "5*dog/.png"], {"cat": (4, 1), "dog": (4, 1)},
        r"in 1 of 2 classes \(first: cat\), so they are taken for no parts",
    ),
    "a test part beside the classes": (
        ["3*cat/.png", "2*dog/.png", "1*test/cat/.png", "2*test/dog/.png"], {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "one level too many": (
        ["10*archive/cat/.png", "5*archive/dog/.png"], {"cat": (8, 2), "dog": (4, 1)}, "archive, the only folder",
    ),
    "two levels too many": (
        ["3*a/b/train/cat/.png", "2*a/b/train/dog/.png", "1*a/b/test/cat/.png", "2*a/b/test/dog/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, "a/b, the only folder",
    ),
    "classes called train and test": (
        ["5*train/.png", "5*car/.png", "5*test/.png"], {"car": (4, 1), "test": (4, 1), "train": (4, 1)}, "",
    ),
    "images beside the class folders": (
        ["5*cat/.png", "5*dog/.png", "logo.png"], {"cat": (4, 1), "dog": (4, 1)}, r"1 \(logo.png\), in no class folder",
    ),
    "a folder beside the parts": (
        ["3*train/cat/.png", "2*train/dog/.png", "1*test/cat/.png", "2*test/dog/.png", "2*masks/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, r"2 \(masks/0.png, masks/1.png\), beside the folders",
    ),
    "what systems leave behind": (
        ["5*cat/.png", "5*dog/.png", "2*cat/@eaDir/.png", "1*__MACOSX/cat/.png", "1*.git/.png", "cat/._0.png",
         "Thumbs.db"],
        {"cat": (4, 1), "dog": (4, 1)}, r"5 \(.*hidden, or left behind",
    ),
    "what network drives leave behind": (
        ["5*cat/.png", "5*dog/.png", "2*@Recycle/.png", "2*#snapshot/cat/.png", "1*System Volume Information/.png"],
        {"cat": (4, 1), "dog": (4, 1)}, r"3 \(#snapshot, @Recycle, System Volume Information\), hidden, or left",
    ),
    "no images by their names": (
        ["5*cat/.png", "5*dog/.png", "cat/a.svg", "cat/b.SVG", "dog/c.heic", "dog/README"],
        {"cat": (4, 1), "dog": (4, 1)}, r"2 \(cat/a.svg, cat/b.SVG\), no image by its name: .svg",
    ),
    "numbers": (["5*10/.png", "5*9/.png", "5*08/.png"], {"08": (4, 1), "9": (4, 1), "10": (4, 1)}, ""),
    "no images in it": (["5*cat/.png", "5*dog/.png", "eel/notes.txt"], {"cat": (4, 1), "dog": (4, 1)}, "no image by"),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_layout_is_read_as_people_mean_it(tmp_path: Path, case: str) -> None:
    names, read, said = LAYOUTS[case]
    source = own(tree(tmp_path, *names))
    warnings = "\n".join(source.card().warnings())
    assert counted(tmp_path) == read
    assert source.counts() == ([train for train, _ in read.values()], [test for _, test in read.values()])
    assert re.search(said, warnings) if said else not warnings


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["3*.png"],
            r"no class folders with images in them \(3 images beside\); put the images of each class in a folder",
        ),
        (["notes.txt"], r"no class folders with images in them \(0 images beside\)"),
        (["3*cat/.png"], "one class only, 'cat'; two are needed"),
        (["3*test/cat/.png", "3*test/dog/.png"], "one class only, 'test'"),
    ],
)
def test_folders_without_classes_are_refused_with_what_to_do(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        own(tree(tmp_path, *names)).ensure()


def test_several_places_are_one_dataset(tmp_path: Path) -> None:
    one, other = (
        tree(tmp_path / "one", "5*cat/.png", "5*dog/.png"),
        tree(tmp_path / "other", "5*cat/.png", "5*eel/.png"),
    )
    assert counted((one, other)) == {"cat": (8, 2), "dog": (4, 1), "eel": (4, 1)}
    assert own((one, other)).fingerprint() != own((other, one)).fingerprint() != own(one).fingerprint()


def test_classes_that_the_task_does_not_use_stop_nothing(tmp_path: Path) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png", "masks/0.png", "only/one.png")
    (tmp_path / "masks" / "bad.png").write_bytes(b"no image")
    source = own(tmp_path)
    chosen = source.of([source.classes().index(name) for name in ("cat", "dog")])
    assert len(chosen.load().labels) == 10
    before = chosen.fingerprint()
    painted(tmp_path / "masks" / "more.png")
    again = own(tmp_path)
    assert again.of([again.classes().index(name) for name in ("cat", "dog")]).fingerprint() == before


def test_names_without_a_group_stop_no_task_that_does_not_use_them(tmp_path: Path) -> None:
    tree(
        tmp_path,
        *(f"{kind}/p{n}_{m}.png" for kind in ("cat", "dog") for n in range(5) for m in range(3)),
        "masks/m.png",
    )
    source = own(tmp_path, groups=config.Groups(pattern="(?P<group>p[0-9]+)_"))
    assert source.of([0, 1]).counts() == ([12, 12, 0], [3, 3, 0])
    with pytest.raises(DataError, match=r"1 of 31 images are in no group \(first: .*masks/m.png\)"):
        source.counts()
