"""A message as a signed POST to a URL.

The receiver computes HMAC-SHA256 over `timestamp.body` with the channel's secret and compares it
with `X-Dinsight-Signature`; a timestamp that is minutes old is a message that somebody replays. The
same message may come more than once, always with the same `X-Dinsight-Delivery`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import hashlib
import hmac
import http.client
import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from dinsight import __version__
from dinsight.errors import InvalidChannel
from dinsight.notices import addresses
from dinsight.notices.addresses import Networks, Resolver
from dinsight.notices.attempt import Attempt, Undelivered

URL_LENGTH = 2_000
PLAIN = re.compile(r"[\x21-\x7e]*")
HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]")
PORTS = {"http": 80, "https": 443}
READ_BYTES = 4_096  # of the answer, so that the receiver can end it in peace
MOST_ADDRESSES = 4  # that are tried, one after the other
MOST_RETRY_AFTER = 3_600.0


@dataclass(frozen=True)
class Target:
    """A URL taken apart: where to connect, and what to ask there."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """What the header `Host` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Message:
    """What is sent: the same bytes under the same id at every attempt."""

    id: str
    event: str
    body: bytes


def parse(url: str) -> Target:
    """Take a URL apart; raises InvalidChannel, which says what is wrong with it."""
    if len(url) > URL_LENGTH or not PLAIN.fullmatch(url) or "\\" in url:
        raise InvalidChannel(
            f"A URL has at most {URL_LENGTH:,} plain characters: write blanks and others as %XX."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidChannel(f"This is not a URL: {error}.") from None
    scheme = parts.scheme.lower()
    if scheme not in PORTS:
        raise InvalidChannel("A webhook is an http:// or https:// URL.")
    if "@" in parts.netloc:
        raise InvalidChannel("A webhook's URL must not hold a user name or password.")
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.rstrip(":")
    if not HOST.fullmatch(host) or port == 0:
        raise InvalidChannel("The URL needs a host, such as https://example.com/hook.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme, host.strip("[]").lower(), port or PORTS[scheme], path)


def check(url: str, networks: Networks) -> Target:
    """Take a URL apart, and refuse one that names a private address; raises InvalidChannel.

    A name is looked up only when something is sent to it.
    """
    target = parse(url)
    try:
        ipaddress.ip_address(target.host)
    except ValueError:
        return target
    if not addresses.permitted(target.host, networks):
        raise InvalidChannel(addresses.refusal(target.host, target.host))
    return target


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of `X-Dinsight-Signature`.

    >>> sign("dw_secret", "1767225600", b"{}")[:20]
    'v1=08bfd8f9014ec3837'
    """
    made = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1={made.hexdigest()}"


def headers(target: Target, message: Message, secret: str, now: dt.datetime) -> dict[str, str]:
    timestamp = str(int(now.timestamp()))
    return {
        "Host": target.netloc,
        "User-Agent": f"dinsight/{__version__}",
        "Content-Type": "application/json",
        "Connection": "close",
        "X-Dinsight-Delivery": message.id,
        "X-Dinsight-Event": message.event,
        "X-Dinsight-Timestamp": timestamp,
        "X-Dinsight-Signature": sign(secret, timestamp, message.body),
    }


def send(
    url: str,
    secret: str,
    message: Message,
    attempt: Attempt,
    *,
    networks: Networks = (),
    now: dt.datetime,
    resolve: Resolver = addresses.look_up,
) -> None:
    """POST the message; any answer but a 2xx raises Undelivered. Redirects are not followed."""
    target = parse(url)
    found = addresses.find(target.host, target.port, networks, attempt.left(), resolve)
    try:
        with contextlib.closing(_connect(target, found, attempt)) as connection:
            signed = headers(target, message, secret, now)
            connection.request("POST", target.path, message.body, signed)
            answer = connection.getresponse()
            attempt.left()  # a head that was cut off looks like one that has ended
            status, retry_after = answer.status, answer.headers.get("Retry-After")
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer.read(READ_BYTES)
    except (OSError, http.client.HTTPException) as error:
        if attempt.is_over:
            raise attempt.too_slow() from error
        raise Undelivered(_trouble(target, error)) from error
    _judge(status, retry_after, now)


def _connect(target: Target, found: list[str], attempt: Attempt) -> http.client.HTTPConnection:
    """A connection to one of these very addresses, under the target's own name."""
    line = _line(target.port, found, attempt)
    try:
        attempt.hold(line)
        line.settimeout(attempt.left())
        if target.scheme == "https":
            context = ssl.create_default_context()
            line = context.wrap_socket(line, server_hostname=target.host)
    except BaseException:
        line.close()
        raise
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = line
    return connection


def _line(port: int, found: list[str], attempt: Attempt) -> socket.socket:
    for number, address in enumerate(found[:MOST_ADDRESSES], 1):
        try:
            return socket.create_connection((address, port), timeout=attempt.left())
        except OSError:
            if number == len(found[:MOST_ADDRESSES]):
                raise
    raise AssertionError("there is an address")


def _trouble(target: Target, error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {target.host} does not hold: {error.verify_message}."
    if isinstance(error, ConnectionRefusedError):
        return f"{target.netloc} refuses connections."
    if isinstance(error, http.client.HTTPException):
        return f"{target.netloc} does not answer as HTTP does."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{target.netloc} cannot be reached: {reason}."


def _judge(status: int, retry_after: str | None, now: dt.datetime) -> None:
    """Raises Undelivered for any answer but a 2xx.

    All are tried again, a 404 too: a receiver may be put up wrongly for an hour, and no alarm must
    be lost over it. Only 410 says that nobody wants them any more.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if status == HTTPStatus.GONE:
        raise Undelivered("The receiver answered 410: it wants no more messages.", closed=True)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise Undelivered(f"The receiver answered {status}: redirects are not followed.")
    phrase = f" {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else ""
    wait = wanted_wait(retry_after, now)
    raise Undelivered(f"The receiver answered {status}{phrase}.", retry_after=wait)


def wanted_wait(retry_after: str | None, now: dt.datetime) -> float | None:
    """The seconds that a `Retry-After` asks for, at most an hour; None where it makes no sense.

    >>> wanted_wait("120", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    120.0
    """
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), MOST_RETRY_AFTER)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=dt.UTC)
    return min(max(0.0, (until - now).total_seconds()), MOST_RETRY_AFTER)
