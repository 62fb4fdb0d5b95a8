"""How many points of a stream's epoch are normal and anomalous, by their levels and by the areas.

Points never change, so a process remembers how far it has counted and counts on from there: what is
asked every few seconds costs what came meanwhile, however many points there are. PostgreSQL packs
the coordinates, 8 bytes a point, and `dinsight.shapes` decides, as it does for a point's flag.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import LargeBinary, bindparam, func, literal, select
from sqlalchemy.orm import Session

from dinsight import areas, shapes
from dinsight.maps.levels import Level
from dinsight.models import Point
from dinsight.streams import Found

PIECE = 100_000  # points read at once
KEPT = 256  # epochs that a process remembers


@dataclass(frozen=True)
class Tally:
    """Of the points `first` to `last` of an epoch: how many there are, how many by level, by area.

    `inside` is None where the map has no area.
    """

    epoch: int
    revision: str
    first: int = 0
    last: int = 0
    points: int = 0
    unhealthy: int = 0
    inside: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Counts of normal and anomalous points by each mode; `areas` is None without an area."""
        by_area = None
        if self.inside is not None:
            by_area = {"normal": self.inside, "anomalous": self.points - self.inside}
        return {
            "epoch": self.epoch,
            "last_seq": self.last,
            "revision": self.revision,
            "score": {"normal": self.points - self.unhealthy, "anomalous": self.unhealthy},
            "areas": by_area,
        }


_known: OrderedDict[tuple[Any, ...], Tally] = OrderedDict()
_lock = threading.Lock()


def take(session: Session, stream: Found) -> Tally:
    """Count the present epoch, from where this process last did."""
    key = (session.get_bind().engine.url, stream.id, stream.epoch, stream.areas_revision)
    found = areas.of_stream(session, stream)
    first = _first(session, stream)
    with _lock:
        before = _known.get(key)
    if before is None or before.first != first:  # retention takes the oldest points
        before = Tally(stream.epoch, stream.areas_revision, first, first - 1)
        before = replace(before, inside=0 if found else None)
    counted = _count_on(session, stream, before, found)
    with _lock:
        _known[key] = counted
        _known.move_to_end(key)
        while len(_known) > KEPT:
            _known.popitem(last=False)
    return counted


def _first(session: Session, stream: Found) -> int:
    """The oldest point that there is; the next to come where there is none."""
    oldest = select(Point.seq).where(Point.stream_id == stream.id, Point.epoch == stream.epoch)
    found = session.scalar(oldest.order_by(Point.seq).limit(1))
    return stream.next_seq if found is None else found


def _count_on(session: Session, stream: Found, tally: Tally, found: areas.Areas) -> Tally:
    end = stream.next_seq - 1
    while tally.last < end:
        stop = min(end, tally.last + PIECE)
        reached = {"id": stream.id, "epoch": stream.epoch, "start": tally.last, "stop": stop}
        piece = session.execute(READ, reached).one()
        inside = tally.inside
        if inside is not None and piece.places:
            x, y = np.frombuffer(piece.places, ">f4").reshape(-1, 2).T
            inside += int(np.count_nonzero(shapes.inside_any(found, x, y)))
        tally = replace(
            tally,
            last=stop,
            points=tally.points + piece.points,
            unhealthy=tally.unhealthy + piece.unhealthy,
            inside=inside,
        )
    return tally


def _packed(place: Any) -> Any:
    """A real as the four bytes that PostgreSQL sends it as: big-endian."""
    return func.float4send(place, type_=LargeBinary)


_piece = (
    select(Point.x, Point.y, Point.level)
    .where(Point.stream_id == bindparam("id"), Point.epoch == bindparam("epoch"))
    .where(Point.seq > bindparam("start"), Point.seq <= bindparam("stop"))
    .subquery()
)
READ = select(
    func.count().label("points"),
    func.count().filter(_piece.c.level > Level.HEALTHY).label("unhealthy"),
    func.string_agg(
        _packed(_piece.c.x).concat(_packed(_piece.c.y)),
        literal(b"", LargeBinary),
        type_=LargeBinary,
    ).label("places"),
).select_from(_piece)
