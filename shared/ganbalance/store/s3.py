"""A store that is a bucket of any S3 server, or a prefix in one: s3://bucket/prefix.

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
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions as failures
from botocore import UNSIGNED
from botocore.config import Config
from botocore.httpsession import where as authorities_file
from botocore.loaders import Loader
from s3transfer.exceptions import RetriesExceededError
from s3transfer.futures import TransferFuture
from s3transfer.manager import TransferConfig, TransferManager
from s3transfer.subscribers import BaseSubscriber

from ganbalance.errors import ConfigError, GanbalanceError, UnavailableError
from ganbalance.store.base import MARKER, EndedError, Entry, MissingError, OnBytes, Store, Unfinished, ignore, redacted

ADDRESSING = "GANBALANCE_S3_ADDRESSING"
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60
MAX_ATTEMPTS = 6  # with jittered doubling waits: 15 s on average until a server counts as gone
LONGEST_WAIT_S = 20
CONFLICT_WAIT_S = 0.2
KEY_BYTES = 1024
MIB = 1024**2
TRANSFER = TransferConfig(
    multipart_threshold=16 * MIB,
    multipart_chunksize=16 * MIB,
    max_request_concurrency=10,
    max_in_memory_download_chunks=4,
    max_io_queue_size=128,  # chunks of 256 KiB that wait for the disk: memory does not grow with the file
)

KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to a key that this server knows"
MISSING = {"NoSuchKey", "404"}
RIGHTS = "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket"
RIGHTS_TO_UPLOADS = "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload"
RIGHTS_TO_MAKE = "s3:ListBucket and s3:CreateBucket"
# error code -> what to change; the request would be refused again however often it is made
ADVICE = {
    "NoSuchBucket": "make the bucket with 'ganbalance store init', or name another one in the store's URL",
    "InvalidBucketName": "name another bucket in the store's URL",
    "InvalidAccessKeyId": KEYS,
    "SignatureDoesNotMatch": KEYS,
    "AuthFailure": KEYS,
    "InvalidToken": "renew AWS_SESSION_TOKEN",
    "ExpiredToken": "renew AWS_SESSION_TOKEN",
    "AccessDenied": "allow this key {rights} on the bucket",
    "PermanentRedirect": "set AWS_REGION to the bucket's region",
    "AuthorizationHeaderMalformed": "set AWS_REGION to the bucket's region",
    "IllegalLocationConstraintException": "set AWS_REGION to the bucket's region",
    "KeyTooLongError": "shorten the prefix in the store's URL",
}
ADVICE |= {"401": KEYS, "403": ADVICE["AccessDenied"], "301": ADVICE["PermanentRedirect"]}
# the same, for what is no fault of the request: the same command may succeed later, or on another machine
PASSING = {
    "RequestTimeTooSkewed": "set this machine's clock (NTP): it is too far from the server's",
    "RequestExpired": "set this machine's clock (NTP): it is too far from the server's",
    "XMinioStorageFull": "free some space on the server",
    "QuotaExceeded": "free some space in the bucket, or raise its quota",
    "XMinioAdminBucketQuotaExceeded": "free some space in the bucket, or raise its quota",
}
NO_CREDENTIALS = (
    failures.NoCredentialsError, failures.PartialCredentialsError, failures.CredentialRetrievalError,
    failures.TokenRetrievalError, failures.ProfileNotFound,
)  # fmt: skip
NOT_SUPPORTED = {"NotImplemented", "501", "InvalidArgument", "InvalidRequest"}
NO_SUCH_OPERATION = {405, 501}  # status: the server has no such thing at all


class S3Store(Store):
    """Objects under one prefix of one bucket."""

    def __init__(self, url: str, *, attempts: int | None = None) -> None:
        self.bucket, self.prefix = split_url(url)
        self.url = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        with _told(f"cannot use the store {self.url}"):
            self._attempts = attempts or _attempts()
            self.client = _client(self._attempts)
        self.endpoint = str(self.client.meta.endpoint_url)
        self._transfers = TransferManager(self.client, TRANSFER)
        self._marked = self._check_format()

    def _put(self, name: str, source: Path, on_bytes: OnBytes) -> None:
        with self._told("write", name):
            _wait(self._transfers.upload(str(source), self.bucket, self._key(name), subscribers=[_Teller(on_bytes)]))

    def _create(self, name: str, data: bytes) -> bool:
        if name == MARKER or self.conditional_writes:
            return self._put_if_absent(name, data) is not False
        if self._holds(name):
            return False
        with self._told("write", name):
            self.client.put_object(Bucket=self.bucket, Key=self._key(name), Body=data)
        return self.read(name) == data  # a writer that raced us may have been later

    def _holds(self, name: str) -> bool:
        """Asked of the list and not of the object: a refusal has a body there that says why."""
        with self._told("read", name):
            first = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self._key(name), MaxKeys=1)
        return any(item["Key"] == self._key(name) for item in first.get("Contents", ()))

    @cached_property
    def conditional_writes(self) -> bool:
        """Whether the server refuses a second writer of one name, found out with the marker that every store holds."""
        self._mark()
        return self._put_if_absent(MARKER, self._marker()) is False

    def _put_if_absent(self, name: str, data: bytes) -> bool | None:
        """True if the object was made, False if the server refused because it exists, None if it cannot tell."""
        request = {"Bucket": self.bucket, "Key": self._key(name), "Body": data}
        for _ in range(MAX_ATTEMPTS):
            try:
                with self._told("write", name):
                    self.client.put_object(**request, IfNoneMatch="*")
                return True
            except GanbalanceError as error:
                code, status = _code(error.__cause__)
                if status == 412:  # noqa: PLR2004 - precondition failed: it exists
                    return False
                if code in NOT_SUPPORTED:
                    self._put_plainly(request, name)
                    return None
                if status != 409:  # noqa: PLR2004 - conflict: another write of this name is under way
                    raise
                time.sleep(CONFLICT_WAIT_S * (1 + random.random()))  # noqa: S311 - jitter is no secret
        raise UnavailableError(f"cannot write {name} in the store {self.url}: others write it all the time; try again")

    def _put_plainly(self, request: dict[str, Any], name: str) -> None:
        with self._told("write", name):
            self.client.put_object(**request)

    def read(self, name: str) -> bytes:
        with self._told("read", name):
            for failed in range(1, self._attempts + 1):
                body = self.client.get_object(Bucket=self.bucket, Key=self._key(name))["Body"]
                try:
                    data: bytes = body.read()
                    return data
                except _BROKEN_OFF:  # the client tries again what fails before the body; the rest is left to us
                    if failed == self._attempts:
                        raise
                    time.sleep(_wait_s(failed))
        raise AssertionError("unreachable")

    def fetch(self, name: str, scratch: Path, on_bytes: OnBytes = ignore) -> Path:
        folder = scratch / "fetched" / hashlib.sha256(name.encode()).hexdigest()[:24]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name.rpartition("/")[2]
        with self._told("read", name):
            # written under a temporary name, then renamed
            _wait(self._transfers.download(self.bucket, self._key(name), str(path), subscribers=[_Teller(on_bytes)]))
        return path

    def entries(self, prefix: str) -> Iterator[Entry]:
        start = self._key(f"{prefix}/" if prefix else "")
        with self._told("list", prefix or "everything"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start)
            found = [
                Entry(item["Key"].removeprefix(self._key("")), item["Size"], item["LastModified"])
                for page in pages
                for item in page.get("Contents", ())
            ]
        # not every server lists in the order of the names
        yield from sorted(found, key=lambda entry: entry.name)

    def delete(self, name: str) -> None:
        with self._told("delete", name):
            self.client.delete_object(Bucket=self.bucket, Key=self._key(name))

    def unfinished(self) -> Iterator[Unfinished]:
        """Multipart uploads. Some servers cannot list them, or list none (MinIO, which drops them after a day)."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=self._key(""))
        try:
            with self._told("list", "unfinished uploads", RIGHTS_TO_UPLOADS):
                uploads = [upload for page in pages for upload in page.get("Uploads", ())]
        except GanbalanceError as error:
            if _code(error.__cause__)[1] not in NO_SUCH_OPERATION:
                raise
            return
        for upload in uploads:
            name = upload["Key"].removeprefix(self._key(""))
            yield Unfinished(name, 0, upload["Initiated"], handle=upload["UploadId"])

    def discard(self, write: Unfinished) -> None:
        with self._told("delete", write.name, RIGHTS_TO_UPLOADS):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=self._key(write.name), UploadId=write.handle)

    def _key(self, name: str) -> str:
        key = f"{self.prefix}/{name}" if self.prefix else name
        if len(key.encode()) > KEY_BYTES:
            raise ConfigError(
                f"{name} in the store {self.url} makes a key of {len(key.encode())} bytes, S3 takes {KEY_BYTES}; "
                f"{ADVICE['KeyTooLongError']}"
            )
        return key

    @contextmanager
    def _told(self, verb: str, name: str, rights: str = RIGHTS) -> Iterator[None]:
        try:
            with _told(f"cannot {verb} {name} in the store {self.url} ({self.endpoint})", rights):
                yield
        except MissingError as error:
            raise MissingError(f"the store {self.url} holds no {name}") from error.__cause__


def make_bucket(url: str) -> bool:
    """Make the bucket of an s3:// URL; False if it was there."""
    bucket, _ = split_url(url)
    with _told(f"cannot make the bucket of {url}", RIGHTS_TO_MAKE):
        client = _client()
        try:
            client.list_objects_v2(Bucket=bucket, MaxKeys=1)  # unlike a HEAD, a refusal has a body that says why
            return False
        except failures.ClientError as error:
            if _code(error)[1] != 404:  # noqa: PLR2004
                raise
        region = client.meta.region_name
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            client.create_bucket(Bucket=bucket, **place)
        except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            return False
    return True


def split_url(url: str) -> tuple[str, str]:
    """Bucket and prefix of an s3:// URL; the prefix has no slash at its ends. Raises ConfigError."""
    matched = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^?#]*))?", url)
    prefix = (matched[2] or "").strip("/") if matched else ""
    if not matched or any(part in ("", ".", "..") for part in prefix.split("/") if prefix):
        raise ConfigError(
            f"store {redacted(url)!r}: an S3 store is s3://bucket or s3://bucket/prefix; a bucket's name has 3 to 63 "
            "characters, lower-case letters, digits, dots and hyphens"
        )
    return matched[1], prefix


@dataclass(frozen=True)
class Setup:
    """What the environment and the profile amount to for one bucket; holds no secret."""

    endpoint: str
    address: str  # of the bucket
    addressing: str
    region: str
    authorities: str  # the file with the certificates that are trusted
    profile: str


def setup(bucket: str) -> Setup:
    """How the bucket will be reached. Asks nobody."""
    with _told("cannot use the S3 settings"):
        session, client = boto3.Session(), _client(signature_version=UNSIGNED)
        bundle = session._session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        return Setup(
            endpoint=client.meta.endpoint_url,
            address=client.generate_presigned_url("list_objects_v2", {"Bucket": bucket}).partition("?")[0],
            addressing=client.meta.config.s3["addressing_style"],
            region=client.meta.region_name,
            authorities=bundle or authorities_file(),
            profile=session.profile_name,
        )


def credentials_source() -> str | None:
    """Which of the client's sources of keys has some, by the client's name for it; None when none has."""
    with _told("cannot get credentials"):
        found = boto3.Session().get_credentials()
        return None if found is None else str(found.method)


def code_of(error: GanbalanceError) -> str:
    """The server's own code for what this store's error tells; empty when no server said anything."""
    return _code(error.__cause__)[0]


def _client(attempts: int | None = None, **more: Any) -> Any:
    """A client as the environment asks for it."""
    attempts = attempts or _attempts()
    session = boto3.Session()
    session._session.register_component("data_loader", _descriptions())
    # boto3 itself reads AWS_DEFAULT_REGION and the profile only; what is said to this program comes first
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
        **more,
    )
    if not is_amazon:  # many servers know nothing of the newer checksums
        config = config.merge(Config(request_checksum_calculation="when_required"))
    return session.client("s3", config=config)


@cache
def _descriptions() -> Loader:
    """What Amazon's services look like: megabytes of JSON, which each session would read and parse for itself."""
    loader: Loader = boto3.Session()._session.get_component("data_loader")
    return loader


def _attempts() -> int:
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


class _Teller(BaseSubscriber):  # type: ignore[misc]
    """Passes on how many bytes were moved."""

    def __init__(self, on_bytes: OnBytes) -> None:
        self._on_bytes = on_bytes

    def on_progress(self, future: TransferFuture, bytes_transferred: int, **_: Any) -> None:
        """Called by the transfer, from any of its threads; negative when a part starts again."""
        try:
            self._on_bytes(bytes_transferred)
        except EndedError:
            future.cancel()


def _wait(transfer: TransferFuture) -> None:
    """Wait for a transfer; whatever interrupts the wait ends the transfer too."""
    try:
        transfer.result()
    except BaseException:
        transfer.cancel()
        raise


def _wait_s(failed: int) -> float:
    """How long to wait after the n-th failure: as the client does, some part of a time that doubles."""
    return random.uniform(0, min(2.0 ** (failed - 1), LONGEST_WAIT_S))  # noqa: S311 - jitter is no secret


_BROKEN_OFF = (failures.ResponseStreamingError, failures.IncompleteReadError, failures.ReadTimeoutError)


def _code(error: BaseException | None) -> tuple[str, int]:
    """The server's error code and the HTTP status; empty and 0 for what no server said."""
    if not isinstance(error, failures.ClientError):
        return "", 0
    answer = error.response
    return str(answer.get("Error", {}).get("Code", "")), int(
        answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    )


@contextmanager
def _told(what: str, rights: str = RIGHTS) -> Iterator[None]:
    """Say in one line what failed and which setting to change; `rights` are those that it takes."""
    try:
        yield
    except failures.ClientError as error:
        raise _refused(what, error, rights) from error
    except RetriesExceededError as error:
        raise UnavailableError(f"{what}: {error.last_exception}; try again later") from error.last_exception
    except NO_CREDENTIALS as error:
        raise ConfigError(f"{what}: {error}; {KEYS}") from error
    except failures.SSLError as error:
        advice = "set AWS_CA_BUNDLE to the file of the authority that signed the server's certificate"
        raise ConfigError(f"{what}: {error}; {advice}, or mend AWS_ENDPOINT_URL") from error
    except (failures.ConnectionError, failures.HTTPClientError, failures.IncompleteReadError, ConnectionError) as error:
        raise UnavailableError(f"{what}: {error}; see that AWS_ENDPOINT_URL is right and the server is up") from error
    except (failures.BotoCoreError, ValueError) as error:
        advice = "mend AWS_ENDPOINT_URL and the other AWS_ settings"
        raise ConfigError(f"{what}: {redacted(str(error))}; {advice}") from error


def _refused(what: str, error: failures.ClientError, rights: str) -> GanbalanceError:
    """What the server's answer means to a user."""
    code, status = _code(error)
    if code in MISSING:
        return MissingError(what)
    said = str(error.response.get("Error", {}).get("Message") or code).rstrip(".")
    if code in PASSING:
        return UnavailableError(f"{what}: {said}; {PASSING[code]}")
    if code in ADVICE:
        return ConfigError(f"{what}: {said}; {ADVICE[code].format(rights=rights)}")
    if status >= 500 or code in ("SlowDown", "RequestTimeout") or status in (408, 429):  # noqa: PLR2004
        return UnavailableError(f"{what}: the server says {status} {said}; try again later")
    return ConfigError(f"{what}: the server refuses it, {status} {code}: {said}; 'ganbalance doctor' may tell why")
