"""Add commands and the flags that name a cluster, and reach the store that goes with it."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.connection import reach
from ganbalance.store import Store, open_store

FLAGS = ("namespace", "context", "kubeconfig")


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[argparse.Namespace], int],
    help_: str,
    example: str,
) -> argparse.ArgumentParser:
    """Add a command whose help page shows an example."""
    parser = commands.add_parser(
        name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.\n\nganbalance {name} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
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
