"""A run that is copied to another store is the same run there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganbalance import cli
from ganbalance.errors import UnavailableError
from ganbalance.pipeline import runs
from ganbalance.store import Store, open_store
from ganbalance.store.artifacts import Artifacts, Commit, commit_name
from ganbalance.store.base import OnBytes, ignore
from ganbalance.store.schemes.s3 import S3Store
from tests import servers
from tests.conftest import Lab
from tests.integration.conftest import EVERYWHERE, Capsys, Stocked, UseS3, file_of, store


@pytest.fixture
def empty(request: pytest.FixtureRequest, stocked: Stocked, tmp_path: Path, use_s3: UseS3) -> Store:
    """An empty store of the other kind: on the same server where there is one, else on moto."""
    if isinstance(stocked.store, S3Store):
        return open_store(str(tmp_path / "copy"))
    return open_store(use_s3(request.getfixturevalue("moto")))


def cp(where: Stocked, run: str, target: Store) -> int:
    return store("cp", "--run", run, where.url, target.url)


@EVERYWHERE
def test_a_copied_run_is_the_same_run(stocked: Stocked, empty: Store, capsys: Capsys, scratch_in: Path) -> None:
    run = stocked.runs[1]
    assert cp(stocked, run, empty) == 0
    said = capsys.readouterr().out
    assert "copied 14 artifacts" in said
    assert f"ganbalance fetch-report --run {run} --store {empty.url}" in said
    copied = Stocked(empty, (run, run))
    state = copied.state(run, scratch_in)
    assert runs.load(empty, run) == runs.load(stocked.store, run)
    assert not state.unsettled(state.plan.nodes)
    for node in state.plan.nodes:
        assert state.commit(node.name) == stocked.commit(run, node.name)
    keys = {node.key for node in state.plan.nodes}
    of_run = {name for name in stocked.store.names("stages") if name.split("/")[2] in keys}
    history = set(stocked.store.names(f"runs/{run}"))
    assert set(copied.contents()) == of_run | history | {"store.json"}
    assert store("verify", "--store", empty.url) == 0
    assert cp(stocked, run, empty) == 0
    assert "copied 0 artifacts (0 B) and 0 events" in capsys.readouterr().out


def test_a_second_run_takes_only_what_the_first_did_not_bring(stocked: Stocked, empty: Store, capsys: Capsys) -> None:
    assert cp(stocked, stocked.runs[0], empty) == 0
    assert cp(stocked, stocked.runs[1], empty) == 0
    assert "copied 3 artifacts" in capsys.readouterr().out.splitlines()[-2]
    assert Stocked(empty, stocked.runs).contents() == stocked.contents()


@EVERYWHERE
def test_an_interrupted_copy_shows_no_half_and_goes_on_where_it_was(
    stocked: Stocked, empty: Store, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = type(empty).put, []

    def put(self: Store, name: str, source: Path, on_bytes: OnBytes = ignore) -> None:
        if len(written) == 9:
            raise UnavailableError("the server went away")
        written.append(name)
        real(self, name, source, on_bytes)

    with monkeypatch.context() as patch:
        patch.setattr(type(empty), "put", put)
        assert cp(stocked, stocked.runs[0], empty) == 75
    assert list(empty.names("runs")) == []
    n_committed = sum(name.endswith("COMMIT.json") for name in empty.names(""))
    assert 0 < n_committed <= 4
    assert store("verify", "--store", empty.url) == 0
    capsys.readouterr()
    assert cp(stocked, stocked.runs[0], empty) == 0
    assert f"copied {12 - n_committed} artifacts" in capsys.readouterr().out
    state = Stocked(empty, stocked.runs).state(stocked.runs[0], Path())
    assert not state.unsettled(state.plan.nodes)


def test_what_is_not_done_in_the_source_is_said(stocked: Stocked, empty: Store, capsys: Capsys) -> None:
    gan = stocked.commit(stocked.runs[0], "train-gan/dcgan/class-1/seed-0")
    stocked.store.delete(commit_name(gan.stage, gan.key))
    assert cp(stocked, stocked.runs[0], empty) == 0
    assert "6 stages" in capsys.readouterr().out


@pytest.mark.parametrize("broken", ["file", "commit"])
def test_a_corrupt_source_ends_with_65_and_the_target_has_no_such_run(
    stocked: Stocked, empty: Store, capsys: Capsys, broken: str
) -> None:
    cell = stocked.commit(stocked.runs[0], "train-classifier/dcgan/seed-0")
    name = file_of(cell) if broken == "file" else commit_name(cell.stage, cell.key)
    stocked.damage(name) if broken == "file" else stocked.replace(name, b"{")
    assert cp(stocked, stocked.runs[0], empty) == 65
    assert f"delete {commit_name(cell.stage, cell.key)}" in capsys.readouterr().err.replace(
        "; delete it", f"delete {name}"
    )
    assert list(empty.names("runs")) == []
    assert empty.url not in stocked.url


def test_other_bytes_in_the_target_are_never_replaced(
    stocked: Stocked, empty: Store, make: Callable[..., Commit], capsys: Capsys
) -> None:
    source = stocked.commit(stocked.runs[0], "dataset")
    other = make(empty, "dataset", source.key, b"other bytes")
    before = list(empty.entries(""))
    assert cp(stocked, stocked.runs[0], empty) == 65
    assert "other bytes" in capsys.readouterr().err
    assert list(empty.entries("")) == before
    assert Artifacts(empty, Path()).find("dataset", source.key) == other


def test_a_commit_that_is_out_of_date_in_the_target_is_replaced(
    stocked: Stocked, empty: Store, make: Callable[..., Commit]
) -> None:
    run = stocked.runs[0]
    cell = stocked.commit(run, "train-classifier/none/seed-0")
    old = make(empty, "dataset", "0" * 32)
    make(empty, cell.stage, cell.key, inputs=dict.fromkeys(cell.inputs, old))
    assert cp(stocked, run, empty) == 0
    assert Stocked(empty, (run, run)).commit(run, "train-classifier/none/seed-0") == cell


def test_a_store_is_not_copied_onto_itself(stocked_folder: Stocked, tmp_path: Path, capsys: Capsys) -> None:
    (tmp_path / "link").symlink_to(stocked_folder.url)
    for target in (stocked_folder.url, f"{stocked_folder.url}/", str(tmp_path / "link")):
        assert store("cp", "--run", stocked_folder.runs[0], stocked_folder.url, target) == 78
        assert "the same store" in capsys.readouterr().err


def test_a_real_run_goes_on_from_its_copy_and_back_again(
    tiny: dict[str, Any],
    write: Callable[..., Path],
    tmp_path: Path,
    moto: servers.Server,
    use_s3: UseS3,
    capsys: Capsys,
) -> None:
    lab = Lab(write(tiny | {"arms": ["none"], "seeds": [0]}), tmp_path / "store")
    lab.run_all(tmp_path)
    run, remote, back = lab.plan.run, use_s3(moto), str(tmp_path / "back")
    assert store("cp", "--run", run, str(lab.store), remote) == 0
    assert store("cp", "--run", run, remote, back) == 0
    reports = {}
    for name, url in (("here", str(lab.store)), ("remote", remote), ("back", back)):
        assert cli.main(["fetch-report", "--run", run, "--store", url, "--out", str(tmp_path / "out" / name)]) == 0
        folder = tmp_path / "out" / name / run
        reports[name] = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(reports["here"]) > 5
    assert reports["here"] == reports["remote"] == reports["back"]
    capsys.readouterr()
    from jobs import report

    assert report.main(["--run", run, "--store", remote]) == 0
    assert "report: already done" in capsys.readouterr().out
