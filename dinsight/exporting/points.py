"""The points of an export, read piece by piece."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Text, cast, func
from sqlalchemy import select as query

from dinsight.database import Sessions
from dinsight.errors import ExportInterrupted
from dinsight.exporting.selection import Part, Selection, within
from dinsight.models import Point

MOST_POINTS = 4_000  # a piece: few enough to be held, enough that the queries are no burden
MOST_BYTES = 512 * 1024  # of readings in a piece

COLUMNS = (
    Point.seq,
    cast(func.extract("epoch", Point.received_at) * 1_000_000, BigInteger).label("received_at"),
    *(cast(column, Text) for column in (Point.x, Point.y, Point.score)),
    *(Point.level, Point.source),
    cast(Point.metadata_, Text).label("metadata"),
)


@dataclass(frozen=True)
class Points:
    """Points of one epoch, by columns; `received_at` is in microseconds since 1970.

    Numbers that are not whole are text, the shortest that is read as the same float32: PostgreSQL
    writes it, which has a processor of its own. `metadata` is a JSON object for each, `readings`
    its little-endian float32 or None.
    """

    epoch: int
    seq: tuple[int, ...]
    received_at: tuple[int, ...]
    x: tuple[str, ...]
    y: tuple[str, ...]
    score: tuple[str, ...]
    level: tuple[int, ...]
    source: tuple[str, ...]
    metadata: tuple[str, ...]
    readings: tuple[bytes, ...] | None = None

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def moments(self) -> NDArray[np.datetime64]:
        return np.array(self.received_at, "datetime64[us]")

    def times(self) -> list[str]:
        """When each was received, as RFC 3339 in UTC."""
        texts = np.datetime_as_string(self.moments, unit="us", timezone="UTC")
        return list(texts.tolist())


def read(sessions: Sessions, selection: Selection) -> Iterator[Points]:
    """All points of the selection, in order.

    Raises ExportInterrupted where one of them, or its readings, is not there any more.
    """
    most = points_a_piece(len(selection.features))
    for part in selection.parts:
        for start in range(part.first - 1, part.last, most):
            stop = min(part.last, start + most)
            if piece := _piece(sessions, selection, part, start, stop):
                yield piece


def points_a_piece(features: int) -> int:
    """How many points are read at once.

    >>> points_a_piece(0), points_a_piece(1024), points_a_piece(1_000_000)
    (4000, 128, 1)
    """
    return max(1, min(MOST_POINTS, MOST_BYTES // (4 * features))) if features else MOST_POINTS


def _piece(
    sessions: Sessions, selection: Selection, part: Part, start: int, stop: int
) -> Points | None:
    """The points after seq `start` up to `stop`; None where the window has none of them."""
    wanted = selection.wanted
    columns = [*COLUMNS, *([Point.features] if selection.features else [])]
    asked = query(*columns).where(*within(selection.stream_id, part.epoch, start, stop))
    with sessions() as session:
        rows: Sequence[Any] = session.connection().execute(asked.order_by(Point.seq)).all()
    if len(rows) != stop - start or (selection.features and any(r[-1] is None for r in rows)):
        raise ExportInterrupted()
    if wanted.is_window:
        rows = [row for row in rows if wanted.holds(_moment(row.received_at))]
    if not rows:
        return None
    found: list[Any] = list(zip(*rows, strict=True))
    if selection.features:
        found[-1] = tuple(map(bytes, found[-1]))
    return Points(part.epoch, *found)


def _moment(microseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)
