"""The checks of a store in a bucket: the settings, the network, the clock, the keys, the objects."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from ganbalance.errors import ConfigError, DataError, GanbalanceError, UnavailableError
from ganbalance.store import s3, s3_client, s3_failures
from ganbalance.store.base import MARKER, MissingError
from ganbalance.store.doctor.checks import CONTENT, TRIALS, Check, Said, same
from ganbalance.store.doctor.endpoint import Endpoint

TRIAL = "trial"
CLOCK_WARN_S, CLOCK_FAIL_S = 60, 15 * 60  # S3 refuses what was signed a quarter of an hour off
CERTIFICATE_WARN_DAYS = 14
UNKNOWN_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthFailure", "InvalidToken", "ExpiredToken", "401"}
SOURCES = {
    "env": "the environment (AWS_ACCESS_KEY_ID)",
    "shared-credentials-file": "the credentials file, profile {profile}",
    "config-file": "the config file, profile {profile}",
    "assume-role": "the role in profile {profile}",
    "assume-role-with-web-identity": "the role of this pod (web identity)",
    "container-role": "the role of this container",
    "iam-role": "the role of this machine",
}


def bucket_checks(url: str) -> AbstractContextManager[list[Check]]:
    """The checks of the store `url`; the context removes what they leave. Raises ConfigError for what is no store."""
    return _tidied(Bucket(url))


class Bucket:
    """A bucket, looked at with one attempt per request: a doctor does not wait for a server to come back."""

    def __init__(self, url: str) -> None:
        self.bucket, self.prefix = s3.split_url(url)
        self.url = url.rstrip("/")
        self.refusal: GanbalanceError | None = None
        self.trial: s3.S3Store | None = None

    def checks(self) -> list[Check]:
        """Each of them tells something once what it rests on is well."""
        return [
            Check("settings", self.settings),
            Check("endpoint", self.endpoint, ["settings"]),
            Check("TLS", self.tls, ["endpoint"]),
            Check("protocol", self.protocol, ["TLS"]),
            Check("clock", self.clock, ["protocol"]),
            Check("credentials", self.credentials, ["settings"]),
            Check("sign-in", self.sign_in, ["credentials", "clock"]),
            Check("bucket", self.enter, ["sign-in"]),
            Check("format", self.format, ["bucket"]),
            Check("write", self.write, ["format"]),
            Check("read", self.read, ["write"]),
            Check("create once", self.create_once, ["write"]),
            Check("delete", self.delete, ["write"]),
            Check("addressing", self.addressing, ["settings"]),
            Check("free space", lambda: Said("S3 does not tell how much is left", "note")),
        ]

    def settings(self) -> Said:
        """The environment and the profile make sense."""
        self.setup = s3_client.setup(self.bucket)
        self.virtual = self.setup.address.partition("://")[2].startswith(f"{self.bucket}.")
        try:
            self.server = Endpoint(self.setup.address, is_virtual=self.virtual, authorities=self.setup.authorities)
        except ValueError as error:
            raise ConfigError(f"the endpoint {self.setup.endpoint}: {error}; mend AWS_ENDPOINT_URL") from error
        return Said(f"endpoint {self.setup.endpoint}, region {self.setup.region}, profile {self.setup.profile}")

    def endpoint(self) -> Said:
        """The name is known and the port answers."""
        self.server.connect()
        return Said(f"{self.server} answers")

    def tls(self) -> Said:
        """The certificate is the server's, and will be for a while."""
        if not self.server.is_tls:
            return Said("not used, plain http: the network can read along", "note")
        days = self.server.handshake()
        text = f"the certificate is accepted and expires in {days:.0f} days"
        return Said(text, "warn", "renew the server's certificate") if days < CERTIFICATE_WARN_DAYS else Said(text)

    def protocol(self) -> Said:
        """What answers is an S3 server."""
        self.answer = self.server.ask()
        if self.answer.is_s3:
            return Said("an S3 server answers")
        told = f"{self.server} answers {self.answer.status} ({self.answer.kind}), which is not how S3 answers"
        if self.answer.status >= 500:  # noqa: PLR2004 - the server's fault, or its gateway's
            raise UnavailableError(f"{told}; see that the server is well and AWS_ENDPOINT_URL names it")
        raise ConfigError(f"{told}; set AWS_ENDPOINT_URL to the S3 service itself, not its console or another server")

    def clock(self) -> Said:
        """The clocks agree well enough for a signature."""
        ahead_s = self.answer.ahead_s
        if ahead_s is None:
            return Said("the server does not tell its time", "note")
        apart_s = abs(ahead_s)
        apart = f"{apart_s:.0f} s" if apart_s < 2 * CLOCK_WARN_S else f"{apart_s / 60:.0f} min"
        text = f"the server's clock is {apart} {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
        mend = "set this machine's clock or the server's (NTP)"
        if apart_s > CLOCK_FAIL_S:
            raise UnavailableError(f"{text}, and S3 refuses more than 15 min; {mend}")
        if apart_s > CLOCK_WARN_S:
            return Said(text, "warn", mend)
        return Said(f"server and this machine agree within {max(1, round(apart_s))} s")

    def credentials(self) -> Said:
        """There are keys, from somewhere."""
        source = s3_client.credentials_source()
        if source is None:
            raise ConfigError(f"there are no keys in the environment, a profile or a role; {s3_failures.KEYS}")
        return Said(f"from {SOURCES.get(source, source).format(profile=self.setup.profile)}")

    def sign_in(self) -> Said:
        """The server knows the keys. What else it refuses is told by the checks that follow."""
        try:
            s3.S3Store(self.url, attempts=1)
        except GanbalanceError as error:
            code = s3_failures.code_of(error)
            if code in UNKNOWN_KEYS or not (code or _is_of_format(error)):
                raise
            self.refusal = error
            if code not in ("", "NoSuchBucket"):
                return Said("the server does not say whether it knows the keys", "note")
        return Said("the server accepts the keys")

    def enter(self) -> Said:
        """The bucket is there and these keys may look into it."""
        if self.refusal and not _is_of_format(self.refusal):
            raise self.refusal
        list(self._trial_store().names(""))
        return Said(f"{self.bucket} is there and can be listed")

    def format(self) -> Said:
        """No other version has written the store."""
        if self.refusal:
            raise self.refusal
        try:
            s3.S3Store(self.url, attempts=1).read(MARKER)
        except MissingError:
            return Said("new: nothing was written yet")
        return Said("a store of this version")

    def write(self) -> Said:
        """An object can be made."""
        with tempfile.TemporaryDirectory(prefix="ganbalance-") as folder:
            source = Path(folder) / TRIAL
            source.write_bytes(CONTENT)
            self._trial_store().put(TRIAL, source)
        return Said(f"an object was written under {TRIALS}/")

    def read(self) -> Said:
        """What comes back is what was written."""
        return same(self._trial_store().read(TRIAL))

    def create_once(self) -> Said:
        """How two writers of one name are told apart."""
        if self._trial_store().conditional_writes:
            return Said("conditional writes are honoured: a second writer is refused")
        told = "conditional writes are not honoured: two writers are settled by reading back, results stay correct"
        return Said(told, "note")

    def delete(self) -> Said:
        """What was written can be removed."""
        store = self._trial_store()
        for name in (TRIAL, MARKER):
            store.delete(name)
        if left := list(store.names("")):
            raise DataError(f"{', '.join(left)} in {store.url} is still there after deleting; delete it by hand")
        self.trial = None
        return Said("what was written is gone")

    def addressing(self) -> Said:
        """Where the bucket stands in an address."""
        style = "virtual" if self.virtual else "path"
        other = "path" if self.virtual else "virtual"
        return Said(f"{style} style, {self.setup.address} ({s3_client.ADDRESSING}={other} or the profile changes it)")

    def clean_up(self) -> None:
        """Remove what is left of the trials."""
        if self.trial:
            for name in (TRIAL, MARKER):
                with suppress(GanbalanceError):
                    self.trial.delete(name)

    def _trial_store(self) -> s3.S3Store:
        if self.trial is None:
            self.trial = s3.S3Store(f"{self.url}/{TRIALS}/{secrets.token_hex(6)}", attempts=1)
        return self.trial


@contextmanager
def _tidied(bucket: Bucket) -> Iterator[list[Check]]:
    try:
        yield bucket.checks()
    finally:
        bucket.clean_up()


def _is_of_format(error: GanbalanceError) -> bool:
    """Whether the server answered well, and what it holds is the trouble."""
    return isinstance(error, DataError) or error.__cause__ is None
