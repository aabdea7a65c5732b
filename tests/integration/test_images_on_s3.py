"""Images in a bucket, on a real S3 server: read from a copy that is kept, and never from an old one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance import config
from ganbalance.data.datasets import open_dataset
from ganbalance.errors import ConfigError, DataError, GanbalanceError
from ganbalance.store import open_store
from tests import servers
from tests.unit.wild_images import own, painted, tree


@pytest.fixture
def proxy(seaweedfs: servers.Server) -> servers.FaultyProxy:
    return servers.FaultyProxy(seaweedfs)


@pytest.fixture
def bucket(
    proxy: servers.FaultyProxy, use_s3: Callable[[servers.Server], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A prefix, and an empty cache."""
    monkeypatch.setenv("GANBALANCE_DATA", str(tmp_path / "cache"))
    with proxy.running() as server:
        yield use_s3(server)


def upload(url: str, root: Path) -> str:
    store = open_store(url)
    for path in sorted(root.rglob("*")):
        if path.is_file():
            store.put(path.relative_to(root).as_posix(), path)
    return url


def fetched(proxy: servers.FaultyProxy) -> int:
    """How many objects were read since this was asked last; listings and the store's marker are none."""
    paths = [path.partition("?")[0] for method, path in proxy.seen if method == "GET"]
    proxy.seen.clear()
    return sum(path.endswith((".png", ".csv", ".npz")) for path in paths)


def test_what_is_on_s3_is_what_would_be_read_here(tmp_path: Path, bucket: str, proxy: servers.FaultyProxy) -> None:
    here = tree(tmp_path / "here", "5*cat/.png", "5*dog/.png", "1*\u00e9l\u00e8ve/a b/.png")
    upload(bucket, here)
    source = open_dataset(config.OwnImages(name="folder", path=bucket, side_px=8))
    chosen, local = source.of([0, 1]), own(here).of([0, 1])
    assert source.classes() == ["cat", "dog", "\u00e9l\u00e8ve"]
    assert chosen.fingerprint() == local.fingerprint()
    assert np.array_equal(chosen.load().images, local.load().images)
    assert fetched(proxy) == 11


def test_only_what_changed_is_fetched_again(tmp_path: Path, bucket: str, proxy: servers.FaultyProxy) -> None:
    here = tree(tmp_path / "here", "5*cat/.png", "5*dog/.png")
    upload(bucket, here)
    settings = config.OwnImages(name="folder", path=bucket, side_px=8)
    before = open_dataset(settings).fingerprint()
    assert fetched(proxy) == 10
    assert open_dataset(settings).fingerprint() == before
    assert fetched(proxy) == 0
    store = open_store(bucket)
    store.put("cat/0.png", painted(tmp_path / "other.png", seed=99))
    store.delete("dog/4.png")
    fetched(proxy)
    changed = open_dataset(settings)
    assert changed.fingerprint() != before
    assert fetched(proxy) == 1
    assert [sum(side) for side in zip(*changed.counts(), strict=True)] == [5, 4]


def test_a_slash_at_the_end_changes_nothing(tmp_path: Path, bucket: str, proxy: servers.FaultyProxy) -> None:
    upload(bucket, tree(tmp_path / "here", "5*cat/.png", "5*dog/.png"))
    one, other = (config.OwnImages(name="folder", path=path, side_px=8) for path in (bucket, f"{bucket}/"))
    assert open_dataset(one).fingerprint() == open_dataset(other).fingerprint()
    assert fetched(proxy) == 10


def test_a_copy_of_what_is_gone_is_not_read(tmp_path: Path, bucket: str) -> None:
    upload(bucket, tree(tmp_path / "here", "5*cat/.png", "5*dog/.png"))
    settings = config.OwnImages(name="folder", path=bucket, side_px=8)
    before = open_dataset(settings).fingerprint()
    (tags,) = (tmp_path / "cache").rglob("tags.json")
    tags.unlink()  # as by a first copy that was interrupted
    open_store(bucket).delete("dog/4.png")
    changed = open_dataset(settings)
    assert changed.fingerprint() != before
    assert [sum(side) for side in zip(*changed.counts(), strict=True)] == [5, 4]


def test_an_object_that_others_are_below_is_told(tmp_path: Path, bucket: str) -> None:
    upload(bucket, tree(tmp_path / "here", "5*cat/.png", "5*dog/.png"))
    open_store(bucket).put("cat", painted(tmp_path / "a.png"))
    with pytest.raises(DataError, match="'cat' is an object, and others are below it; remove that object"):
        open_dataset(config.OwnImages(name="folder", path=bucket, side_px=8)).classes()


@pytest.mark.parametrize("name", ["table", "npz"])
def test_a_table_and_arrays_may_be_on_s3(tmp_path: Path, bucket: str, name: str) -> None:
    here = tree(tmp_path / "here", "5*cat/.png", "5*dog/.png")
    rows = [f"{kind}/{number}.png,{kind}" for kind in ("cat", "dog") for number in range(5)]
    (here / "labels.csv").write_text("\n".join(["path,label", *rows]))
    np.savez(here / "arrays.npz", images=np.zeros((10, 8, 8), np.uint8), labels=np.arange(10) % 2)
    upload(bucket, here)
    file = {"table": "labels.csv", "npz": "arrays.npz"}[name]
    settings: Any = {"name": name, "side_px": 8}
    on_s3, local = (open_dataset(config.OwnImages(path=f"{where}/{file}", **settings)) for where in (bucket, here))
    assert on_s3.fingerprint() == local.fingerprint()


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "there is no such object, and nothing below that name"), ("/labels.csv", "there is no such object")],
)
def test_nothing_on_s3_is_reported(bucket: str, path: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_dataset(config.OwnImages(name="folder", path=bucket + path)).classes()


def test_a_bucket_that_is_not_there_is_reported_in_one_line(bucket: str) -> None:
    with pytest.raises(GanbalanceError) as caught:
        open_dataset(config.OwnImages(name="folder", path="s3://no-such-bucket-here/x")).classes()
    assert "no-such-bucket-here" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigError, match="the Python package no_such_package is not installed here"):
        open_dataset(config.OwnImages(name="folder", path="package:no_such_package/images")).classes()
