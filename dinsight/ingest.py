"""Taking a batch in: read, placed, judged and stored, all or nothing.

`seq` is given under the stream's row lock, so that its order is the order of commits; the rows, the
stream and the key are one transaction; a batch that carries a key is stored once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import copying, readings, sensitivity
from dinsight.accounts import Identity
from dinsight.errors import EpochChanged, InvalidRequest, KeyReused
from dinsight.maps import Map, Placement
from dinsight.maps.levels import LevelState, judge
from dinsight.mapstore import load_map
from dinsight.models import Batch, Point, Stream
from dinsight.streams import DEFAULT, Found, find, hold, level_word

KEY_LENGTH = 200
ARRIVALS_KEPT = 16

COLUMNS = (
    *("stream_id", "epoch", "seq", "received_at", "source"),
    *("x", "y", "score", "level", "metadata", "features"),
)
# Told how many seconds a stage of a batch took: `read`, `place`, `store`.
Observer = Callable[[str, float], None]
CONTROL = {"paused": "hold", "stopped": "stop"}


@dataclass(frozen=True)
class Incoming:
    """A batch as it came in."""

    content: bytes
    source: str
    stream: str = DEFAULT
    key: str | None = None
    epoch: int | None = None


@dataclass(frozen=True)
class _Placed:
    """A batch that was read and placed on the map with this id."""

    map_id: int
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
    target = find(session, who, baseline_id, incoming.stream, create=True)
    if answer := _answered(session, target.id, incoming):
        return answer
    placed = _place(session, target, incoming, limits, observe)
    began = time.perf_counter()
    stream = hold(session, target.id)
    if answer := _answered(session, stream.id, incoming):
        return answer
    if incoming.epoch is not None and incoming.epoch != stream.epoch:
        raise _epoch_changed(stream, incoming.epoch)
    if stream.map_id != placed.map_id:
        target = find(session, who, baseline_id, incoming.stream)
        placed = _place(session, target, incoming, limits, observe)
        began = time.perf_counter()
    answer = _store(session, stream, incoming, placed, now)
    observe("store", time.perf_counter() - began)
    return answer


def _epoch_changed(stream: Stream, sent: int) -> EpochChanged:
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
    batch = session.scalar(
        select(Batch)
        .where(Batch.stream_id == stream_id, Batch.key == incoming.key)
        .order_by(Batch.epoch.desc())
        .limit(1)
    )
    if batch is None:
        return None
    if batch.sha256 != _sha256(incoming):
        raise KeyReused()
    # PostgreSQL keeps 1e30 as the whole number that it is, which JSON for clients cannot carry.
    return batch.response | {"score": float(batch.response["score"])}


def _place(
    session: Session,
    target: Found,
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
    return _Placed(target.map_id, fitted, rows, placement)


def _store(
    session: Session, stream: Stream, incoming: Incoming, placed: _Placed, now: dt.datetime
) -> dict[str, Any]:
    first, count = stream.next_seq, len(placed.readings.values)
    rule = placed.map.rule_at(sensitivity.limit_of(stream.settings))
    levels, state = judge(rule, LevelState.from_dict(stream.level_state), placed.placement.score)
    stream.next_seq = first + count
    stream.last_point_at = now
    stream.arrivals = [*stream.arrivals, [now.timestamp(), first + count - 1]][-ARRIVALS_KEPT:]
    stream.level = int(levels[-1])
    stream.level_state = state.to_dict()
    stream.score = float(placed.placement.score[-1])
    if stream.state not in CONTROL:
        stream.state = "completed" if first + count - 1 == stream.declared_total else "streaming"
    session.flush()
    _copy_points(
        session, stream, placed, first=first, source=incoming.source, levels=levels, now=now
    )
    answer = {
        "id": stream.baseline_id,
        "stream": stream.name,
        "points_processed": count,
        "first_seq": first,
        "last_seq": first + count - 1,
        "epoch": stream.epoch,
        "control": CONTROL.get(stream.state, "run"),
        "anomalies": int(np.count_nonzero(placed.placement.score > rule.alarm)),
        "level": level_word(stream.level),
        "score": stream.score,
    }
    if incoming.key is not None:
        session.add(
            Batch(
                stream_id=stream.id,
                epoch=stream.epoch,
                key=incoming.key,
                sha256=_sha256(incoming),
                first_seq=first,
                last_seq=first + count - 1,
                response=answer,
            )
        )
        session.flush()
    return answer


def _copy_points(
    session: Session,
    stream: Stream,
    placed: _Placed,
    *,
    first: int,
    source: str,
    levels: np.ndarray,
    now: dt.datetime,
) -> None:
    prefix = (copying.integer(stream.id), copying.integer(stream.epoch))
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
