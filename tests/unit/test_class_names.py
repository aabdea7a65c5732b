"""Names of classes as folders have them: read as the text that they are, found, and shown as they are."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ganbalance import config
from ganbalance.data.datasets.base import Counts
from ganbalance.errors import ConfigError
from ganbalance.frozen import dump, parse
from ganbalance.pipeline import request, resolution
from ganbalance.sweep import shown

Settings = dict[str, Any]

TEXT = [
    "007", "017", "0o17", "0x1F", "0b11", "1_000", "+1", "-0", "12:30:45", "2020-01-01", "1.10", "1e3", "1E5", ".5",
    "1.", ".inf", ".nan", "yes", "no", "on", "off", "y", "n", "Yes", "NO", "null", "Null", "~", "true", "False", "١٢",
]  # fmt: skip
"""What YAML may take for something else."""
MARKED = [
    "a.b", "a..b", ".a", "a.", "a=b", "a: b", "a #b", "# a", "- a", "*a", "&a", "!a", "%a", "@a", "`a`", "{a}", "[a]",
    "a, b", "'a'", '"a"', "a\\b", "<<", "=", "?", "|", ">", "a\nb", "a\tb", "\x1b[31m", " a ", "a" * 200, "猫",
    "e\u0301",
]  # fmt: skip
"""What YAML takes for text where it is quoted."""
WILD = [*TEXT, *MARKED]


def written(positive: str, rare: str, negative: str = "other") -> str:
    """An experiment file in which classes are named in such YAML."""
    return f"""
name: x
dataset: {{name: folder, path: /nowhere}}
task: {{kind: pair, positive: {positive}, negative: {negative}}}
imbalance: {{keep: {{{rare}: 0.5}}}}
arms: [none]
seeds: [0]
"""


def quoted(name: str) -> str:
    return yaml.safe_dump(name, default_style='"', width=10_000).strip()


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., config.Experiment]:
    def of(text: str, *sets: str) -> config.Experiment:
        path = tmp_path / "experiment.yaml"
        path.write_text(text)
        return request.experiment(path, sets=list(sets))

    return of


Read = Callable[..., config.Experiment]


def named(experiment: config.Experiment) -> set[str]:
    return {experiment.task.positive, *experiment.imbalance.keep}  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(
    ("name", "as_written"), [(name, name) for name in TEXT] + [(name, quoted(name)) for name in WILD], ids=ascii
)
def test_a_class_is_named_by_the_text_that_stands_in_the_file(read: Read, name: str, as_written: str) -> None:
    found = read(written(as_written, as_written))
    assert named(found) == {name}
    assert read(config.write_yaml(dump(found))) == found
    assert parse(config.Experiment, dump(found), where="a record") == found


@pytest.mark.parametrize("name", WILD, ids=ascii)
def test_a_class_is_named_by_its_text_on_the_command_line_and_in_a_sweep(read: Read, tmp_path: Path, name: str) -> None:
    text = written("a", "a")
    given = read(text, f"task.positive={quoted(name)}", f"imbalance.keep={{{quoted(name)}: 0.5}}")
    assert named(given) == {name}
    swept = (
        text.replace("{keep: {a: 0.5}}", "{keep: {}}")
        + "sweep:\n"
        + "".join(
            f"  {quoted(key)}: {values}\n"
            for key, values in {"task.positive": f"[{quoted(name)}, a]", f"imbalance.keep.{name}": "[0.5, 0.1]"}.items()
        )
    )
    (tmp_path / "sweep.yaml").write_text(swept)
    members = request.experiments(tmp_path / "sweep.yaml", sets=[])
    assert [(m.experiment.task.positive, dict(m.experiment.imbalance.keep)) for m in members] == [  # type: ignore[union-attr]
        (name, {name: 0.5}), (name, {name: 0.1}), ("a", {name: 0.5}), ("a", {name: 0.1}),
    ]  # fmt: skip
    if name == name.strip():
        picked = [f"{key}={shown(value)}" for key, value in members[1].values.items()]
        assert request.experiments(tmp_path / "sweep.yaml", sets=picked) == (members[1],)


@pytest.mark.parametrize("name", TEXT, ids=ascii)
def test_it_need_not_be_quoted_on_the_command_line_nor_in_a_sweep_or_a_list(read: Read, name: str) -> None:
    assert named(read(written("a", "a"), f"task.positive={name}", f"imbalance.keep={{{name}: 0.5}}")) == {name}
    other = read(
        written(name, name), f"task={{kind: one-vs-rest, positive: [{name}, 1]}}", f"imbalance.keep.{name}=0.1"
    )
    assert other.task.positive == (name, "1")  # type: ignore[union-attr]
    assert dict(other.imbalance.keep) == {name: 0.1}  # type: ignore[union-attr]
    step = read(written("a", "a"), f"imbalance={{kind: step, rare: [{name}], ratio: 0.1}}")
    assert step.imbalance.rare == (name,)  # type: ignore[union-attr]
    swept = written("a", "a") + f"sweep: {{task.positive: [{name}], imbalance: [{{keep: {{{name}: 1}}}}]}}"
    assert named(read(swept)) == {name}


def test_merged_and_repeated_yaml_names_classes_too(read: Read) -> None:
    text = written("&it 007", "*it ").replace("keep: {", "keep: {<<: {*it : 0.1, 08: 0.2}, ")
    found = read(text)
    assert (found.task.positive, dict(found.imbalance.keep)) == ("007", {"007": 0.5, "08": 0.2})  # type: ignore[union-attr]


def test_other_text_that_looks_like_a_number_is_read_back_as_text(read: Read) -> None:
    found = read(written("a", "a").replace("/nowhere", "'1e3'") + "note: '007'")
    assert read(config.write_yaml(dump(found))) == found


# -- which class that is -----------------------------------------------------------------------------------------------


def source(*names: str) -> Any:
    """A dataset of these classes, with 100 images each."""
    found = SimpleNamespace(
        classes=lambda: list(names),
        fingerprint=lambda: "f" * 64,
        counts=lambda: Counts(train=[100] * len(names), test=[100] * len(names)),
        grouped=lambda: None,
    )
    found.of = lambda labels: found
    return found


@pytest.mark.parametrize("name", [*WILD, "İ", "ﬁ", "\u1100\u1161", "क़", "Å"], ids=ascii)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_class_is_found_by_its_name_whichever_form_its_letters_have(read: Read, name: str, form: Any) -> None:
    asked = unicodedata.normalize(form, name)
    found = read(written(quoted(asked), quoted(asked)))
    there = source("other", name, "third")
    _, chosen = resolution.dataset(found, there)
    assert (chosen.classes, chosen.class_names) == (((0,), (1,)), ("other", name))
    assert resolution.keep(found, there, chosen) == {1: 0.5}


def test_two_classes_that_differ_in_form_alone_are_told_apart(read: Read) -> None:
    there = source("other", "\u00e9", "e\u0301")
    for label, name in ((1, "\u00e9"), (2, "e\u0301")):
        assert resolution.dataset(read(written(name, name)), there)[1].classes == ((0,), (label,))


@pytest.mark.parametrize(("names", "asked", "label"), [
    (("other", "a", "b"), "2", 2),
    (("other", "7", "2"), "2", 2),
    (("other", "b", "c", "02"), "02", 3),
    (("other", "b", "02"), "2", None),
    (("other", "b", "c"), "02", None),
    (("other", "b", "c"), "٢", None),
    (("other", "b", "c"), "3", None),
    (("other", "b", "c"), "x\ny", None),
])  # fmt: skip
def test_a_number_is_a_class_where_none_has_a_number_for_a_name(
    read: Read, names: tuple[str, ...], asked: str, label: int | None
) -> None:
    found = read(written(quoted(asked), "other"))
    if label is not None:
        assert resolution.dataset(found, source(*names))[1].classes[1] == (label,)
        return
    with pytest.raises(
        ConfigError, match=r"^task.positive = .* has no such class; its classes are 0 other, 1 b"
    ) as caught:
        resolution.dataset(found, source(*names))
    assert "\n" not in str(caught.value)


def test_an_error_lists_some_of_many_classes(read: Read) -> None:
    with pytest.raises(ConfigError, match=r"39 c39 and 160 more$"):
        resolution.dataset(read(written("x", "x", "c0")), source(*(f"c{number}" for number in range(200))))
