"""Read and write small typed records, as the folder of a run holds them."""

import json
from collections.abc import Callable
from typing import TypeVar

import pydantic

from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import Frozen, dump
from ganbalance.store import MissingError, Store

R = TypeVar("R", bound=Frozen)


def written(record: Frozen) -> bytes:
    """Serialise a record: equal records, equal bytes."""
    return json.dumps(dump(record), indent=1).encode()


def read(store: Store, name: str, kind: type[R], *, absent: Callable[[], str], fix: str) -> R:
    """The record `name`. Raises ConfigError with the message of `absent` when there is none, DataError with `fix`."""
    try:
        return kind.model_validate_json(store.read(name))
    except MissingError as error:
        raise ConfigError(absent()) from error
    except pydantic.ValidationError as error:
        raise DataError(f"{name} in the store {store.url} is corrupt or of another version; {fix}") from error
