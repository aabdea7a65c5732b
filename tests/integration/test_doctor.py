"""What `ganbalance doctor` says of buckets that are well and of buckets that are not, on real servers."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ganbalance.cli import main
from ganbalance.maintenance.doctor import examine
from ganbalance.store import open_store
from ganbalance.store.schemes.s3 import S3Store
from tests import doctoring, servers
from tests.doctoring import diagnose, failed, found_by

UseS3 = Callable[[servers.Server], str]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    doctoring.forget_surroundings(monkeypatch)


def names_in_bucket(url: str) -> list[str]:
    return list(open_store(url.rpartition("/a/")[0]).names(""))


@pytest.fixture(params=["moto", "seaweedfs"])
def server(request: pytest.FixtureRequest) -> servers.Server:
    found: servers.Server = request.getfixturevalue(request.param)
    return found


def test_a_good_bucket_passes_and_nothing_is_left_in_it(server: servers.Server, use_s3: UseS3) -> None:
    url = use_s3(server)
    said = diagnose(url)
    assert said["exit_code"] == 0
    assert set(said["states"].values()) == {"ok"}
    assert said["verdict"].startswith("the store is OK")
    assert names_in_bucket(url) == []


def test_a_store_in_use_is_left_as_it_was(server: servers.Server, use_s3: UseS3) -> None:
    url = use_s3(server)
    open_store(url).create("a", b"1")
    before = names_in_bucket(url)
    assert diagnose(url)["exit_code"] == 0
    assert names_in_bucket(url) == before == ["a/prefix/a", "a/prefix/store.json"]


def test_a_missing_bucket_says_how_to_make_it(server: servers.Server, use_s3: UseS3) -> None:
    use_s3(server)
    said = diagnose(servers.new_bucket_url())
    assert (failed(said)["check"], said["exit_code"]) == ("bucket", 78)
    assert "ganbalance store init" in failed(said)["fix"]
    assert said["states"]["clock"] == "ok"
    assert said["states"]["write"] == "skipped"


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_not_mistaken_for_a_bucket_that_refuses(
    seaweedfs: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    url = use_s3(seaweedfs)
    monkeypatch.setenv(name, "not-the-right-one")
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("bucket", 78)
    assert "AWS_ACCESS_KEY_ID" in failed(said)["fix"]
    assert said["states"]["credentials"] == "ok"


def test_missing_credentials_are_named_and_the_network_is_still_checked(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(moto)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("credentials", 78)
    assert "AWS_ACCESS_KEY_ID" in failed(said)["fix"]
    assert said["states"]["clock"] == "ok"
    assert said["states"]["bucket"] == "skipped"


def test_a_profile_is_named_as_the_source_of_the_credentials(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = use_s3(moto)
    (tmp_path / "keys").write_text("[lab]\naws_access_key_id = me\naws_secret_access_key = hush-hush\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = diagnose(url)
    assert said["exit_code"] == 0
    assert "shared-credentials-file, profile lab" in json.dumps(said)
    assert "hush-hush" not in json.dumps(said)


def test_a_profile_that_does_not_exist_fails_before_anything_is_asked(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("settings", 78)
    assert "nobody" in failed(said)["text"]


@pytest.fixture(scope="module")
def with_a_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A real server that knows an administrator and a key that may only read."""
    folder = tmp_path_factory.mktemp("reader")
    keys = {"testing": ("testing-secret", ["Admin"]), "reader": ("reader-secret", ["Read", "List"])}
    identities = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": secret}], "actions": actions}
        for name, (secret, actions) in keys.items()
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    with servers.seaweedfs(folder, f"-s3.config={folder / 's3.json'}") as server:
        yield server


def test_credentials_that_may_only_read_fail_at_writing_and_name_the_permissions(
    with_a_reader: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(with_a_reader)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "reader-secret")
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("write", 78)
    assert "s3:PutObject" in failed(said)["fix"]
    assert said["states"]["bucket"] == "ok"


def test_a_server_without_conditional_writes_is_a_note_and_no_failure(moto: servers.Server, use_s3: UseS3) -> None:
    with servers.FaultyProxy(moto, strip={"if-none-match"}).running() as deaf:
        url = use_s3(deaf)
        said = diagnose(url)
        assert said["exit_code"] == 0
        assert said["states"]["create once"] == "note"
        assert "results stay correct" in json.dumps(said)
        assert names_in_bucket(url) == []


def test_a_trial_is_removed_when_a_later_check_breaks(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(moto)
    read = S3Store.read
    monkeypatch.setattr(S3Store, "read", lambda store, name: b"other bytes" if name == "trial" else read(store, name))
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("read", 65)
    assert names_in_bucket(url) == []


def test_whoever_stops_listening_half_way_leaves_no_trial_behind(moto: servers.Server, use_s3: UseS3) -> None:
    url = use_s3(moto)
    looking = examine(url)
    assert "write" in (finding.check for finding in looking)
    assert names_in_bucket(url) != []
    looking.close()  # type: ignore[attr-defined]
    assert names_in_bucket(url) == []


def test_what_nobody_foresaw_is_a_failed_check_and_no_traceback(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    url = use_s3(moto)
    monkeypatch.setattr("ganbalance.store.schemes.s3.credentials_source", breaks)
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("credentials", 1)
    assert "nobody foresaw this" in failed(said)["text"]
    assert said["states"]["clock"] == "ok"


def test_a_store_of_another_format_fails_after_the_bucket_was_found_well(
    moto: servers.Server, use_s3: UseS3, tmp_path: Path
) -> None:
    url = use_s3(moto)
    (tmp_path / "marker").write_text('{"ganbalance_store": 99}')
    open_store(url).put("store.json", tmp_path / "marker")
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("format", 78)
    assert "format 99" in failed(said)["text"]
    assert said["states"]["bucket"] == "ok"


@pytest.mark.parametrize("given", ["path", "virtual"])
def test_the_addressing_in_use_is_reported_with_the_setting_that_changes_it(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    named = servers.Server(moto.endpoint.replace("127.0.0.1", "localhost"))
    url = use_s3(named)
    monkeypatch.setenv("GANBALANCE_S3_ADDRESSING", given)
    said = found_by("settings", diagnose(url))["text"]
    address = {"path": "http://localhost:", "virtual": f"http://{url.split('/')[2]}.localhost:"}[given]
    assert said.startswith(address)
    assert f"{given} style (GANBALANCE_S3_ADDRESSING changes it)" in said


@pytest.mark.parametrize(
    "url", ["", "s3://", "http://x", "s3://Bad_Bucket", "s3://b", "s3://good/a//b", "a\0b", "~nobody-at-all/store"]
)
def test_a_url_that_is_none_fails_in_one_line(url: str) -> None:
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("store", 78)
    assert len(said["checks"]) == 1
    assert failed(said)["fix"]


@pytest.mark.parametrize("endpoint", ["no url", "http://", "http://127.0.0.1:99999", "ftp://x", "http://a..b:9000"])
def test_an_endpoint_that_is_none_fails_by_name(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    said = diagnose(url)
    assert said["exit_code"] in (75, 78)
    assert "AWS_ENDPOINT_URL" in failed(said)["fix"]


def test_no_secret_is_ever_printed(
    seaweedfs: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    url = use_s3(seaweedfs)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "hush-token")
    assert main(["doctor", "--store", url]) != 0
    assert main(["doctor", "--store", "s3://me:hush-in-url@bucket/prefix"]) == 78
    assert main(["doctor", "--store", "s3://me:hush-in-url@bucket/prefix", "--json"]) == 78
    monkeypatch.setenv("AWS_ENDPOINT_URL", seaweedfs.endpoint.replace("//", "//me:hush-in-url@"))
    assert main(["doctor", "--store", url]) == 78
    assert "hush" not in "".join(capfd.readouterr())


def test_lines_are_aligned_and_the_last_one_is_the_verdict(
    moto: servers.Server, use_s3: UseS3, capsys: pytest.CaptureFixture[str]
) -> None:
    url = use_s3(moto)
    assert main(["doctor", "--store", url]) == 0
    *lines, empty, verdict = capsys.readouterr().out.splitlines()
    assert empty == ""
    assert verdict == f"the store is OK; next: ganbalance run --store {url}"
    assert all(re.fullmatch(r"ok +\S.{10}  \S.*", line) for line in lines)
    assert {len(re.match(r"\S+ +", line)[0]) for line in lines} == {9}  # type: ignore[index]
    assert not any("\033" in line for line in lines)
