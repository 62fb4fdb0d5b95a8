"""Taking a batch in: read, placed, judged and stored, all or nothing.

`seq` is given under the stream's row lock, so that its order is the order of commits; the rows, the
stream and the key are one transaction; a batch that carries a key is stored once.

This is the hot path of a sensor: a few statements, each made once below, and no objects of the ORM.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from dinsight import baselines, copying, news, readings, sensitivity
from dinsight.accounts import Identity
from dinsight.alerts import raising
from dinsight.errors import BaselineNotFound, EpochChanged, InvalidRequest, KeyReused, MapOutdated
from dinsight.maps import Map, Placement
from dinsight.maps.levels import LevelState, judge
from dinsight.mapstore import load_map
from dinsight.models import Baseline, Batch, Json, Point, Stream, floats
from dinsight.streams import CONTROL, DEFAULT, SINCE, find, level_word

KEY_LENGTH = 200
MOST_HINTS = 10_000
ARRIVALS_KEPT = 16

COLUMNS = (
    *("stream_id", "epoch", "seq", "received_at", "source"),
    *("x", "y", "score", "level", "metadata", "features"),
)
# Told how many seconds a stage of a batch took: `read`, `place`, `store`.
Observer = Callable[[str, float], None]

ANSWERED = (
    select(Batch.sha256, Batch.response)
    .where(Batch.stream_id == bindparam("stream_id"), Batch.key == bindparam("key"))
    .order_by(Batch.epoch.desc())
    .limit(1)
)
HELD = (
    *("epoch", "run_epoch", "next_seq", "map_id", "state", "declared_total"),
    *("settings", "arrivals", "level_state", "alert_state"),
)
HOLD = (
    select(*(getattr(Stream, name) for name in HELD))
    .add_columns(Baseline.rules_revision, Baseline.areas_revision)
    .join(Baseline, Baseline.id == Stream.baseline_id)
    .where(Stream.id == bindparam("stream_id"), Baseline.id == bindparam("baseline_id"))
    .where(baselines.VISIBLE)
    .with_for_update(of=Stream)
)
MOVED = (
    *("next_seq", "last_point_at", "arrivals", "level", "level_state", "score", "state"),
    "alert_state",
)
MOVE = (
    update(Stream)
    .where(Stream.id == bindparam("moved"))
    .values({name: bindparam(f"new_{name}") for name in MOVED})
)
KEPT = ("stream_id", "epoch", "key", "sha256", "first_seq", "last_seq", "response")
MOVE_AND_KEEP = (
    insert(Batch)
    .values({name: bindparam(f"kept_{name}") for name in KEPT})
    .add_cte(MOVE.cte("moved"))
)


@dataclass(frozen=True)
class Incoming:
    """A batch as it came in."""

    content: bytes
    source: str
    stream: str = DEFAULT
    key: str | None = None
    epoch: int | None = None


@dataclass(frozen=True)
class _Target:
    """Where a batch goes, as it was a moment ago: its stream and the map that places there."""

    stream_id: int
    map_id: int
    sha256: str


class _Hints:
    """Where the last batches of each user and stream went, so that it need not be looked up.

    Nothing is believed: the statement that locks the row asks again for all of it, and a batch
    that was placed on another map is placed anew.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Identity, int, str], _Target] = {}

    def target(
        self, session: Session, who: Identity, baseline_id: int, name: str, *, afresh: bool
    ) -> _Target:
        """The target as remembered, or looked up; makes a stream that is not there yet."""
        key = (replace(who, sid=None), baseline_id, name)
        if not afresh and (known := self._known.get(key)):
            return known
        stream = find(session, who, baseline_id, name, create=True)
        if len(self._known) >= MOST_HINTS:
            self._known.clear()
        found = self._known[key] = _Target(stream.id, stream.map_id, stream.sha256)
        return found


# Of each database that this process has open.
_hints: WeakKeyDictionary[Any, _Hints] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Held:
    """A stream's row, held: what a batch is judged, numbered and answered by."""

    epoch: int
    run_epoch: int
    next_seq: int
    map_id: int
    state: str
    declared_total: int | None
    settings: Json
    arrivals: list[list[float]]
    level_state: Json
    alert_state: Json
    rules_revision: str
    areas_revision: str


@dataclass(frozen=True)
class _Placed:
    """A batch that was read and placed."""

    map: Map
    readings: readings.Readings
    placement: Placement


def ingest(
    session: Session,
    who: Identity,
    baseline_id: int,
    incoming: Incoming,
    *,
    limits: readings.Limits,
    now: dt.datetime,
    observe: Observer = lambda stage, seconds: None,
) -> dict[str, Any]:
    """Place and store a batch whole; the answer holds once the session commits.

    Raises InvalidReadings (nothing is stored), BaselineNotFound, BaselineNotReady, EpochChanged
    for a batch of an earlier run, and KeyReused for a key that came with other content.
    """
    if incoming.key is not None and not 1 <= len(incoming.key) <= KEY_LENGTH:
        raise InvalidRequest(f"An Idempotency-Key has 1 to {KEY_LENGTH} characters.")
    hints = _hints.setdefault(session.get_bind(), _Hints())
    for afresh in (False, True):
        target = hints.target(session, who, baseline_id, incoming.stream, afresh=afresh)
        try:
            placed = _place(session, target, incoming, limits, observe)
        except (BaselineNotFound, MapOutdated):  # of what was remembered, perhaps
            if afresh:
                raise
            continue
        began = time.perf_counter()
        stream = _hold(session, who, baseline_id, target)
        if stream is not None and stream.map_id == target.map_id:
            break
    else:
        raise BaselineNotFound()  # deleted meanwhile
    if answer := _answered(session, target.stream_id, incoming):
        return answer
    if incoming.epoch is not None and incoming.epoch != stream.epoch:
        raise _epoch_changed(stream, incoming.epoch)
    where = {"id": baseline_id, "stream": incoming.stream}
    answer = _store(session, target.stream_id, stream, incoming, placed, where=where, now=now)
    observe("store", time.perf_counter() - began)
    return answer


def _hold(session: Session, who: Identity, baseline_id: int, target: _Target) -> _Held | None:
    """The stream's row, locked until the transaction ends; None if it is not there for `who`."""
    asked = {"stream_id": target.stream_id, "baseline_id": baseline_id, **baselines.seen_by(who)}
    row = session.connection().execute(HOLD, asked).one_or_none()
    return None if row is None else _Held(*row)


def _epoch_changed(stream: _Held, sent: int) -> EpochChanged:
    """The refusal of a batch of another epoch; its reason says whether the same run goes on."""
    if stream.run_epoch <= sent < stream.epoch:
        return EpochChanged(
            f"The baseline was refitted: this run goes on in epoch {stream.epoch}.",
            epoch=stream.epoch,
            sent=sent,
            reason="refit",
        )
    return EpochChanged(epoch=stream.epoch, sent=sent, reason="reset")


def _answered(session: Session, stream_id: int, incoming: Incoming) -> dict[str, Any] | None:
    """The answer that this key was given before, in whatever epoch."""
    if incoming.key is None:
        return None
    asked = {"stream_id": stream_id, "key": incoming.key}
    batch = session.connection().execute(ANSWERED, asked).one_or_none()
    if batch is None:
        return None
    if batch.sha256 != _sha256(incoming):
        raise KeyReused()
    return floats(batch.response, "score")


def _place(
    session: Session,
    target: _Target,
    incoming: Incoming,
    limits: readings.Limits,
    observe: Observer,
) -> _Placed:
    fitted = load_map(session, target.sha256)
    began = time.perf_counter()
    rows = readings.parse(
        incoming.content, limits=limits, expected=fitted.features, source=incoming.source
    )
    read = time.perf_counter()
    placement = fitted.place(rows.values)
    observe("read", read - began)
    observe("place", time.perf_counter() - read)
    return _Placed(fitted, rows, placement)


def _store(
    session: Session,
    stream_id: int,
    stream: _Held,
    incoming: Incoming,
    placed: _Placed,
    *,
    where: dict[str, Any],
    now: dt.datetime,
) -> dict[str, Any]:
    first, count = stream.next_seq, len(placed.readings.values)
    last = first + count - 1
    scores = placed.placement.score
    rule = placed.map.rule_at(sensitivity.limit_of(stream.settings))
    before = LevelState.from_dict(stream.level_state)
    levels, level_state = judge(rule, before, scores)
    state = stream.state
    if state not in CONTROL:
        state = "completed" if last == stream.declared_total else "streaming"
    answer = {
        **where,
        "points_processed": count,
        "first_seq": first,
        "last_seq": last,
        "epoch": stream.epoch,
        "control": CONTROL.get(state, "run"),
        "anomalies": int(np.count_nonzero(scores > rule.alarm)),
        "level": level_word(int(levels[-1])),
        "score": float(scores[-1]),
    }
    values: dict[str, Any] = {
        "moved": stream_id,
        "new_next_seq": last + 1,
        "new_last_point_at": now,
        "new_arrivals": [*stream.arrivals, [now.timestamp(), last]][-ARRIVALS_KEPT:],
        "new_level": int(levels[-1]),
        "new_level_state": level_state.to_dict() | _since(stream, before, levels, now),
        "new_score": float(scores[-1]),
        "new_state": state,
        "new_alert_state": _alerts(
            session, stream_id, stream, placed, levels, where=where, now=now
        ),
    }
    if incoming.key is None:
        session.connection().execute(MOVE, values)
    else:
        kept = (stream_id, stream.epoch, incoming.key, _sha256(incoming), first, last, answer)
        values |= {f"kept_{name}": value for name, value in zip(KEPT, kept, strict=True)}
        session.connection().execute(MOVE_AND_KEEP, values)
    _copy_points(
        session,
        stream_id,
        stream.epoch,
        placed,
        first=first,
        source=incoming.source,
        levels=levels,
        now=now,
    )
    news.changed(session, stream_id)
    return answer


def _alerts(
    session: Session,
    stream_id: int,
    stream: _Held,
    placed: _Placed,
    levels: np.ndarray,
    *,
    where: dict[str, Any],
    now: dt.datetime,
) -> Json:
    """Raise and clear alerts; the stream's new `alert_state`."""
    place = placed.placement
    batch = raising.Batch(
        baseline_id=where["id"],
        stream_id=stream_id,
        epoch=stream.epoch,
        first=stream.next_seq,
        map=placed.map,
        map_id=stream.map_id,
        alarm_limit=sensitivity.limit_of(stream.settings),
        rules_revision=stream.rules_revision,
        areas_revision=stream.areas_revision,
        values=placed.readings.values,
        x=place.x,
        y=place.y,
        score=place.score,
        level=levels,
        now=now,
    )
    return raising.judge(session, batch, stream.alert_state)


def _since(stream: _Held, before: LevelState, levels: np.ndarray, now: dt.datetime) -> Json:
    """Since when, in seconds since 1970, the machine is at the level that it is at now.

    It goes on through a batch that is all at the level before it. A stream that was at its level
    before this was kept has none until its level changes.
    """
    if stream.next_seq > 1 and bool((levels == before.level).all()):
        return {key: stream.level_state[key] for key in (SINCE,) if key in stream.level_state}
    return {SINCE: now.timestamp()}


def _copy_points(
    session: Session,
    stream_id: int,
    epoch: int,
    placed: _Placed,
    *,
    first: int,
    source: str,
    levels: np.ndarray,
    now: dt.datetime,
) -> None:
    prefix = (copying.integer(stream_id), copying.integer(epoch))
    common = (copying.moment(now), source.encode())
    place = placed.placement
    copying.copy_rows(
        session,
        Point.__tablename__,
        COLUMNS,
        (
            (
                *prefix,
                copying.bigint(first + i),
                *common,
                copying.real(place.x[i]),
                copying.real(place.y[i]),
                copying.real(place.score[i]),
                copying.smallint(int(levels[i])),
                copying.jsonb(metadata),
                copying.floats(row),
            )
            for i, (metadata, row) in enumerate(
                zip(placed.readings.metadata, placed.readings.values, strict=True)
            )
        ),
    )


def _sha256(incoming: Incoming) -> bytes:
    return hashlib.sha256(incoming.content).digest()
