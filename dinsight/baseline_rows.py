"""The stored rows of a baseline, read in pieces so that memory stays small.

A baseline's rows are the first `rows` of those stored: what comes after them is of a version that
is not in force.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight.models import BaselinePoint

Rows32 = NDArray[np.float32]
PIECE_BYTES = 16 * 1024 * 1024


def pieces(
    session: Session, baseline_id: int, rows: int, columns: int, *, first: int = 0
) -> Iterator[Rows32]:
    """The rows from `first` to before `rows` in order, each piece float32 (m, columns)."""
    most = max(1, PIECE_BYTES // (4 * max(1, columns)))
    found = session.scalars(
        select(BaselinePoint.features)
        .where(BaselinePoint.baseline_id == baseline_id)
        .where(BaselinePoint.row >= first, BaselinePoint.row < rows)
        .order_by(BaselinePoint.row)
        .execution_options(yield_per=most)
    )
    for part in found.partitions():
        yield np.frombuffer(b"".join(part), "<f4").reshape(len(part), -1)


def whole(session: Session, baseline_id: int, rows: int, columns: int) -> Rows32:
    """The first `rows` rows at once, float32 (n, columns). Fewer if some are gone."""
    values = np.empty((rows, columns), dtype=np.float32)
    at = 0
    for piece in pieces(session, baseline_id, rows, columns):
        values[at : at + len(piece)] = piece
        at += len(piece)
    return values[:at]


def some(
    session: Session, baseline_id: int, rows: Sequence[int]
) -> list[tuple[int, Rows32, dict[str, Any]]]:
    """These rows, in order: number, readings float32 (columns,), metadata."""
    found = session.execute(
        select(BaselinePoint.row, BaselinePoint.features, BaselinePoint.metadata_)
        .where(BaselinePoint.baseline_id == baseline_id, BaselinePoint.row.in_(rows))
        .order_by(BaselinePoint.row)
    )
    return [(row, np.frombuffer(content, "<f4"), more) for row, content, more in found]
