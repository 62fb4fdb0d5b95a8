"""Retention: old points, or their readings alone, go as the settings say. By default all stays.

What goes of an epoch is always its beginning, so that readers by cursor never meet a gap further
on. `Epoch.points_from` and `Epoch.readings_from` say where it now begins: each step reads them,
removes a little and writes them, in a short transaction of its own that any instance may do, one
at a time. A step holds the baseline against deletion and nothing that a batch or a reset waits for.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Select, delete, func, select, text, update
from sqlalchemy.orm import Session

from dinsight.background import Background
from dinsight.database import Database, Sessions
from dinsight.models import Baseline, Batch, Epoch, Point, Stream
from dinsight.settings import Settings

# Any number will do; it only has to be the same in every instance.
LOCK = 7_402_119
POINTS_A_STEP = 500
KEYS_A_STEP = 5_000
PAUSE_SECONDS = 0.02  # between steps, for others
SWEEP_SECONDS = 300.0
# A sender that repeats a batch does so within minutes; its key outlives its points by this.
KEYS_KEPT = dt.timedelta(days=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rules:
    """How much is kept; None keeps everything."""

    age: dt.timedelta | None = None
    points: int | None = None
    readings_age: dt.timedelta | None = None

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        def days(number: int) -> dt.timedelta | None:
            return dt.timedelta(days=number) if number else None

        return cls(
            days(settings.retention_days),
            settings.retention_points or None,
            days(settings.retention_features_days),
        )

    def __bool__(self) -> bool:
        return self != Rules()


@dataclass
class Removed:
    """What a sweep took."""

    points: int = 0
    readings: int = 0
    keys: int = 0
    epochs: int = 0

    def __bool__(self) -> bool:
        return self != Removed()


@dataclass(frozen=True)
class _Held:
    """An epoch, held for this transaction, and where it begins and ends."""

    stream_id: int
    epoch: int
    points_from: int
    readings_from: int
    ended_at: dt.datetime | None
    last: int  # of the present epoch; of an archived one, its last point


def sweep(
    sessions: Sessions,
    rules: Rules,
    now: dt.datetime,
    go_on: Callable[[], bool] = lambda: True,
) -> Removed:
    """Remove what the rules do not keep, step by step, for as long as `go_on` says so.

    Ends early where another instance is at it.
    """
    removed = Removed()
    with sessions() as session:
        epochs = session.execute(
            select(Epoch.stream_id, Epoch.epoch).order_by(Epoch.stream_id, Epoch.epoch)
        ).all()
    for stream_id, epoch in epochs:
        for step in (_remove_points, _remove_readings, _remove_keys, _remove_epoch):
            more = True
            while more:
                if not go_on():
                    return removed
                with sessions.begin() as session:
                    if not session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
                        return removed
                    session.execute(
                        text("SET LOCAL synchronous_commit = off")
                    )  # it can be done again
                    held = _hold(session, stream_id, epoch)
                    more = held is not None and step(session, held, rules, now, removed)
    return removed


def _hold(session: Session, stream_id: int, epoch: int) -> _Held | None:
    """The epoch, locked; None where its baseline is being deleted or a reset is ending it."""
    kept = (
        select(Baseline.id)
        .join(Stream, Stream.baseline_id == Baseline.id)
        .where(Stream.id == stream_id)
        .with_for_update(read=True, of=Baseline, skip_locked=True)
    )
    if session.scalar(kept) is None:
        return None
    row = session.execute(
        select(Epoch.points_from, Epoch.readings_from, Epoch.ended_at)
        .where(Epoch.stream_id == stream_id, Epoch.epoch == epoch)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    last = session.scalar(
        select(func.max(Point.seq)).where(Point.stream_id == stream_id, Point.epoch == epoch)
    )
    return _Held(stream_id, epoch, *row, last or 0)


def _remove_points(
    session: Session, held: _Held, rules: Rules, now: dt.datetime, removed: Removed
) -> bool:
    """A step of points from the old end; says whether there is more."""
    oldest = _beginning(held, held.points_from)
    until = held.points_from - 1
    if rules.points is not None:
        until = max(until, min(held.last - rules.points, held.points_from + POINTS_A_STEP - 1))
    if rules.age is not None:
        until = max(until, _last_before(session, oldest, now - rules.age))
    if until < held.points_from:
        return False
    gone = session.execute(
        delete(Point).where(
            *(Point.stream_id == held.stream_id, Point.epoch == held.epoch),
            *(Point.seq >= held.points_from, Point.seq <= until),
        ),
        execution_options={"synchronize_session": False},
    )
    removed.points += gone.rowcount  # type: ignore[attr-defined]
    _begin_at(session, held, points_from=until + 1)
    return True


def _remove_readings(
    session: Session, held: _Held, rules: Rules, now: dt.datetime, removed: Removed
) -> bool:
    """A step of readings from the old end; place, score and level stay."""
    if rules.readings_age is None:
        return False
    start = max(held.readings_from, held.points_from)
    until = _last_before(session, _beginning(held, start), now - rules.readings_age)
    if until < start:
        return False
    gone = session.execute(
        update(Point)
        .where(Point.stream_id == held.stream_id, Point.epoch == held.epoch)
        .where(Point.seq >= start, Point.seq <= until)
        .values(features=None),
        execution_options={"synchronize_session": False},
    )
    removed.readings += gone.rowcount  # type: ignore[attr-defined]
    _begin_at(session, held, readings_from=until + 1)
    return True


def _remove_keys(
    session: Session, held: _Held, rules: Rules, now: dt.datetime, removed: Removed
) -> bool:
    """A step of the keys of batches of which no point is left and that nobody repeats any more."""
    old = (
        select(Batch.key)
        .where(Batch.stream_id == held.stream_id, Batch.epoch == held.epoch)
        .where(Batch.last_seq < held.points_from, Batch.created_at < now - KEYS_KEPT)
        .limit(KEYS_A_STEP)
    )
    gone = session.execute(
        delete(Batch).where(
            *(Batch.stream_id == held.stream_id, Batch.epoch == held.epoch),
            Batch.key.in_(old),
        ),
        execution_options={"synchronize_session": False},
    )
    count: int = gone.rowcount  # type: ignore[attr-defined]
    removed.keys += count
    return count == KEYS_A_STEP


def _remove_epoch(
    session: Session, held: _Held, rules: Rules, now: dt.datetime, removed: Removed
) -> bool:
    """The epoch itself, once it is archived, older than what is kept, and nothing is left of it."""
    age = rules.age and max(rules.age, KEYS_KEPT)
    if age is None or held.last or held.ended_at is None or held.ended_at > now - age:
        return False
    here = (Batch.stream_id == held.stream_id, Batch.epoch == held.epoch)
    if session.scalar(select(select(Batch.key).where(*here).exists())):
        return False
    session.execute(
        delete(Epoch).where(Epoch.stream_id == held.stream_id, Epoch.epoch == held.epoch)
    )
    removed.epochs += 1
    return False


def _beginning(held: _Held, start: int) -> Select[int, dt.datetime]:
    """The seq and the time of the next points, the oldest first."""
    return (
        select(Point.seq, Point.received_at)
        .where(Point.stream_id == held.stream_id, Point.epoch == held.epoch, Point.seq >= start)
        .order_by(Point.seq)
        .limit(POINTS_A_STEP)
    )


def _last_before(session: Session, points: Select[int, dt.datetime], moment: dt.datetime) -> int:
    """The seq before the first of these points that is not older than `moment`, 0 if none is.

    The first one ends it: a clock that once was wrong must not take what is newer.
    """
    last = 0
    for seq, received_at in session.execute(points):
        if received_at >= moment:
            break
        last = seq
    return last


def _begin_at(session: Session, held: _Held, **values: int) -> None:
    session.execute(
        update(Epoch)
        .where(Epoch.stream_id == held.stream_id, Epoch.epoch == held.epoch)
        .values(**values)
    )


class Sweeper(Background):
    """A thread that sweeps every few minutes; without a rule it does nothing."""

    name, what = "retention", "old points to be removed"

    def __init__(self, database: Database, rules: Rules) -> None:
        super().__init__()
        self.again_seconds = SWEEP_SECONDS
        self._database = database
        self._rules = rules

    def start(self) -> None:
        if self._rules:
            super().start()

    def step(self) -> float:
        began = dt.datetime.now(dt.UTC)
        removed = sweep(self._database.sessions, self._rules, began, self._goes_on)
        if removed:
            log.info("retention removed %s", removed)
        return SWEEP_SECONDS

    def _goes_on(self) -> bool:
        return not self._stopping.wait(PAUSE_SECONDS)
