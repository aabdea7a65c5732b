"""Make the S3 client that the environment and the profile ask for; the only file that imports boto3."""

import os
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.loaders import Loader
from s3transfer.manager import TransferConfig

from ganbalance.errors import ConfigError
from ganbalance.store.s3_failures import translate_errors

ADDRESSING = "GANBALANCE_S3_ADDRESSING"
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60
MAX_ATTEMPTS = 6  # with jittered doubling waits: 15 s on average until a server counts as gone
MIB = 1024**2
TRANSFER = TransferConfig(
    multipart_threshold=16 * MIB,
    multipart_chunksize=16 * MIB,
    max_request_concurrency=10,
    max_in_memory_download_chunks=4,
    max_io_queue_size=128,  # chunks of 256 KiB that wait for the disk: memory does not grow with the file
)


def make_client(attempts: int | None = None, **more: Any) -> Any:
    """A client as the environment asks for it, with `more` settings of botocore's."""
    attempts = attempts or attempts_set()
    session = boto3.Session()
    session._session.register_component("data_loader", _descriptions())
    # boto3 itself reads AWS_DEFAULT_REGION and the profile only; AWS_REGION comes first
    region = os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
    # only a client knows which endpoint the environment, the profile and the region amount to
    endpoint = session.client("s3", region_name=region).meta.endpoint_url
    if "@" in endpoint:  # it would stand in every message and log
        raise ConfigError("the endpoint's URL carries a name or a password; take them out of AWS_ENDPOINT_URL")
    is_amazon = ".amazonaws.com" in endpoint
    config = Config(
        region_name=region,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=2 * TRANSFER.max_request_concurrency,
        s3={"addressing_style": _addressing(session, is_amazon=is_amazon)},
        user_agent_extra="ganbalance",
        # what is read is held against its sha256; else every download asks for the checksum first, with a HEAD, whose
        # refusal has no body that says why
        response_checksum_validation="when_required",
    )
    if not is_amazon:  # many servers know nothing of the newer checksums
        config = config.merge(Config(request_checksum_calculation="when_required"))
    return session.client("s3", config=config.merge(Config(**more)))


@cache
def _descriptions() -> Loader:
    """Load the descriptions of Amazon's services once: megabytes of JSON, which each session would parse anew."""
    loader: Loader = boto3.Session()._session.get_component("data_loader")
    return loader


def attempts_set() -> int:
    """How often a request is made at most. Raises ConfigError."""
    given = os.environ.get("AWS_MAX_ATTEMPTS", str(MAX_ATTEMPTS))
    if not given.isdecimal() or int(given) < 1:
        raise ConfigError(f"AWS_MAX_ATTEMPTS={given!r}: give a whole number of at least 1")
    return int(given)


def _addressing(session: boto3.Session, *, is_amazon: bool) -> str:
    """bucket.server/name ("virtual") or server/bucket/name ("path")."""
    if given := os.environ.get(ADDRESSING):
        if given not in ("path", "virtual"):
            raise ConfigError(f"{ADDRESSING}={given!r}: give path or virtual")
        return given
    profile: dict[str, Any] = session._session.get_scoped_config()
    of_profile = profile.get("s3", {})
    default = "auto" if is_amazon else "path"
    return str(of_profile.get("addressing_style", default)) if isinstance(of_profile, dict) else default


def credentials_source() -> str | None:
    """Which of the client's sources has credentials, by the client's name for it; None when none has."""
    with translate_errors("cannot get credentials"):
        session = boto3.Session()
        found = session.get_credentials()
        return found and f"{found.method}, profile {session.profile_name}"
