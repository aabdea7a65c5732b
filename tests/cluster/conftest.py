"""Namespaces on the cluster of KUBECONFIG, each with a random name and gone after the tests that asked for it."""

import secrets
from collections.abc import Iterator

import pytest

from tests.cluster.deployment import Deployment
from tests.cluster.volumes import overlay_with_volume
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


@pytest.fixture(scope="module")
def deployed(namespace: Namespace) -> Deployment:
    """All of ganbalance in a namespace, with the MinIO that the cluster can have."""
    made = Deployment(namespace)
    made.deploy()
    return made


@pytest.fixture(scope="module")
def on_volume(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """All of ganbalance, with a MinIO whose artifacts outlive its pod."""
    made = Deployment(namespace)
    with overlay_with_volume(tmp_path_factory.mktemp("overlay")) as overlay:
        made.make("deploy", f"OVERLAY={overlay}")
        yield made
        made.stop_minio()
