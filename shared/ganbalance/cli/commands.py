"""Declare commands, and reach the cluster and the store that their flags name."""

import argparse
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.connection import reach
from ganbalance.paths import expanded
from ganbalance.store import Store, open_store

FLAGS = ("namespace", "context", "kubeconfig")
Function = Callable[[argparse.Namespace], int | None]  # the exit code; None is that of success
Part = Callable[[argparse.ArgumentParser], object]  # adds flags to a parser
COMMANDS: dict[str, Callable[[Any], object]] = {}  # by name: adds its parser to what `add_subparsers` gave


def command(name: str, *examples_and_parts: str | Part) -> Callable[[Function], Function]:
    """Make a command of a function: its help page is the function's docstring, with examples below.

    Strings are examples, what follows the name; parts are in the order of the help page.
    """

    def register(function: Function) -> Function:
        def add_to(commands: Any) -> None:
            doc = inspect.getdoc(function) or ""
            examples = [f"%(prog)s {one}" for one in examples_and_parts if isinstance(one, str)]
            parser = commands.add_parser(
                name.rpartition(" ")[2],
                help=doc[:1].lower() + doc[1:].partition("\n")[0].rstrip("."),
                description="\n".join([doc, "", *examples]),
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            parser.set_defaults(command=partial(_reached, function))
            for part in examples_and_parts:
                if not isinstance(part, str):
                    part(parser)

        COMMANDS[name] = add_to
        return function

    return register


def add(word: str, commands: Any) -> None:
    """Add the parsers of the declared commands that begin with `word`: one, or those of a group."""
    found = {name: add_to for name, add_to in COMMANDS.items() if name.partition(" ")[0] == word}
    if word not in found:
        commands = commands.add_parser(word).add_subparsers(required=True, metavar="COMMAND")
    for add_to in found.values():
        add_to(commands)


def flag(*names: str, **settings: Any) -> Part:
    """Make a part that adds one flag or argument, as argparse describes it."""
    return lambda parser: parser.add_argument(*names, **settings)


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add the flags that kubectl has."""
    group = parser.add_argument_group("the cluster, as for kubectl")
    group.add_argument("--namespace", metavar="NAME", help="default: the context's, else ganbalance")
    group.add_argument("--context", metavar="NAME", help="a context of the kubeconfig")
    group.add_argument(
        "--kubeconfig", metavar="FILE", type=lambda text: str(expanded(text)),
        help="default: KUBECONFIG, else ~/.kube/config",
    )  # fmt: skip


def access(flags: argparse.Namespace) -> Access:
    """Read what the flags say."""
    return Access(**{name: getattr(flags, name) for name in FLAGS})


def is_named(flags: argparse.Namespace) -> bool:
    """Tell whether any of the flags was given."""
    return any(getattr(flags, name, None) for name in FLAGS)


def positive(text: str) -> int:
    """Parse a flag's value: a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number of at least 1")
    return int(text)


def writable(text: str) -> Path:
    """Parse a flag's value: a folder to write to, which is there or can be made."""
    path = expanded(text)
    there = next(one for one in (path.absolute(), *path.absolute().parents) if os.access(one, os.F_OK))
    if ":/" in text:
        raise argparse.ArgumentTypeError(f"cannot write to {text}: it is a URL, and this takes a folder")
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"cannot write to {text}: {there} is no folder that takes files")
    return path


@contextmanager
def connected(flags: argparse.Namespace) -> Iterator[tuple[Cluster, Store]]:
    """Provide the cluster that the flags name, and its store."""
    cluster = Cluster(access(flags))
    with reach(cluster) as url:
        yield cluster, open_store(url)


def _reached(function: Function, flags: argparse.Namespace) -> int | None:
    """Run a command; if it takes a store and its flags name a cluster, `flags.store` is the cluster's meanwhile."""
    reaches_itself = hasattr(flags, "cluster")  # doctor, which says why a store is out of reach
    if hasattr(flags, "store") and is_named(flags) and not reaches_itself:
        with reach(Cluster(access(flags))) as flags.store:
            return function(flags)
    return function(flags)
