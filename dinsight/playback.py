"""Playing back an epoch of a stream, present or past, as it was recorded.

The points of an epoch never change, so what is read of one that has ended can be kept by whoever
reads it. Everything is drawn on the map of that epoch, which need not be the baseline's present
one, and levels are those that were judged then.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import history, packing, sensitivity, streams, trend
from dinsight.accounts import Identity
from dinsight.errors import EpochNotFound
from dinsight.mapstore import load_map, require_known
from dinsight.models import Alert, Epoch, FittedMap, Json, Point
from dinsight.streams import Found
from dinsight.worst import Reader

MOST_POINTS = 10_000  # of a chunk
MOST_ALERTS = 1_000  # of a timeline: the newest
MOST_EPOCH = 2**31 - 1


@dataclass(frozen=True)
class Chunk:
    """Points in a row of an epoch, from seq `first` on; `at` (n,) milliseconds since 1970.

    `archived` says that no point of the epoch will come any more.
    """

    stream: Found
    first: int
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    score: NDArray[np.float32]
    level: NDArray[np.uint8]
    at: NDArray[np.float64]
    archived: bool


def find(
    session: Session, who: Identity, baseline_id: int, name: str, epoch: int | None = None
) -> tuple[Found, Epoch]:
    """The stream as of an epoch, the present one without a number: `next_seq` and map are its own.

    Raises BaselineNotFound, StreamNotFound, EpochNotFound, and MapBeingRefitted or MapOutdated
    where its map cannot be read.
    """
    stream = streams.find(session, who, baseline_id, name)
    wanted = stream.epoch if epoch is None else epoch
    row = session.get(Epoch, (stream.id, wanted)) if wanted <= MOST_EPOCH else None
    if row is None:
        raise _no_run(name, wanted)
    if wanted != stream.epoch:
        stream = _as_of(session, stream, row)
    require_known(session, stream.map_id, stream.map_format)
    return stream, row


def _no_run(name: str, epoch: int) -> EpochNotFound:
    return EpochNotFound(f"Stream {name!r} has no run {epoch:,}, or it is no longer kept.")


def _as_of(session: Session, stream: Found, row: Epoch) -> Found:
    fitted = select(FittedMap.sha256, FittedMap.format).where(FittedMap.id == row.map_id)
    sha256, format = session.execute(fitted).one()
    newest = select(Point.seq).where(Point.stream_id == stream.id, Point.epoch == row.epoch)
    last = session.scalar(newest.order_by(Point.seq.desc()).limit(1))
    return replace(
        stream,
        epoch=row.epoch,
        next_seq=row.points_from if last is None else last + 1,
        map_id=row.map_id,
        sha256=sha256,
        map_format=format,
    )


def limit_at(row: Epoch, seq: int) -> float | None:
    """The alarm limit that a point was judged by; None where it was not kept."""
    known = [limit for first, limit in row.limits if first <= seq]
    return known[-1] if known else None


def chunk(
    session: Session,
    who: Identity,
    baseline_id: int,
    name: str,
    epoch: int | None,
    *,
    first: int,
    count: int,
) -> Chunk:
    """The points from seq `first` on, at most `count` of them, by the primary key.

    What retention has taken is missing at the beginning only: `first` of the answer is that of its
    first point. Raises as `find`.
    """
    stream, row = find(session, who, baseline_id, name, epoch)
    points = session.execute(
        select(Point.seq, Point.x, Point.y, Point.score, Point.level, Point.received_at)
        .where(Point.stream_id == stream.id, Point.epoch == stream.epoch)
        .where(Point.seq >= first, Point.seq < first + min(count, MOST_POINTS))
        .order_by(Point.seq)
    ).all()
    at = [point.received_at.timestamp() * 1000 for point in points]
    columns = np.array([tuple(point)[:5] for point in points], np.float64).reshape(-1, 5)
    return Chunk(
        stream=stream,
        first=points[0].seq if points else first,
        x=columns[:, 1].astype(np.float32),
        y=columns[:, 2].astype(np.float32),
        score=columns[:, 3].astype(np.float32),
        level=columns[:, 4].astype(np.uint8),
        at=np.rint(np.array(at, np.float64)),
        archived=row.ended_at is not None,
    )


def pack(chunk: Chunk) -> dict[str, Any]:
    """The points as in a delta (`dinsight.packing`), and with `at` their times: base64 of float64,
    milliseconds since 1970.
    """
    return {
        "epoch": chunk.stream.epoch,
        "first": chunk.first,
        "n": len(chunk.x),
        **{name: packing.floats(getattr(chunk, name)) for name in ("x", "y", "score")},
        "level": packing.text(chunk.level.tobytes()),
        "at": packing.text(chunk.at.astype("<f8").tobytes()),
    }


def timeline(
    session: Session, who: Identity, baseline_id: int, name: str, epoch: int | None
) -> Json:
    """An epoch at a glance: its trend in buckets with times, its episodes, alerts and limits.

    `more` says that it is longer than what was read so far: ask again. `limit` is the alarm limit
    of its last point as far as known, else the stream's present one. Raises as `find`.
    """
    stream, row = find(session, who, baseline_id, name, epoch)
    about = session.execute(
        history.listed(baseline_id).where(Epoch.stream_id == stream.id, Epoch.epoch == stream.epoch)
    )
    listed = about.mappings().one_or_none()
    if listed is None:  # retention has removed it meanwhile
        raise _no_run(name, stream.epoch)
    told = history.tell(dict(listed), Reader(session, 0))
    found = trend.of_stream(session, stream)
    limit = limit_at(row, stream.next_seq - 1)
    return told | {
        "baseline_id": baseline_id,
        "worst": None if told["last_seq"] is None else _worst(found),
        "state": stream.state if told["current"] else None,
        "limits": row.limits,
        "limit": sensitivity.limit_of(stream.settings) if limit is None else limit,
        "warning": load_map(session, stream.sha256).rule.warning,
        "more": found.last < stream.next_seq - 1,
        "trend": trend.pack(found),
        "alerts": alerts(session, stream),
    }


def _worst(found: trend.Trend) -> str:
    return streams.level_word(int(found.buckets.level.max(initial=0)))


def alerts(session: Session, stream: Found) -> list[Json]:
    """The alerts of the stream's epoch, the oldest first."""
    found = session.scalars(
        select(Alert)
        .where(Alert.stream_id == stream.id, Alert.epoch == stream.epoch)
        .order_by(Alert.opened_seq.desc(), Alert.id.desc())
        .limit(MOST_ALERTS)
    ).all()
    return [_alert(row) for row in reversed(found)]


def _alert(row: Alert) -> dict[str, Any]:
    told: dict[str, dt.datetime | None] = {
        "opened_at": row.opened_at,
        "cleared_at": row.cleared_at,
        "acknowledged_at": row.acknowledged_at,
    }
    return {
        "id": row.id,
        "title": row.title,
        "severity": row.severity,
        "alert_type": row.alert_type,
        "opened_seq": row.opened_seq,
        "cleared_seq": row.cleared_seq,
        **told,
    }
