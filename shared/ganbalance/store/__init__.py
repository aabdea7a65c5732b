"""Stores, and the artifacts in them."""

from pathlib import Path

from ganbalance.errors import ConfigError
from ganbalance.store.base import MissingError, Store
from ganbalance.store.local import LocalStore

__all__ = ["MissingError", "Store", "open_store"]


def open_store(url: str) -> Store:
    """The store at `url`: a folder, which is made when something is first written to it."""
    if not url or "://" in url:
        raise ConfigError(f"store {url!r}: a store is a local folder; give a path without '://'")
    return LocalStore(Path(url))
