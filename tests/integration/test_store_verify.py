"""Damage in a store is found, and nothing else is called damage."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ganbalance.store import transfer
from ganbalance.store.artifacts import Commit, commit_name
from ganbalance.store.base import OnBytes, ignore
from ganbalance.store.schemes.s3 import S3Store
from tests import servers
from tests.integration.conftest import EVERYWHERE, Capsys, Stocked, UseS3, file_of, stock, store


@EVERYWHERE
def test_a_whole_store_is_verified_and_leaves_nothing_on_the_disk(
    stocked: Stocked, capsys: Capsys, scratch_in: Path
) -> None:
    assert store("verify", "--store", stocked.url) == 0
    assert "verified 15 artifacts" in capsys.readouterr().out


@EVERYWHERE
def test_every_damaged_file_is_found_and_what_to_delete_is_said(stocked: Stocked, capsys: Capsys) -> None:
    run = stocked.runs[0]
    names = ["dataset", "train-classifier/none/seed-0", "train-gan/dcgan/class-1/seed-0", "report", "backbone"]
    flipped, gone, cut, edited, torn = (stocked.commit(run, name) for name in names)
    stocked.damage(file_of(flipped))
    stocked.store.delete(file_of(gone))
    stocked.replace(file_of(cut), b"")
    lie = edited.model_copy(update={"metrics": {"images": 0.2}})
    stocked.replace(commit_name(edited.stage, edited.key), lie.model_dump_json().encode())
    stocked.replace(commit_name(torn.stage, torn.key), b"{")
    assert store("verify", "--store", stocked.url) == 65
    said = capsys.readouterr()
    (missing,) = [line for line in said.out.splitlines() if "is missing: " in line]
    assert file_of(gone) in missing
    for commit in (flipped, cut):
        assert f"{file_of(commit)} is corrupt" in said.out
    for commit in (flipped, gone, cut, edited):
        assert f"delete {commit_name(commit.stage, commit.key)} in the store" in said.out
    assert "contradicts itself" in said.out
    assert f"{commit_name(torn.stage, torn.key)} in the store {stocked.url} is corrupt; delete it" in said.out
    assert "5 corrupt" in said.out
    assert said.err.count("\n") == 1


def test_only_the_artifacts_of_the_given_run_are_verified(stocked: Stocked, capsys: Capsys) -> None:
    one, other = stocked.runs
    stocked.damage(file_of(stocked.commit(other, "train-classifier/oracle/seed-0")))
    assert store("verify", "--run", one, "--store", stocked.url) == 0
    assert "verified 12 artifacts" in capsys.readouterr().out
    assert store("verify", "--run", other, "--store", stocked.url) == 65


def test_what_is_out_of_date_is_reported_and_is_no_failure(
    stocked: Stocked, make: Callable[..., Commit], capsys: Capsys
) -> None:
    node = stocked.commit(stocked.runs[0], "imbalance/seed-0")
    images = stocked.commit(stocked.runs[0], "synthesize/dcgan/class-1/seed-0")
    for old in (node, images):
        stocked.store.delete(commit_name(old.stage, old.key))
    make(
        stocked.store,
        node.stage,
        node.key,
        b"other bytes",
        inputs={"dataset": stocked.commit(stocked.runs[0], "dataset")},
    )
    assert store("verify", "--store", stocked.url) == 0
    said = capsys.readouterr().out
    assert "was made anew since" in said
    assert "is gone" in said
    assert "0 corrupt" in said


def test_no_more_is_on_the_disk_than_what_is_being_hashed(
    two_runs: Stocked, moto: servers.Server, use_s3: UseS3, scratch_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stocked = stock(two_runs, use_s3(moto))
    real, seen = S3Store.fetch, []

    def fetch(self: S3Store, name: str, scratch: Path, on_bytes: OnBytes = ignore) -> Path:
        path = real(self, name, scratch, on_bytes)
        seen.append(sum(len(files) for _, _, files in os.walk(scratch_in)))
        return path

    monkeypatch.setattr(S3Store, "fetch", fetch)
    assert store("verify", "--store", stocked.url) == 0
    assert len(seen) == 2 * 15
    assert max(seen) <= transfer.AT_ONCE
