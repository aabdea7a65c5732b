"""Add commands and the flags that name a cluster, and reach the store that goes with it."""

import argparse
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.connection import reach
from ganbalance.store import Store, open_store

FLAGS = ("namespace", "context", "kubeconfig")


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    command: Callable[[argparse.Namespace], int],
    *examples: str,
    name: str = "",
) -> argparse.ArgumentParser:
    """Add a command: its name and its help page are those of its function, with examples below."""
    doc = inspect.getdoc(command) or ""
    parser = commands.add_parser(
        name or command.__name__.replace("_", "-"),
        help=doc[:1].lower() + doc[1:].partition("\n")[0].rstrip("."),
        description="\n".join([doc, "", *(f"%(prog)s {example}" for example in examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add the flags that kubectl has."""
    group = parser.add_argument_group("the cluster, as for kubectl")
    group.add_argument("--namespace", metavar="NAME", help="default: the context's, else ganbalance")
    group.add_argument("--context", metavar="NAME", help="a context of the kubeconfig")
    group.add_argument("--kubeconfig", metavar="FILE", help="default: KUBECONFIG, else ~/.kube/config")


def access(flags: argparse.Namespace) -> Access:
    """What the flags say."""
    return Access(**{name: getattr(flags, name) for name in FLAGS})


def is_named(flags: argparse.Namespace) -> bool:
    """Whether any of the flags was given."""
    return any(getattr(flags, name, None) for name in FLAGS)


@contextmanager
def connected(flags: argparse.Namespace) -> Iterator[tuple[Cluster, Store]]:
    """The cluster that the flags name, and its store."""
    cluster = Cluster(access(flags))
    with reach(cluster) as url:
        yield cluster, open_store(url)


@contextmanager
def store_of_the_cluster(flags: argparse.Namespace) -> Iterator[None]:
    """Set `flags.store` to the store of the cluster that the flags name, for the commands that take a store."""
    reaches_itself = hasattr(flags, "cluster")  # doctor, which says why a store is out of reach
    if hasattr(flags, "store") and is_named(flags) and not reaches_itself:
        with reach(Cluster(access(flags))) as url:
            flags.store = url
            yield
    else:
        yield
