"""The checks of a store in a bucket: the settings, the network, the clock, the credentials, the objects."""

import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from ganbalance.errors import ConfigError, DataError, GanbalanceError, UnavailableError
from ganbalance.maintenance.doctor.checks import CONTENT, TRIALS, Check, CheckResult, same
from ganbalance.maintenance.doctor.endpoint import Endpoint
from ganbalance.store import s3, s3_client, s3_failures
from ganbalance.store.base import MARKER

TRIAL = "trial"
CLOCK_WARN_S, CLOCK_FAIL_S = 60, 15 * 60  # S3 refuses what was signed a quarter of an hour off
CERTIFICATE_WARN_DAYS = 14
SIGN_IN_CODES = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthFailure", "InvalidToken", "ExpiredToken", "401"}
SOURCES = {
    "env": "the environment (AWS_ACCESS_KEY_ID)",
    "shared-credentials-file": "the credentials file, profile {profile}",
    "config-file": "the config file, profile {profile}",
    "assume-role": "the role in profile {profile}",
    "assume-role-with-web-identity": "the role of this pod (web identity)",
    "container-role": "the role of this container",
    "iam-role": "the role of this machine",
}


class Bucket:
    """A bucket, checked with one attempt per request: a diagnosis does not wait for a server to come back."""

    def __init__(self, url: str) -> None:
        self.bucket, self.prefix = s3.split_url(url)
        self.url = url.rstrip("/")
        self.refusal: GanbalanceError | None = None
        self.written: tuple[str, ...] = ()  # of the trial

    def checks(self) -> list[Check]:
        """List the checks, each after those it rests on."""
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
            Check("free space", lambda: CheckResult("S3 does not report how much is left", "note")),
        ]

    def settings(self) -> CheckResult:
        """The environment and the profile make sense."""
        self.setup = s3_client.setup(self.bucket)
        self.virtual = self.setup.address.partition("://")[2].startswith(f"{self.bucket}.")
        try:
            self.server = Endpoint(self.setup.address, is_virtual=self.virtual, authorities=self.setup.authorities)
        except ValueError as error:
            raise ConfigError(f"the endpoint {self.setup.endpoint}: {error}; fix AWS_ENDPOINT_URL") from error
        return CheckResult(f"endpoint {self.setup.endpoint}, region {self.setup.region}, profile {self.setup.profile}")

    def endpoint(self) -> CheckResult:
        """The name is known and the port answers."""
        self.server.connect()
        return CheckResult(f"{self.server} answers")

    def tls(self) -> CheckResult:
        """The certificate is the server's, and will be for a while."""
        if not self.server.is_tls:
            return CheckResult("not used, plain http: the network can read along", "note")
        days = self.server.handshake()
        text = f"the certificate is accepted and expires in {days:.0f} days"
        if days < CERTIFICATE_WARN_DAYS:
            return CheckResult(text, "warn", "renew the server's certificate")
        return CheckResult(text)

    def protocol(self) -> CheckResult:
        """What answers is an S3 server."""
        self.answer = self.server.ask()
        if self.answer.is_s3:
            return CheckResult("an S3 server answers")
        message = f"{self.server} answers {self.answer.status} ({self.answer.kind}), which is not how S3 answers"
        if self.answer.status >= 500:  # noqa: PLR2004 - the server's fault, or its gateway's
            raise UnavailableError(f"{message}; see that the server is well and AWS_ENDPOINT_URL names it")
        raise ConfigError(f"{message}; set AWS_ENDPOINT_URL to the S3 service, not its console or another server")

    def clock(self) -> CheckResult:
        """The clocks agree well enough for a signature."""
        ahead_s = self.answer.ahead_s
        if ahead_s is None:
            return CheckResult("the server does not send its time", "note")
        apart_s = abs(ahead_s)
        apart = f"{apart_s:.0f} s" if apart_s < 2 * CLOCK_WARN_S else f"{apart_s / 60:.0f} min"
        text = f"the server's clock is {apart} {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
        fix = "set this machine's clock or the server's (NTP)"
        if apart_s > CLOCK_FAIL_S:
            raise UnavailableError(f"{text}, and S3 refuses more than 15 min; {fix}")
        if apart_s > CLOCK_WARN_S:
            return CheckResult(text, "warn", fix)
        return CheckResult(f"server and this machine agree within {max(1, round(apart_s))} s")

    def credentials(self) -> CheckResult:
        """There are credentials, from somewhere."""
        source = s3_client.credentials_source()
        if source is None:
            raise ConfigError(f"no credentials in the environment, a profile or a role; {s3_failures.CREDENTIALS}")
        return CheckResult(f"from {SOURCES.get(source, source).format(profile=self.setup.profile)}")

    def sign_in(self) -> CheckResult:
        """The server knows the credentials. What else it refuses is reported by the checks that follow."""
        try:
            self.store = s3.S3Store(self.url, attempts=1)
        except GanbalanceError as error:
            code, _ = s3_failures.answer_of(error.__cause__)
            if code in SIGN_IN_CODES or not (code or _is_of_format(error)):
                raise
            self.refusal = error
            if code not in ("", "NoSuchBucket"):
                return CheckResult("the server does not say whether it knows the credentials", "note")
        return CheckResult("the server accepts the credentials")

    def enter(self) -> CheckResult:
        """The bucket is there and these credentials may list it."""
        if self.refusal and not _is_of_format(self.refusal):
            raise self.refusal
        self.trial = s3.S3Store(f"{self.url}/{TRIALS}/{secrets.token_hex(6)}", attempts=1)
        list(self.trial.names(""))
        return CheckResult(f"{self.bucket} is there and can be listed")

    def format(self) -> CheckResult:
        """No other version has written the store."""
        if self.refusal:
            raise self.refusal
        return CheckResult("new: nothing was written yet" if self.store.is_new else "a store of this version")

    def write(self) -> CheckResult:
        """An object can be made."""
        with tempfile.TemporaryDirectory(prefix="ganbalance-") as folder:
            source = Path(folder) / TRIAL
            source.write_bytes(CONTENT)
            self.written = (TRIAL, MARKER)
            self.trial.put(TRIAL, source)
        return CheckResult(f"an object was written under {TRIALS}/")

    def read(self) -> CheckResult:
        """What comes back is what was written."""
        return same(self.trial.read(TRIAL))

    def create_once(self) -> CheckResult:
        """Whether the server refuses the second of two writers of one name."""
        if self.trial.conditional_writes:
            return CheckResult("conditional writes are honoured: a second writer is refused")
        message = "conditional writes are not honoured: two writers are settled by reading back, results stay correct"
        return CheckResult(message, "note")

    def delete(self) -> CheckResult:
        """What was written can be removed."""
        for name in self.written:
            self.trial.delete(name)
        if left := list(self.trial.names("")):
            raise DataError(f"{', '.join(left)} in {self.trial.url} is still there after deleting; delete it by hand")
        self.written = ()
        return CheckResult("what was written is gone")

    def addressing(self) -> CheckResult:
        """Where the bucket stands in an address."""
        style = "virtual" if self.virtual else "path"
        setting = f"{s3_client.ADDRESSING}={'path' if self.virtual else 'virtual'}"
        return CheckResult(f"{style} style, {self.setup.address} ({setting} or the profile changes it)")

    def clean_up(self) -> None:
        """Remove what is left of the trials."""
        for name in self.written:
            with suppress(GanbalanceError):
                self.trial.delete(name)


def _is_of_format(error: GanbalanceError) -> bool:
    """Whether the server answered well, and the error is in what the store holds."""
    return isinstance(error, DataError) or error.__cause__ is None
