"""What a report of a stream's epoch, or of an alert, says: read in a few queries, kept nowhere."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import baselines, cells, diagnosis, feed, playback, sensitivity, streams, trend
from dinsight.accounts import Identity
from dinsight.cells import Cells
from dinsight.errors import AlertNotFound, DinsightError, EpochNotFound
from dinsight.maps.levels import Level
from dinsight.mapstore import load_map
from dinsight.models import Alert, AlertEvent, Baseline, Epoch, FittedMap, Json, Point, Stream, User
from dinsight.streams import Found, level_word
from dinsight.trend import Trend

NEWEST = 10  # points that stand out on the map
MOST_ALERTS = 8
MOST_EPOCH, MOST_ID = 2**31 - 1, 2**63 - 1


@dataclass(frozen=True)
class Shown:
    """A point that is spoken of: the last one, or the one that an alert began with."""

    seq: int
    at: dt.datetime
    x: float
    y: float
    score: float
    level: str


@dataclass(frozen=True)
class Event:
    """Something that happened to an alert, by whom."""

    at: dt.datetime
    kind: str
    who: str
    details: Json


@dataclass(frozen=True)
class Report:
    """An epoch of a stream as it is now, or as it was when an alert was raised.

    `newest` (n, 2) are the last places, oldest first; `limit` and `warning` are scores. `drivers`
    is what `diagnosis.explain` tells of the point that the score was highest at, or why it tells
    nothing.
    """

    baseline_id: int
    name: str
    stream: str
    epoch: int
    current: bool
    started_at: dt.datetime
    ended_at: dt.datetime | None
    layout: str
    places: NDArray[Any]
    counted: Cells
    newest: NDArray[np.float64]
    trend: Trend
    limit: float
    warning: float
    shown: Shown | None
    since: dt.datetime | None
    card: Json
    drivers: Json | None = None
    undriven: str = ""
    alert: Alert | None = None
    events: tuple[Event, ...] = ()
    alerts: tuple[Alert, ...] = field(default=())

    @property
    def points(self) -> int:
        return max(0, self.trend.last - self.trend.first + 1)


def of_alert(session: Session, who: Identity, baseline_id: int, number: int) -> Report:
    """Of the epoch that an alert was raised in; raises AlertNotFound, also for another's."""
    row = None
    if number <= MOST_ID:
        row = session.execute(
            select(Alert, Stream.name)
            .join(Stream, Stream.id == Alert.stream_id)
            .join(Baseline, Baseline.id == Alert.baseline_id)
            .where(Alert.id == number, Baseline.id == baseline_id, baselines.visible(who))
        ).one_or_none()
    if row is None:
        raise AlertNotFound()
    alert, stream = row
    whole = of_stream(session, who, baseline_id, stream, alert.epoch)
    shown = _shown(session, _stream_id(session, baseline_id, stream), alert.epoch, alert.opened_seq)
    told = _driven(session, who, whole, alert.peak_seq or alert.opened_seq)
    found, then = playback.find(session, who, baseline_id, stream, alert.epoch)
    rule = load_map(session, found.sha256).rule_at(_limit(found, then, alert.opened_seq))
    return replace(
        whole,
        **told,
        limit=rule.alarm,
        warning=rule.warning,
        shown=shown,
        since=alert.opened_at,
        alert=alert,
        events=_events(session, alert.id),
        alerts=(),
    )


def of_stream(
    session: Session, who: Identity, baseline_id: int, name: str, epoch: int | None = None
) -> Report:
    """Of an epoch of a stream, by default the present one.

    Raises BaselineNotFound, StreamNotFound, EpochNotFound, and MapOutdated where an earlier
    version made the map.
    """
    present = streams.find(session, who, baseline_id, name)
    stream, row = _in_epoch(session, present, present.epoch if epoch is None else epoch)
    baseline = baselines.get(session, who, baseline_id)
    fitted = load_map(session, stream.sha256)
    last, found = stream.next_seq - 1, trend.whole(session, stream)
    limit = _limit(stream, row, last)
    rule = fitted.rule_at(limit)
    lattice = cells.lattice_of(fitted.coordinates)
    shown = _shown(session, stream.id, stream.epoch, last)
    card = session.scalar(select(FittedMap.report).where(FittedMap.id == stream.map_id))
    report = Report(
        baseline_id=baseline_id,
        name=baseline.name,
        stream=stream.name,
        epoch=stream.epoch,
        current=stream.epoch == present.epoch,
        started_at=row.started_at,
        ended_at=row.ended_at,
        layout=fitted.layout,
        places=fitted.coordinates,
        counted=cells.add(cells.none(lattice), *feed.cells(session, stream, lattice, 0, last)),
        newest=_newest(session, stream),
        trend=found,
        limit=rule.alarm,
        warning=rule.warning,
        shown=shown,
        since=_since(found),
        card=card or {},
        alerts=_alerts(session, stream),
    )
    if found.present is None or shown is None:
        return report
    return replace(report, **_driven(session, who, report, found.present.peak_seq))


def _limit(stream: Found, row: Epoch, seq: int) -> float:
    """The alarm limit that a point was judged by; the present one where it was not kept."""
    limit = playback.limit_at(row, seq)
    return sensitivity.limit_of(stream.settings) if limit is None else limit


def _in_epoch(session: Session, present: Found, epoch: int) -> tuple[Found, Epoch]:
    """The stream as it was in an epoch, and that epoch."""
    row = session.get(Epoch, (present.id, epoch)) if 0 < epoch <= MOST_EPOCH else None
    if row is None:
        raise EpochNotFound(f"Stream {present.name!r} has no epoch {epoch}.")
    if epoch == present.epoch:
        return present, row
    asked = select(Point.seq).where(Point.stream_id == present.id, Point.epoch == epoch)
    last = session.scalar(asked.order_by(Point.seq.desc()).limit(1)) or 0
    sha256, known = session.execute(
        select(FittedMap.sha256, FittedMap.format).where(FittedMap.id == row.map_id)
    ).one()
    then: Json = {"map_id": row.map_id, "sha256": sha256, "map_format": known}
    return replace(present, epoch=epoch, next_seq=last + 1, **then), row


def _stream_id(session: Session, baseline_id: int, name: str) -> int:
    asked = select(Stream.id).where(Stream.baseline_id == baseline_id, Stream.name == name)
    return session.scalars(asked).one()


def _shown(session: Session, stream_id: int, epoch: int, seq: int) -> Shown | None:
    """A point; None where it is gone, or never was."""
    row = session.get(Point, (stream_id, epoch, seq)) if seq else None
    if row is None:
        return None
    return Shown(row.seq, row.received_at, row.x, row.y, row.score, level_word(row.level))


def _newest(session: Session, stream: Found) -> NDArray[np.float64]:
    rows = session.execute(
        select(Point.x, Point.y)
        .where(Point.stream_id == stream.id, Point.epoch == stream.epoch)
        .order_by(Point.seq.desc())
        .limit(NEWEST)
    )
    found = np.array([tuple(row) for row in rows], np.float64).reshape(-1, 2)
    return found[::-1]


def _since(found: Trend) -> dt.datetime | None:
    """Since when the machine is at its level: that of its episode, or the end of the one before."""
    if found.present is not None:
        return found.present.began
    return found.episodes[-1].until if found.episodes else None


def _driven(session: Session, who: Identity, report: Report, seq: int) -> Json:
    """What drives the score of a point, or why that cannot be told."""
    where = (report.baseline_id, report.stream, seq)
    try:
        told = diagnosis.explain(session, who, *where, epoch=report.epoch, values=False)
    except DinsightError as error:
        return {"undriven": error.message, "drivers": None}
    return {"drivers": told, "undriven": ""}


def _events(session: Session, number: int) -> tuple[Event, ...]:
    rows = session.execute(
        select(AlertEvent.at, AlertEvent.kind, User.email, AlertEvent.details)
        .outerjoin(User, User.id == AlertEvent.user_id)
        .where(AlertEvent.alert_id == number)
        .order_by(AlertEvent.at, AlertEvent.id)
    )
    return tuple(Event(at, kind, who or "", details) for at, kind, who, details in rows)


def _alerts(session: Session, stream: Found) -> tuple[Alert, ...]:
    """The newest alerts of the epoch, the oldest first."""
    rows = session.scalars(
        select(Alert)
        .where(Alert.stream_id == stream.id, Alert.epoch == stream.epoch)
        .order_by(Alert.opened_seq.desc(), Alert.id.desc())
        .limit(MOST_ALERTS)
    ).all()
    return tuple(reversed(rows))


HEALTHY = level_word(Level.HEALTHY)
