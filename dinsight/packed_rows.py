"""An epoch's stored points by the million: PostgreSQL packs each column, numpy unpacks it.

A tuple a point takes ten times as long, most of it to make objects of Python that become arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import LargeBinary, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from dinsight.database import Sessions
from dinsight.models import Point

EPOCH_2000 = 946_684_800  # where PostgreSQL's microseconds begin, in seconds since 1970


@dataclass(frozen=True)
class Stretch:
    """Points of an epoch, seq `first` up to before `stop`."""

    stream_id: int
    epoch: int
    first: int
    stop: int


@dataclass(frozen=True)
class Piece:
    """Points in a row, from seq `first` on; `at` in seconds since 1970, all (m,)."""

    first: int
    at: NDArray[np.float64]
    score: NDArray[np.float32]
    level: NDArray[np.uint8]
    x: NDArray[np.float32]
    y: NDArray[np.float32]


def pieces(sessions: Sessions, stretch: Stretch, size: int) -> Iterator[Piece]:
    """The points in their order, so many at a time, each in a transaction of its own."""
    for start in range(stretch.first, stretch.stop, size):
        asked = {"id": stretch.stream_id, "number": stretch.epoch}
        reach = {"start": start, "end": min(start + size, stretch.stop)}
        with sessions() as session:
            found = session.execute(READ, asked | reach).one()
        if found.first is not None:
            yield _unpack(found)


def _unpack(found: Any) -> Piece:
    micros = np.frombuffer(found.at, ">i8")
    return Piece(
        first=found.first,
        at=micros / 1e6 + EPOCH_2000,
        score=np.frombuffer(found.score, ">f4").astype(np.float32),
        level=np.frombuffer(found.level, ">i2").astype(np.uint8),
        x=np.frombuffer(found.x, ">f4").astype(np.float32),
        y=np.frombuffer(found.y, ">f4").astype(np.float32),
    )


def _packed(sent: Any, name: str) -> Any:
    """A column's values, as PostgreSQL sends them (big-endian), one after the other."""
    joined = aggregate_order_by(literal(b"", LargeBinary), _rows.c.seq)
    return func.string_agg(sent, joined, type_=LargeBinary).label(name)


_rows = (
    select(Point.seq, Point.received_at, Point.score, Point.level, Point.x, Point.y)
    .where(Point.stream_id == bindparam("id"), Point.epoch == bindparam("number"))
    .where(Point.seq >= bindparam("start"), Point.seq < bindparam("end"))
    .subquery()
)
READ = select(
    func.min(_rows.c.seq).label("first"),
    _packed(func.timestamptz_send(_rows.c.received_at), "at"),
    _packed(func.float4send(_rows.c.score), "score"),
    _packed(func.int2send(_rows.c.level), "level"),
    _packed(func.float4send(_rows.c.x), "x"),
    _packed(func.float4send(_rows.c.y), "y"),
)
