"""What a task and an imbalance mean on a dataset: which labels are one class, and what each class keeps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganbalance import config
from ganbalance.data.datasets import open_dataset
from ganbalance.data.images import TaskImages
from ganbalance.data.split import draw
from ganbalance.errors import ConfigError
from ganbalance.pipeline import resolution

SIZES = {"ant": 40, "bee": 20, "cat": 10, "dog": 80}  # to train on; each has 5 test images
PAIR = {"kind": "pair", "positive": "cat", "negative": "dog"}
MANY = {"kind": "multiclass"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .npz whose labels are 0, 1, 2 and 3."""
    labels = np.repeat(np.arange(4), list(SIZES.values()))
    test_labels = np.repeat(np.arange(4), 5)
    file = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(
        file,
        images=np.zeros((len(labels), 8, 8), np.uint8), labels=labels,
        test_images=np.zeros((20, 8, 8), np.uint8), test_labels=test_labels,
    )  # fmt: skip
    return file


def resolved(path: Path, task: dict[str, Any], imbalance: dict[str, Any]) -> tuple[Any, dict[int, float]]:
    """The dataset stage, and what each class keeps. Classes by number: an .npz has no names."""
    numbers = {name: number for number, name in enumerate(SIZES)}

    def numbered(given: Any) -> Any:
        if isinstance(given, dict):
            return {str(numbers.get(key, key)): numbered(value) for key, value in given.items()}
        if isinstance(given, list):
            return [numbered(one) for one in given]
        return numbers.get(given, given) if isinstance(given, str) else given

    experiment = config.check(
        {
            "name": "x",
            "dataset": {"name": "npz", "path": str(path), "side_px": 8},
            "task": numbered(task),
            "imbalance": numbered(imbalance),
            "arms": ["none"],
            "seeds": [0],
        },
        where="test.yaml",
    )
    source = open_dataset(experiment.dataset)
    source, chosen = resolution.dataset(experiment, source)
    return chosen, resolution.keep(experiment, source, chosen)


def kept(path: Path, task: dict[str, Any], imbalance: dict[str, Any]) -> list[int]:
    """How many training images of each class of the task an imbalance leaves, by drawing it."""
    chosen, keep = resolved(path, task, imbalance)
    with np.load(path) as arrays:
        labels, images = arrays["labels"], arrays["images"]
    index_of = {label: index for index, of_class in enumerate(chosen.classes) for label in of_class}
    mine = np.array([index_of[label] for label in labels if label in index_of])
    split = draw(mine, len(mine), keep=keep, validation=0.2, seed=0)
    assert len(images) == 150
    return np.bincount(mine[np.union1d(split.train, split.validation)], minlength=len(chosen.classes)).tolist()


@pytest.mark.parametrize(
    ("task", "classes", "names"),
    [
        (PAIR, ((3,), (2,)), ("3", "2")),
        (MANY, ((0,), (1,), (2,), (3,)), ("0", "1", "2", "3")),
        ({"kind": "one-vs-rest", "positive": "cat"}, ((0, 1, 3), (2,)), ("rest", "2")),
        ({"kind": "one-vs-rest", "positive": ["dog", "bee"]}, ((0, 2), (1, 3)), ("rest", "1 or 3")),
    ],
)
def test_a_class_of_the_task_is_a_set_of_the_datasets_labels(path: Path, task: Any, classes: Any, names: Any) -> None:
    rare = "3" if task == MANY else names[1]
    chosen, _ = resolved(path, task, {"keep": {rare: 1.0}})
    assert (chosen.classes, chosen.class_names) == (classes, names)


def test_images_of_every_label_of_a_set_become_one_class(path: Path) -> None:
    chosen, _ = resolved(path, {"kind": "one-vs-rest", "positive": ["dog", "bee"]}, {"keep": {"1 or 3": 1.0}})
    source = open_dataset(config.OwnImages(name="npz", path=str(path), side_px=8))
    images = TaskImages.select(source.load(), chosen.classes, chosen.class_names)
    assert np.bincount(images.labels[: images.n_train]).tolist() == [50, 100]
    assert np.bincount(images.labels[images.n_train :]).tolist() == [10, 10]


def test_a_class_against_the_rest_is_named_by_its_labels_in_the_names_of_stages(path: Path) -> None:
    chosen, _ = resolved(path, {"kind": "one-vs-rest", "positive": ["dog", "bee"]}, {"keep": {"1 or 3": 1.0}})
    assert chosen.ids == ("0-2", "1-3")


@pytest.mark.parametrize(
    ("task", "imbalance", "left"),
    [
        (PAIR, {"keep": {"cat": 0.5}}, [80, 5]),
        (PAIR, {"keep": {"cat": 6}}, [80, 6]),
        (PAIR, {"keep": {"cat": 1}}, [80, 10]),
        (PAIR, {"keep": {"cat": 1.0, "dog": 30}}, [30, 10]),
        ({"kind": "one-vs-rest", "positive": ["dog", "bee"]}, {"keep": {"1 or 3": 10}}, [50, 10]),
        ({"kind": "one-vs-rest", "positive": "cat"}, {"keep": {"cat": 4, "rest": 0.5}}, [70, 4]),
        (MANY, {"kind": "step", "rare": ["bee", "dog"], "ratio": 0.1}, [40, 8, 10, 8]),
        (MANY, {"kind": "step", "rare": ["cat"], "ratio": 0.5}, [40, 20, 10, 80]),
        (MANY, {"kind": "long-tail", "ratio": 0.125}, [40, 20, 10, 10]),
    ],
)
def test_each_imbalance_leaves_what_it_says(path: Path, task: Any, imbalance: Any, left: list[int]) -> None:
    assert kept(path, task, imbalance) == left


def test_a_class_of_the_data_that_is_called_rest_is_not_mixed_up_with_the_others(tmp_path: Path) -> None:
    for name in ("cat", "dog", "rest"):
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / name / f"{number}.png")
    experiment = config.check(
        {
            "name": "x",
            "dataset": {"name": "folder", "path": str(tmp_path), "side_px": 8},
            "task": {"kind": "one-vs-rest", "positive": "rest"},
            "imbalance": {"keep": {"rest": 0.5}},
            "arms": ["none"],
            "seeds": [0],
        },
        where="test.yaml",
    )
    source = open_dataset(experiment.dataset)
    source, chosen = resolution.dataset(experiment, source)
    assert chosen.class_names == ("all others", "rest")
    assert resolution.keep(experiment, source, chosen) == {1: 0.5}


@pytest.mark.parametrize("given", [None, "keep", [1]])
def test_an_imbalance_that_is_no_mapping_is_refused_in_one_line(path: Path, given: Any) -> None:
    with pytest.raises(ConfigError, match=r"imbalance = .*: "):
        resolved(path, PAIR, given)


def test_every_class_that_a_long_tail_cuts_is_rare(path: Path) -> None:
    # 80, 40, 20 and 10 images wanted of 40, 20, 10 and 80: only the last has more
    assert resolved(path, MANY, {"kind": "long-tail", "ratio": 0.125})[1] == {3: 0.125}


@pytest.mark.parametrize(
    ("task", "imbalance", "said"),
    [
        (PAIR, {"keep": {"bee": 0.5}}, "imbalance.keep names class 1, which the task does not tell apart"),
        (PAIR, {"keep": {"cat": 11}}, r"imbalance.keep.2 = 11: the class has 10 images to train on"),
        (PAIR, {"keep": {"cat": 1.5}}, r"imbalance.keep.2 = 1.5: what stays of a class is a share up to 1, or a whole"),
        (PAIR, {"kind": "steps", "rare": ["cat"]}, "imbalance = .*: its kind is one of 'keep', 'step', 'long-tail'"),
        (PAIR, {"kind": "step", "ratio": 0.1}, "key 'imbalance.rare' is missing"),
        (
            PAIR,
            {"kind": "step", "rare": ["bee"], "ratio": 0.1},
            "imbalance.rare names class 1, which the task does not",
        ),
        (PAIR, {"kind": "long-tail", "ratio": 1.0}, "imbalance.ratio = 1.0: input should be less than 1"),
        (PAIR, {"kind": "step", "rare": ["cat", "2"], "ratio": 0.1}, "imbalance.rare names class 2 twice"),
        (PAIR, {"kind": "step", "rare": ["cat"], "ratio": 0.01}, "class '2' keeps 1 images.*raise imbalance.ratio"),
        (PAIR, {"keep": {"cat": 0.15}}, "class '2' keeps 2 images, too few .*raise imbalance.keep"),
        (PAIR, {"keep": {"cat": 2}}, "class '2' keeps 2 images, too few .*raise imbalance.keep"),
        (PAIR, {"kind": "long-tail", "ratio": 0.5}, "imbalance.ratio = 0.5 cuts no class"),
        ({"kind": "one-vs-rest", "positive": ["ant", "cow"]}, {"keep": {"0": 1}}, "task.positive = 'cow': the dataset"),
        ({"kind": "one-vs-rest", "positive": [*SIZES]}, {"keep": {"0": 1}}, "task.positive names every class"),
        (
            {"kind": "one-vs-rest", "positive": ["ant", "bee"]},
            {"keep": {"ant": 1}},
            "imbalance.keep names class 0, which the task does not tell apart; it knows 'rest' and '0 or 1'",
        ),
    ],
)
def test_what_cannot_be_is_told_with_its_key(path: Path, task: Any, imbalance: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolved(path, task, imbalance)
