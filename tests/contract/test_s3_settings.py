"""What the environment and the profile amount to for an S3 client."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ganbalance import cli
from ganbalance.errors import ConfigError
from ganbalance.store import make_store, open_store
from ganbalance.store.schemes.s3 import make_client
from tests import servers

UseS3 = Callable[[servers.Server], str]


def test_a_custom_endpoint_is_addressed_by_path_and_amazon_as_it_likes(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_s3(moto)
    client = make_client("bucket")
    assert client.meta.config.s3["addressing_style"] == "path"
    assert client.meta.config.request_checksum_calculation == "when_required"
    monkeypatch.setenv("GANBALANCE_S3_ADDRESSING", "virtual")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.example:9000")
    assert make_client("bucket").meta.config.s3["addressing_style"] == "virtual"
    signed = make_client("bucket").generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert signed.startswith("http://bucket.s3.example:9000/key")
    monkeypatch.setenv("GANBALANCE_S3_ADDRESSING", "sideways")
    with pytest.raises(ConfigError, match="path or virtual"):
        make_client("bucket")
    monkeypatch.delenv("GANBALANCE_S3_ADDRESSING")
    (tmp_path / "config").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert make_client("bucket").meta.config.s3["addressing_style"] == "virtual"
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    client = make_client("bucket")
    assert client.meta.config.s3["addressing_style"] == "auto"
    assert client.meta.region_name == "eu-central-1"
    assert client.meta.config.request_checksum_calculation == "when_supported"
    assert client.meta.config.response_checksum_validation == "when_required"  # else each download begins with a HEAD


def test_settings_that_are_empty_count_as_not_there(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose passes what nobody set as empty."""
    use_s3(moto)
    for name in ("AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "GANBALANCE_S3_ADDRESSING"):
        monkeypatch.setenv(name, "")
    signed = make_client("bucket").generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert signed.startswith("https://bucket.s3.amazonaws.com/key?")
    assert "token" not in signed.lower()


def test_a_region_of_the_environment_wins_over_the_profiles(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_s3(moto)
    (tmp_path / "config").write_text("[default]\nregion = us-west-2\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert make_client("bucket").meta.region_name == "eu-central-1"
    monkeypatch.delenv("AWS_REGION")
    assert make_client("bucket").meta.region_name == "us-west-2"


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("{}\n", "ends in a newline"),
        ("{}\r\n", "ends in a newline"),
        ("{}\r", "ends in a carriage return"),
        (" {}", "has blanks around it"),
        ("{}\t", "has blanks around it"),
        ("\n", "ends in a newline"),
    ],
)
def test_credentials_with_white_space_around_them_are_named_before_any_request(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, capsys, name: str, written: str, says: str
) -> None:
    url = use_s3(moto)
    monkeypatch.setenv(name, written.format("hush-hush"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert cli.main(["store", "ls", "--store", url]) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ganbalance: {name} {says}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    assert "hush" not in line


def test_a_line_break_that_a_profile_brings_is_named_and_no_signature_is_printed(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, quick_retries: None, tmp_path: Path, capsys
) -> None:
    url = use_s3(moto)
    profile = tmp_path / "credentials"
    profile.write_text("[default]\naws_access_key_id = first\n  second\naws_secret_access_key = hush-hush\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert cli.main(["store", "ls", "--store", url]) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert "a line break within the credentials" in line
    assert not [word for word in ("Signature", "Credential=", "hush") if word in line]
    profile.write_text(profile.read_text().replace("\n  second", ""))
    assert cli.main(["store", "ls", "--store", url]) == 0


def test_an_endpoint_that_names_the_bucket_is_refused_and_one_below_a_path_is_not(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(moto)
    for path in ("/tests", "/tests/"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", moto.endpoint + path)
        for use in (open_store, make_store):
            with pytest.raises(ConfigError, match="names the bucket too; set AWS_ENDPOINT_URL to the server alone"):
                use(url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{moto.endpoint}/storage/v1")
    for bucket in ("tests", "storage"):
        assert make_client(bucket).meta.endpoint_url == f"{moto.endpoint}/storage/v1"
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{moto.endpoint}/")
    assert list(open_store(url).names("")) == []


def test_an_endpoint_that_names_another_bucket_is_no_bucket_and_nothing_is_made_there(
    seaweedfs: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(seaweedfs)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"{seaweedfs.endpoint}/tests")
        store = open_store("s3://elsewhere/prefix")
        for use in (lambda: list(store.names("")), lambda: make_store("s3://elsewhere")):
            with pytest.raises(ConfigError, match="no bucket at this address; set AWS_ENDPOINT_URL to the server"):
                use()
    assert "elsewhere" not in list(open_store(url.partition("/a/")[0].rpartition("/")[0]).names(""))


def test_a_server_without_tls_is_said_to_be_one(
    seaweedfs: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, quick_retries: None
) -> None:
    url = use_s3(seaweedfs)
    monkeypatch.setenv("AWS_ENDPOINT_URL", seaweedfs.endpoint.replace("http:", "https:"))
    with pytest.raises(ConfigError, match="plain HTTP at this port: set AWS_ENDPOINT_URL to the same with http://"):
        open_store(url)
