"""Counting requests: buckets that empty by one a request and fill again at a steady pace.

In this process; `api.rates_redis` has them for all instances together. A bucket is one number, the
moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371): whoever waits
for as long as is asked goes on at once, where a counter of whole minutes would let a sender wait
for the rest of its minute.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MOST_KEYS = 100_000


@dataclass(frozen=True)
class Rate:
    """A bucket of `burst`, of which one comes back every `step` seconds."""

    burst: int
    step: float

    @classmethod
    def per_minute(cls, number: int) -> Rate:
        return cls(number, 60 / number)

    @property
    def span(self) -> float:
        """Seconds in which an empty bucket fills."""
        return self.burst * self.step


class Buckets(Protocol):
    def take(self, key: str, rate: Rate) -> float:
        """Take one out of the bucket: 0, or the seconds until there is one in it."""

    def refill(self, key: str) -> None:
        """Make the bucket full."""


class InProcess:
    """Buckets of this process alone; the least recently begun go when there are too many.

    >>> now = 0.0
    >>> buckets = InProcess(clock=lambda: now)
    >>> [buckets.take("ada", Rate(burst=2, step=3.0)) for _ in range(3)]
    [0.0, 0.0, 3.0]
    >>> now = 2.0
    >>> buckets.take("ada", Rate(burst=2, step=3.0)), buckets.take("eve", Rate(burst=2, step=3.0))
    (1.0, 0.0)
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, most_keys: int = MOST_KEYS
    ) -> None:
        self._clock, self._most_keys = clock, most_keys
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, key: str, rate: Rate) -> float:
        now = self._clock()
        with self._lock:
            full_at = max(self._full_at.get(key, now), now) + rate.step
            # Half a microsecond: so many steps added up are not exactly their span.
            if (wait := full_at - now - rate.span) > 5e-7:
                return wait
            if len(self._full_at) >= self._most_keys and key not in self._full_at:
                self._make_room(now)
            self._full_at[key] = full_at
        return 0.0

    def refill(self, key: str) -> None:
        with self._lock:
            self._full_at.pop(key, None)

    def __len__(self) -> int:
        return len(self._full_at)

    def _make_room(self, now: float) -> None:
        self._full_at = {key: full for key, full in self._full_at.items() if full > now}
        surplus = len(self._full_at) - self._most_keys * 3 // 4
        for key in list(itertools.islice(self._full_at, max(0, surplus))):
            del self._full_at[key]
