"""Reading an experiment file, with what the command line changes of it; nothing is checked here but the form."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ganbalance.errors import ConfigError

CLASS_NAMES = ("task.positive", "task.negative", "imbalance.rare")
"""Settings that are names of classes, alone or in a list; the keys of `imbalance.keep` are too."""
KEPT = "imbalance.keep."


def read(path: Path, *, sets: Sequence[str] = (), seeds: str | None = None) -> dict[str, Any]:
    """Read the settings in an experiment file with overrides applied, not yet checked: see `check`.

    `sets` are `a.b=value` with YAML values; `seeds` is "0,1,5" or "0..9". A name of a class is the text that stands
    there, as in the name of a folder: 007, 1.10 and no. Raises ConfigError.
    """
    given, text = read_yaml(path), _load_file(path, _TextLoader)
    for change in sets:
        for settings, loader in ((given, _Loader), (text, _TextLoader)):
            put(settings, *_parse_set(change, loader), where=f"--set {change!r}")
    named: dict[str, Any] = _with_class_names(given, text)
    if seeds is not None:
        named["seeds"] = parse_seeds(seeds)
    return named


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file, as plain JSON data. Raises ConfigError when it is none."""
    return _load_file(path, _Loader)


def _load_file(path: Path, loader: type[yaml.SafeLoader]) -> dict[str, Any]:
    try:
        given = yaml.load(path.read_text("utf-8"), loader)  # noqa: S506 - a SafeLoader with stricter rules
    except OSError as error:
        raise ConfigError(f"cannot read the experiment {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{path} holds no settings: an experiment is a mapping of keys to values")
    return given


def _with_class_names(given: Any, text: Any, key: str = "") -> Any:
    """Return what is `given`, with its `text` where classes are named; both were read from the same YAML."""
    if key in CLASS_NAMES:
        return text
    if key == "sweep" and isinstance(given, list):
        return [_with_class_names(*both, key) for both in zip(given, text, strict=True)]
    if not isinstance(given, dict):
        return given
    if key == "sweep":
        return {
            name: [_with_class_names(*both, name) for both in zip(values, text[name], strict=True)]
            if isinstance(values, list)
            else values
            for name, values in given.items()
        }
    return {name: _with_class_names(value, text[name], f"{key}.{name}".lstrip(".")) for name, value in given.items()}


def write_yaml(given: Mapping[str, Any]) -> str:
    """Write YAML that `read_yaml` reads as the same plain JSON data."""
    return yaml.dump(given, Dumper=_Dumper, sort_keys=False)


def parse_seeds(text: str) -> list[int]:
    """Parse seeds from "0,1,5", "0 1 5" or "0..9" (both ends included). Raises ConfigError."""
    seeds: list[int] = []
    if match := re.fullmatch(r"(\d+)\.\.(\d+)", text.strip()):
        seeds = list(range(int(match[1]), int(match[2]) + 1))
    elif re.fullmatch(r"\d+((\s*,\s*|\s+)\d+)*", text.strip()):
        seeds = [int(part) for part in re.findall(r"\d+", text)]
    if not seeds:
        raise ConfigError(f"seeds {text!r}: give numbers from 0 up as 0,1,2 or a rising range as 0..9")
    return seeds


def parse_set(text: str) -> tuple[str, Any]:
    """Parse the dotted key and the value of `a.b=value`. Raises ConfigError."""
    key, value = _parse_set(text, _Loader)
    return key, _with_class_names(value, _parse_set(text, _TextLoader)[1], key)


def _parse_set(text: str, loader: type[yaml.SafeLoader]) -> tuple[str, Any]:
    # a share has no equals sign, and the name of a class may
    key, equals, value = text.rpartition("=") if text.startswith(KEPT) else text.partition("=")
    if not equals or not parts(key.strip())[-1]:
        raise ConfigError(f"--set {text!r}: write it as key.key=value, for example gans.dcgan.steps=200")
    try:
        return key.strip(), yaml.load(value, loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text!r}: {value!r} is not a YAML value") from error


def parts(key: str) -> list[str]:
    """Split a dotted key into its parts; the name of a class is one, whatever dots it has."""
    if key.startswith(KEPT) and key != KEPT:
        return ["imbalance", "keep", key.removeprefix(KEPT)]
    return key.split(".")


def put(given: dict[str, Any], key: str, value: Any, *, where: str) -> None:
    """Set a dotted key of settings that are not yet checked. Raises ConfigError."""
    place, last = find(given, key, where=where)
    place[last] = value


def find(given: dict[str, Any], key: str, *, where: str) -> tuple[dict[str, Any], str]:
    """Find the section that a dotted key is in, made if it is not there, and its name in it.

    arms.NAME.part is in the recipe of that name. Raises ConfigError.
    """
    *parents, last = parts(key)
    place: Any = given
    for part in parents:
        place = _recipe(place, part) if isinstance(place, list) else place.setdefault(part, {})
        if place is None:
            raise ConfigError(f"{where}: no arm is spelled out as {{name: {part}, ...}}, so it has no parts to set")
        if not isinstance(place, dict) and not (part == "arms" and isinstance(place, list)):
            raise ConfigError(f"{where}: '{part}' is a value, not a section")
    if isinstance(place, list):
        raise ConfigError(f"{where}: 'arms' is a list; write arms.NAME.part, or the whole list")
    return place, last


def _recipe(arms: list[Any], name: str) -> dict[str, Any] | None:
    return next((one for one in arms if isinstance(one, dict) and one.get("name") == name), None)


class _Loader(yaml.SafeLoader):
    """YAML where 1e-4 is a number (YAML 1.1 reads it as text), dates are text, and a key given twice is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as declared in the base class
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is a word", key_node.start_mark)
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key_node.value}' is given twice", key_node.start_mark
                )
            seen.add(key_node.value)
        self.flatten_mapping(node)
        words = [yaml.ScalarNode(_Loader.DEFAULT_SCALAR_TAG, key.value, key.start_mark) for key, _ in node.value]
        node.value = [(word, value) for word, (_, value) in zip(words, node.value, strict=True)]  # 007 and no are words
        return super().construct_mapping(node, deep=True)


class _TextLoader(_Loader):
    """The same, with every value as the text that stands there."""

    yaml_implicit_resolvers = {"<": _Loader.yaml_implicit_resolvers["<"]}  # noqa: RUF012 - to merge mappings


class _Dumper(yaml.SafeDumper):
    """Quotes text that `_Loader` would take for a number."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )
