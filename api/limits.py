"""How much a user or an address may ask for: looked at before any body is read."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import ipaddress
import math
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar, cast

from flask import Flask, current_app, request

from api.rates import Buckets, InProcess, Rate
from dinsight.accounts import Identity
from dinsight.errors import TooManyAttempts, TooManyRequests, WrongPassword
from dinsight.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

EXTENSION = "dinsight.limits"
INGEST = "monitor.post_batch"
ATTEMPT_SECONDS = 30.0  # for another wrong password, once there were too many


def register(server: Flask, settings: Settings) -> None:
    server.extensions[EXTENSION] = Limits(settings, shared_or_own(settings.redis_url))


def shared_or_own(redis_url: str) -> Buckets:
    if not redis_url:
        return InProcess()
    from api.rates_redis import InRedis  # a fifth of a second to import

    return InRedis(redis_url)


def limits() -> Limits:
    return cast(Limits, current_app.extensions[EXTENSION])


def open_to_all(route: Callable[P, R]) -> Callable[P, R]:
    """A route that needs no sign-in: limited by the address that asks."""

    @functools.wraps(route)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        limits().admit_address()
        return route(*args, **kwargs)

    return limited


class Limits:
    """The limits of one server, counted in `buckets`."""

    def __init__(self, settings: Settings, buckets: Buckets) -> None:
        self._buckets = buckets
        self._user = Rate.per_minute(settings.rate_limit)
        self._address = Rate.per_minute(settings.sign_in_rate_limit)
        self._attempt = Rate(settings.wrong_passwords, ATTEMPT_SECONDS)

    def admit(self, who: Identity) -> None:
        """Count a request of a user, by whatever token or key; raises TooManyRequests.

        Batches are counted apart, so that reading never keeps a sensor from sending.
        """
        kind = "batch" if request.endpoint == INGEST else "user"
        name = f"display:{who.sight.display_id}" if who.sight else f"{kind}:{who.id}"
        if wait := self._buckets.take(name, self._user):
            what = "batches" if kind == "batch" else "requests"
            raise too_many(f"More than {self._user.burst:,} {what} a minute of one user", wait)

    def admit_address(self) -> None:
        """Count a request of somebody unknown; raises TooManyRequests."""
        if wait := self._buckets.take(f"open:{address()}", self._address):
            raise too_many(
                f"More than {self._address.burst:,} sign-ins a minute from this address", wait
            )

    @contextlib.contextmanager
    def attempt(self, email: str) -> Iterator[None]:
        """One try of a password, of which only wrong ones count; raises TooManyAttempts.

        It is counted before it is known to be wrong, so that tries at the same time all are.
        """
        account = hashlib.sha256(email.strip().lower().encode(errors="replace")).hexdigest()
        key = f"attempt:{account[:32]}:{address()}"
        if wait := self._buckets.take(key, self._attempt):
            raise too_many("Too many wrong passwords", wait, TooManyAttempts)
        wrong = False
        try:
            yield
        except WrongPassword:
            wrong = True
            raise
        finally:
            if not wrong:
                self._buckets.refill(key)


def too_many(
    what: str, wait: float, kind: type[TooManyRequests] = TooManyRequests
) -> TooManyRequests:
    seconds = max(1, math.ceil(wait))
    return kind(f"{what}: try again in {seconds} s.", retry_after=seconds)


def address() -> str:
    """Who asks, as far as the network tells: for IPv6 the /64, all of which one host may have."""
    given = request.remote_addr or ""
    try:
        found = ipaddress.IPv6Address(given)
    except ValueError:  # IPv4, or whatever else a proxy says
        return given
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(found) >> 64 << 64))
