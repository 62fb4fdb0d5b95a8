"""The queue of "new normal": rows of a stream that are proposed for a baseline's next version.

A proposal names rows by their seq; they are copied only when a version is made of them, so their
readings must still be there then. Rows that are queued, or part of a version, are never proposed
twice: what is left of a proposal are the gaps between them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np
from sqlalchemy import Select, func, select, true, update
from sqlalchemy.orm import Session, aliased

from dinsight import baselines
from dinsight.accounts import Identity, audit
from dinsight.errors import (
    AlreadyProposed,
    BaselineNotFound,
    CandidateNotFound,
    InvalidRequest,
    PointNotFound,
    QueueFull,
    ReadingsRemoved,
    StreamNotFound,
)
from dinsight.maps.levels import Level
from dinsight.models import Alert, Baseline, Candidate, Epoch, Json, Point, Stream, User

MOST_ROWS = 20_000  # of a proposal
MOST_QUEUED, MOST_QUEUED_ROWS = 100, 100_000  # of a baseline
MOST_LISTED = 200
NOTE_LENGTH = 500
QUEUED, TAKEN, REFUSED = "queued", "taken", "refused"
STATES = (QUEUED, TAKEN, REFUSED)
MOST_EPOCH, MOST_SEQ = 2**31 - 1, 2**63 - 1
# Any number will do; with the baseline's it is the lock that proposals take turns by.
LOCK = 7_402_231


@dataclass(frozen=True)
class Span:
    """Rows of one epoch of a stream, seq `first` to `last`."""

    stream_id: int
    epoch: int
    first: int
    last: int

    @property
    def rows(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Wanted:
    """The same as a person names it, unchecked: of the stream with this name."""

    stream: str
    epoch: int
    first: int
    last: int


def propose(
    session: Session,
    who: Identity,
    baseline_id: int,
    wanted: Wanted,
    *,
    note: str = "",
    alert_id: int | None = None,
    now: dt.datetime,
) -> list[Candidate]:
    """Queue the rows that are not queued or taken yet, each stretch of them a candidate.

    Raises InvalidRequest for rows that cannot be meant, BaselineNotFound, BaselineNotReady,
    StreamNotFound, PointNotFound, ReadingsRemoved for rows that retention took the readings of,
    AlreadyProposed where nothing is left, QueueFull.
    """
    note = check_note(note)
    span = _span(session, who, baseline_id, wanted)
    if span.rows > MOST_ROWS:
        raise InvalidRequest(f"{span.rows:,} rows: at most {MOST_ROWS:,} can be proposed at once.")
    require_readings(session, span, wanted.stream)
    left = _hold(session, baseline_id, span)
    if not left:
        raise AlreadyProposed()
    why = _Why(note, alert_id, who.id, now)
    return _queue(session, baseline_id, left, why)


def propose_alert(
    session: Session, who: Identity, alert: Alert, *, now: dt.datetime
) -> list[Candidate]:
    """Queue the rows of an alert whose verdict is that they are the new normal.

    From the row that raised it to the one that cleared it, or to the newest where it is active; of
    a long one the last `MOST_ROWS`. Nothing is queued where all of them are known already, or
    none has its readings any more: the verdict holds all the same. Raises QueueFull.
    """
    bounds = _bounds(session, alert.stream_id, alert.epoch)
    if bounds is None:
        return []
    kept, newest = bounds
    last = min(alert.cleared_seq or newest, newest)
    first = max(alert.opened_seq, kept, last - MOST_ROWS + 1)
    if first > last:
        return []
    left = _hold(session, alert.baseline_id, Span(alert.stream_id, alert.epoch, first, last))
    why = _Why(alert.title[:NOTE_LENGTH], alert.id, who.id, now)
    return _queue(session, alert.baseline_id, left, why)


def take_back(session: Session, who: Identity, alert: Alert, *, now: dt.datetime) -> None:
    """Refuse what waits of an alert whose rows are not the new normal after all."""
    refused = session.scalars(
        update(Candidate)
        .where(Candidate.alert_id == alert.id, Candidate.state == QUEUED)
        .values(state=REFUSED, decided_by=who.id, decided_at=now)
        .returning(Candidate)
    )
    for each in refused:
        _note(session, who.id, "candidate.refuse", each)


def queue(session: Session, who: Identity, baseline_id: int, state: str = QUEUED) -> list[Json]:
    """The candidates in a state, the oldest first; each with what its rows were judged to be.

    Raises BaselineNotFound, InvalidRequest.
    """
    if state not in STATES:
        raise InvalidRequest(f"state must be one of {', '.join(STATES)}.")
    baselines.get(session, who, baseline_id)
    wanted = listing(baseline_id).where(Candidate.state == state).order_by(Candidate.id)
    return [dict(row) for row in session.execute(wanted.limit(MOST_LISTED)).mappings()]


def waiting(session: Session, baseline_ids: Iterable[int]) -> dict[int, int]:
    """How many rows wait for review, by baseline; those without any are left out."""
    rows = func.sum(Candidate.last - Candidate.first + 1)
    found = session.execute(
        select(Candidate.baseline_id, rows)
        .where(Candidate.baseline_id.in_(list(baseline_ids)), Candidate.state == QUEUED)
        .group_by(Candidate.baseline_id)
    )
    return {row[0]: int(row[1]) for row in found}


def refuse(
    session: Session, who: Identity, baseline_id: int, candidate_id: int, *, now: dt.datetime
) -> Candidate:
    """Take rows out of the queue. Raises BaselineNotFound, CandidateNotFound."""
    baselines.get(session, who, baseline_id)
    refused: Candidate | None = session.scalar(
        update(Candidate)
        .where(Candidate.id == candidate_id, Candidate.baseline_id == baseline_id)
        .where(Candidate.state == QUEUED)
        .values(state=REFUSED, decided_by=who.id, decided_at=now)
        .returning(Candidate)
    )
    if refused is None:
        raise CandidateNotFound()
    _note(session, who.id, "candidate.refuse", refused)
    return refused


def episode(
    session: Session, who: Identity, baseline_id: int, stream: str, at: tuple[int, int]
) -> Json:
    """The rows around a point that were judged as anomalous without a break: what to propose.

    The point is named by epoch and seq. Of a healthy one that is the point alone; at most
    `MOST_ROWS`, the point among them. Raises as `propose`.
    """
    epoch, seq = at
    span = _span(session, who, baseline_id, Wanted(stream, epoch, seq, seq))
    here = (Point.stream_id == span.stream_id, Point.epoch == span.epoch)
    healthy = select(Point.seq).where(*here, Point.level == Level.HEALTHY)
    level = session.scalar(select(Point.level).where(*here, Point.seq == seq))
    if level is None or level == Level.HEALTHY:
        return {"first": seq, "last": seq, "level": level}
    kept, newest = _bounds(session, span.stream_id, epoch) or (seq, seq)
    low = max(kept, seq - MOST_ROWS // 2)
    high = min(newest, seq + MOST_ROWS // 2 - 1)
    before = healthy.where(Point.seq >= low, Point.seq < seq).order_by(Point.seq.desc()).limit(1)
    after = healthy.where(Point.seq > seq, Point.seq <= high).order_by(Point.seq).limit(1)
    found, next_ = session.scalar(before), session.scalar(after)
    first, last = low if found is None else found + 1, high if next_ is None else next_ - 1
    return {"first": first, "last": last, "level": level}


def chosen(session: Session, baseline_id: int, ids: Sequence[int] | None) -> list[Candidate]:
    """Queued candidates, held: these, or all. Raises CandidateNotFound for one that is not."""
    mine = select(Candidate).where(Candidate.baseline_id == baseline_id, Candidate.state == QUEUED)
    if ids is not None:
        mine = mine.where(Candidate.id.in_(ids))
    found = list(session.scalars(mine.order_by(Candidate.id).with_for_update()))
    if not found or (ids is not None and len(found) != len(set(ids))):
        raise CandidateNotFound()
    return found


def rows_of(session: Session, span: Span) -> Iterator[tuple[Json, np.ndarray]]:
    """Metadata and readings float32 (d,) of each row, in order. Raises ReadingsRemoved."""
    here = (Point.stream_id == span.stream_id, Point.epoch == span.epoch)
    found = session.execute(
        select(Point.metadata_, Point.features)
        .where(*here, Point.seq >= span.first, Point.seq <= span.last)
        .order_by(Point.seq)
        .execution_options(yield_per=500)
    )
    count = 0
    for metadata, content in found:
        if content is None:
            break
        count += 1
        yield metadata, np.frombuffer(content, "<f4")
    if count != span.rows:
        raise ReadingsRemoved(
            f"Of the {span.rows:,} rows from {span.first:,} on, retention has removed the readings "
            "of some: refuse them, and propose what is left."
        )


def require_readings(session: Session, span: Span, stream: str) -> None:
    """Raises ReadingsRemoved where the first rows have no readings any more."""
    bounds = _bounds(session, span.stream_id, span.epoch)
    kept = None if bounds is None else bounds[0]
    where = f"of stream {stream!r}, epoch {span.epoch:,}"
    if kept is not None and span.first >= kept:
        return
    if kept is None or kept > span.last:
        raise ReadingsRemoved(f"Retention has removed the readings of these rows {where}.")
    raise ReadingsRemoved(
        f"Retention has removed the readings of the rows before {kept:,} {where}: propose those "
        f"from {kept:,} on."
    )


def gaps(first: int, last: int, known: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of a stretch without those that are known.

    >>> gaps(1, 10, [(3, 4), (9, 20)])
    [(1, 2), (5, 8)]
    >>> gaps(5, 6, [(1, 10)])
    []
    """
    left, at = [], first
    for low, high in sorted(known):
        if low > last:
            break
        if low > at:
            left.append((at, low - 1))
        at = max(at, high + 1)
    return [*left, (at, last)] if at <= last else left


def check_note(note: Any) -> str:
    """Raises InvalidRequest."""
    text = str(note or "").strip()
    if len(text) > NOTE_LENGTH or not text.replace("\n", "").isprintable():
        raise InvalidRequest(f"A note has at most {NOTE_LENGTH} printable characters.")
    return text


def describe(row: Candidate) -> Json:
    """A candidate without what its rows were judged to be."""
    names = ("id", "epoch", "first", "last", "note", "state", "version", "alert_id", "proposed_at")
    return {name: getattr(row, name) for name in names} | {"rows": row.last - row.first + 1}


def listing(baseline_id: int) -> Select[*tuple[Any, ...]]:
    """Of a baseline's candidates all that is told of them, as columns by name."""
    rows = (
        select(
            func.count().filter(Point.features.is_not(None)).label("available"),
            func.count().filter(Point.level == Level.HEALTHY).label("healthy"),
            func.count().filter(Point.level == Level.WARNING).label("warning"),
            func.count().filter(Point.level == Level.ALARM).label("alarm"),
            func.percentile_cont(0.5).within_group(Point.score).label("median_score"),
            func.max(Point.score).label("peak_score"),
            func.min(Point.received_at).label("first_at"),
            func.max(Point.received_at).label("last_at"),
        )
        .where(Point.stream_id == Candidate.stream_id, Point.epoch == Candidate.epoch)
        .where(Point.seq >= Candidate.first, Point.seq <= Candidate.last)
        .correlate(Candidate)
        .lateral("rows")
    )
    decider = aliased(User)
    return (
        select(
            *(Candidate.id, Stream.name.label("stream"), Candidate.epoch),
            *(Candidate.first, Candidate.last, Candidate.note, Candidate.state),
            *(Candidate.version, Candidate.alert_id, Candidate.proposed_at, Candidate.decided_at),
            (Candidate.last - Candidate.first + 1).label("rows"),
            *(User.email.label("proposed_by"), decider.email.label("decided_by")),
            *(rows.c.available, rows.c.healthy, rows.c.warning, rows.c.alarm),
            *(rows.c.median_score, rows.c.peak_score, rows.c.first_at, rows.c.last_at),
        )
        .join(Stream, Stream.id == Candidate.stream_id)
        .outerjoin(User, User.id == Candidate.proposed_by)
        .outerjoin(decider, decider.id == Candidate.decided_by)
        .outerjoin(rows, true())
        .where(Candidate.baseline_id == baseline_id)
    )


def _span(session: Session, who: Identity, baseline_id: int, wanted: Wanted) -> Span:
    """The rows that are meant; raises where there are no such."""
    stream, epoch, first, last = astuple(wanted)
    baseline = baselines.get(session, who, baseline_id)
    baselines.require_fitted(baseline)
    if not (1 <= epoch <= MOST_EPOCH and 1 <= first <= last <= MOST_SEQ):
        raise InvalidRequest("Rows are named by an epoch and by first ≤ last, both from 1 on.")
    stream_id = session.scalar(
        select(Stream.id).where(Stream.baseline_id == baseline.id, Stream.name == stream)
    )
    if stream_id is None:
        raise StreamNotFound(f"Baseline {baseline_id} has no stream {stream!r}.")
    bounds = _bounds(session, stream_id, epoch)
    if bounds is None or last > bounds[1]:
        raise PointNotFound(f"Stream {stream!r} has no point {last:,} in epoch {epoch:,}.")
    return Span(stream_id, epoch, first, last)


def _bounds(session: Session, stream_id: int, epoch: int) -> tuple[int, int] | None:
    """The first row of an epoch with its readings, and its newest; None where it holds none."""
    newest = (
        select(Point.seq)
        .where(Point.stream_id == Epoch.stream_id, Point.epoch == Epoch.epoch)
        .order_by(Point.seq.desc())
        .limit(1)
        .correlate(Epoch)
        .scalar_subquery()
    )
    row = session.execute(
        select(func.greatest(Epoch.points_from, Epoch.readings_from), newest).where(
            Epoch.stream_id == stream_id, Epoch.epoch == epoch
        )
    ).one_or_none()
    return None if row is None or row[1] is None else (row[0], row[1])


def _hold(session: Session, baseline_id: int, span: Span) -> list[Span]:
    """What is left of the rows; until the transaction ends nobody else proposes for the baseline.

    No row is locked but the baseline's against deletion: whoever calls may hold others.
    """
    kept = select(Baseline.id).where(Baseline.id == baseline_id)
    if session.scalar(kept.with_for_update(read=True, key_share=True)) is None:
        raise BaselineNotFound()  # deleted meanwhile
    session.execute(select(func.pg_advisory_xact_lock(LOCK, baseline_id)))
    known = session.execute(
        select(Candidate.first, Candidate.last)
        .where(Candidate.stream_id == span.stream_id, Candidate.epoch == span.epoch)
        .where(Candidate.state.in_((QUEUED, TAKEN)))
        .where(Candidate.first <= span.last, Candidate.last >= span.first)
    )
    left = gaps(span.first, span.last, [(row.first, row.last) for row in known])
    return [Span(span.stream_id, span.epoch, *each) for each in left]


@dataclass(frozen=True)
class _Why:
    """What is kept of a proposal beside its rows."""

    note: str
    alert_id: int | None
    proposed_by: int
    proposed_at: dt.datetime


def _queue(session: Session, baseline_id: int, spans: Sequence[Span], why: _Why) -> list[Candidate]:
    """Queue what `_hold` has left. Raises QueueFull."""
    mine = (Candidate.baseline_id == baseline_id, Candidate.state == QUEUED)
    total = func.coalesce(func.sum(Candidate.last - Candidate.first + 1), 0)
    count, rows = session.execute(select(func.count(), total).where(*mine)).one()
    more = sum(span.rows for span in spans)
    if count + len(spans) > MOST_QUEUED or rows + more > MOST_QUEUED_ROWS:
        raise QueueFull(
            f"{rows:,} rows wait for review already; {MOST_QUEUED_ROWS:,} in {MOST_QUEUED} "
            "proposals is the most: accept or refuse some first."
        )
    added = [Candidate(baseline_id=baseline_id, **asdict(each), **asdict(why)) for each in spans]
    session.add_all(added)
    session.flush()
    for each in added:
        session.refresh(each)
        _note(session, why.proposed_by, "candidate.propose", each)
    return added


def _note(session: Session, user_id: int, action: str, row: Candidate) -> None:
    named = {"epoch": row.epoch, "first": row.first, "last": row.last, "note": row.note}
    subject = f"{row.baseline_id}/{row.id}"
    audit(session, action, user_id=user_id, subject=subject, **named)
