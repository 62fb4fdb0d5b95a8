"""The stored rows of a baseline, read in pieces so that memory stays small."""

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


def pieces(session: Session, baseline_id: int, columns: int) -> Iterator[Rows32]:
    """All rows in order, each piece float32 (m, columns)."""
    most = max(1, PIECE_BYTES // (4 * max(1, columns)))
    found = session.scalars(
        select(BaselinePoint.features)
        .where(BaselinePoint.baseline_id == baseline_id)
        .order_by(BaselinePoint.row)
        .execution_options(yield_per=most)
    )
    for part in found.partitions():
        yield np.frombuffer(b"".join(part), "<f4").reshape(len(part), -1)


def whole(session: Session, baseline_id: int, rows: int, columns: int) -> Rows32:
    """All rows at once, float32 (n, columns): what a fit needs. Fewer if some are gone."""
    values = np.empty((rows, columns), dtype=np.float32)
    at = 0
    for piece in pieces(session, baseline_id, columns):
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
