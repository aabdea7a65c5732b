"""Namespaces on the cluster of KUBECONFIG, each with a random name and gone after the tests that asked for it."""

import secrets
from collections.abc import Iterator

import pytest

from tests.namespaces import Namespace


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    """An empty namespace."""
    made = Namespace(f"ganbalance-test-{secrets.token_hex(4)}")
    made.make()
    yield made
    made.delete()


@pytest.fixture
def name_only() -> Iterator[Namespace]:
    """The name of a namespace that is yet to be made, and is deleted all the same."""
    made = Namespace(f"ganbalance-test-{secrets.token_hex(4)}")
    yield made
    made.delete()
