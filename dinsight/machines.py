"""All machines at a glance: every stream that a user may see, the worst first.

One query finds the streams, by what their rows hold; another one the newest scores of those that
are asked for. Neither counts, and neither costs more for a longer history.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, REAL, bindparam, func, select
from sqlalchemy.orm import Session

from dinsight import baselines
from dinsight.accounts import Identity
from dinsight.models import Baseline, FittedMap, Json, Point, Stream, User
from dinsight.status import describe
from dinsight.streams import OF_STREAM, Found

FAILING, DETERIORATING, HEALTHY, UNKNOWN = "failing", "deteriorating", "healthy", "unknown"
STATES = (FAILING, DETERIORATING, HEALTHY, UNKNOWN)
OF_LEVEL = {"healthy": HEALTHY, "warning": DETERIORATING, "alarm": FAILING}
RECENT_SECONDS = 60.0  # a state that is older is no longer known; the page has the same number
TREND_POINTS = 100
TOLD = (
    *("status", "is_active", "stale", "streamed_points", "total_points", "last_update", "rate"),
    *("epoch", "level", "level_since", "score", "alarm_limit"),
)

# Made once: to put such a query together takes longer than PostgreSQL takes to answer it.
SEEN = (
    select(Baseline.id, Baseline.rows, *(getattr(Stream, name) for name in OF_STREAM))
    .add_columns(FittedMap.sha256, FittedMap.format, Baseline.areas_revision, Baseline.version)
    .add_columns(Baseline.name.label("machine"), Baseline.status.label("fit"), User.email)
    .select_from(Baseline)
    .join(User, User.id == Baseline.owner_id)
    .outerjoin(Stream, Stream.baseline_id == Baseline.id)
    .outerjoin(FittedMap, FittedMap.id == Stream.map_id)
    .where(baselines.VISIBLE)
)
STREAM_ID = 2  # its place in a row; null for a baseline that has no stream yet
NEWEST = (
    select(Point.score)
    .where(Point.stream_id == Stream.id, Point.epoch == Stream.epoch)
    .order_by(Point.seq.desc())
    .limit(TREND_POINTS)
    .correlate(Stream)
    .scalar_subquery()
)
TRENDS = (
    select(Stream.id, func.array(NEWEST, type_=ARRAY(REAL)))
    .join(Baseline, Baseline.id == Stream.baseline_id)
    .where(Stream.id.in_(bindparam("ids", expanding=True)), baselines.VISIBLE)
)
SOME = (
    select(Stream.id)
    .join(Baseline, Baseline.id == Stream.baseline_id)
    .where(baselines.VISIBLE)
    .limit(bindparam("most"))
)


@dataclass(frozen=True)
class Machine:
    """A stream by the name of its machine; `status` is that of `dinsight.status`.

    `owner` is the address of whose it is.
    """

    id: int
    name: str
    stream: str
    owner: str
    state: str
    status: Json


@dataclass(frozen=True)
class Overview:
    """The machines, the worst first, and how many baselines have none because of their fit."""

    machines: list[Machine]
    fitting: int
    failed: int


def overview(session: Session, who: Identity, now: dt.datetime) -> Overview:
    """Everything that `who` may see, without trends."""
    found: Sequence[Any] = session.connection().execute(SEEN, baselines.seen_by(who)).all()
    fits = Counter(row.fit for row in found if row[STREAM_ID] is None)
    return Overview(
        machines=worst_first(_machine(row, now) for row in found if row[STREAM_ID] is not None),
        fitting=fits["processing"] + fits["uploading"],
        failed=fits["failed"],
    )


def _machine(row: Any, now: dt.datetime) -> Machine:
    stream = Found(*row[:-3])
    status = describe(stream, now)
    return Machine(stream.id, row.machine, stream.name, row.email, state_of(status, now), status)


def state_of(status: Json, now: dt.datetime) -> str:
    """The state of a machine: unknown where no point is recent and none is coming.

    >>> at = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    >>> status = {"level": "alarm", "last_update": at, "is_active": False}
    >>> [state_of(status, at + dt.timedelta(seconds=age)) for age in (60, 61)]
    ['failing', 'unknown']
    """
    last = status["last_update"]
    if last is None:
        return UNKNOWN
    recent = (now - last).total_seconds() <= RECENT_SECONDS
    return OF_LEVEL[status["level"]] if recent or status["is_active"] else UNKNOWN


def worst_first(machines: Iterable[Machine]) -> list[Machine]:
    """In the order in which somebody should look at them; within a state the highest score first.

    Failing, deteriorating, unknown but last seen bad, silent though points should come, healthy,
    at rest, never started.
    """
    return sorted(machines, key=lambda m: (urgency(m), -share(m.status), m.name, m.stream, m.id))


def urgency(machine: Machine) -> int:
    """How soon somebody should look at a machine: 0 first."""
    status = machine.status
    if machine.state != UNKNOWN:
        return {FAILING: 0, DETERIORATING: 1, HEALTHY: 4}[machine.state]
    if status["last_update"] is None:
        return 6
    if OF_LEVEL[status["level"]] != HEALTHY:
        return 2
    return 3 if status["status"] == "streaming" else 5


def share(status: Json) -> float:
    """The score as a share of the limit that alarms are judged by; 0 where there is none."""
    score: float | None = status["score"]
    return 0.0 if score is None else score / status["alarm_limit"]


def summary(machines: Iterable[Machine]) -> dict[str, int]:
    """How many machines are in each state."""
    found = Counter(machine.state for machine in machines)
    return {state: found[state] for state in STATES}


def trends(session: Session, who: Identity, ids: Sequence[int]) -> dict[int, list[float]]:
    """The newest scores of these streams, at most `TREND_POINTS` each, the oldest first."""
    if not ids:
        return {}
    asked = {"ids": list(ids), **baselines.seen_by(who)}
    rows = session.connection().execute(TRENDS, asked)
    return {stream_id: scores[::-1] for stream_id, scores in rows}


def has_several(session: Session, who: Identity) -> bool:
    """Whether `who` may see more than one stream."""
    found = session.connection().execute(SOME, {"most": 2, **baselines.seen_by(who)})
    return len(found.all()) > 1


def told(machine: Machine, who: Identity) -> Json:
    """A machine as programs read it; administrators, who see everybody's, are told whose it is."""
    return {
        "baseline_id": machine.status["baseline_id"],
        "name": machine.name,
        "stream": machine.stream,
        "owner": machine.owner if who.is_admin else None,
        "state": machine.state,
        **{name: machine.status[name] for name in TOLD},
    }
