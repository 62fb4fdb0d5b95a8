"""Baselines with what hangs on each: the list that people see, and what a deletion takes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from dinsight.accounts import Identity
from dinsight.baselines import visible
from dinsight.errors import BaselineNotFound
from dinsight.models import Baseline, Epoch, Point, Stream, User


@dataclass(frozen=True)
class Overview:
    """A baseline, its owner's address, and its streams and points, archived ones included."""

    baseline: Baseline
    owner: str
    streams: int
    points: int


def all_of(session: Session, who: Identity) -> list[Overview]:
    """Every baseline that `who` may see, the newest first."""
    return _look(session, who, None)


def of(session: Session, who: Identity, baseline_id: int) -> Overview:
    """Raises BaselineNotFound also for a baseline that is another's."""
    found = _look(session, who, baseline_id)
    if not found:
        raise BaselineNotFound()
    return found[0]


def _look(session: Session, who: Identity, baseline_id: int | None) -> list[Overview]:
    """`seq` has no gap, so where an epoch begins and ends tells its points without a count."""
    mine = visible(who) if baseline_id is None else visible(who) & (Baseline.id == baseline_id)
    last = (
        select(Point.seq)
        .where(Point.stream_id == Epoch.stream_id, Point.epoch == Epoch.epoch)
        .order_by(Point.seq.desc())
        .limit(1)
        .correlate(Epoch)
        .lateral("last")
    )
    held = (
        select(
            Stream.baseline_id,
            func.count(Stream.id.distinct()).label("streams"),
            func.coalesce(func.sum(last.c.seq - Epoch.points_from + 1), 0).label("points"),
        )
        .join(Baseline, Baseline.id == Stream.baseline_id)
        .join(Epoch, Epoch.stream_id == Stream.id)
        .outerjoin(last, true())
        .where(mine)
        .group_by(Stream.baseline_id)
        .subquery("held")
    )
    rows = session.execute(
        select(Baseline, User.email, held.c.streams, held.c.points)
        .join(User, User.id == Baseline.owner_id)
        .outerjoin(held, held.c.baseline_id == Baseline.id)
        .where(mine)
        .order_by(Baseline.id.desc())
    )
    return [Overview(row[0], row[1], row[2] or 0, int(row[3] or 0)) for row in rows]
