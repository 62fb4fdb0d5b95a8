"""Exported files as they come back: what the server added goes, text is as it was.

An export (`dinsight.exporting`) begins with the eight columns below, in this order; that marks it.
They are results, so they are neither features nor metadata of whoever reads the file again. Its
text is made safe for spreadsheets, which take a cell that begins with one of `FORMULA` for a
formula and run it: such text is led by an apostrophe, and so is what already begins with
apostrophes before such a sign, so that one apostrophe less is always the text as it was. A number
is no text: `-3.5` stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dinsight.readings.numbers import is_decimal

COLUMNS = (
    *("seq", "epoch", "received_at", "dinsight_x", "dinsight_y", "score", "level"),
    "source_file",
)
# How they are called while a file is read: no file's own column can have such a name.
HIDDEN = tuple(f"\0{name}" for name in COLUMNS)
ABSENT = "'"  # a cell of a row that has no such column, where an empty one is empty text
FORMULA = "=+-@\t\r\n＝＋－＠"  # those in full width are taken for the narrow ones
_RISKY = re.compile(f"'*(?:[{re.escape(FORMULA)}]|\\Z)")


def escaped(text: str) -> str:
    """Text as it stands in an exported file.

    >>> [escaped(text) for text in ("=1+1", "'=1", "-3.5", "it's", "")]
    ["'=1+1", "''=1", '-3.5', "it's", '']
    """
    if not text or not _RISKY.match(text) or is_decimal(text):
        return text
    return "'" + text


def restored(text: str) -> str:
    """Text of an exported file as it was.

    >>> [restored(text) for text in ("'=1+1", "''=1", "-3.5", "it's", "")]
    ['=1+1', "'=1", '-3.5', "it's", '']
    """
    return text[1:] if text[:1] == "'" and _RISKY.match(text) else text


def is_exported(names: Sequence[str]) -> bool:
    """Whether a header is that of an export."""
    return tuple(names[: len(COLUMNS)]) == COLUMNS


def hidden(names: Sequence[str]) -> tuple[str, ...]:
    """The names of an export's header, what the server added out of the way of all others."""
    return HIDDEN + tuple(map(restored, names[len(COLUMNS) :]))


def is_hidden(name: str) -> bool:
    return name.startswith("\0")


def metadata(row: Mapping[str, str]) -> dict[str, str]:
    """The metadata of an export's row, given all its cells but the features."""
    return {
        name: restored(cell) for name, cell in row.items() if cell != ABSENT and not is_hidden(name)
    }
