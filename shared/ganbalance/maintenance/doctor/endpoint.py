"""Check what answers at a bucket's address: name, port, certificate, S3, clock. Nothing is signed or written."""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.httpsession import ProxyConfiguration
from botocore.utils import get_environ_proxies

from ganbalance.errors import ConfigError, UnavailableError

TIMEOUT_S = 5
SIGNS_OF_S3 = (b"<Error", b"<ListBucketResult", b"<ListAllMyBucketsResult")
BUNDLE = "set AWS_CA_BUNDLE to the file of the authority that signed the server's certificate"
SCHEME = "fix AWS_ENDPOINT_URL: http:// for a port without TLS, https:// for one with it"
# OpenSSL's numbers of what is wrong with a certificate, where another authority does not help
EXPIRED, WRONG_NAME, WRONG_ADDRESS = 10, 62, 64


@dataclass(frozen=True)
class Answer:
    """What the server said to a request that nobody signed. `ahead_s`: its clock less ours, None when it sends none."""

    status: int
    kind: str
    is_s3: bool
    ahead_s: float | None


class Endpoint:
    """Where the client goes for one bucket: its own address, or the proxy that the environment names."""

    def __init__(self, address: str, *, is_virtual: bool, authorities: str) -> None:
        parts = urlsplit(address)
        self.is_tls = parts.scheme == "https"
        self.is_virtual = is_virtual
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if self.is_tls else 80)
        self._authorities = authorities
        proxies = ProxyConfiguration(get_environ_proxies(address))
        proxy = proxies.proxy_url_for(address)
        self._proxied = bool(proxy)
        self._proxy_headers = proxies.proxy_headers_for(proxy or "")
        hop = urlsplit(proxy or address)
        self._first_hop = (hop.hostname or "", hop.port or (80 if proxy else self.port))
        origin = f"http://{self.host}:{self.port}" if proxy and not self.is_tls else ""  # tells the proxy where to
        self._target = f"{origin}{parts.path or '/'}?list-type=2&max-keys=1"

    def __str__(self) -> str:
        """The address, and the proxy on the way to it."""
        own, (host, port) = f"{self.host}:{self.port}", self._first_hop
        return f"{own} through the proxy {host}:{port}" if self._proxied else own

    def connect(self) -> None:
        """Find the name and open a connection. Raises UnavailableError."""
        advice = "see that AWS_ENDPOINT_URL is right and the server is up"
        if self.is_virtual:
            advice += ", or set GANBALANCE_S3_ADDRESSING=path if it knows no names for buckets"
        try:
            socket.create_connection(self._first_hop, TIMEOUT_S).close()
        except socket.gaierror as error:
            message = f"the name {self._first_hop[0]} is not known ({error.strerror})"
            raise UnavailableError(f"{message}; {advice}") from error
        except TimeoutError as error:
            message = f"{self} does not answer within {TIMEOUT_S} s"
            raise UnavailableError(f"{message}; {advice}, and no firewall is between") from error
        except OSError as error:
            raise UnavailableError(f"{self} cannot be reached: {error.strerror or error}; {advice}") from error

    def handshake(self) -> float:
        """Verify the server's certificate as the client does; the days until it expires. Raises ConfigError."""
        with self._connection() as connection:
            try:
                connection.connect()
            except ssl.SSLCertVerificationError as error:
                message = f"the certificate of {self.host} is not accepted: {error.verify_message}"
                raise ConfigError(f"{message}; {self._advice(error.verify_code)}") from error
            except ssl.SSLError as error:
                raise ConfigError(f"{self} speaks no TLS that we do: {error.reason or error}; {SCHEME}") from error
            secured: Any = connection.sock
            expires = str(secured.getpeercert()["notAfter"])
        return (ssl.cert_time_to_seconds(expires) - time.time()) / 86_400

    def ask(self) -> Answer:
        """List the bucket as nobody: whatever the answer, S3 gives it in its own form and with the time."""
        with self._connection() as connection:
            began = time.time()
            connection.request("GET", self._target, headers={} if self.is_tls else self._proxy_headers)
            response = connection.getresponse()
            middle = (began + time.time()) / 2
            head = response.read(4096)
        amazon = any(name.lower().startswith("x-amz-") for name in response.headers)
        return Answer(
            status=response.status,
            kind=response.headers.get("Content-Type", "of no type").partition(";")[0],
            is_s3=amazon or any(sign in head for sign in SIGNS_OF_S3),
            ahead_s=_ahead_s(response.headers.get("Date"), middle),
        )

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        """A connection that is not open yet; TLS goes through a proxy's tunnel."""
        if self.is_tls:
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                *self._first_hop, timeout=TIMEOUT_S, context=self._trust()
            )
            if self._proxied:
                made.set_tunnel(self.host, self.port, self._proxy_headers)
        else:
            made = http.client.HTTPConnection(*self._first_hop, timeout=TIMEOUT_S)
        try:
            yield made
        except TimeoutError as error:
            message = f"{self} is connected and does not answer within {TIMEOUT_S} s"
            raise UnavailableError(f"{message}; see that the server is well, or {SCHEME}") from error
        except OSError as error:
            message = f"{self} ends the connection: {error}"
            raise UnavailableError(f"{message}; see that the server is well, or {SCHEME}") from error
        except http.client.HTTPException as error:
            raise ConfigError(f"{self} speaks no HTTP ({type(error).__name__}); {SCHEME}") from error
        finally:
            made.close()

    def _trust(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(self._authorities)
        except OSError as error:  # what ssl raises is one too
            message = f"no certificates can be read from {self._authorities}: {error.strerror or error}"
            raise ConfigError(f"{message}; set AWS_CA_BUNDLE to a file with PEM certificates, or unset it") from error
        return context

    def _advice(self, verify_code: int) -> str:
        if verify_code == EXPIRED:
            return "renew the server's certificate"
        if verify_code in (WRONG_NAME, WRONG_ADDRESS):
            style = ", or set GANBALANCE_S3_ADDRESSING=path" if self.is_virtual else ""
            return f"name the server in AWS_ENDPOINT_URL as its certificate does{style}"
        return f"{BUNDLE} (now {self._authorities})"


def _ahead_s(date: str | None, now_s: float) -> float | None:
    try:
        return parsedate_to_datetime(date or "").timestamp() + 0.5 - now_s  # the header counts whole seconds
    except ValueError:
        return None
