"""Stores, and the artifacts in them."""

from ganbalance.store.base import MissingError, Store
from ganbalance.store.local import LocalStore, folder_of

__all__ = ["MissingError", "Store", "make_store", "open_store"]

S3_SCHEME = "s3://"


def open_store(url: str) -> Store:
    """The store at `url`: s3://bucket/prefix, or a folder, which is made when something is first written to it."""
    if url.startswith(S3_SCHEME):
        from ganbalance.store.s3 import S3Store

        return S3Store(url)
    return LocalStore(folder_of(url))


def make_store(url: str, attempts: int | None = None) -> bool:
    """Make the bucket or the folder of a store; False if it was there. `attempts`: instead of those that are set."""
    if url.startswith(S3_SCHEME):
        from ganbalance.store.s3 import make_bucket

        return make_bucket(url, attempts)
    return LocalStore(folder_of(url)).make()
