"""Looking after a store: init, ls, show, over folders and S3; cp, gc and verify have files of their own."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from ganbalance.cli import stores, text
from ganbalance.pipeline import runs
from ganbalance.store import open_store
from ganbalance.store.artifacts import Commit, commit_name
from tests import servers
from tests.integration.conftest import EVERYWHERE, Capsys, Stocked, UseS3, file_of, json_output, store
from tests.loading import loaded_by

COMMANDS = ["init", "ls", "show", "cp", "gc", "verify"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_in_its_help(capsys: Capsys, command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        store(command, "--help")
    assert ended.value.code == 0
    assert f"ganbalance store {command} " in capsys.readouterr().out.partition("\n\n")[2]


# init


def test_a_store_is_made_once_and_the_second_time_it_is_there(
    tmp_path: Path, moto: servers.Server, use_s3: UseS3, capsys: Capsys
) -> None:
    use_s3(moto)
    for url in (str(tmp_path / "a" / "store"), servers.new_bucket_url()):
        for says in ("made the store", "is there already"):
            assert store("init", "--store", url) == 0
            assert says in capsys.readouterr().out
        assert list(open_store(url).names("")) == []


def test_a_server_that_is_still_starting_is_waited_for(
    moto: servers.Server, use_s3: UseS3, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = servers.FaultyProxy(moto)
    with proxy.running() as server:
        use_s3(server)
        monkeypatch.setattr(stores, "WAIT_STEP_S", 0.01)
        proxy.faults.extend(["drop", 503, 503])
        assert store("init", "--store", servers.new_bucket_url(), "--wait", "30") == 0
    said = capsys.readouterr()
    assert said.err.count("waiting for the store") == 3
    assert "made the store" in said.out


def test_a_server_that_stays_away_ends_the_wait_with_75_and_one_line(
    use_s3: UseS3, moto: servers.Server, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_s3(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{servers.free_port()}")
    assert store("init", "--store", servers.new_bucket_url(), "--wait", "1") == 75
    assert "did not answer within 1 s" in capsys.readouterr().err.splitlines()[-1]
    assert "AWS_MAX_ATTEMPTS" not in os.environ


def test_a_wrong_request_is_not_waited_for(capsys: Capsys) -> None:
    assert store("init", "--store", "s3://A", "--wait", "3600") == 78
    assert store("init", "--store", "http://a", "--wait", "3600") == 78
    assert store("init", "--wait", "-1") == 78
    assert "waiting" not in capsys.readouterr().err


# ls and show


def test_runs_are_listed_with_what_is_done(stocked: Stocked, capsys: Capsys) -> None:
    cell = stocked.commit(stocked.runs[1], "train-classifier/oracle/seed-0")
    stocked.store.delete(commit_name(cell.stage, cell.key))
    rows = {row["run"]: row for row in json_output(capsys, "ls", "--store", stocked.url)}
    assert set(rows) == set(stocked.runs)
    whole, half = (rows[run] for run in stocked.runs)
    assert (whole["done"], whole["stages"], whole["report"]) == (12, 12, "yes")
    assert (half["done"], half["stages"], half["report"]) == (12, 14, "no")
    commits = [
        stocked.commit(stocked.runs[0], node.name) for node in runs.load(stocked.store, stocked.runs[0]).plan.nodes
    ]
    assert whole["size"] == sum(file.size for commit in commits for file in commit.files)
    assert store("ls", "--store", stocked.url) == 0
    said = capsys.readouterr().out
    assert "12/14" in said
    assert said.splitlines()[-1].startswith("2 runs, 14 artifacts, ")


def test_a_run_was_recorded_when_its_first_event_says_even_in_a_copy(stocked: Stocked, capsys: Capsys) -> None:
    run = stocked.runs[0]
    stocked.store.create(f"runs/{run}/events/20200102T030405-00000000.json", b'{"event": "started"}')
    rows = {row["run"]: row for row in json_output(capsys, "ls", "--store", stocked.url)}
    assert rows[run]["recorded"] == "2020-01-02T03:04:05Z"


@EVERYWHERE
def test_the_stages_of_a_run_are_listed_with_their_state(stocked: Stocked, capsys: Capsys) -> None:
    run = stocked.runs[0]
    gan, cell, none = (
        stocked.commit(run, name)
        for name in ("train-gan/dcgan/class-1/seed-0", "train-classifier/dcgan/seed-0", "train-classifier/none/seed-0")
    )
    for step in (7, 40):
        stocked.store.create(f"stages/train-gan/{gan.key}/attempts/a/checkpoints/{step:012d}", b"")
    stocked.store.delete(commit_name(gan.stage, gan.key))
    stocked.replace(commit_name(cell.stage, cell.key), b"{")
    diverged = none.model_copy(update={"outcome": "diverged"})
    stocked.replace(commit_name(none.stage, none.key), diverged.model_dump_json().encode())
    rows = {row["name"]: row for row in json_output(capsys, "ls", run, "--store", stocked.url)}
    states = {name: row["state"] for name, row in rows.items()}
    done = ["dataset", "backbone", "features/real", "imbalance/seed-0", "quality/class-1/seed-0"]
    assert states == dict.fromkeys(done, "done") | {
        "train-gan/dcgan/class-1/seed-0": "checkpoint",
        "synthesize/dcgan/class-1/seed-0": "not started",
        "features/dcgan/class-1/seed-0": "not started",
        "train-classifier/dcgan/seed-0": "corrupt",
        "train-classifier/none/seed-0": "diverged",
        "quality/dcgan/class-1/seed-0": "not started",
        "report": "not started",
    }
    assert (rows["dataset"]["files"], rows["dataset"]["seconds"]) == (2, 1.5)
    assert store("ls", run, "--store", stocked.url) == 0
    said = capsys.readouterr().out
    assert "checkpoint at step 40" in said
    assert gan.key[:12] in said


def test_a_report_that_goes_with_half_a_run_is_reported_as_partial(
    stocked: Stocked, make: Callable[..., Commit], capsys: Capsys
) -> None:
    run = stocked.runs[0]
    cell = stocked.commit(run, "train-classifier/dcgan/seed-0")
    stocked.store.delete(commit_name(cell.stage, cell.key))
    state = stocked.state(run, Path())
    node = state.plan.node("report")
    partial = make(stocked.store, "report", state.key(node), inputs=state.inputs(node).commits)
    row = next(row for row in json_output(capsys, "ls", "--store", stocked.url) if row["run"] == run)
    assert (row["done"], row["report"]) == (10, "partial")
    report = json_output(capsys, "ls", run, "--store", stocked.url)[-1]
    assert (report["state"], report["key"]) == ("partial", partial.key)


def test_an_unreadable_record_is_reported_and_hides_no_other_run(stocked_folder: Stocked, capsys: Capsys) -> None:
    stocked_folder.replace(f"runs/{stocked_folder.runs[0]}/run.json", b"{")
    assert store("ls", "--store", stocked_folder.url) == 0
    said = capsys.readouterr().out
    assert "unreadable" in said
    assert "14/14" in said


def test_a_run_that_is_not_there_is_a_configuration_error_that_names_those_that_are(
    stocked_folder: Stocked, capsys: Capsys
) -> None:
    for flags in (["ls", "nothing"], ["show", "nothing"], ["verify", "--run", "nothing"]):
        assert store(*flags, "--store", stocked_folder.url) == 78
        assert stocked_folder.runs[0] in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["local", "moto"])
def test_a_store_that_nothing_was_ever_written_to_is_not_one_with_nothing_in_it(
    tmp_path: Path, capsys: Capsys, use_s3: UseS3, moto: servers.Server, kind: str
) -> None:
    """It is a mistyped one more often than not, and to call it verified would be a lie."""
    url = str(tmp_path / "mistyped") if kind == "local" else use_s3(moto)
    codes = {"ls": 0, "gc": 0, "verify": 78}
    for command, code in codes.items():
        assert store(command, "--store", url) == code
        assert f"nothing was ever written to the store {url}" in capsys.readouterr().err
    assert json_output(capsys, "ls", "--store", url) == []
    assert list(open_store(url).names("")) == []
    (written := open_store(url)).create("something", b"")
    written.delete("something")
    for command in codes:
        assert store(command, "--store", url) == 0
        assert not capsys.readouterr().err


def test_a_run_is_shown_with_its_settings_and_its_history(stocked: Stocked, capsys: Capsys) -> None:
    run = stocked.runs[1]
    shown = json_output(capsys, "show", run, "--store", stocked.url)
    assert shown["experiment"]["arms"] == ["none", "threshold", "dcgan", "oracle"]
    assert (shown["seeds"], shown["done"], shown["report"]) == ([0], 14, "yes")
    assert [(event["event"], event["workers"]) for event in shown["events"]] == [("started", 2)]
    assert store("show", run, "--store", stocked.url) == 0
    assert yaml.safe_load(capsys.readouterr().out)["experiment"]["name"] == "tiny"


@EVERYWHERE
def test_an_artifact_is_shown_by_the_start_of_its_key_or_its_place_in_a_run(stocked: Stocked, capsys: Capsys) -> None:
    name = "train-classifier/dcgan/seed-0"
    commit = stocked.commit(stocked.runs[0], name)
    stocked.store.create(f"stages/{commit.stage}/{commit.key}/attempts/lost/file", b"")
    shown = json_output(capsys, "show", f"{commit.stage}/{commit.key[:6]}", "--store", stocked.url)
    assert shown == json_output(capsys, "show", f"{stocked.runs[1]}:{name}", "--store", stocked.url)
    assert shown["files"] == [file.model_dump() for file in commit.files]
    assert shown["inputs"]["dataset"]["digest"] == commit.inputs["dataset"].digest
    assert (shown["metrics"], shown["provenance"]["git_commit"]) == ({"images": 0.1}, "abc")
    assert shown["runs"] == sorted(stocked.runs)
    assert shown["other_attempts"] == ["lost"]
    assert store("show", f"{commit.stage}/{commit.key}", "--store", stocked.url) == 0
    assert commit.files[0].sha256 in capsys.readouterr().out


def test_a_report_is_shown_with_the_run_that_it_is_of(stocked_folder: Stocked, capsys: Capsys) -> None:
    for run in stocked_folder.runs:
        assert json_output(capsys, "show", f"{run}:report", "--store", stocked_folder.url)["runs"] == [run]


def test_a_stage_without_an_artifact_is_shown_with_its_attempts(stocked_folder: Stocked, capsys: Capsys) -> None:
    commit = stocked_folder.commit(stocked_folder.runs[0], "train-gan/dcgan/class-1/seed-0")
    stocked_folder.store.create(file_of(commit, "checkpoints/000000000012"), b"")
    stocked_folder.store.delete(commit_name(commit.stage, commit.key))
    shown = json_output(capsys, "show", f"train-gan/{commit.key}", "--store", stocked_folder.url)
    assert (shown["state"], shown["checkpoint"], shown["other_attempts"]) == ("not started", 12, [commit.attempt])


def test_what_names_no_artifact_or_several_is_a_configuration_error(stocked_folder: Stocked, capsys: Capsys) -> None:
    for key in ("abcdefg1", "abcdefg2"):
        stocked_folder.store.create(f"stages/report/{key}/attempts/a/file", b"")
    wrong = {"report/abcde": "at least 6", "report/abcdef": "2 artifacts", "report/0123456789": "no report/0123456789"}
    for what, says in wrong.items():
        assert store("show", what, "--store", stocked_folder.url) == 78
        assert says in capsys.readouterr().err


# all of them


def test_no_command_loads_what_is_slow(stocked_folder: Stocked, tmp_path: Path) -> None:
    run, url = stocked_folder.runs[0], stocked_folder.url
    commands = [
        ["init", "--store", str(tmp_path / "new")], ["ls", "--store", url], ["ls", run, "--store", url],
        ["show", run, "--store", url], ["show", f"{run}:report", "--store", url], ["verify", "--store", url],
        ["gc", "--delete", "--store", url], ["cp", "--run", run, url, str(tmp_path / "new")],
    ]  # fmt: skip
    code = f"from ganbalance import cli\nassert not any(cli.main(['store', *command]) for command in {commands})"
    assert not loaded_by(code)


@pytest.mark.parametrize(
    ("n_bytes", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (5e15, "5000.0 TB")]
)
def test_sizes_are_shown_in_the_largest_unit_that_fits(n_bytes: float, shown: str) -> None:
    assert text.size(n_bytes) == shown


@pytest.mark.parametrize(("age", "hours"), [("0s", 0), ("30m", 0.5), ("12h", 12), ("7d", 7 * 24)])
def test_an_age_is_a_number_and_a_unit(age: str, hours: float) -> None:
    assert text.age(age) == timedelta(hours=hours)
