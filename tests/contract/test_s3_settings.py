"""What the environment and the profile amount to for an S3 client."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ganbalance.errors import ConfigError
from ganbalance.store.schemes.s3 import make_client
from tests import servers

UseS3 = Callable[[servers.Server], str]


def test_a_custom_endpoint_is_addressed_by_path_and_amazon_as_it_likes(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_s3(moto)
    client = make_client()
    assert client.meta.config.s3["addressing_style"] == "path"
    assert client.meta.config.request_checksum_calculation == "when_required"
    monkeypatch.setenv("GANBALANCE_S3_ADDRESSING", "virtual")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.example:9000")
    assert make_client().meta.config.s3["addressing_style"] == "virtual"
    signed = make_client().generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert signed.startswith("http://bucket.s3.example:9000/key")
    monkeypatch.setenv("GANBALANCE_S3_ADDRESSING", "sideways")
    with pytest.raises(ConfigError, match="path or virtual"):
        make_client()
    monkeypatch.delenv("GANBALANCE_S3_ADDRESSING")
    (tmp_path / "config").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert make_client().meta.config.s3["addressing_style"] == "virtual"
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    client = make_client()
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
    signed = make_client().generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert signed.startswith("https://bucket.s3.amazonaws.com/key?")
    assert "token" not in signed.lower()


def test_a_region_of_the_environment_wins_over_the_profiles(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_s3(moto)
    (tmp_path / "config").write_text("[default]\nregion = us-west-2\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert make_client().meta.region_name == "eu-central-1"
    monkeypatch.delenv("AWS_REGION")
    assert make_client().meta.region_name == "us-west-2"
