"""Rows read cell by cell: RFC 4180 in full, every fault with its line and column.

Slower than `fast`, and the judge of everything that `fast` does not take.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter

import numpy as np

from dinsight.errors import CellInvalid, DinsightError
from dinsight.readings import faults
from dinsight.readings.header import Plan
from dinsight.readings.model import Limits, Piece, Values
from dinsight.readings.numbers import exact_row, fast_rows
from dinsight.readings.quoting import diagnosed
from dinsight.readings.source import Source

Row = tuple[int, list[str]]  # the line that it starts on, and its cells
Pick = Callable[[Sequence[str]], Sequence[str]]

GROUP_CHARACTERS = 64 * 1024  # numbers that are read at once: they stay in the CPU's cache
BLOCKS_A_PIECE = 8


def records(source: Source, limits: Limits, *, truncated: bool = False) -> Iterator[Row]:
    """Rows from the present line on; lines with nothing but blanks are no rows.

    With `truncated`, a quoted cell that the end of the source cuts off is no fault.
    """
    reader = csv.reader(source, strict=True)
    while True:
        source.begin_record()
        source.skip_blank_lines()  # at once: one by one a megabyte of them takes seconds
        line = source.taken + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if truncated and source.ended:
                return
            raise diagnosed(line, source.record_text(), limits, str(error)) from None
        if len(cells) <= 1 and not source.record[0].strip(b" \t\r\n"):
            continue
        if source.record_bytes > limits.field and max(map(len, cells)) > limits.field:
            raise diagnosed(line, source.record_text(), limits, "a long cell")
        yield line, cells


def exact_piece(source: Source, plan: Plan, limits: Limits, already: int) -> Piece:
    """The rows up to the end of the block in hand; raises the first fault in the file's order.

    `already` is how many rows of the file came before.
    """
    rows = RowReader(plan, limits, already)
    rows.add_all(_block_rows(source, limits))
    return rows.piece()


def _block_rows(source: Source, limits: Limits) -> Iterator[Row]:
    last = source.blocks + BLOCKS_A_PIECE  # quoted line breaks can carry rows over block ends
    for row in records(source, limits):
        yield row
        if source.drained or source.blocks > last:
            return


class RowReader:
    """Rows of cells -> a piece of the file."""

    def __init__(self, plan: Plan, limits: Limits, already: int = 0) -> None:
        self._plan = plan
        self._limits = limits
        self._already = already
        self._numbers = _picker(plan.positions)
        self._texts = _picker(plan.metadata_positions)
        self._metadata: list[dict[str, str]] = []
        self._parts: list[Values] = []
        self._waiting: list[tuple[Row, bytes]] = []
        self._characters = 0

    def add_all(self, rows: Iterable[Row]) -> None:
        """Take these rows; raises the first fault in their order."""
        try:
            for line, cells in rows:
                self._add(line, cells)
        except DinsightError:
            self._flush()  # an earlier row, not yet looked at, may have the first fault
            raise
        self._flush()

    def piece(self) -> Piece:
        """What was taken."""
        if not self._parts:
            return Piece(np.empty((0, len(self._plan.positions)), np.float32), [])
        joined = self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
        return Piece(joined, self._metadata)

    def _add(self, line: int, cells: list[str]) -> None:
        if len(cells) != self._plan.width:
            raise faults.row_width(line, cells, self._plan.width)
        if self._already + len(self._metadata) >= self._limits.rows:
            raise faults.too_many_rows(self._limits.rows)
        numbers = ",".join(self._numbers(cells)).encode()
        self._waiting.append(((line, cells), numbers))
        self._metadata.append(dict(zip(self._plan.metadata_names, self._texts(cells), strict=True)))
        self._characters += len(numbers)
        if self._characters > GROUP_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        """Read the numbers of the rows that wait; raises `CellInvalid` for the first bad cell."""
        if not self._waiting:
            return
        waiting, self._waiting, self._characters = self._waiting, [], 0
        width = len(self._plan.positions)
        values = fast_rows([numbers for _, numbers in waiting], width)
        if values is None:
            values = np.stack([self._row(row, numbers) for row, numbers in waiting])
        self._parts.append(values)

    def _row(self, row: Row, numbers: bytes) -> Values:
        # Cells are joined with commas, so a cell `1,5` counts as two and is refused as well.
        fast = fast_rows([numbers], len(self._plan.positions))
        if fast is not None:
            return fast.reshape(-1)
        line, cells = row
        exact = exact_row(self._numbers(cells))
        if exact is None:
            raise self._bad_cell(line, cells)
        return exact

    def _bad_cell(self, line: int, cells: Sequence[str]) -> CellInvalid:
        at = next(at for at in sorted(self._plan.positions) if exact_row([cells[at]]) is None)
        inside = sum(cell.count("\n") for cell in cells[:at])
        return faults.bad_cell(line + inside, self._plan.names[at], cells[at])


def _picker(positions: tuple[int, ...]) -> Pick:
    """Takes the cells at these positions, in this order."""
    if not positions:
        return lambda cells: ()
    first, past = positions[0], positions[0] + len(positions)
    if positions == tuple(range(first, past)):
        return lambda cells: cells[first:past]
    pick: Pick = itemgetter(*positions)
    return pick
