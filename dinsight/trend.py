"""The score over a whole epoch of a stream: a few hundred buckets, and its episodes.

PostgreSQL puts points into buckets, by ranges of the primary key. What was read is kept by stream
and epoch, and only what is new is read: a point never changes, and `seq` is the order of commits.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Float, cast, func, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session

from dinsight import packing
from dinsight.models import Epoch, Point
from dinsight.streams import Found

MOST_BUCKETS = 600
MOST_EPISODES = 100  # the newest: what is listed; the buckets hold the levels of all
PIECE = 100_000  # points of one query
MOST_POINTS = 1_000_000  # points read in a call: a longer history takes more than one
MOST_TRENDS = 64
RECENT = 1_000  # points that are shown one by one


@dataclass(frozen=True)
class Buckets:
    """The score in buckets of `width` points: `number` n holds seq n * width + 1 to (n+1) * width.

    Each (k,): the lowest and the highest score, the seq of the highest, the worst level, and when
    the first point came, in seconds since 1970.
    """

    number: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    peak: NDArray[np.int64]
    level: NDArray[np.uint8]
    at: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Iterable[tuple[int, float, float, int, int, float]] = ()) -> Buckets:
        """Of rows (number, low, high, peak, level, at), in order."""
        columns = list(zip(*rows, strict=True)) or [()] * 6
        types = (np.int64, np.float32, np.float32, np.int64, np.uint8, np.float64)
        return cls(*(np.array(each, dtype=t) for each, t in zip(columns, types, strict=True)))

    def __len__(self) -> int:
        return len(self.number)

    def columns(self) -> tuple[NDArray[Any], ...]:
        return self.number, self.low, self.high, self.peak, self.level, self.at

    def kept(self, which: NDArray[np.bool_]) -> Buckets:
        return Buckets(*(column[which] for column in self.columns()))

    def followed_by(self, more: Buckets) -> Buckets:
        """With what comes after; the last bucket goes on where the next begins in the middle."""
        pairs = zip(self.columns(), more.columns(), strict=True)
        return Buckets(*(np.concatenate(pair) for pair in pairs)).joined()

    def doubled(self) -> Buckets:
        """Buckets of twice the width."""
        return replace(self, number=self.number // 2).joined()

    def joined(self) -> Buckets:
        """Neighbours of the same number as one: nothing that stood out is lost.

        >>> two = Buckets.of([(0, 0.1, 9.0, 2, 2, 5.0), (0, 0.2, 0.4, 3, 0, 6.0)])
        >>> one = two.joined()
        >>> one.low.tolist() == two.low[:1].tolist(), one.high.tolist(), one.peak.tolist()
        (True, [9.0], [2])
        >>> one.level.tolist(), one.at.tolist()
        ([2], [5.0])
        """
        if not len(self):
            return self
        starts = np.flatnonzero(np.diff(self.number, prepend=self.number[0] - 1))
        ends = [*starts[1:], len(self)]
        highest = [
            start + int(np.argmax(self.high[start:end]))
            for start, end in zip(starts, ends, strict=True)
        ]
        return Buckets(
            self.number[starts],
            np.minimum.reduceat(self.low, starts),
            self.high[highest],
            self.peak[highest],
            np.maximum.reduceat(self.level, starts),
            self.at[starts],
        )


@dataclass(frozen=True)
class Episode:
    """Points in a row of one level, warning or alarm: from seq `first` to `last`."""

    level: int
    first: int
    last: int
    began: dt.datetime
    until: dt.datetime
    peak: float
    peak_seq: int

    def joined(self, later: Episode) -> Episode:
        """With its own rest, which was read later."""
        worse = later.peak > self.peak
        return replace(
            self,
            last=later.last,
            until=later.until,
            peak=later.peak if worse else self.peak,
            peak_seq=later.peak_seq if worse else self.peak_seq,
        )


@dataclass(frozen=True)
class Trend:
    """An epoch's points from seq `first` to `last`; its `episodes` are the oldest first."""

    first: int
    last: int
    width: int = 1
    buckets: Buckets = field(default_factory=Buckets.of)
    episodes: tuple[Episode, ...] = ()

    @property
    def present(self) -> Episode | None:
        """The episode that the last point is in; None while it is healthy."""
        newest = self.episodes[-1] if self.episodes else None
        return newest if newest and newest.last == self.last else None

    def beginning_at(self, seq: int) -> Trend:
        """Without what retention took; a bucket goes once all of it is gone."""
        if seq <= self.first:
            return self
        return replace(
            self,
            first=seq,
            last=max(self.last, seq - 1),
            buckets=self.buckets.kept((self.buckets.number + 1) * self.width >= seq),
            episodes=tuple(each for each in self.episodes if each.last >= seq),
        )

    def widened_for(self, end: int) -> Trend:
        """With buckets so wide that the points up to seq `end` need no more than MOST_BUCKETS."""
        width, buckets = self.width, self.buckets
        while (end - 1) // width - (self.first - 1) // width >= MOST_BUCKETS:
            width, buckets = 2 * width, buckets.doubled()
        return replace(self, width=width, buckets=buckets)

    def extended(self, last: int, buckets: Buckets, episodes: list[Episode]) -> Trend:
        """With the points up to seq `last`."""
        known = list(self.episodes)
        if known and episodes:
            before, after = known[-1], episodes[0]
            if (before.level, before.last + 1) == (after.level, after.first):
                known[-1:] = [before.joined(after)]
                episodes = episodes[1:]
        return replace(
            self,
            last=last,
            buckets=self.buckets.followed_by(buckets),
            episodes=tuple([*known, *episodes][-MOST_EPISODES:]),
        )


class _Known:
    """The trends that were read last of one database: a cache, so any instance can answer."""

    def __init__(self) -> None:
        self._trends: OrderedDict[tuple[int, int], Trend] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, stream: Found) -> Trend | None:
        with self._lock:
            return self._trends.get((stream.id, stream.epoch))

    def keep(self, stream: Found, trend: Trend) -> None:
        """Keep it, unless another thread has read further meanwhile."""
        key = (stream.id, stream.epoch)
        with self._lock:
            known = self._trends.get(key)
            if known is None or known.last <= trend.last:
                self._trends[key] = trend
            self._trends.move_to_end(key)
            while len(self._trends) > MOST_TRENDS:
                self._trends.popitem(last=False)


# Of each database that this process has open.
_known: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()


def of_stream(session: Session, stream: Found, *, most: int = MOST_POINTS) -> Trend:
    """The trend of the stream's epoch, at most `most` points further than it was known.

    `last` below the stream's last seq says that there is more: ask again.
    """
    known = _known.setdefault(session.get_bind(), _Known())
    begins = session.scalar(
        select(Epoch.points_from).where(Epoch.stream_id == stream.id, Epoch.epoch == stream.epoch)
    )
    trend = (known.get(stream) or Trend(1, 0)).beginning_at(begins or 1)
    end = stream.next_seq - 1
    trend = trend.widened_for(end)
    stop = min(end, trend.last + most)
    while trend.last < stop:
        until = min(stop, trend.last + PIECE)
        buckets = _buckets(session, stream, trend.width, trend.last, until)
        trend = trend.extended(until, buckets, _episodes(session, stream, trend.last, until))
    known.keep(stream, trend)
    return trend


def whole(session: Session, stream: Found) -> Trend:
    """The trend up to the stream's last point, however many of `of_stream` that takes."""
    found = of_stream(session, stream)
    while found.last < stream.next_seq - 1:
        found = of_stream(session, stream)
    return found


def recent_times(session: Session, stream: Found, last: int) -> list[int]:
    """When each of the last `RECENT` points up to seq `last` came: milliseconds since 1970."""
    found = session.scalars(
        select(Point.received_at).where(*_range(stream, last - RECENT, last)).order_by(Point.seq)
    )
    return [_milliseconds(moment) for moment in found]


def pack(trend: Trend) -> dict[str, Any]:
    """The trend as JSON can carry it; see `dinsight.packing`. Times are milliseconds since 1970."""
    buckets = trend.buckets
    return {
        "width": trend.width,
        "last": trend.last,
        "number": buckets.number.tolist(),
        "low": packing.floats(buckets.low),
        "high": packing.floats(buckets.high),
        "peak": buckets.peak.tolist(),
        "level": packing.text(buckets.level.tobytes()),
        "at": np.rint(buckets.at * 1000).astype(np.int64).tolist(),
        "episodes": [
            {
                "level": each.level,
                "first": each.first,
                "last": each.last,
                "began": _milliseconds(each.began),
                "until": _milliseconds(each.until),
                "peak": each.peak,
                "peak_seq": each.peak_seq,
            }
            for each in trend.episodes
        ],
    }


def _range(stream: Found, after: int, until: int) -> tuple[Any, ...]:
    return (
        *(Point.stream_id == stream.id, Point.epoch == stream.epoch),
        *(Point.seq > after, Point.seq <= until),
    )


# The highest score and its point, the first of equals: [score, -seq].
HIGHEST: Any = func.max(array([cast(Point.score, Float(53)), cast(-Point.seq, Float(53))]))


def _buckets(session: Session, stream: Found, width: int, after: int, until: int) -> Buckets:
    """The points after seq `after` up to `until`, by buckets of that width."""
    number = (Point.seq - 1) // width
    found = session.execute(
        select(
            number,
            func.min(Point.score),
            HIGHEST,
            func.max(Point.level),
            func.min(Point.received_at),
        )
        .where(*_range(stream, after, until))
        .group_by(number)
        .order_by(number)
    )
    return Buckets.of(
        (at, low, high, round(-seq), level, moment.timestamp())
        for at, low, (high, seq), level, moment in found
    )


def _episodes(session: Session, stream: Found, after: int, until: int) -> list[Episode]:
    """The newest episodes among those points, the oldest first.

    `seq` has no gap: points of a level are in a row where seq and their own count go in step.
    """
    before = func.row_number().over(partition_by=Point.level, order_by=Point.seq)
    off = (
        select(
            *(Point.level, Point.seq, Point.score, Point.received_at),
            (Point.seq - before).label("run"),
        )
        .where(*_range(stream, after, until), Point.level > 0)
        .subquery()
    )
    highest: Any = func.max(array([cast(off.c.score, Float(53)), cast(-off.c.seq, Float(53))]))
    found = session.execute(
        select(
            *(off.c.level, func.min(off.c.seq), func.max(off.c.seq)),
            *(func.min(off.c.received_at), func.max(off.c.received_at), highest),
        )
        .group_by(off.c.level, off.c.run)
        .order_by(func.min(off.c.seq).desc())
        .limit(MOST_EPISODES)
    ).all()
    return [
        Episode(level, first, last, began, ended, peak, round(-seq))
        for level, first, last, began, ended, (peak, seq) in reversed(found)
    ]


def _milliseconds(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)
