"""CSV bytes -> Readings: all validation, pure, and fast enough for every batch of a sensor.

The dialect is RFC 4180 with what files in the wild need: LF, CRLF or both, a UTF-8 BOM, blanks
around header names and numbers. Lines with nothing but blanks are skipped wherever they stand.
Header names lose the blanks around them; metadata cells are kept character for character.

Features are the columns named `f_<n>` or `freq_<x>`, else every column of numbers as its first
100 rows show. With `expected` (a baseline's features) they are found by name instead: in any
order, exactly first, else by a name that differs only in upper and lower case.

Two ways read the rows. `fast` takes plain blocks whole; what it cannot vouch for, `exact` reads
cell by cell and either takes as well or refuses with line, column and expectation. Both read a
number as float64 and round it to float32.

Every function raises `InvalidReadings` (or a subclass of it) or `TooLarge`, and nothing else for
any bytes. A `source`, such as a file's name, is put before the message.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from dinsight.errors import EmptyFile, InvalidReadings, TooLarge
from dinsight.readings import faults
from dinsight.readings.header import Plan
from dinsight.readings.model import Columns, Limits, Piece, Readings
from dinsight.readings.reader import checked_head, read
from dinsight.readings.rows import Place, Row, measured, rows_from
from dinsight.readings.source import BLOCK_BYTES, Readable, Source

__all__ = [
    "Columns",
    "Limits",
    "Place",
    "Readable",
    "Readings",
    "Row",
    "check_head",
    "measure",
    "parse",
    "rows_from",
    "scan",
]

ROWS_A_CHUNK = 1_000


def parse(
    content: bytes | memoryview,
    *,
    limits: Limits,
    expected: Sequence[str] | None = None,
    source: str = "",
) -> Readings:
    """A whole file in memory."""
    data = content if isinstance(content, bytes) else bytes(content)
    with _named(source):
        _refuse_too_many_lines(data, limits)
        lines = Source(io.BytesIO(data), limits)
        plan, pieces = read(lines, limits, expected)
        return _joined(plan, list(pieces))


def scan(
    stream: Readable,
    *,
    limits: Limits,
    expected: Sequence[str] | None = None,
    source: str = "",
    rows_per_chunk: int = ROWS_A_CHUNK,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Readings]:
    """A file of any length, `rows_per_chunk` rows at a time; the same as `parse` piece by piece.

    Holds about one chunk and one block of `block_bytes` in memory. A fault is raised when it is
    reached, after the chunks before it: nothing is known to be sound until the last one came.
    """
    with _named(source):
        plan, pieces = read(Source(stream, limits, block_bytes), limits, expected)
        held: list[Piece] = []
        for piece in pieces:
            held.append(piece)
            if sum(len(each.metadata) for each in held) < rows_per_chunk:
                continue
            whole = _joined(plan, held)
            full = len(whole) - len(whole) % rows_per_chunk
            for start in range(0, full, rows_per_chunk):
                yield _cut(whole, start, start + rows_per_chunk)
            rest = _cut(whole, full, len(whole))
            held = [Piece(rest.values, rest.metadata)] if len(rest) else []
        if held:
            yield _joined(plan, held)


def check_head(
    head: bytes | memoryview | Readable,
    *,
    limits: Limits,
    expected: Sequence[str] | None = None,
    source: str = "",
    truncated: bool = False,
) -> Columns:
    """The columns of a file, once its header and its first 100 rows are found sound.

    `head` is the file or its first bytes. `truncated` says that more follows: then the last line
    is left out unless it is ended, and so is a quoted cell that is still open. A stream is read
    only as far as those rows reach, so it suits rows of any length; leave it untruncated.
    """
    with _named(source):
        if not isinstance(head, bytes | memoryview):
            return checked_head(Source(head, limits), limits, truncated, expected).columns
        data = bytes(head)
        whole = data[: data.rfind(b"\n") + 1] if truncated else data
        try:
            lines = Source(io.BytesIO(whole), limits)
            return checked_head(lines, limits, truncated, expected).columns
        except EmptyFile as error:
            if not truncated:
                raise
            raise faults.row_too_long(error.details["line"], len(data)) from None


def measure(stream: Readable, *, limits: Limits, source: str = "") -> tuple[Place, int]:
    """Where the rows of a file begin, and how many there are; their cells are not looked at.

    Reads the file to its end. More rows than the limits allow are TooLarge.
    """
    with _named(source):
        return measured(stream, limits)


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Put the file's name before the message of what is wrong with it."""
    try:
        yield
    except (InvalidReadings, TooLarge) as error:
        if not source:
            raise
        named = f"{faults.name(source)}: {error.message}"
        raise type(error)(named, **{**error.details, "source": source}) from None


def _refuse_too_many_lines(data: bytes, limits: Limits) -> None:
    """Without quotes a line break ends a line, so that rows are counted before any is parsed."""
    shortest = len(b"1\n")
    if len(data) <= shortest * limits.rows or b'"' in data:
        return
    rows = sum(1 for line in io.BytesIO(data) if line.strip(b" \t\r\n")) - 1
    if rows > limits.rows:
        raise faults.too_many_rows(limits.rows)


def _joined(plan: Plan, pieces: list[Piece]) -> Readings:
    if len(pieces) == 1:
        return Readings(plan.features, pieces[0].values, pieces[0].metadata)
    values = np.concatenate([piece.values for piece in pieces])
    return Readings(plan.features, values, [row for piece in pieces for row in piece.metadata])


def _cut(whole: Readings, start: int, stop: int) -> Readings:
    return Readings(whole.features, whole.values[start:stop], whole.metadata[start:stop])
