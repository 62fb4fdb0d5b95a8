"""A CSV file read record by record, as bytes: what is sent is what stands in the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from simulator.errors import BadFile

# 20,000 columns of 25 characters are 0.5 MB: only a quote left open makes a longer record.
LONGEST_RECORD = 4 * 2**20
_BOM = b"\xef\xbb\xbf"


def cells(record: bytes) -> list[bytes] | None:
    """The raw cells of a record, quotes included (RFC 4180); None while a quote is open.

    >>> cells(b'1,"a,b",2')
    [b'1', b'"a,b"', b'2']
    >>> cells(b'1,"a') is None
    True
    """
    if b'"' not in record:
        return record.split(b",")
    found, start = [], 0
    while True:
        after = start
        if record.startswith(b'"', start):
            after = _past_closing_quote(record, start + 1)
            if after < 0:
                return None
        end = record.find(b",", after)
        if end < 0:
            found.append(record[start:])
            return found
        found.append(record[start:end])
        start = end + 1


def _past_closing_quote(record: bytes, start: int) -> int:
    """The place after the quote that closes a cell, or -1; a doubled quote stands for itself."""
    while (place := record.find(b'"', start)) >= 0:
        if not record.startswith(b'"', place + 1):
            return place + 1
        start = place + 2
    return -1


def records(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield (line where it begins, bytes without the line end) of each record that is not blank.

    Raises BadFile when a quoted cell is never closed.
    """
    line = 0
    while piece := file.readline(LONGEST_RECORD + 1):
        line += 1
        first = line
        if b'"' in piece and cells(piece) is None:
            piece, line = _closed(file, piece, line, name)
        if len(piece) > LONGEST_RECORD:
            raise BadFile(f"{name} line {first}: longer than {LONGEST_RECORD // 2**20} MiB")
        record = piece.rstrip(b"\r\n")
        if record.strip():
            yield first, record


def _closed(file: BinaryIO, piece: bytes, line: int, name: str) -> tuple[bytes, int]:
    """Read on until the quote that `piece` leaves open is closed."""
    first, pieces, size = line, [piece], len(piece)
    while more := file.readline(LONGEST_RECORD + 1):
        line += 1
        size += len(more)
        pieces.append(more)
        if size > LONGEST_RECORD:
            break
        # Only a line with a quote can close the cell: the rest need not be looked at again.
        if b'"' in more and cells(whole := b"".join(pieces)) is not None:
            return whole, line
    raise BadFile(f"{name} line {first}: a quoted cell is opened and never closed")


def _plain(cell: bytes) -> bytes:
    cell = cell.strip()
    if len(cell) > 1 and cell.startswith(b'"') and cell.endswith(b'"'):
        return cell[1:-1].replace(b'""', b'"')
    return cell


@dataclass(frozen=True)
class Batch:
    """Rows that go up together: a whole small CSV file, and where it stands in the big one."""

    number: int
    rows: int
    first_line: int
    last_line: int
    body: bytes


@dataclass(frozen=True)
class CsvFile:
    """A CSV file of which only the header is held; `keep` are the columns that are sent."""

    path: Path
    header: tuple[bytes, ...]
    all_names: tuple[str, ...]
    keep: tuple[int, ...] | None = None

    @classmethod
    def open(cls, path: Path) -> CsvFile:
        """Read the header. Raises BadFile with what is wrong with the file."""
        with _opened(path) as file:
            _, record = next(records(file, path.name), (0, b""))
        if record.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in record:
            raise BadFile(f"{path.name} is not UTF-8 text (UTF-16?): save it as CSV in UTF-8")
        raw = cells(record.removeprefix(_BOM)) or []
        if not any(cell.strip() for cell in raw):
            raise BadFile(f"{path.name} is empty: a header line with column names is needed")
        try:
            names = tuple(_plain(cell).decode() for cell in raw)
        except UnicodeDecodeError as error:
            raise BadFile(f"{path.name}: the header is not UTF-8 ({error.reason})") from error
        return cls(path, tuple(raw), names)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that are sent."""
        if self.keep is None:
            return self.all_names
        return tuple(self.all_names[place] for place in self.keep)

    def narrowed(self, places: Sequence[int]) -> CsvFile:
        """The same file with only these of its columns (places in the whole header)."""
        keep = None if len(places) == len(self.all_names) else tuple(places)
        return dataclasses.replace(self, keep=keep)

    def count(self, limit: int | None = None) -> int:
        """The number of rows, counted up to `limit`, in one pass with little memory."""
        with _opened(self.path) as file:
            rows = islice(records(file, self.path.name), 1, None if limit is None else limit + 1)
            return sum(1 for _ in rows)

    def rows(self, skip: int = 0, limit: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (line, row as sent) of the rows from `skip` on, up to row `limit` of the file."""
        with _opened(self.path) as file:
            stop = None if limit is None else limit + 1
            for line, record in islice(records(file, self.path.name), skip + 1, stop):
                yield line, self._narrow(line, record)

    def header_line(self) -> bytes:
        """The header as sent: without a byte order mark, and only the kept columns."""
        kept = self.header if self.keep is None else [self.header[place] for place in self.keep]
        return b",".join(kept)

    def batches(self, size: int, skip: int = 0, limit: int | None = None) -> Iterator[Batch]:
        """Yield the rows in batches of `size`, the last one shorter."""
        head, rows, number = self.header_line(), self.rows(skip, limit), 0
        while part := list(islice(rows, size)):
            number += 1
            body = b"\n".join([head, *(row for _, row in part), b""])
            yield Batch(number, len(part), part[0][0], part[-1][0], body)

    def _narrow(self, line: int, record: bytes) -> bytes:
        if self.keep is None:
            return record
        row = cells(record) or []
        if len(row) != len(self.header):
            raise BadFile(
                f"{self.path.name} line {line}: {len(row):,} cells, the header has"
                f" {len(self.header):,}"
            )
        return b",".join([row[place] for place in self.keep])


def numeric_columns(file: CsvFile) -> tuple[int, ...]:
    """Places of the columns whose every filled cell is a number: one pass over the file."""
    candidates = set(range(len(file.all_names)))
    filled: set[int] = set()
    for _, record in dataclasses.replace(file, keep=None).rows():
        row = cells(record) or []
        for place in sorted(candidates):
            cell = _plain(row[place]) if place < len(row) else b""
            try:
                if cell:
                    float(cell.replace(b",", b"."))  # a decimal comma is the server's to refuse
                    filled.add(place)
            except ValueError:
                candidates.discard(place)
    return tuple(sorted(candidates & filled))


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadFile(f"cannot read {path}: {error.strerror}") from error
