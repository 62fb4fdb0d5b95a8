"""The worst level of an epoch: read once, from then on only what is new.

A process keeps what it has read; another one reads for itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dinsight.maps.levels import Level
from dinsight.models import Point

MOST_POINTS = 1_000_000  # read by one reader: what is longer is known at a later look
KEPT = 4_096  # epochs

_Key = tuple[int, int]
_Worst = tuple[int, int, int]  # the first point, the last one that was read, the worst level so far


class _Kept:
    """What is known of one database's epochs."""

    def __init__(self) -> None:
        self._known: OrderedDict[_Key, _Worst] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key) -> _Worst | None:
        with self._lock:
            return self._known.get(key)

    def put(self, key: _Key, worst: _Worst) -> None:
        with self._lock:
            self._known[key] = worst
            self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)


_kept: WeakKeyDictionary[Any, _Kept] = WeakKeyDictionary()


class Reader:
    """Reads the worst levels of a few epochs, at most `most` points in all."""

    def __init__(self, session: Session, most: int = MOST_POINTS) -> None:
        self._session, self._left = session, most
        self._known = _kept.setdefault(session.get_bind(), _Kept())

    def level(self, stream_id: int, epoch: int, first: int, last: int) -> int | None:
        """Of the points `first` to `last`; None where not all of them were read yet."""
        key = (stream_id, epoch)
        known = self._known.get(key)
        if known is None or known[0] != first:  # retention took its beginning
            known = (first, first - 1, Level.HEALTHY)
        _, upto, worst = known
        stop = min(last, upto + self._left)
        if worst < Level.ALARM and stop > upto:
            self._left -= stop - upto
            upto, worst = stop, max(worst, self._read(key, upto, stop))
            self._known.put(key, (first, upto, worst))
        return worst if worst == Level.ALARM or upto >= last else None

    def _read(self, key: _Key, after: int, upto: int) -> int:
        found = self._session.scalar(
            select(func.max(Point.level))
            .where(Point.stream_id == key[0], Point.epoch == key[1])
            .where(Point.seq > after, Point.seq <= upto)
        )
        return found or Level.HEALTHY
