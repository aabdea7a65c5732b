"""Cleaning a store up deletes all garbage and nothing else."""

import json
import os
import shlex
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ganbalance import cli
from ganbalance.errors import UnavailableError
from ganbalance.maintenance import gc as garbage
from ganbalance.maintenance.doctor import TRIALS
from ganbalance.pipeline import runs
from ganbalance.pipeline.state import State
from ganbalance.store import Store, make_store, open_store
from ganbalance.store.artifacts import Artifacts, Commit, commit_name, new_attempt
from ganbalance.store.local import TEMPORARY, LocalStore
from ganbalance.store.schemes.s3 import S3Store
from tests import servers
from tests.integration.conftest import EVERYWHERE, Stocked, UseS3

NOW = timedelta(0)
HOUR_S = 3600
Make = Callable[..., Commit]


def leave_garbage(stocked: Stocked, make: Make) -> set[str]:
    """One piece of every kind; their names, as far as they are files."""
    store, clean = stocked.store, set(stocked.contents())
    done = stocked.commit(stocked.runs[0], "train-gan/dcgan/class-1/seed-0")
    key = f"stages/{done.stage}/{done.key}/attempts"
    store.create(f"{key}/{new_attempt()}/generator.safetensors", b"lost a race")
    store.create(f"{key}/{new_attempt()}/checkpoints/000000000007", b"killed")
    store.create(f"{key}/{done.attempt}/checkpoints/000000000009", b"killed before it could tidy up")
    store.create(f"stages/train-gan/{'0' * 32}/attempts/{new_attempt()}/checkpoints/000000000001", b"of no commit")
    make(store, "imbalance", "1" * 32, b"of no run")
    store.create(f"stages/imbalance/{'1' * 32}/attempts/{new_attempt()}/split.npz", b"of no run either")
    make(store, "report", "2" * 32, b"of fewer inputs")
    open_store(f"{store.url}/{TRIALS}/0123456789ab").create("trial", b"of a doctor that was killed")
    begin_write(store)
    return set(stocked.contents()) - clean


def begin_write(store: Store) -> None:
    if isinstance(store, S3Store):
        store.client.create_multipart_upload(Bucket=store.bucket, Key=f"{store.prefix}/stages/begun")
    else:
        (Path(store.url) / TEMPORARY / "1-begun").write_bytes(b"half")


def gc(stocked: Stocked, *flags: str) -> int:
    return cli.main(["store", "gc", "--store", stocked.url, *flags])


def is_whole(stocked: Stocked) -> bool:
    """Whether every run is settled and every file is what was committed."""
    for run in stocked.runs:
        state = stocked.state(run, Path())
        assert not state.unsettled(state.plan.nodes)
    return cli.main(["store", "verify", "--store", stocked.url]) == 0


@EVERYWHERE
def test_all_garbage_goes_and_every_run_stays_whole(stocked: Stocked, make: Make) -> None:
    clean = stocked.contents()
    left = leave_garbage(stocked, make)
    assert len(left) == 11
    assert set(stocked.contents()) == clean.keys() | left
    assert gc(stocked, "--older-than", "0s", "--delete") == 0
    assert stocked.contents() == clean
    assert list(stocked.store.unfinished()) == []
    assert is_whole(stocked)


def test_a_store_without_garbage_is_left_as_it_is(stocked: Stocked, capsys: pytest.CaptureFixture[str]) -> None:
    clean = stocked.contents()
    assert gc(stocked, "--older-than", "0s", "--delete") == 0
    assert stocked.contents() == clean
    assert "no garbage" in capsys.readouterr().out


def test_nothing_is_deleted_before_the_command_that_it_names_is_run(
    stocked_folder: Stocked, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = stocked_folder.contents()
    leave_garbage(stocked_folder, make)
    dirty = stocked_folder.contents()
    assert gc(stocked_folder, "--older-than", "0s") == 0
    assert stocked_folder.contents() == dirty
    said = capsys.readouterr().out
    reasons = ["no run references it", "without a COMMIT", "lost a race", "left over", "of a doctor", "never ended"]
    assert not [reason for reason in reasons if reason not in said]
    command = shlex.split(said.splitlines()[-1].partition("to delete it: ")[2])
    assert command[-3:] == ["--older-than", "0s", "--delete"]
    assert cli.main(command[1:]) == 0
    assert stocked_folder.contents() == clean


def test_json_holds_every_piece_with_its_reason_and_size(
    stocked: Stocked, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    left = leave_garbage(stocked, make)
    sizes = stocked.contents()
    assert gc(stocked, "--older-than", "0s", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    files = [piece for piece in report["garbage"] if "never ended" not in piece["reason"]]
    assert sum(piece["size"] for piece in files) == sum(sizes[name] for name in left)
    assert not any(piece["deleted"] for piece in report["garbage"])
    assert len(report["garbage"]) == 8


@EVERYWHERE
def test_what_was_written_within_the_retention_time_stays(
    stocked: Stocked, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_garbage(stocked, make)
    dirty = stocked.contents()
    # moto says of every unfinished upload that it is years old
    writes = [write for write in stocked.store.unfinished() if write.modified > datetime.now(UTC) - timedelta(days=1)]
    assert gc(stocked, "--delete") == 0
    assert stocked.contents() == dirty
    assert list(stocked.store.unfinished()) == writes
    assert f"{7 + len(writes)} pieces of garbage" in capsys.readouterr().out


def test_one_young_file_protects_its_whole_attempt_and_no_other(stocked_folder: Stocked) -> None:
    folder = f"stages/train-gan/{'0' * 32}/attempts"
    names = [f"{folder}/{name}" for name in ("at-work/checkpoints/000000000001", "at-work/new", "killed/old")]
    for name in names:
        stocked_folder.store.create(name, b"")
    for name in (names[0], names[2]):
        os.utime(Path(stocked_folder.url) / name, (time.time() - 2 * HOUR_S,) * 2)
    assert gc(stocked_folder, "--older-than", "1h", "--delete") == 0
    assert [name in stocked_folder.contents() for name in names] == [True, True, False]


def test_a_file_from_the_future_makes_nothing_older_than_it_is(stocked_folder: Stocked) -> None:
    names = [f"stages/train-gan/{'0' * 32}/attempts/{attempt}/file" for attempt in ("young", "from-tomorrow")]
    for name in names:
        stocked_folder.store.create(name, b"")
    os.utime(Path(stocked_folder.url) / names[1], (time.time() + 24 * HOUR_S,) * 2)
    for age, left in (("1h", names), ("0s", [])):
        assert gc(stocked_folder, "--older-than", age, "--delete") == 0
        assert [name for name in names if name in stocked_folder.contents()] == left


@EVERYWHERE
def test_the_report_that_goes_with_what_is_there_now_stays_and_older_ones_go(stocked: Stocked, make: Make) -> None:
    run = stocked.runs[0]
    state = stocked.state(run, Path())
    whole = stocked.commit(run, "report")
    cell = stocked.commit(run, "train-classifier/dcgan/seed-0")
    stocked.store.delete(commit_name(cell.stage, cell.key))
    now = State(state.plan, Artifacts(stocked.store, Path()))
    node = now.plan.node("report")
    assert now.key(node) != node.key
    partial = make(stocked.store, "report", now.key(node), b"partial", inputs=now.inputs(node).commits)
    older = make(stocked.store, "report", "2" * 32, b"older")
    assert gc(stocked, "--older-than", "0s", "--delete") == 0
    find = Artifacts(stocked.store, Path()).find
    assert find("report", partial.key) == partial
    assert find("report", whole.key) == whole
    assert find("report", older.key) is None


@EVERYWHERE
def test_an_attempt_that_is_committed_after_it_was_found_stays(stocked: Stocked, make: Make) -> None:
    made = make(stocked.store, "imbalance", "3" * 32, attempt="late")
    name = commit_name(made.stage, made.key)
    committing = stocked.store.read(name)
    stocked.store.delete(name)
    found = garbage.collect(stocked.store, NOW)
    assert [piece.what for piece in found.old] == [f"stages/imbalance/{'3' * 32}/attempts/late"]
    stocked.store.create(name, committing)
    before = stocked.contents()
    assert garbage.sweep(stocked.store, found) == found.old
    assert stocked.contents() == before


def test_an_attempt_that_is_written_to_after_it_was_found_stays(stocked: Stocked) -> None:
    folder = f"stages/train-gan/{'3' * 32}/attempts/late/checkpoints"
    stocked.store.create(f"{folder}/000000000001", b"")
    found = garbage.collect(stocked.store, NOW)
    stocked.store.create(f"{folder}/000000000002", b"")
    before = stocked.contents()
    assert garbage.sweep(stocked.store, found) == found.old
    assert stocked.contents() == before


def test_an_artifact_that_was_made_anew_after_it_was_found_stays(stocked: Stocked, make: Make) -> None:
    first = make(stocked.store, "imbalance", "3" * 32, b"first")
    found = garbage.collect(stocked.store, NOW)
    stocked.store.delete(commit_name(first.stage, first.key))
    second = make(stocked.store, "imbalance", "3" * 32, b"second")
    assert garbage.sweep(stocked.store, found) == found.old
    assert Artifacts(stocked.store, Path()).find("imbalance", "3" * 32) == second


def test_a_run_that_is_recorded_meanwhile_stops_it(stocked: Stocked) -> None:
    record = runs.load(stocked.store, stocked.runs[1])
    stocked.store.delete(f"runs/{stocked.runs[1]}/run.json")
    found = garbage.collect(stocked.store, NOW)
    assert found.old
    runs.submit(stocked.store, record)
    with pytest.raises(UnavailableError, match="recorded meanwhile"):
        garbage.sweep(stocked.store, found)
    assert is_whole(stocked)


def test_a_record_with_other_resources_takes_the_place_of_the_old_one_in_one_step(
    stocked_folder: Stocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In between nobody would know what the run needs, and a program that starts then would find no run."""
    run = stocked_folder.runs[1]
    record = runs.load(stocked_folder.store, run)
    resources = record.experiment.resources.model_copy(update={"threads": 7})
    newer = record.model_copy(update={"experiment": record.experiment.model_copy(update={"resources": resources})})
    monkeypatch.setattr(LocalStore, "delete", lambda *_: pytest.fail("the record was gone for a moment"))
    runs.submit(stocked_folder.store, newer)
    assert runs.load(stocked_folder.store, run) == newer


def test_what_only_a_forgotten_run_needed_goes_and_what_it_shared_stays(stocked: Stocked, tmp_path: Path) -> None:
    keeper, forgotten = stocked.runs
    needed = {node.key for node in runs.load(stocked.store, keeper).plan.nodes}
    lost = {node.key for node in runs.load(stocked.store, forgotten).plan.nodes} - needed
    stocked.store.delete(f"runs/{forgotten}/run.json")
    assert gc(stocked, "--older-than", "0s", "--delete") == 0
    left = {name.split("/")[2] for name in stocked.store.names("stages")}
    assert left == needed
    assert lost
    assert is_whole(Stocked(stocked.store, (keeper, keeper)))


@pytest.mark.parametrize("content", [b"{", b"{}"], ids=["torn", "of another version"])
def test_an_unreadable_record_stops_it_with_65_before_anything_is_deleted(
    stocked: Stocked, make: Make, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    leave_garbage(stocked, make)
    stocked.replace(f"runs/{stocked.runs[1]}/run.json", content)
    before = stocked.contents()
    assert gc(stocked, "--older-than", "0s", "--delete") == 65
    assert stocked.contents() == before
    said = capsys.readouterr().err
    assert stocked.runs[1] in said
    assert said.count("\n") == 1


def test_a_record_with_a_stage_of_another_version_stops_it_too(stocked_folder: Stocked) -> None:
    name = f"runs/{stocked_folder.runs[1]}/run.json"
    record: dict[str, Any] = json.loads(stocked_folder.store.read(name))
    record["plan"]["nodes"][0]["stage"] = "of-tomorrow"
    stocked_folder.replace(name, json.dumps(record).encode())
    assert gc(stocked_folder, "--older-than", "0s", "--delete") == 65


def test_what_lies_under_an_unreadable_commit_is_left_alone_and_reported(
    stocked: Stocked, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = stocked.commit(stocked.runs[0], "train-classifier/none/seed-0")
    stocked.replace(commit_name(cell.stage, cell.key), b"{")
    before = stocked.contents()
    assert gc(stocked, "--older-than", "0s", "--delete") == 0
    assert stocked.contents() == before
    said = capsys.readouterr().out
    assert "left alone: stages/train-classifier" in said
    assert "no garbage" in said


def test_no_reader_ever_sees_a_commit_whose_files_are_going(
    stocked_folder: Stocked, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(stocked_folder.store, "imbalance", "1" * 32)
    deleted: list[str] = []
    monkeypatch.setattr(LocalStore, "delete", lambda _, name: deleted.append(name))
    assert gc(stocked_folder, "--older-than", "0s", "--delete") == 0
    assert deleted[0] == commit_name(made.stage, made.key)
    assert len(deleted) == 2


def test_what_others_are_writing_into_the_same_bucket_is_not_ours_to_end(moto: servers.Server, use_s3: UseS3) -> None:
    use_s3(moto)
    make_store(url := servers.new_bucket_url().removesuffix("/a/prefix"))
    store = open_store(url)
    assert isinstance(store, S3Store)
    for name in ("videos/large.mp4", "another-store/stages/begun", "stages/begun"):
        store.client.create_multipart_upload(Bucket=store.bucket, Key=name)
    assert cli.main(["store", "gc", "--store", url, "--older-than", "0s", "--delete"]) == 0
    assert sorted(write.name for write in store.unfinished()) == ["another-store/stages/begun", "videos/large.mp4"]


def test_an_unreadable_age_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["store", "gc", "--older-than", "soon"]) == 78
    assert "7d, 12h, 30m" in capsys.readouterr().err


def test_an_empty_store_is_no_error(tmp_path: Path) -> None:
    assert cli.main(["store", "gc", "--store", str(tmp_path / "none"), "--delete"]) == 0
    assert list(open_store(str(tmp_path / "none")).names("")) == []
