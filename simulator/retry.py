"""How long to wait before the next try, and for how long to go on trying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off with jitter; all times in seconds.

    `patience` bounds a series of failures without one success. Until a server has answered for
    the first time `first_contact` holds instead: a mistyped address should be told soon.
    """

    first: float = 0.5
    cap: float = 15.0
    patience: float = 600.0
    first_contact: float = 20.0

    def wait(self, failures: int, asked: float | None, random: Callable[[], float]) -> float:
        """Seconds before the try after `failures` earlier ones; `random` gives 0 ≤ x < 1.

        Half of the wait is jitter, so that many senders do not come back in step. What the
        server asked for is never undercut.

        >>> Backoff().wait(3, None, lambda: 0.0), Backoff().wait(30, None, lambda: 0.0)
        (2.0, 7.5)
        >>> Backoff().wait(0, 3.0, lambda: 0.5)
        3.125
        """
        if asked is not None:
            return asked + 0.25 * random()
        longest: float = min(self.cap, self.first * 2.0 ** min(failures, 32))
        return longest * (0.5 + 0.5 * random())

    def limit(self, met: bool) -> float:
        """For how long a series of failures is borne; `met`: a server has answered before."""
        return self.patience if met else min(self.patience, self.first_contact)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number or an HTTP date (RFC 9110 10.2.3).

    >>> retry_after("3", datetime(2026, 1, 1, tzinfo=UTC))
    3.0
    >>> retry_after("Thu, 01 Jan 2026 00:00:05 GMT", datetime(2026, 1, 1, tzinfo=UTC))
    5.0
    >>> retry_after("soon", datetime(2026, 1, 1, tzinfo=UTC)) is None
    True
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
