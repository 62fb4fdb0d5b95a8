"""multipart/form-data bodies (RFC 7578), in memory for a batch, from disk for a baseline."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import BinaryIO

_BLOCK = 64 * 1024


def _quoted(text: str) -> str:
    """A name inside quotes, escaped as browsers do (WHATWG HTML, multipart/form-data)."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


class Form:
    """Text fields and one CSV file: what stands before and after the file's bytes."""

    def __init__(self, fields: Mapping[str, str], field: str, filename: str) -> None:
        boundary = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n'
            f"{value}\r\n"
            for name, value in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(field)}";'
            f' filename="{_quoted(filename)}"\r\nContent-Type: text/csv\r\n\r\n'
        )
        self.head = "".join(parts).encode()
        self.tail = f"\r\n--{boundary}--\r\n".encode()

    def around(self, payload: bytes) -> bytes:
        """The whole body with this file in it."""
        return b"".join((self.head, payload, self.tail))


class FileBody:
    """A form read from disk while it is sent; its length is known, so nothing is held."""

    def __init__(self, form: Form, file: BinaryIO, size: int) -> None:
        file.seek(0)
        self._file = file
        self._left = size
        self._before = form.head
        self._after = form.tail
        self._length = len(form.head) + size + len(form.tail)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(_BLOCK):
            yield block

    def read(self, size: int = _BLOCK) -> bytes:
        """The next bytes, at most `size`; empty at the end."""
        if self._before:
            block, self._before = self._before[:size], self._before[size:]
            return block
        if self._left:
            block = self._file.read(min(size, self._left))
            if not block:
                raise OSError("the file became shorter while it was read")
            self._left -= len(block)
            return block
        block, self._after = self._after[:size], self._after[size:]
        return block
