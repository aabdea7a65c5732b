"""Turn an S3 server's and the client's errors into one line for a user, with the setting to change."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import botocore.exceptions as failures
from s3transfer.exceptions import RetriesExceededError

from ganbalance.called import typed
from ganbalance.errors import ConfigError, GanbalanceError, UnavailableError
from ganbalance.store.base import CLUSTER, SECRET, SERVICE, MissingError, redacted

# advice has gaps for where its settings are: `completed` fills them
CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY{in_secret_or_profile} to credentials that this server knows, "
    "without white space around them"
)
TOKEN = "renew AWS_SESSION_TOKEN{in_secret}"  # noqa: S105 - no token
EXAMINE = "'{doctor}' may tell why"
ENDPOINT = "set {endpoint} to the server alone, as in http://host:9000: the bucket is in the store's URL"
SCHEME = "fix {endpoint}: http:// for a port without TLS, https:// for one with it"
PLAIN = "the server speaks plain HTTP at this port: set {endpoint} to the same with http://"
BUNDLE = "set AWS_CA_BUNDLE (now {bundle}) to the file of the authority that signed the server's certificate"
OTHER_NAME = "name the server in {endpoint} as its certificate does, or set GANBALANCE_S3_ADDRESSING=path"
# what is said of a connection -> what to change; the first that fits
TLS = {  # not before that is changed
    "has expired": "renew the server's certificate",
    "doesn't match": OTHER_NAME,
    "is not valid for": OTHER_NAME,
    "CERTIFICATE_VERIFY_FAILED": BUNDLE,
    "No such file": BUNDLE,
    "NO_CERTIFICATE": BUNDLE,
    "WRONG_VERSION_NUMBER": PLAIN,
    "RECORD_LAYER_FAILURE": PLAIN,  # the same, as newer OpenSSL calls it
}
CONNECTION = TLS | {
    "[SSL: ": f"see that the server is up, or {SCHEME}",  # a balancer whose server is away ends the handshake
    "Connection was closed": f"see that the server is up, or {SCHEME}",
    "Failed to connect to proxy": "see that http_proxy, https_proxy and no_proxy are right",
    "Failed to resolve": "fix {endpoint}, or set GANBALANCE_S3_ADDRESSING=path if it knows no names for buckets",
    "": "see that {endpoint} is right and the server is up, and no firewall is between",
}
MISSING = {"NoSuchKey", "404"}
PERMISSIONS = "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket"
UPLOAD_PERMISSIONS = "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload"
CREATE_PERMISSIONS = "s3:ListBucket and s3:CreateBucket"
# error code -> what to change; the request would be refused again however often it is made
ADVICE = {
    "NoSuchBucket": "make the bucket with '{init}', or name another one in the store's URL",
    "InvalidBucketName": "name another bucket in the store's URL",
    "InvalidAccessKeyId": CREDENTIALS,
    "SignatureDoesNotMatch": CREDENTIALS,
    "AuthFailure": CREDENTIALS,
    "InvalidToken": TOKEN,
    "ExpiredToken": TOKEN,
    "AccessDenied": "grant these credentials{in_secret} {permissions} on the bucket",
    "PermanentRedirect": "set AWS_REGION to the bucket's region",
    "AuthorizationHeaderMalformed": "set AWS_REGION to the bucket's region",
    "IllegalLocationConstraintException": "set AWS_REGION to the bucket's region",
    "KeyTooLongError": "shorten the prefix in the store's URL",
}
ADVICE |= {"401": CREDENTIALS, "403": ADVICE["AccessDenied"], "301": ADVICE["PermanentRedirect"]}
# the same, for what is no fault of the request: the same command may succeed later, or on another machine
TRANSIENT = {
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


def answer_of(error: BaseException | None) -> tuple[str, int]:
    """Return the server's error code and the HTTP status; empty and 0 where no server answered."""
    if not isinstance(error, failures.ClientError):
        return "", 0
    said, about = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    return str(said.get("Code", "")), int(about.get("HTTPStatusCode", 0))


def completed(advice: str, permissions: str = PERMISSIONS) -> str:
    """Fill the gaps in advice: its settings are the user's own, or those of the cluster that gave them."""
    secret, service, flags = (os.environ.get(name, "") for name in (SECRET, SERVICE, CLUSTER))
    in_secret = f" in the Secret {secret}" if secret else ""
    init, doctor = (typed(f"{command} {flags}".rstrip()) for command in ("store init", "doctor"))
    return advice.format(
        permissions=permissions, in_secret=in_secret, in_secret_or_profile=in_secret or ", or AWS_PROFILE,",
        endpoint=f"AWS_ENDPOINT_URL of the cluster (the Service {service})" if service else "AWS_ENDPOINT_URL",
        bundle=os.environ.get("AWS_CA_BUNDLE") or "not set", init=init, doctor=doctor,
    )  # fmt: skip


@contextmanager
def translate_errors(what: str, permissions: str = PERMISSIONS) -> Iterator[None]:
    """Say in one line what failed and which setting to change; `permissions` are those that the request takes."""
    try:
        yield
    except failures.ClientError as error:
        raise _refused(what, error, permissions) from error
    except RetriesExceededError as error:
        raise UnavailableError(f"{what}: {error.last_exception}; try again later") from error.last_exception
    except NO_CREDENTIALS as error:
        raise ConfigError(f"{what}: {error}; {completed(CREDENTIALS)}") from error
    except (failures.ConnectionError, failures.HTTPClientError, failures.IncompleteReadError, ConnectionError) as error:
        raise _unreachable(what, error) from error
    except (failures.BotoCoreError, ValueError) as error:
        advice = "fix {endpoint} and the other AWS_ settings"
        raise ConfigError(f"{what}: {redacted(' '.join(str(error).split()))}; {completed(advice)}") from error


def _unreachable(what: str, error: Exception) -> GanbalanceError:
    """Return the error that a connection which failed means to a user."""
    said = str(error)
    if "Invalid header" in said:  # it says which, with the signature
        return ConfigError(
            f"{what}: a line break within the credentials or another AWS_ setting; {completed(CREDENTIALS)}"
        )
    if isinstance(error, failures.EndpointConnectionError):  # which does not say why
        said += f" ({str(error.kwargs['error']).rpartition(': ')[2]})"
    advice = next(fix for sign, fix in CONNECTION.items() if sign in said)
    kind = ConfigError if isinstance(error, failures.SSLError) and advice in TLS.values() else UnavailableError
    return kind(f"{what}: {said}; {completed(advice)}")


def _refused(what: str, error: failures.ClientError, permissions: str) -> GanbalanceError:
    """Return the error that the server's answer means to a user."""
    code, status = answer_of(error)
    if code in MISSING and error.operation_name.startswith("List"):
        return ConfigError(f"{what}: there is no bucket at this address; {completed(ENDPOINT)}")
    if code in MISSING:
        return MissingError(f"{what}: it holds none")
    said = str(error.response.get("Error", {}).get("Message") or code).rstrip(".")
    if code in TRANSIENT:
        return UnavailableError(f"{what}: {said}; {TRANSIENT[code]}")
    if code in ADVICE:
        return ConfigError(f"{what}: {said}; {completed(ADVICE[code], permissions)}")
    if status >= 500 or code in ("SlowDown", "RequestTimeout") or status in (408, 429):  # noqa: PLR2004
        return UnavailableError(f"{what}: the server says {status} {said}; try again later")
    return ConfigError(f"{what}: the server refuses it, {status} {code}: {said}; {completed(EXAMINE)}")
