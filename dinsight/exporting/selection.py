"""Which points an export has, fixed at its start."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import func, text, true
from sqlalchemy import select as query
from sqlalchemy.orm import Session

from dinsight import baselines, streams
from dinsight.accounts import Identity
from dinsight.database import Sessions
from dinsight.errors import EpochNotFound, InvalidRequest, ReadingsRemoved
from dinsight.models import Epoch, Point
from dinsight.streams import Found

ALL: Literal["all"] = "all"
MOST_EPOCH = 2**31 - 1
NAMES_PIECE = 50_000  # points of one query for the names of metadata
# Points of a kind have the same names, so that few rows come back however many there are.
NAMES = text("""
    SELECT DISTINCT ARRAY(SELECT jsonb_object_keys(metadata)) FROM points
    WHERE stream_id = :stream_id AND epoch = :epoch AND seq > :after AND seq <= :until
""")


@dataclass(frozen=True)
class Wanted:
    """What is asked for: an epoch, `ALL` of them, or None, the present run; of those the points
    that were received from `since` on and before `until`; with `features` also their readings.
    """

    epoch: int | Literal["all"] | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    features: bool = False

    def __post_init__(self) -> None:
        if self.since and self.until and self.since >= self.until:
            raise InvalidRequest("`from` must be before `to`: what comes at `to` is left out.")

    @property
    def is_window(self) -> bool:
        return self.since is not None or self.until is not None

    def holds(self, moment: dt.datetime) -> bool:
        """Whether a point that was received then is asked for."""
        return not (
            (self.since is not None and moment < self.since)
            or (self.until is not None and moment >= self.until)
        )


@dataclass(frozen=True)
class Part:
    """The points `first` to `last` of an epoch, `points` of which are in the window."""

    epoch: int
    first: int
    last: int
    points: int
    readings_from: int = 1


@dataclass(frozen=True)
class Selection:
    """The points of an export, in order, and the columns beside their own.

    `columns` names the metadata of all of them, in alphabetical order, which is the only one that
    is known: it is stored as an object. `features` is empty where no readings are asked for.
    """

    baseline_id: int
    name: str  # of the baseline
    stream_id: int
    stream: str
    wanted: Wanted
    parts: tuple[Part, ...]
    features: tuple[str, ...] = field(default=(), repr=False)
    columns: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        return sum(part.points for part in self.parts)

    def beginning(self, most: int) -> tuple[Selection, float]:
        """Its first `most` points or so, and how many times as many there are."""
        part = next((part for part in self.parts if part.points), None)
        if part is None:
            return self.without_points(), 1.0
        few = min(part.points, most)
        head = replace(part, last=min(part.last, part.first + few - 1), points=few)
        everything = replace(self.wanted, since=None, until=None)
        return replace(self, parts=(head,), wanted=everything), self.points / few

    def without_points(self) -> Selection:
        return replace(self, parts=())


def select(
    sessions: Sessions,
    who: Identity,
    baseline_id: int,
    stream: str,
    wanted: Wanted,
    *,
    columns: bool = True,
) -> Selection:
    """Find the points that are asked for; without `columns` leave the names of metadata out.

    Raises BaselineNotFound, BaselineNotReady, StreamNotFound, EpochNotFound, and ReadingsRemoved
    where readings are asked for that retention took.
    """
    with sessions() as session:
        found = streams.find(session, who, baseline_id, stream)
        name = baselines.get(session, who, baseline_id).name
        features = baselines.feature_names(session, baseline_id) if wanted.features else []
        parts = _parts(session, found, wanted)
    if wanted.is_window:
        narrowed = (_narrowed(sessions, found.id, part, wanted) for part in parts)
        parts = [part for part in narrowed if part.points]
    if wanted.features:
        _require_readings(sessions, found.id, parts)
    selection = Selection(
        baseline_id, name, found.id, found.name, wanted, tuple(parts), tuple(features)
    )
    return replace(selection, columns=metadata_names(sessions, selection) if columns else ())


def _parts(session: Session, stream: Found, wanted: Wanted) -> list[Part]:
    """The epochs that are asked for, each from the first point that is kept to its last of now."""
    first, until = _epochs(stream, wanted.epoch)
    newest = (
        query(Point.seq)
        .where(Point.stream_id == Epoch.stream_id, Point.epoch == Epoch.epoch)
        .order_by(Point.seq.desc())
        .limit(1)
        .correlate(Epoch)
        .lateral("newest")
    )
    found = session.execute(
        query(Epoch.epoch, Epoch.points_from, newest.c.seq, Epoch.readings_from)
        .outerjoin(newest, true())
        .where(Epoch.stream_id == stream.id, Epoch.epoch >= first, Epoch.epoch <= until)
        .order_by(Epoch.epoch)
    ).all()
    if not found:
        raise EpochNotFound(f"Stream {stream.name!r} has no epoch {wanted.epoch}.")
    return [
        Part(epoch, low, last or low - 1, (last or low - 1) - low + 1, readings)
        for epoch, low, last, readings in found
    ]


def _epochs(stream: Found, epoch: int | Literal["all"] | None) -> tuple[int, int]:
    """The first and the last epoch that are meant."""
    if epoch is None:
        return stream.run_epoch, stream.epoch
    if epoch == ALL:
        return 1, stream.epoch
    return min(epoch, MOST_EPOCH), min(epoch, MOST_EPOCH)


def _narrowed(sessions: Sessions, stream_id: int, part: Part, wanted: Wanted) -> Part:
    """The part from the first to the last point of the window, wherever clocks were set to."""
    asked = query(func.min(Point.seq), func.max(Point.seq), func.count()).where(
        *within(stream_id, part.epoch, part.first - 1, part.last)
    )
    if wanted.since is not None:
        asked = asked.where(Point.received_at >= wanted.since)
    if wanted.until is not None:
        asked = asked.where(Point.received_at < wanted.until)
    with sessions() as session:
        first, last, points = session.execute(asked).one()
    return replace(part, first=first or part.first, last=last or part.first - 1, points=points)


def _require_readings(sessions: Sessions, stream_id: int, parts: list[Part]) -> None:
    for part in parts:
        if part.first >= part.readings_from or not part.points:
            continue
        with sessions() as session:
            since = session.scalar(
                query(Point.received_at).where(
                    *within(stream_id, part.epoch, part.readings_from - 1, part.readings_from)
                )
            )
        kept = "none are left" if since is None else f"they are kept from {_utc(since)} on"
        raise ReadingsRemoved(
            f"The readings of points of epoch {part.epoch:,} were removed as"
            f" DINSIGHT_RETENTION_FEATURES_DAYS says; {kept}. Export from then on, or without"
            " readings.",
            epoch=part.epoch,
            readings_from=part.readings_from,
        )


def metadata_names(sessions: Sessions, selection: Selection) -> tuple[str, ...]:
    """Every name of metadata that the points of an export have, sorted."""
    names: set[str] = set()
    for part in selection.parts:
        for start in range(part.first - 1, part.last, NAMES_PIECE):
            stop = min(part.last, start + NAMES_PIECE)
            with sessions() as session:
                asked = {"stream_id": selection.stream_id, "epoch": part.epoch}
                kinds = session.scalars(NAMES, {**asked, "after": start, "until": stop})
                names.update(*kinds)
    return tuple(sorted(names))


def within(stream_id: int, epoch: int, after: int, until: int) -> tuple[Any, ...]:
    """The points after a seq up to another one, by the primary key."""
    return (
        *(Point.stream_id == stream_id, Point.epoch == epoch),
        *(Point.seq > after, Point.seq <= until),
    )


def _utc(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
