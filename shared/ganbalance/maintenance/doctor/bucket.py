"""The checks of a store in a bucket: the settings, the network, the clock, the credentials, the objects.

Each request is made once: a diagnosis does not wait for a server to come back.
"""

import secrets
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from botocore import UNSIGNED
from botocore.exceptions import ClientError

from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.maintenance.doctor import TRIALS, TRIED, Check, CheckResult, trials
from ganbalance.store import s3_failures
from ganbalance.store.s3_failures import completed, translate_errors
from ganbalance.store.schemes import s3

TIMEOUT_S = 5
CLOCK_WARN_S, CLOCK_FAIL_S = 60, 15 * 60  # S3 refuses what was signed a quarter of an hour off


def checks(url: str) -> list[Check]:
    """List the checks from the settings to the bucket, and of what can be done there."""
    bucket, _ = s3.split_url(url)
    return [
        Check("settings, endpoint, clock", partial(_way, bucket)),
        Check("credentials", _credentials, ["settings"]),
        Check(f"bucket, {TRIED}", partial(_inside, url.rstrip("/"), bucket), ["credentials", "clock"]),
    ]


def _way(bucket: str) -> Iterator[CheckResult]:
    """Check that the environment and the profile make sense, an S3 server answers, and the clocks agree enough to sign.

    A request that nobody signed gets an answer in S3's own form, and the time.
    """
    with translate_errors("cannot use the S3 settings"):
        client = s3.make_client(bucket, 1, signature_version=UNSIGNED, read_timeout=TIMEOUT_S)
        address = client.generate_presigned_url("list_objects_v2", {"Bucket": bucket}).partition("?")[0]
    style = f"{client.meta.config.s3['addressing_style']} style ({s3.ADDRESSING} changes it)"
    yield CheckResult(f"{address}, {style}, region {client.meta.region_name}")
    with translate_errors("cannot reach the server"):
        try:
            answer = client.list_objects_v2(Bucket=bucket, MaxKeys=1)
        except ClientError as error:
            answer = error.response
    answered = time.time()
    _check_is_s3(answer)
    yield CheckResult("an S3 server answers")
    yield _clock(answer["ResponseMetadata"]["HTTPHeaders"].get("date"), answered)


def _check_is_s3(answer: dict[str, Any]) -> None:
    """Raise ConfigError, or UnavailableError, for an answer that is not how S3 answers."""
    code, status = answer.get("Error", {}).get("Code", ""), answer["ResponseMetadata"]["HTTPStatusCode"]
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    has_amazons = any(name.startswith("x-amz-") for name in headers)
    if has_amazons or "Name" in answer or (code and not code.isdecimal()):
        return
    kind = headers.get("content-type", "of no type")
    message = f"the server answers {status} ({kind.partition(';')[0]}), which is not how S3 answers"
    if status >= 500:  # noqa: PLR2004 - the server's fault, or its gateway's
        raise UnavailableError(f"{message}; {completed('see that the server is well and {endpoint} names it')}")
    raise ConfigError(f"{message}; {completed('set {endpoint} to the S3 service, not its console or another server')}")


def _clock(date: str | None, answered: float) -> CheckResult:
    if date is None:
        return CheckResult("the server does not send its time", "note")
    ahead_s = parsedate_to_datetime(date).timestamp() - answered
    apart_s = abs(ahead_s)
    apart = f"{apart_s:.0f} s" if apart_s < 2 * CLOCK_WARN_S else f"{apart_s / 60:.0f} min"
    text = f"the server's clock is {apart} {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    fix = "set this machine's clock or the server's (NTP)"
    if apart_s > CLOCK_FAIL_S:
        raise UnavailableError(f"{text}, and S3 refuses more than 15 min; {fix}")
    return CheckResult(text, "warn", fix) if apart_s > CLOCK_WARN_S else CheckResult(text)


def _credentials() -> CheckResult:
    """Check that there are credentials, from somewhere."""
    source = s3.credentials_source()
    if source is None:
        fix = s3_failures.completed(s3_failures.CREDENTIALS)
        raise ConfigError(f"no credentials in the environment, a profile or a role; {fix}")
    return CheckResult(f"from {source}")


def _inside(url: str, bucket: str) -> Iterator[CheckResult]:
    """Check that the server knows the credentials, the bucket is there and they may list it; try what can be done."""
    place = f"{TRIALS}/{secrets.token_hex(6)}"
    list(s3.S3Store(f"{url}/{place}", attempts=1).names(""))
    yield CheckResult(f"{bucket} is there and can be listed")
    yield from trials(lambda place: s3.S3Store(f"{url}/{place}", attempts=1), place)
