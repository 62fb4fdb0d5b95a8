"""The epochs of a baseline's streams, present and past: what there is to play back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from dinsight import baselines
from dinsight.accounts import Identity
from dinsight.models import Epoch, FittedMap, Json, Point, Stream


def epochs(
    session: Session, who: Identity, baseline_id: int, *, limit: int, offset: int
) -> dict[str, Any]:
    """A page of the epochs of all streams, the newest first. Raises BaselineNotFound.

    `seq` has no gap, so the first and the last of an epoch, found by the key, tell how many points
    it holds without counting them.
    """
    baseline = baselines.get(session, who, baseline_id)
    of_baseline = select(func.count()).select_from(Epoch).join(Stream, Stream.id == Epoch.stream_id)
    total = session.scalars(of_baseline.where(Stream.baseline_id == baseline.id)).one()
    ends = select(Point.seq, Point.received_at).where(
        Point.stream_id == Epoch.stream_id, Point.epoch == Epoch.epoch
    )
    first = ends.order_by(Point.seq).limit(1).correlate(Epoch).lateral("first")
    last = ends.order_by(Point.seq.desc()).limit(1).correlate(Epoch).lateral("last")
    found = session.execute(
        select(
            *(Stream.name.label("stream"), Epoch.epoch, Epoch.started_at, Epoch.ended_at),
            (Stream.epoch == Epoch.epoch).label("current"),
            *(first.c.seq.label("first_seq"), first.c.received_at.label("first_point_at")),
            *(last.c.seq.label("last_seq"), last.c.received_at.label("last_point_at")),
            *(FittedMap.layout.label("map"), FittedMap.id.label("map_id")),
        )
        .select_from(Epoch)
        .join(Stream, Stream.id == Epoch.stream_id)
        .join(FittedMap, FittedMap.id == Epoch.map_id)
        .outerjoin(first, true())
        .outerjoin(last, true())
        .where(Stream.baseline_id == baseline.id)
        .order_by(Epoch.started_at.desc(), Epoch.stream_id.desc(), Epoch.epoch.desc())
        .limit(limit)
        .offset(offset)
    ).mappings()
    listed = [_told(dict(row)) for row in found]
    end = offset + len(listed)
    return {
        "baseline_id": baseline.id,
        "sessions": listed,
        "total": total,
        "limit": limit,
        "offset": offset,
        "next": end if end < total else None,
    }


def _told(row: Json) -> Json:
    empty = row["last_seq"] is None
    return row | {"points": 0 if empty else row["last_seq"] - row["first_seq"] + 1}
