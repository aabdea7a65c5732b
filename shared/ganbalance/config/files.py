"""Reading an experiment file, with what the command line changes of it; nothing is checked here but the form."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ganbalance.errors import ConfigError


def read(path: Path, *, sets: Sequence[str] = (), seeds: str | None = None) -> dict[str, Any]:
    """The settings in an experiment file with overrides applied, not yet checked: see `check`.

    `sets` are `a.b=value` with YAML values; `seeds` is "0,1,5" or "0..9". Raises ConfigError.
    """
    given = read_yaml(path)
    for text in sets:
        put(given, *parse_set(text), where=f"--set {text!r}")
    if seeds is not None:
        given["seeds"] = parse_seeds(seeds)
    return given


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, as plain JSON data. Raises ConfigError when it is none."""
    try:
        given = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a SafeLoader with stricter rules
    except OSError as error:
        raise ConfigError(f"cannot read the experiment {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{path} holds no settings: an experiment is a mapping of keys to values")
    return given


def parse_seeds(text: str) -> list[int]:
    """Seeds from "0,1,5" or "0..9" (both ends included). Raises ConfigError."""
    seeds: list[int] = []
    if match := re.fullmatch(r"(\d+)\.\.(\d+)", text.strip()):
        seeds = list(range(int(match[1]), int(match[2]) + 1))
    elif re.fullmatch(r"\d+(,\d+)*", text.replace(" ", "")):
        seeds = [int(part) for part in text.split(",")]
    if not seeds:
        raise ConfigError(f"seeds {text!r}: give numbers from 0 up as 0,1,2 or a rising range as 0..9")
    return seeds


def parse_set(text: str) -> tuple[str, Any]:
    """The dotted key and the value of `a.b=value`. Raises ConfigError."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip().rpartition(".")[2]:
        raise ConfigError(f"--set {text!r}: write it as key.key=value, for example gans.dcgan.steps=200")
    try:
        return key.strip(), yaml.load(value, _Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text!r}: {value!r} is not a YAML value") from error


def put(given: dict[str, Any], key: str, value: Any, *, where: str) -> None:
    """Set a dotted key of settings that are not yet checked. Raises ConfigError."""
    *parents, last = key.split(".")
    for part in parents:
        given = given.setdefault(part, {})
        if not isinstance(given, dict):
            raise ConfigError(f"{where}: '{part}' is a value, not a section")
    given[last] = value


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
        return {_plain_key(key): value for key, value in super().construct_mapping(node, deep=True).items()}


def _plain_key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key, default=str)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
