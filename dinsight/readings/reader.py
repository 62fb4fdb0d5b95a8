"""From the lines of a file to its plan and its rows, by the fast way or the exact one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from dinsight.readings import exported, faults
from dinsight.readings.exact import RowReader, exact_piece, records
from dinsight.readings.fast import fast_piece
from dinsight.readings.header import Plan, decide, plan_for
from dinsight.readings.model import Limits, Piece
from dinsight.readings.source import Source

HEAD_ROWS = 100  # so many rows tell which columns are numbers, and are checked before an answer


def read(
    lines: Source, limits: Limits, expected: Sequence[str] | None
) -> tuple[Plan, Iterator[Piece]]:
    """The plan of a file and its rows, which are read as they are asked for."""
    plan = read_header(lines, limits, expected)
    first = None
    if not plan.features:
        plan, first = _decided(lines, plan, limits)
    pieces = _pieces(lines, plan, limits, first)
    return plan, map(_without_results, pieces) if plan.is_exported else pieces


def checked_head(
    lines: Source, limits: Limits, truncated: bool, expected: Sequence[str] | None = None
) -> Plan:
    """The plan of a file whose first rows are sound."""
    plan = read_header(lines, limits, expected)
    if not plan.features:
        return _decided(lines, plan, limits, truncated)[0]
    reader = RowReader(plan, limits)
    reader.add_all(islice(records(lines, limits, truncated=truncated), HEAD_ROWS))
    if not reader.piece().metadata and not truncated:
        raise faults.no_rows(plan.line)
    return plan


def read_header(lines: Source, limits: Limits, expected: Sequence[str] | None) -> Plan:
    """Take the header, and the blank lines before it."""
    names = None if expected is None else tuple(expected)
    while raw := lines.peek_line():
        line = lines.taken + 1
        if b'"' in raw or len(raw) > limits.row_bytes:
            _, cells = next(records(lines, limits))
            return plan_for(tuple(cells), line, names, limits.columns)
        lines.take_line()
        if raw.strip(b" \t\r\n"):
            return plan_for(raw.rstrip(b"\r\n"), line, names, limits.columns)
    raise faults.empty_file()


def _decided(
    lines: Source, plan: Plan, limits: Limits, truncated: bool = False
) -> tuple[Plan, Piece]:
    """The plan with the columns of numbers as features, and the rows that showed which they are."""
    rows = []
    for line, cells in islice(records(lines, limits, truncated=truncated), HEAD_ROWS):
        if len(cells) != plan.width:
            raise faults.row_width(line, cells, plan.width)
        rows.append((line, cells))
    if not rows:
        raise faults.no_rows(plan.line)
    plan = decide(plan, [cells for _, cells in rows])
    reader = RowReader(plan, limits)
    reader.add_all(rows)
    return plan, reader.piece()


def _pieces(lines: Source, plan: Plan, limits: Limits, first: Piece | None) -> Iterator[Piece]:
    rows = 0
    if first is not None:
        rows = len(first.metadata)
        yield first
    while block := lines.rest():
        piece = fast_piece(block, plan, limits, rows)
        if piece is None:
            piece = exact_piece(lines, plan, limits, rows)
        else:
            lines.take_rest(piece.lines)
        rows += len(piece.metadata)
        if piece.metadata:
            yield piece
    if not rows:
        raise faults.no_rows(plan.line)


def _without_results(piece: Piece) -> Piece:
    """Of an export's rows what was sent: what the server added to them goes."""
    return Piece(piece.values, list(map(exported.metadata, piece.metadata)), piece.lines)
