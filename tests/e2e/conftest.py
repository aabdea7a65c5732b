"""The images that `make images` made, and a place of their own to run them in."""

from collections.abc import Iterator

import pytest

from tests.containers import NAME, Image, Project


@pytest.fixture(scope="session")
def programs() -> Image:
    """The image of the five programs."""
    return Image(f"{NAME}-cpu")


@pytest.fixture(scope="session")
def small() -> Image:
    """The image without torch."""
    return Image(f"{NAME}-report")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, programs: Image, small: Image) -> Iterator[Project]:
    """A Compose project with nothing in it; afterwards it is gone, with its volumes."""
    of_test = Project(tmp_path_factory.mktemp("compose"))
    yield of_test
    down = of_test.compose("--profile=*", "down", "--volumes", "--timeout=5")
    assert down.returncode == 0, down.stderr
