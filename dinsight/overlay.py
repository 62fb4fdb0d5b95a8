"""Another stream on the map of this one, point by point as they come.

Where both are of one map, the points are where they are stored. Else the other stream's readings
are placed on this map, by the names of the features, with the same plain numpy that places a batch.
A reader asks from its cursor on, so that only new points are read and placed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from dinsight import anomaly, baselines, feed, streams
from dinsight.accounts import Identity
from dinsight.feed import Cursor
from dinsight.mapstore import load_map, require_known
from dinsight.models import Baseline, Json, Point, Stream
from dinsight.status import describe
from dinsight.streams import Found

MOST = 600  # points: with those of the stream itself as many as a page draws without delay
MOST_OFFERED = 500

Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class Name:
    """A stream by its baseline."""

    baseline_id: int
    stream: str


@dataclass(frozen=True)
class Overlay:
    """What is new of the other stream: the points `first`, `first + 1`, … of its epoch.

    `score` and `level` are as its own baseline judged them. `here` (n,) is the score against the
    map that they are placed on, and None where that is their own. `unplaced` points have no
    readings any more, so that they cannot be placed. Read on from `cursor`.
    """

    machine: str
    status: Json
    first: int
    x: Floats32
    y: Floats32
    score: Floats32
    level: NDArray[np.uint8]
    cursor: Cursor
    here: Floats32 | None = None
    unplaced: int = 0


@dataclass(frozen=True)
class Offer:
    """A stream that can be compared, by the name of its machine."""

    name: Name
    machine: str


def compare(
    session: Session,
    who: Identity,
    shown: Name,
    other: Name,
    after: Cursor | None,
    *,
    limit: int = MOST,
    now: dt.datetime,
) -> Overlay:
    """At most `limit` points of `other` after the cursor, on the map of `shown`: the newest.

    Raises BaselineNotFound or StreamNotFound for either, BaselineNotReady, MapBeingRefitted or
    MapOutdated where there is no map, and ColumnsMissing, naming the features, where the two do
    not match.
    """
    here = streams.find(session, who, shown.baseline_id, shown.stream)
    there = streams.find(session, who, other.baseline_id, other.stream)
    machine = baselines.get(session, who, other.baseline_id).name
    require_known(session, here.map_id, here.map_format)
    if here.sha256 == there.sha256:
        return _as_stored(session, who, machine, there, after, limit=limit, now=now)
    return _placed(session, machine, here, there, after, limit=limit, now=now)


def _as_stored(
    session: Session,
    who: Identity,
    machine: str,
    there: Found,
    after: Cursor | None,
    *,
    limit: int,
    now: dt.datetime,
) -> Overlay:
    name = (there.baseline_id, there.name)
    new = feed.delta(session, who, *name, after, limit=limit, now=now, newest=True)
    columns = (new.x, new.y, new.score, new.level)
    return Overlay(machine, new.status, new.first, *columns, new.cursor)


def _placed(
    session: Session,
    machine: str,
    here: Found,
    there: Found,
    after: Cursor | None,
    *,
    limit: int,
    now: dt.datetime,
) -> Overlay:
    fitted = load_map(session, here.sha256)
    names = baselines.feature_names(session, there.baseline_id)
    columns = anomaly.matched(names, fitted.features, there.baseline_id)
    last = there.next_seq - 1
    known = after.seq if after is not None and after.epoch == there.epoch else 0
    found = _newest(session, there, max(known, last - limit), last)
    kept = [row for row in found if row.features is not None]
    readings = np.frombuffer(b"".join(row.features for row in kept), "<f4")
    placed = fitted.place(readings.reshape(len(kept), len(names))[:, columns])
    return Overlay(
        machine=machine,
        status=describe(there, now),
        first=kept[0].seq if kept else last + 1,
        x=placed.x,
        y=placed.y,
        score=np.array([row.score for row in kept], np.float32),
        level=np.array([row.level for row in kept], np.uint8),
        cursor=Cursor(there.epoch, last),
        here=placed.score,
        unplaced=len(found) - len(kept),
    )


def _newest(session: Session, stream: Found, start: int, last: int) -> Sequence[Any]:
    """The points after `start` up to `last`, with their readings, in order."""
    return session.execute(
        select(Point.seq, Point.score, Point.level, Point.features)
        .where(Point.stream_id == stream.id, Point.epoch == stream.epoch)
        .where(Point.seq > start, Point.seq <= last)
        .order_by(Point.seq)
    ).all()


def offers(session: Session, who: Identity, shown: Name) -> list[Offer]:
    """The streams that can be compared: of this baseline, and of those with the same features.

    Those of this baseline first. Raises BaselineNotFound.
    """
    own = baselines.get(session, who, shown.baseline_id)
    this = aliased(Baseline)
    features = select(this.feature_names).where(this.id == own.id).scalar_subquery()
    query = (
        select(Baseline.id, Stream.name, Baseline.name)
        .join(Stream, Stream.baseline_id == Baseline.id)
        .where(baselines.visible(who), Baseline.feature_count == own.feature_count)
        .where(Baseline.feature_names == features)
        .order_by(Baseline.id != own.id, Baseline.name, Baseline.id, Stream.name)
        .limit(MOST_OFFERED)
    )
    found = [Offer(Name(number, stream), name) for number, stream, name in session.execute(query)]
    return [offer for offer in found if offer.name != shown]


def told(found: Overlay) -> Json:
    """The state of the other stream, as it stands in the answers."""
    names = ("status", "is_active", "streamed_points", "last_update", "level", "level_since")
    more = ("score", "alarm_limit", "epoch")
    return {name: found.status[name] for name in (*names, *more)}
