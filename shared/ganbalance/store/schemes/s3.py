"""A store that is a bucket of any S3 server, or a prefix in one: s3://bucket/prefix; the only file that imports boto3.

Set up as every S3 program is: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or a role;
AWS_ENDPOINT_URL for a server that is not Amazon's; AWS_REGION; AWS_CA_BUNDLE; AWS_MAX_ATTEMPTS.
GANBALANCE_S3_ADDRESSING=path|virtual, or addressing_style in the profile, says where the bucket goes in an address.
"""

import hashlib
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.exceptions as failures
from botocore.config import Config
from botocore.loaders import Loader
from s3transfer.futures import TransferFuture
from s3transfer.manager import TransferConfig, TransferManager
from s3transfer.subscribers import BaseSubscriber
from s3transfer.utils import S3_RETRYABLE_DOWNLOAD_ERRORS

from ganbalance.errors import ConfigError, GanbalanceError, UnavailableError
from ganbalance.store import s3_failures
from ganbalance.store.base import MARKER, EndedError, Entry, MissingError, OnBytes, Store, Unfinished, ignore, redacted
from ganbalance.store.s3_failures import answer_of, completed, translate_errors

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
CONFLICT_WAIT_S = 0.2
KEY_BYTES = 1024

NOT_SUPPORTED = {"NotImplemented", "501", "InvalidArgument", "InvalidRequest"}
NO_SUCH_OPERATION = {405, 501}  # status: the server has no such thing at all


def make_client(bucket: str, attempts: int | None = None, **more: Any) -> Any:
    """Make a client for a bucket as the environment asks for it, with `more` settings of botocore's."""
    attempts = attempts or attempts_set()
    _check_credentials()
    session = boto3.Session()
    session._session.register_component("data_loader", _descriptions())
    # boto3 itself reads AWS_DEFAULT_REGION and the profile only; AWS_REGION comes first
    region = os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
    # only a client knows which endpoint the environment, the profile and the region amount to
    endpoint = session.client("s3", region_name=region).meta.endpoint_url
    if "@" in endpoint:  # it would stand in every message and log
        raise ConfigError("the endpoint's URL carries a name or a password; take them out of AWS_ENDPOINT_URL")
    if urlsplit(endpoint).path.strip("/") == bucket:
        raise ConfigError(f"the endpoint's URL, {endpoint}, names the bucket too; {completed(s3_failures.ENDPOINT)}")
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
    """Read how often a request is made at most. Raises ConfigError."""
    given = os.environ.get("AWS_MAX_ATTEMPTS", str(MAX_ATTEMPTS))
    if not given.isdecimal() or int(given) < 1:
        raise ConfigError(f"AWS_MAX_ATTEMPTS={given!r}: give a whole number of at least 1")
    return int(given)


def _check_credentials() -> None:
    """Refuse credentials with white space around them, as `echo` puts into a Secret. Raises ConfigError."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        given = os.environ.get(name, "")
        if given != given.strip():
            ends = {"\n": "ends in a newline", "\r": "ends in a carriage return"}
            raise ConfigError(
                f"{name} {ends.get(given[-1], 'has blanks around it')}; {completed(s3_failures.CREDENTIALS)}"
            )


def _addressing(session: boto3.Session, *, is_amazon: bool) -> str:
    """Choose bucket.server/name ("virtual") or server/bucket/name ("path")."""
    if given := os.environ.get(ADDRESSING):
        if given not in ("path", "virtual"):
            raise ConfigError(f"{ADDRESSING}={given!r}: give path or virtual")
        return given
    profile: dict[str, Any] = session._session.get_scoped_config()
    of_profile = profile.get("s3", {})
    default = "auto" if is_amazon else "path"
    return str(of_profile.get("addressing_style", default)) if isinstance(of_profile, dict) else default


def credentials_source() -> str | None:
    """Say which of the client's sources has credentials, by the client's name for it; None when none has."""
    with translate_errors("cannot get credentials"):
        session = boto3.Session()
        found = session.get_credentials()
        return found and f"{found.method}, profile {session.profile_name}"


class S3Store(Store):
    """Objects under one prefix of one bucket."""

    def __init__(self, url: str, *, attempts: int | None = None) -> None:
        self.bucket, self.prefix = split_url(url)
        tidy = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        with translate_errors(f"cannot use the store {tidy}"):
            self._attempts = attempts or attempts_set()
            self.client = make_client(self.bucket, self._attempts)
        self.endpoint = str(self.client.meta.endpoint_url)
        self._transfers = TransferManager(self.client, TRANSFER)
        super().__init__(tidy)

    @classmethod
    def make(cls, url: str, attempts: int | None = None) -> bool:
        bucket, _ = split_url(url)
        with translate_errors(f"cannot make the bucket of {url}", s3_failures.CREATE_PERMISSIONS):
            client = make_client(bucket, attempts)
            try:
                client.list_objects_v2(Bucket=bucket, MaxKeys=1)  # unlike a HEAD, a refusal has a body that says why
                return False
            except failures.ClientError as error:
                if answer_of(error)[1] != 404 or answer_of(error)[0] == "NoSuchKey":  # noqa: PLR2004
                    raise
            region = client.meta.region_name
            place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            try:
                client.create_bucket(Bucket=bucket, **place)
            except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
                return False
        return True

    def _put(self, name: str, source: Path, on_bytes: OnBytes) -> None:
        with self._translate_errors("write", name):
            self._transfers.upload(str(source), self.bucket, self._key(name), None, [_Progress(on_bytes)]).result()

    def _create(self, name: str, data: bytes) -> bool:
        if name == MARKER or self.conditional_writes:
            return self._put_if_absent(name, data)
        with suppress(MissingError):
            self.read(name)
            return False
        self._put_bytes(name, data)
        return self.read(name) == data  # a writer that raced us may have been later

    @cached_property
    def conditional_writes(self) -> bool:
        """Whether the server refuses a second writer of one name, tried with the marker that every store holds."""
        self._mark()
        return not self._put_if_absent(MARKER, self._marker())

    def _put_if_absent(self, name: str, data: bytes) -> bool:
        """Write the object and tell whether it was: a server refuses if it exists, unless it knows nothing of that."""
        for _ in range(MAX_ATTEMPTS):
            try:
                self._put_bytes(name, data, IfNoneMatch="*")
                return True
            except GanbalanceError as error:
                code, status = answer_of(error.__cause__)
                if status == 412:  # noqa: PLR2004 - precondition failed: it exists
                    return False
                if code in NOT_SUPPORTED:
                    self._put_bytes(name, data)
                    return True
                if status != 409:  # noqa: PLR2004 - conflict: another write of this name is under way
                    raise
                time.sleep(CONFLICT_WAIT_S * (1 + random.random()))  # noqa: S311 - jitter is no secret
        raise UnavailableError(f"cannot write {name} in the store {self.url}: others write it all the time; try again")

    def _put_bytes(self, name: str, data: bytes, **condition: str) -> None:
        with self._translate_errors("write", name):
            self.client.put_object(Bucket=self.bucket, Key=self._key(name), Body=data, **condition)

    def read(self, name: str) -> bytes:
        with self._translate_errors("read", name):
            left = self._attempts
            while True:
                body = self.client.get_object(Bucket=self.bucket, Key=self._key(name))["Body"]
                try:
                    return bytes(body.read())
                except S3_RETRYABLE_DOWNLOAD_ERRORS:  # before the body the client itself tries again, and waits
                    left -= 1
                    if not left:
                        raise

    def fetch(self, name: str, scratch: Path, on_bytes: OnBytes = ignore) -> Path:
        folder = scratch / "fetched" / hashlib.sha256(name.encode()).hexdigest()[:24]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name.rpartition("/")[2]
        with self._translate_errors("read", name):
            # written under a temporary name, then renamed
            self._transfers.download(self.bucket, self._key(name), str(path), None, [_Progress(on_bytes)]).result()
        return path

    def entries(self, prefix: str) -> Iterator[Entry]:
        start = self._key(f"{prefix}/" if prefix else "")
        with self._translate_errors("list", prefix or "everything"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start)
            found = [
                Entry(item["Key"].removeprefix(self._key("")), item["Size"], item["LastModified"], tag=item["ETag"])
                for page in pages
                for item in page.get("Contents", ())
            ]
        # not every server lists in the order of the names
        yield from sorted(found, key=lambda entry: entry.name)

    def delete(self, name: str) -> None:
        with self._translate_errors("delete", name):
            self.client.delete_object(Bucket=self.bucket, Key=self._key(name))

    def unfinished(self) -> Iterator[Unfinished]:
        """List multipart uploads. Some servers cannot, or list none (MinIO, which drops them after a day)."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=self._key(""))
        try:
            with self._translate_errors("list", "unfinished uploads", s3_failures.UPLOAD_PERMISSIONS):
                uploads = [upload for page in pages for upload in page.get("Uploads", ())]
        except GanbalanceError as error:
            if answer_of(error.__cause__)[1] not in NO_SUCH_OPERATION:
                raise
            return
        for upload in uploads:
            name = upload["Key"].removeprefix(self._key(""))
            yield Unfinished(name, 0, upload["Initiated"], handle=upload["UploadId"])

    def discard(self, write: Unfinished) -> None:
        with self._translate_errors("delete", write.name, s3_failures.UPLOAD_PERMISSIONS):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=self._key(write.name), UploadId=write.handle)

    def _key(self, name: str) -> str:
        key = f"{self.prefix}/{name}" if self.prefix else name
        if len(key.encode()) > KEY_BYTES:
            raise ConfigError(
                f"{name} in the store {self.url} makes a key of {len(key.encode())} bytes, S3 takes {KEY_BYTES}; "
                f"{s3_failures.ADVICE['KeyTooLongError']}"
            )
        return key

    def _translate_errors(
        self, verb: str, name: str, permissions: str = s3_failures.PERMISSIONS
    ) -> AbstractContextManager[None]:
        return translate_errors(f"cannot {verb} {name} in the store {self.url} ({self.endpoint})", permissions)


def split_url(url: str) -> tuple[str, str]:
    """Split an s3:// URL into bucket and prefix; the prefix has no slash at its ends. Raises ConfigError."""
    matched = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^?#]*))?", url)
    prefix = (matched[2] or "").strip("/") if matched else ""
    if not matched or any(part in ("", ".", "..") for part in prefix.split("/") if prefix):
        raise ConfigError(
            f"store {redacted(url)!r}: an S3 store is s3://bucket or s3://bucket/prefix; a bucket's name has 3 to 63 "
            "characters, lower-case letters, digits, dots and hyphens"
        )
    return matched[1], prefix


class _Progress(BaseSubscriber):  # type: ignore[misc]
    """Pass on how many bytes were moved."""

    def __init__(self, on_bytes: OnBytes) -> None:
        self._on_bytes = on_bytes

    def on_progress(self, future: TransferFuture, bytes_transferred: int, **_: Any) -> None:
        """Pass on the bytes that the transfer tells of, from any of its threads; negative when a part starts again."""
        try:
            self._on_bytes(bytes_transferred)
        except EndedError:
            future.cancel()
