"""Whole blocks of plain rows at about the speed of the number parser.

Takes a block only if nothing in it needs a closer look: no quotes, no NUL, every row as wide as
the header, every feature a finite JSON number. Everything else is for `exact`, which reads it or
names the fault; so nothing is decided here, and no message is made here.
"""

from __future__ import annotations

import numpy as np

from dinsight.readings.header import Plan
from dinsight.readings.model import Limits, Piece, Values
from dinsight.readings.numbers import fast_rows

GROUP_BYTES = (
    64 * 1024
)  # rows parsed at once: measured fastest from 10 to 160 kB, cache-bound above


def fast_piece(block: bytes, plan: Plan, limits: Limits, already: int) -> Piece | None:
    """The rows of a block of whole lines, or None: look closer.

    `already` is how many rows of the file came before.
    """
    lines = _plain_lines(block)
    if not lines or plan.around is None or already + len(lines) > limits.rows:
        return None
    longest = max(map(len, lines))
    if longest + len("\r\n") > limits.row_bytes:
        return None
    if longest > limits.field and any(_has_long_cell(line, limits.field) for line in lines):
        return None
    parted = _parted(lines, plan)
    if parted is None:
        return None
    numbers, metadata = parted
    values = _values(numbers, len(plan.features), len(block))
    if values is None:
        return None
    if plan.order is not None:
        values = np.take(values, plan.order, axis=1)
    return Piece(values, metadata, len(lines))


def _plain_lines(block: bytes) -> list[bytes]:
    """The lines of a block without their ends; none if it holds anything out of the ordinary."""
    if b'"' in block or b"\0" in block:
        return []
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if b"\r" in block:
        lines = [line.removesuffix(b"\r") for line in lines]
        if any(b"\r" in line for line in lines):
            return []
    return lines


def _has_long_cell(line: bytes, longest: int) -> bool:
    """True if any cell has more bytes than that; looks at one comma in every `longest` bytes."""
    start = 0
    while len(line) - start > longest:
        comma = line.rfind(b",", start, start + longest + 1)
        if comma < 0:
            return True
        start = comma + 1
    return False


def _parted(lines: list[bytes], plan: Plan) -> tuple[list[bytes], list[dict[str, str]]] | None:
    """Each line's features as they stand, and its other cells by name."""
    if plan.around == (0, 0):
        return lines, [{} for _ in lines]
    assert plan.around is not None  # noqa: S101 - asked before
    before, after = plan.around
    names = plan.metadata_names
    numbers, metadata = [], []
    for line in lines:
        cells = line.split(b",", before)
        if len(cells) != before + 1:
            return None
        middle = cells.pop()
        if after:
            middle, *tail = middle.rsplit(b",", after)
            if len(tail) != after:
                return None
            cells += tail
        numbers.append(middle)
        try:
            metadata.append(dict(zip(names, map(bytes.decode, cells), strict=True)))
        except UnicodeDecodeError:
            return None
    return numbers, metadata


def _values(numbers: list[bytes], width: int, size: int) -> Values | None:
    """Rows of numbers as float32 (rows, width), parsed a cacheful at a time."""
    step = max(1, GROUP_BYTES * len(numbers) // size)
    if step >= len(numbers):
        return fast_rows(numbers, width)
    values = np.empty((len(numbers), width), np.float32)
    for start in range(0, len(numbers), step):
        part = fast_rows(numbers[start : start + step], width)
        if part is None:
            return None
        values[start : start + step] = part
    return values
