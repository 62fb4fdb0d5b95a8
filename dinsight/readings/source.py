"""The bytes of a file as whole lines, in bounded memory, counted."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Protocol

from dinsight.readings import faults
from dinsight.readings.model import Limits

BLOCK_BYTES = 512 * 1024
_BLANKS = re.compile(rb"[ \t\r\n]*")
_UTF8_BOM = codecs.BOM_UTF8
_OTHER_BOMS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class Readable(Protocol):
    """A binary file, an upload, or anything else that hands out its bytes in order."""

    def read(self, size: int, /) -> bytes | None: ...


def decoded(raw: bytes, line: int) -> str:
    """A line as text; raises `WrongEncoding` for NUL bytes and for what is not UTF-8."""
    at = raw.find(b"\0")
    if at >= 0:
        if 3 * raw.count(b"\0") >= len(raw):
            raise faults.other_unicode(line, "UTF-16 or UTF-32")
        raise faults.nul_byte(line, at)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise faults.not_utf8(line, raw, error.start) from None


class Source:
    """A file read in blocks that end at a line end; taken as a whole block or line by line.

    Iterating gives decoded lines with their ends, as `csv.reader` wants them, and `record` collects
    the raw lines since it was last cleared: the row in work. `taken` counts the lines handed out,
    `offset` their bytes. A stream that does not begin with the file says so: `taken` and `offset`
    are what came before it.
    """

    def __init__(
        self,
        stream: Readable,
        limits: Limits,
        block_bytes: int = BLOCK_BYTES,
        *,
        taken: int = 0,
        offset: int = 0,
    ) -> None:
        self._stream = stream
        self._limits = limits
        self._block_bytes = block_bytes
        self._data = b""
        self._at = 0
        self._partial = b""  # the start of a line whose end is not read yet
        self._ended = False
        self.taken = taken
        self.offset = offset
        self.blocks = 0
        self.record: list[bytes] = []
        self.record_bytes = 0
        self._fill()
        self._check_mark()

    @property
    def ended(self) -> bool:
        """The whole file is taken."""
        return self._ended and self.drained

    @property
    def drained(self) -> bool:
        """Nothing of the block in hand is left."""
        return self._at >= len(self._data)

    def rest(self) -> bytes:
        """What is left of the block in hand, or the next block; not taken yet. Empty at the end."""
        self.begin_record()
        if self.drained:
            self._fill()
        return self._data[self._at :]

    def take_rest(self, lines: int) -> None:
        """Take what `rest` showed, which has so many lines."""
        self.taken += lines
        self._take_to(len(self._data))

    def peek_line(self) -> bytes:
        """The next raw line with its end; not taken yet. Empty at the end of the file."""
        if self.drained:
            self._fill()
        return self._data[self._at : self._line_end()]

    def take_line(self) -> None:
        """Take what `peek_line` showed."""
        self._take_to(self._line_end())
        self.taken += 1

    def skip_blank_lines(self) -> None:
        """Take the lines of the block in hand that begin here and hold nothing but blanks."""
        blanks = _BLANKS.match(self._data, self._at)
        end = self._data.rfind(b"\n", self._at, blanks.end() if blanks else self._at) + 1
        if end:
            self.taken += self._data.count(b"\n", self._at, end)
            self._take_to(end)

    def record_text(self) -> str:
        """The row in work, as far as it is read."""
        return b"".join(self.record).decode(errors="replace")

    def begin_record(self) -> None:
        """The next line starts a row."""
        self.record.clear()
        self.record_bytes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self.peek_line()
        if not raw:
            raise StopIteration
        first = self.taken - len(self.record) + 1
        self.take_line()
        self.record.append(raw)
        self.record_bytes += len(raw)
        if self.record_bytes > self._limits.row_bytes:
            raise faults.row_too_long(first, self._limits.row_bytes)
        return decoded(raw, self.taken)

    def _take_to(self, at: int) -> None:
        self.offset += at - self._at
        self._at = at

    def _line_end(self) -> int:
        end = self._data.find(b"\n", self._at)
        return len(self._data) if end < 0 else end + 1

    def _fill(self) -> None:
        """The next block: whole lines, or what is left at the end of the file."""
        parts = [self._partial]
        size = len(self._partial)
        while not self._ended:
            read = self._stream.read(self._block_bytes)
            if not read:
                self._ended = True
                break
            end = read.rfind(b"\n") + 1
            if end:
                self._set_block(b"".join((*parts, read[:end])), read[end:])
                return
            parts.append(read)
            size += len(read)
            if size > self._limits.row_bytes:
                self._refuse_mark(b"".join(parts))
                first = self.taken - len(self.record) + 1
                raise faults.row_too_long(first, self._limits.row_bytes)
        self._set_block(b"".join(parts), b"")

    def _set_block(self, block: bytes, partial: bytes) -> None:
        self._data, self._at, self._partial = block, 0, partial
        self.blocks += 1

    def _check_mark(self) -> None:
        self._refuse_mark(self._data)
        if not self.offset and self._data.startswith(_UTF8_BOM):
            self._take_to(len(_UTF8_BOM))

    def _refuse_mark(self, start: bytes) -> None:
        if self.taken:
            return
        for mark, encoding in _OTHER_BOMS:
            if start.startswith(mark):
                raise faults.other_unicode(1, encoding)
