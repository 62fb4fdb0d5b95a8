"""The epochs of a baseline's streams, present and past: what there is to play back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, case, func, literal, null, select, true
from sqlalchemy.orm import Session

from dinsight import baselines
from dinsight.accounts import Identity
from dinsight.models import Epoch, FittedMap, Json, Point, Stream
from dinsight.streams import level_word
from dinsight.worst import Reader

INNER = ("stream_id", "points_from", "readings_from")  # of a row, which are not told


def epochs(
    session: Session, who: Identity, baseline_id: int, *, limit: int, offset: int
) -> dict[str, Any]:
    """A page of the epochs of all streams, the newest first. Raises BaselineNotFound.

    `seq` has no gap, so the first and the last of an epoch, found by the key, tell how many points
    it holds without counting them. `worst` is its worst level, None while that is still read.
    """
    baseline = baselines.get(session, who, baseline_id)
    of_baseline = select(func.count()).select_from(Epoch).join(Stream, Stream.id == Epoch.stream_id)
    total = session.scalars(of_baseline.where(Stream.baseline_id == baseline.id)).one()
    page = listed(baseline.id).order_by(
        Epoch.started_at.desc(), Epoch.stream_id.desc(), Epoch.epoch.desc()
    )
    found = session.execute(page.limit(limit).offset(offset)).mappings().all()
    reader = Reader(session)
    told = [tell(dict(row), reader) for row in found]
    end = offset + len(told)
    return {
        "baseline_id": baseline.id,
        "sessions": told,
        "total": total,
        "limit": limit,
        "offset": offset,
        "next": end if end < total else None,
    }


def recorded(session: Session, who: Identity, baseline_id: int, *, limit: int) -> list[Json]:
    """Of the newest epochs of all streams those with points, the newest first, and how many.

    Raises BaselineNotFound.
    """
    baseline = baselines.get(session, who, baseline_id)
    newest = listed(baseline.id).order_by(
        Epoch.started_at.desc(), Epoch.stream_id.desc(), Epoch.epoch.desc()
    )
    found = session.execute(newest.limit(limit)).mappings()
    return [
        {**row, "points": row["last_seq"] - row["first_seq"] + 1}
        for row in found
        if row["last_seq"] is not None
    ]


def listed(baseline_id: int) -> Select[Any]:
    """The epochs of a baseline's streams, each a row of what is told of it and the `INNER`.

    A run goes on in the next epoch when the baseline is refitted: `run` is the epoch that it began
    with. Where the next epoch is of another run, a reset ended it.
    """
    runs = _runs(baseline_id).subquery("runs")
    ends = select(Point.seq, Point.received_at).where(
        Point.stream_id == Epoch.stream_id, Point.epoch == Epoch.epoch
    )
    first = ends.order_by(Point.seq).limit(1).correlate(Epoch).lateral("first")
    last = ends.order_by(Point.seq.desc()).limit(1).correlate(Epoch).lateral("last")
    why = case(
        (runs.c.next_run.is_(None), null()),
        (runs.c.next_run != Epoch.run, literal("reset")),
        else_=literal("refit"),
    )
    return (
        select(
            *(Stream.name.label("stream"), Epoch.epoch, Epoch.run),
            *(Epoch.started_at, Epoch.ended_at, why.label("ended_by")),
            (Stream.epoch == Epoch.epoch).label("current"),
            *(first.c.seq.label("first_seq"), first.c.received_at.label("first_point_at")),
            *(last.c.seq.label("last_seq"), last.c.received_at.label("last_point_at")),
            *(FittedMap.layout.label("map"), FittedMap.id.label("map_id")),
            *(Epoch.stream_id, Epoch.points_from, Epoch.readings_from),
        )
        .select_from(Epoch)
        .join(Stream, Stream.id == Epoch.stream_id)
        .join(FittedMap, FittedMap.id == Epoch.map_id)
        .join(runs, (runs.c.stream_id == Epoch.stream_id) & (runs.c.epoch == Epoch.epoch))
        .outerjoin(first, true())
        .outerjoin(last, true())
        .where(Stream.baseline_id == baseline_id)
    )


def _runs(baseline_id: int) -> Select[Any]:
    """Each epoch with the run of the next one."""
    order: Any = {"partition_by": Epoch.stream_id, "order_by": Epoch.epoch}
    found: Select[Any] = (
        select(Epoch.stream_id, Epoch.epoch, func.lead(Epoch.run).over(**order).label("next_run"))
        .join(Stream, Stream.id == Epoch.stream_id)
        .where(Stream.baseline_id == baseline_id)
    )
    return found


def tell(row: Json, reader: Reader) -> Json:
    """A row of `listed` as it is told."""
    told = {name: value for name, value in row.items() if name not in INNER}
    first, last = row["first_seq"], row["last_seq"]
    if last is None:
        return told | {"points": 0, "worst": None, "readings_from": None}
    worst = reader.level(row["stream_id"], row["epoch"], first, last)
    readings = max(row["readings_from"], first)
    return told | {
        "points": last - first + 1,
        "worst": None if worst is None else level_word(worst),
        "readings_from": readings if readings <= last else None,
    }
