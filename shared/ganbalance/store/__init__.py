"""Stores, and the artifacts in them."""

from ganbalance import registry
from ganbalance.store import schemes
from ganbalance.store.base import MissingError, Store
from ganbalance.store.local import LocalStore, folder_of

__all__ = ["MissingError", "Store", "make_store", "open_store"]

S3_SCHEME = "s3://"


def open_store(url: str) -> Store:
    """The store at `url`: s3://bucket/prefix, or a folder, which is made when something is first written to it."""
    kind = _kind(url)
    return kind(url) if kind else LocalStore(folder_of(url))


def make_store(url: str, attempts: int | None = None) -> bool:
    """Make the bucket or the folder of a store; False if it was there. `attempts`: instead of those that are set."""
    return (_kind(url) or LocalStore).make(url, attempts)


def _kind(url: str) -> type[Store] | None:
    """The class of a scheme of `schemes`; None for a folder, and for a scheme that is unknown."""
    scheme, separator, _ = url.partition("://")
    known = separator and scheme in registry.names(schemes)
    return registry.load(schemes, scheme, Store) if known else None  # type: ignore[type-abstract]
