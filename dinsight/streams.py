"""Streams: finding them, and what a user can do to one. A reset archives and raises the epoch."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from dinsight import baselines, news, sensitivity
from dinsight.accounts import Identity, audit
from dinsight.alerts import closing
from dinsight.errors import (
    BaselineFailed,
    BaselineNotFound,
    BaselineNotReady,
    InvalidRequest,
    StreamNotFound,
)
from dinsight.maps import Map
from dinsight.maps.levels import Level
from dinsight.mapstore import load_map
from dinsight.models import Baseline, Epoch, FittedMap, Json, Moment, Replay, Stream

DEFAULT = "default"
NAME = re.compile(r"[\w .:+-]{1,64}")

ACTIONS = {
    "start": "streaming",
    "resume": "streaming",
    "pause": "paused",
    "stop": "stopped",
    "complete": "completed",
}
SETTINGS: dict[str, tuple[type, float, float]] = {
    "latest_glow_count": (int, 0, 1_000),
    "batch_size": (int, 1, 1_000_000),
    "delay_seconds": (float, 0, 86_400),
}
DEFAULT_GLOW = 10
# What a stream that is not to run tells its sender.
CONTROL = {"paused": "hold", "stopped": "stop"}
SINCE = "since"  # in `level_state`: when the present level began, seconds since 1970


@dataclass(frozen=True)
class Found:
    """A stream as it is now, with what a read or a batch needs to know of its baseline and map."""

    baseline_id: int
    baseline_rows: int
    id: int
    name: str
    epoch: int
    run_epoch: int
    carried: int
    next_seq: int
    map_id: int
    state: str
    declared_total: int | None
    settings: Json
    last_point_at: Moment | None
    arrivals: list[list[float]]
    level: int
    level_state: Json
    score: float | None
    alert_state: Json
    sha256: str
    map_format: int
    areas_revision: str
    version: int


OF_STREAM = [field.name for field in fields(Found)][2:-4]
# Made once: to put such a query together takes longer than PostgreSQL takes to answer it.
FIND = (
    select(Baseline.id, Baseline.rows, *(getattr(Stream, name) for name in OF_STREAM))
    .add_columns(FittedMap.sha256, FittedMap.format, Baseline.areas_revision, Baseline.version)
    .select_from(Baseline)
    .outerjoin(Stream, (Stream.baseline_id == Baseline.id) & (Stream.name == bindparam("name")))
    .outerjoin(FittedMap, FittedMap.id == Stream.map_id)
    .where(Baseline.id == bindparam("baseline_id"), baselines.VISIBLE)
)


def find(
    session: Session, who: Identity, baseline_id: int, name: str, *, create: bool = False
) -> Found:
    """The stream with what a read or a batch needs to know of it, in one query.

    With `create` a stream that is not there yet is made. Raises BaselineNotFound, BaselineNotReady
    or StreamNotFound.
    """
    wanted = {"baseline_id": baseline_id, "name": name, **baselines.seen_by(who)}
    row: Any = session.connection().execute(FIND, wanted).one_or_none()
    if row is None:
        raise BaselineNotFound()
    if row.sha256 is not None:
        return Found(*row)
    baseline = baselines.get(session, who, baseline_id)
    baselines.require_fitted(baseline)
    if not create:
        raise StreamNotFound(f"Baseline {baseline_id} has no stream {name!r}.")
    _create(session, baseline, name)
    return find(session, who, baseline_id, name)


def find_if_any(session: Session, who: Identity, baseline_id: int, name: str) -> Found | None:
    """The stream, or None where nothing was sent to it yet. Raises BaselineNotFound."""
    try:
        return find(session, who, baseline_id, name)
    except (StreamNotFound, BaselineNotReady, BaselineFailed):
        return None


def lock(session: Session, who: Identity, baseline_id: int, name: str) -> Stream:
    """The stream, held for this transaction; made if it is not there yet."""
    return hold(session, find(session, who, baseline_id, name, create=True).id)


def hold(session: Session, stream_id: int) -> Stream:
    """A stream that was just found, held for this transaction; raises BaselineNotFound.

    A stream goes only with its baseline.
    """
    stream = session.get(Stream, stream_id, with_for_update=True, populate_existing=True)
    if stream is None:
        raise BaselineNotFound()
    return stream


def configure(
    session: Session, who: Identity, baseline_id: int, name: str, wanted: Mapping[str, Any]
) -> dict[str, Any]:
    """Set what the sender declares, its total, pace and glow, and how sensitive the stream is.

    New points are judged with the new sensitivity; those that are stored keep their levels.
    Raises InvalidRequest.
    """
    changes = {key: _checked(key, wanted[key]) for key in SETTINGS if wanted.get(key) is not None}
    found = find(session, who, baseline_id, name, create=True)
    changes |= _sensitivity(session, found, wanted, changes)
    stream = hold(session, found.id)
    if stream.map_id != found.map_id:  # refitted meanwhile
        found = find(session, who, baseline_id, name)
        changes |= _sensitivity(session, found, wanted, changes)
    if "total_points" in wanted:
        stream.declared_total = _checked_total(wanted["total_points"])
    stream.settings = {**stream.settings, **changes}
    _note_limit(session, stream)
    session.flush()
    news.changed(session, stream.id)
    return {
        "baseline_id": baseline_id,
        "stream": stream.name,
        "total_points": stream.declared_total,
        "latest_glow_count": DEFAULT_GLOW,
        **sensitivity.DEFAULTS,
        **{name: value for name, value in stream.settings.items() if name != "cost"},
    }


def _note_limit(session: Session, stream: Stream) -> None:
    """Keep which alarm limit the next points are judged by, where it is another one."""
    epoch = session.get_one(Epoch, (stream.id, stream.epoch))
    limit = sensitivity.limit_of(stream.settings)
    if epoch.limits and epoch.limits[-1][1] == limit:
        return
    before = [each for each in epoch.limits if each[0] < stream.next_seq]
    epoch.limits = [*before, [stream.next_seq, limit]]


def _sensitivity(session: Session, found: Found, wanted: Mapping[str, Any], changes: Json) -> Json:
    """The change of sensitivity that is asked for, if any: it needs the map."""
    if all(wanted.get(wish) is None for wish in sensitivity.WISHES):
        return {}
    rows_per_second = sensitivity.rate_or_usual(found.arrivals, found.settings | changes)
    return sensitivity.change(wanted, load_map(session, found.sha256), rows_per_second)


def control(
    session: Session, who: Identity, baseline_id: int, name: str, action: str
) -> dict[str, Any]:
    """Start, pause, resume, stop or complete; senders that can obey read it in their answers."""
    if action not in ACTIONS:
        raise InvalidRequest(f"There is no action {action!r}: choose one of {', '.join(ACTIONS)}.")
    stream = lock(session, who, baseline_id, name)
    state = ACTIONS[action]
    if state == "streaming" and stream.next_seq == 1:
        state = "not_started"
    if not (action == "pause" and stream.state in {"stopped", "completed"}):
        stream.state = state
    if state in {"stopped", "completed"}:
        end_replay(session, stream.id, f"The stream was {state}.")
    news.changed(session, stream.id)
    return {"status": stream.state, "stream": stream.name, "epoch": stream.epoch}


def reset(
    session: Session, who: Identity, baseline_id: int, name: str, *, now: dt.datetime
) -> dict[str, Any]:
    """Archive the points and begin a new epoch on the baseline's current map."""
    stream = lock(session, who, baseline_id, name)
    archived = stream.next_seq - 1
    current = session.scalars(select(Baseline.map_id).where(Baseline.id == baseline_id)).one()
    closing.forget(session, stream, "The stream was reset.", now=now)
    stream.run_epoch, stream.carried = stream.epoch + 1, 0
    _begin_epoch(session, stream, current or stream.map_id, now=now)
    stream.state = "not_started"
    stream.declared_total = None
    end_replay(session, stream.id, "The stream was reset.")
    subject = f"{baseline_id}/{stream.name}"
    audit(session, "stream.reset", user_id=who.id, subject=subject, points=archived)
    return {"deleted_points": archived, "epoch": stream.epoch, "stream": stream.name}


def end_replay(session: Session, stream_id: int, why: str) -> None:
    """End what is being replayed into the stream, if anything is: no row of it comes any more.

    The stream is held.
    """
    session.execute(
        update(Replay)
        .where(Replay.stream_id == stream_id, Replay.state == "playing")
        .values(state="stopped", message=why, ended_at=func.now(), lease=None, lease_until=None)
    )


def carry_over(
    session: Session, stream: Stream, map_id: int, fitted: Map, *, now: dt.datetime
) -> None:
    """Go on in a new epoch on another map; the stream is held. What came so far is archived.

    It is the same run: what the sender declared still holds, less what is archived, and so does
    a pause or a stop.
    """
    archived = stream.next_seq - 1
    stream.settings = {**stream.settings, **sensitivity.again(stream.settings, fitted)}
    expected = stream.state in {"streaming", "not_started"}
    last = stream.last_point_at if expected else None
    pace = [[at, seq - archived] for at, seq in stream.arrivals] if expected else []
    why = "The baseline was refitted."
    if expected:
        closing.carry_over(session, stream, why, now=now)
    else:
        closing.forget(session, stream, why, now=now)
    _begin_epoch(session, stream, map_id, now=now)
    stream.last_point_at, stream.arrivals = last, pace  # it is as silent, and as slow, as it was
    stream.carried += archived
    if stream.declared_total is not None:
        rest = stream.declared_total - archived
        stream.declared_total = rest if rest > 0 else None
    if stream.state not in {"paused", "stopped"}:
        stream.state = "not_started"


def _begin_epoch(session: Session, stream: Stream, map_id: int, *, now: dt.datetime) -> None:
    session.execute(
        update(Epoch)
        .where(Epoch.stream_id == stream.id, Epoch.epoch == stream.epoch)
        .values(ended_at=now)
    )
    stream.epoch += 1
    stream.next_seq = 1
    stream.map_id = map_id
    stream.last_point_at = None
    stream.arrivals = []
    stream.level = Level.HEALTHY
    stream.level_state = {}
    stream.score = None
    begun = Epoch(stream_id=stream.id, epoch=stream.epoch, map_id=map_id, started_at=now)
    begun.run = stream.run_epoch
    begun.limits = [[1, sensitivity.limit_of(stream.settings)]]
    session.add(begun)
    news.changed(session, stream.id)


def names(session: Session, who: Identity, baseline_id: int) -> list[str]:
    """The streams of a baseline, the oldest first."""
    return list(
        session.scalars(
            select(Stream.name)
            .join(Baseline, Baseline.id == Stream.baseline_id)
            .where(Baseline.id == baseline_id, baselines.visible(who))
            .order_by(Stream.id)
        )
    )


def check_name(name: str) -> None:
    """Raises InvalidRequest for what no stream can be called."""
    if not NAME.fullmatch(name):
        raise InvalidRequest("A stream's name has 1 to 64 letters, digits, blanks or any of _.:+-")


def _create(session: Session, baseline: Baseline, name: str) -> None:
    check_name(name)
    kept = select(Baseline.map_id).where(Baseline.id == baseline.id)
    map_id = session.scalar(kept.with_for_update(read=True))  # not while it is adopted on
    if map_id is None:
        raise BaselineNotFound()  # deleted meanwhile
    stream_id = session.scalar(
        upsert(Stream)
        .values(baseline_id=baseline.id, name=name, map_id=map_id)
        .on_conflict_do_nothing()
        .returning(Stream.id)
    )
    if stream_id is not None:
        limits = [[1, sensitivity.limit_of({})]]
        session.add(Epoch(stream_id=stream_id, epoch=1, map_id=map_id, limits=limits))
        session.flush()


def level_word(level: int) -> str:
    """The level as users read it: healthy, warning or alarm."""
    return Level(level).name.lower()


def _checked(key: str, value: Any) -> float:
    kind, low, high = SETTINGS[key]
    good = _is_whole(value) if kind is int else _is_number(value)
    if not good or not low <= value <= high:
        number = "a whole number" if kind is int else "a number"
        raise InvalidRequest(f"{key} must be {number} from {low:,} to {high:,}.")
    return float(value) if kind is float else int(value)


def _checked_total(value: Any) -> int | None:
    if value is None or value == 0:
        return None
    if not _is_whole(value) or not 0 < value < 2**53:
        raise InvalidRequest("total_points must be a whole number, or null where it is not known.")
    return int(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    """JSON has one kind of number: 5.0 is as whole as 5."""
    return _is_number(value) and value == value // 1
