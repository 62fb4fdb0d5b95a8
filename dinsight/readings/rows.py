"""A file's rows as they stand in it: raw bytes, cut where the csv module would cut them.

What the cells hold is not looked at: whoever is given the rows reads them, and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dinsight.readings import faults
from dinsight.readings.exact import records
from dinsight.readings.model import Limits
from dinsight.readings.reader import read_header
from dinsight.readings.source import BLOCK_BYTES, Readable, Source


@dataclass(frozen=True)
class Place:
    """A place between two lines of a file: how many bytes and how many lines come before it."""

    byte: int = 0
    line: int = 0


@dataclass(frozen=True)
class Row:
    """A row as it stands in the file, with its line end, and the place after it."""

    raw: bytes
    line: int
    after: Place


def rows_from(
    stream: Readable, limits: Limits, place: Place, block_bytes: int = BLOCK_BYTES
) -> Iterator[Row]:
    """The rows from a place on; `stream` begins there. Blank lines are no rows.

    Holds a block and a row in memory. Raises InvalidReadings where rows cannot be told apart, with
    the line of the file.
    """
    return _rows(Source(stream, limits, block_bytes, taken=place.line, offset=place.byte), limits)


def measured(stream: Readable, limits: Limits) -> tuple[Place, int]:
    """Where the rows of a whole file begin, and how many there are."""
    source = Source(stream, limits)
    read_header(source, limits, None)
    first = Place(source.offset, source.taken)
    count = 0
    for _ in _rows(source, limits):
        count += 1
        if count > limits.rows:
            raise faults.too_many_rows(limits.rows)
    return first, count


def _rows(source: Source, limits: Limits) -> Iterator[Row]:
    quoted = records(source, limits)
    while raw := source.peek_line():
        line = source.taken + 1
        if b'"' in raw:  # the row may go on beyond this line
            next(quoted)
            raw = b"".join(source.record)
        else:
            source.take_line()
            if not raw.strip(b" \t\r\n"):
                continue
        yield Row(raw, line, Place(source.offset, source.taken))
