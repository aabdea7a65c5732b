"""The checks of a store in a bucket: the settings, the network, the clock, the credentials, the objects.

Each request is made once: a diagnosis does not wait for a server to come back.
"""

import time
from email.utils import parsedate_to_datetime

from botocore import UNSIGNED
from botocore.exceptions import ClientError

from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.maintenance.doctor import Check, CheckResult, Target
from ganbalance.store import s3_client, s3_failures
from ganbalance.store.s3_failures import translate_errors
from ganbalance.store.schemes import s3

TIMEOUT_S = 5
CLOCK_WARN_S, CLOCK_FAIL_S = 60, 15 * 60  # S3 refuses what was signed a quarter of an hour off


class Bucket(Target):
    """A bucket, or a prefix in one."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.bucket, _ = s3.split_url(url)
        self.url = url.rstrip("/")

    def of_place(self) -> list[Check]:
        """From the settings to the bucket."""
        return [
            Check("settings", self.settings),
            Check("endpoint", self.endpoint, ["settings"]),
            Check("clock", self.clock, ["endpoint"]),
            Check("credentials", self.credentials, ["settings"]),
            Check("bucket", self.enter, ["credentials", "clock"]),
        ]

    def open(self, place: str = "") -> s3.S3Store:
        """The store, or a trial's."""
        return s3.S3Store(f"{self.url}/{place}", attempts=1)

    def settings(self) -> CheckResult:
        """The environment and the profile make sense."""
        with translate_errors("cannot use the S3 settings"):
            self.client = s3_client.make_client(1, signature_version=UNSIGNED, read_timeout=TIMEOUT_S)
            address = self.client.generate_presigned_url("list_objects_v2", {"Bucket": self.bucket}).partition("?")[0]
        style = f"{self.client.meta.config.s3['addressing_style']} style ({s3_client.ADDRESSING} changes it)"
        return CheckResult(f"{address}, {style}, region {self.client.meta.region_name}")

    def endpoint(self) -> CheckResult:
        """An S3 server answers: a request that nobody signed gets an answer in S3's own form, and the time."""
        with translate_errors("cannot reach the server"):
            try:
                answer = self.client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
            except ClientError as error:
                answer = error.response
        self.answered = time.time()
        code, status = answer.get("Error", {}).get("Code", ""), answer["ResponseMetadata"]["HTTPStatusCode"]
        self.headers: dict[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
        has_amazons = any(name.startswith("x-amz-") for name in self.headers)
        if has_amazons or "Name" in answer or (code and not code.isdecimal()):
            return CheckResult("an S3 server answers")
        kind = self.headers.get("content-type", "of no type")
        message = f"the server answers {status} ({kind.partition(';')[0]}), which is not how S3 answers"
        if status >= 500:  # noqa: PLR2004 - the server's fault, or its gateway's
            raise UnavailableError(f"{message}; see that the server is well and AWS_ENDPOINT_URL names it")
        raise ConfigError(f"{message}; set AWS_ENDPOINT_URL to the S3 service, not its console or another server")

    def clock(self) -> CheckResult:
        """The clocks agree well enough for a signature."""
        if "date" not in self.headers:
            return CheckResult("the server does not send its time", "note")
        ahead_s = parsedate_to_datetime(self.headers["date"]).timestamp() - self.answered
        apart_s = abs(ahead_s)
        apart = f"{apart_s:.0f} s" if apart_s < 2 * CLOCK_WARN_S else f"{apart_s / 60:.0f} min"
        text = f"the server's clock is {apart} {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
        fix = "set this machine's clock or the server's (NTP)"
        if apart_s > CLOCK_FAIL_S:
            raise UnavailableError(f"{text}, and S3 refuses more than 15 min; {fix}")
        return CheckResult(text, "warn", fix) if apart_s > CLOCK_WARN_S else CheckResult(text)

    def credentials(self) -> CheckResult:
        """There are credentials, from somewhere."""
        source = s3_client.credentials_source()
        if source is None:
            raise ConfigError(f"no credentials in the environment, a profile or a role; {s3_failures.CREDENTIALS}")
        return CheckResult(f"from {source}")

    def enter(self) -> CheckResult:
        """The server knows the credentials, the bucket is there and they may list it."""
        list(self.open(self.place).names(""))
        return CheckResult(f"{self.bucket} is there and can be listed")

    def create_once(self) -> CheckResult:
        """Whether the server refuses the second of two writers by itself."""
        found = super().create_once()
        if self.open(self.place).conditional_writes:
            return found
        message = "conditional writes are not honoured: two writers are settled by reading back, results stay correct"
        return CheckResult(message, "note")
