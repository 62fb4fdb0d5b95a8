"""Reading a stream's points from a cursor (epoch, seq) on.

Every read is of the present epoch and goes by the primary key: no offset scans, no counting.
Retention may have taken the oldest points: seq then begins later, and has no gap after that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Double, Integer, cast, func, literal_column, select
from sqlalchemy.orm import Session

from dinsight import areas, baselines
from dinsight.accounts import Identity
from dinsight.cells import REACH, Lattice
from dinsight.errors import InvalidRequest
from dinsight.maps import Map
from dinsight.maps.levels import Level
from dinsight.mapstore import load_map, require_known
from dinsight.models import Epoch, Point
from dinsight.status import describe
from dinsight.streams import Found, find, find_if_any, level_word

ROWS_A_READ = 500


@dataclass(frozen=True)
class Cursor:
    """The last point that a reader has: it wants what comes after."""

    epoch: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """From `epoch:seq`; raises InvalidRequest."""
        epoch, _, seq = text.partition(":")
        if not (text.isascii() and epoch.isdecimal() and seq.isdecimal()) or len(text) > 30:
            raise InvalidRequest("A cursor is `epoch:seq`, such as 1:250.")
        return cls(int(epoch), int(seq))

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


@dataclass(frozen=True)
class Delta:
    """What is new after a cursor: the points `first`, `first + 1`, … of an epoch.

    Of another epoch than the cursor's, the reader's points are past and must go. `inside` says of
    each point whether it lies in a normal area, and is None where the map has none.
    """

    epoch: int
    first: int
    x: np.ndarray
    y: np.ndarray
    score: np.ndarray
    level: np.ndarray
    status: dict[str, Any]
    inside: np.ndarray | None = None

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.epoch, self.first + len(self.x) - 1)


@dataclass(frozen=True)
class Flags:
    """Of the points from `first` on: whether each lies in a normal area; None without areas."""

    first: int
    inside: np.ndarray | None


def delta(
    session: Session,
    who: Identity,
    baseline_id: int,
    name: str,
    after: Cursor | None,
    *,
    limit: int,
    now: dt.datetime,
    newest: bool = False,
) -> Delta:
    """At most `limit` points after the cursor, oldest first; without one, the newest `limit`.

    With `newest` also where more than `limit` are new: whoever has slept catches up at once.
    Raises MapBeingRefitted or MapOutdated where there is no map to draw them on.
    """
    row = find(session, who, baseline_id, name)
    require_known(session, row.map_id, row.map_format)
    last = row.next_seq - 1
    same = after is not None and after.epoch == row.epoch
    start = after.seq if after is not None and same else max(0, last - limit)
    if newest:
        start = max(start, last - limit)
    points = session.execute(
        select(Point.seq, Point.x, Point.y, Point.score, Point.level)
        .where(Point.stream_id == row.id, Point.epoch == row.epoch, Point.seq > start)
        .where(Point.seq <= last)
        .order_by(Point.seq)
        .limit(limit)
    ).all()
    first = points[0].seq if points else last + 1  # where none is left, they were removed
    columns = np.array([tuple(point)[1:] for point in points], dtype=np.float64).reshape(-1, 4)
    return Delta(
        epoch=row.epoch,
        first=first,
        x=columns[:, 0].astype(np.float32),
        y=columns[:, 1].astype(np.float32),
        score=columns[:, 2].astype(np.float32),
        level=columns[:, 3].astype(np.uint8),
        status=describe(row, now),
        inside=areas.flags(session, row, columns[:, 0], columns[:, 1]),
    )


def flags(session: Session, stream: Found, after: Cursor, *, limit: int) -> Flags:
    """Whether points lie in a normal area: those after the cursor, at most `limit`, of its epoch.

    None where there are no areas, or points of another epoch are asked for.
    """
    if after.epoch != stream.epoch:
        return Flags(after.seq + 1, None)
    found = session.execute(
        select(Point.seq, Point.x, Point.y)
        .where(Point.stream_id == stream.id, Point.epoch == stream.epoch, Point.seq > after.seq)
        .order_by(Point.seq)
        .limit(limit)
    ).all()
    columns = np.array([tuple(point)[1:] for point in found], dtype=np.float64).reshape(-1, 2)
    first = found[0].seq if found else after.seq + 1
    return Flags(first, areas.flags(session, stream, columns[:, 0], columns[:, 1]))


def latest(
    session: Session, who: Identity, baseline_id: int, name: str, *, limit: int, offset: int
) -> dict[str, Any]:
    """The newest points, the newest first; `offset` skips that many of the newest."""
    row = find_if_any(session, who, baseline_id, name)
    total = row.next_seq - 1 if row else 0
    points: Sequence[Point] = []
    if row:
        newest = _points(row).where(Point.seq <= total - offset).order_by(Point.seq.desc())
        points = session.scalars(newest.limit(limit)).all()
    return {
        "points": [point_dict(point) for point in points],
        "total": total,
        "limit": limit,
        "offset": offset,
        "next": offset + limit if len(points) == limit and offset + limit < total else None,
    }


def after(
    session: Session, who: Identity, baseline_id: int, name: str, cursor: Cursor, *, limit: int
) -> dict[str, Any]:
    """The points after a cursor, oldest first; `next` is the cursor to read on from."""
    row = find_if_any(session, who, baseline_id, name)
    if row is None:
        return {"points": [], "total": 0, "limit": limit, "offset": 0, "next": str(Cursor(1, 0))}
    start = cursor.seq if cursor.epoch == row.epoch else 0
    points = session.scalars(
        _points(row).where(Point.seq > start).order_by(Point.seq).limit(limit)
    ).all()
    end = points[-1].seq if points else start
    return {
        "points": [point_dict(point) for point in points],
        "total": row.next_seq - 1,
        "limit": limit,
        "offset": 0,
        "next": str(Cursor(row.epoch, end)),
    }


def point_dict(point: Point) -> dict[str, Any]:
    return {
        "seq": point.seq,
        "dinsight_x": point.x,
        "dinsight_y": point.y,
        "score": point.score,
        "level": level_word(point.level),
        "metadata": point.metadata_,
        "created_at": point.received_at,
    }


def rows(
    session: Session,
    who: Identity,
    baseline_id: int,
    name: str,
    *,
    start: int,
    limit: int | None,
    values: bool,
) -> Iterator[dict[str, Any]]:
    """Every point after `start`, in order, read in steps so that memory stays small.

    An own baseline without such a stream has no points. `monitor_values` is empty for a point
    whose readings retention took.
    """
    stream = find_if_any(session, who, baseline_id, name)
    if stream is None:
        return iter(())
    end = stream.next_seq - 1
    oldest = select(Point.seq).where(Point.stream_id == stream.id, Point.epoch == stream.epoch)
    kept = session.scalar(oldest.where(Point.seq > start).order_by(Point.seq).limit(1))
    start = end if kept is None else kept - 1
    if limit is not None:
        end = min(end, start + limit)
    return _rows(session, stream, start, end, values)


def _rows(
    session: Session, stream: Found, start: int, end: int, values: bool
) -> Iterator[dict[str, Any]]:
    columns: list[Any] = [Point.seq, Point.x, Point.y, Point.score, Point.level]
    columns += [Point.source, Point.metadata_, Point.received_at]
    query = select(*columns, *([Point.features] if values else [])).order_by(Point.seq)
    query = query.where(Point.stream_id == stream.id, Point.epoch == stream.epoch)
    while start < end:
        stop = min(end, start + ROWS_A_READ)
        for point in session.execute(query.where(Point.seq > start, Point.seq <= stop)):
            yield {
                "dinsight_x": point.x,
                "dinsight_y": point.y,
                "score": point.score,
                "level": level_word(point.level),
                "monitor_values": _values(point.features) if values else [],
                "source_file": point.source,
                "metadata": point.metadata_,
                "process_order": point.seq,
                "created_at": point.received_at,
            }
        start = stop


def _values(features: bytes | None) -> Any:
    return [] if features is None else np.frombuffer(features, "<f4")


def coordinates(session: Session, who: Identity, baseline_id: int, name: str) -> dict[str, Any]:
    """All points of the stream as columns."""
    points = list(rows(session, who, baseline_id, name, start=0, limit=None, values=False))
    baselines.get(session, who, baseline_id)
    return {
        "dinsight_id": baseline_id,
        "dinsight_x": [point["dinsight_x"] for point in points],
        "dinsight_y": [point["dinsight_y"] for point in points],
        "metadata": [point["metadata"] for point in points],
    }


def stream_map(session: Session, stream: Found) -> Map:
    """The map that the stream's present epoch is placed with."""
    return load_map(session, stream.sha256)


def first_kept(session: Session, stream: Found) -> int:
    """The seq from which on retention has left the epoch's points."""
    query = select(Epoch.points_from)
    query = query.where(Epoch.stream_id == stream.id, Epoch.epoch == stream.epoch)
    return session.scalar(query) or 1


def cells(
    session: Session, stream: Found, lattice: Lattice, after: int, upto: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells that points after a seq lie in: columns (n,), rows (n,), counts (n, 2).

    Counted by PostgreSQL, so that it costs the same memory for a million points; the counts are of
    healthy points and of the others.
    """

    def cell(axis: Any, low: float) -> Any:
        at = func.floor((cast(axis, Double) - low) / lattice.side)
        return cast(func.greatest(-REACH, func.least(REACH, at)), Integer)

    column, row = cell(Point.x, lattice.x), cell(Point.y, lattice.y)
    healthy = Point.level == Level.HEALTHY
    query = (
        select(column, row, func.count().filter(healthy), func.count().filter(~healthy))
        .where(Point.stream_id == stream.id, Point.epoch == stream.epoch)
        .where(Point.seq > after, Point.seq <= upto)
        .group_by(literal_column("1"), literal_column("2"))
    )
    found = np.array([tuple(line) for line in session.execute(query)], np.int64).reshape(-1, 4)
    return found[:, 0], found[:, 1], found[:, 2:]


def anomalies(session: Session, stream: Found, after: int, upto: int, most: int) -> np.ndarray:
    """The newest `most` points after a seq that are not healthy, oldest first.

    Columns, (n, 5): seq, x, y, score, level.
    """
    query = (
        select(Point.seq, Point.x, Point.y, Point.score, Point.level)
        .where(Point.stream_id == stream.id, Point.epoch == stream.epoch)
        .where(Point.seq > after, Point.seq <= upto, Point.level != Level.HEALTHY)
        .order_by(Point.seq.desc())
        .limit(most)
    )
    found = [tuple(line) for line in session.execute(query)]
    return np.array(found[::-1], np.float64).reshape(-1, 5)


def about(
    session: Session, who: Identity, baseline_id: int, name: str, cursor: Cursor
) -> dict[str, Any] | None:
    """When a point came and its metadata; None for one that retention took or that never was."""
    row = find(session, who, baseline_id, name)
    found = session.execute(
        select(Point.received_at, Point.metadata_)
        .where(Point.stream_id == row.id, Point.epoch == cursor.epoch)
        .where(Point.seq == cursor.seq)
    ).one_or_none()
    return None if found is None else {"received_at": found[0], "metadata": found[1]}


def _points(row: Found) -> Any:
    return select(Point).where(Point.stream_id == row.id, Point.epoch == row.epoch)
