"""Stores, and the artifacts in them."""

from ganbalance import registry
from ganbalance.store import schemes
from ganbalance.store.base import MissingError, Store
from ganbalance.store.local import LocalStore

__all__ = ["MissingError", "Store", "make_store", "open_store"]

S3_SCHEME = "s3://"


def open_store(url: str) -> Store:
    """Open the store at `url`: s3://bucket/prefix, or a folder, which is made when something is first written to it."""
    return _kind(url)(url)


def make_store(url: str, attempts: int | None = None) -> bool:
    """Make the bucket or the folder of a store; False if it was there. `attempts`: instead of those that are set."""
    return _kind(url).make(url, attempts)


def _kind(url: str) -> type[Store]:
    """Find the class of a scheme of `schemes`; for any other URL that of folders, which refuses what is none."""
    scheme, separator, _ = url.partition("://")
    known = separator and scheme in registry.names(schemes)
    return registry.load(schemes, scheme, Store) if known else LocalStore  # type: ignore[type-abstract]
