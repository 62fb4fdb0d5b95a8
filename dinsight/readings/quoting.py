"""Why the csv module refused a row: its own messages name neither the line nor the cell."""

from __future__ import annotations

import re

from dinsight.errors import DinsightError, RowInvalid
from dinsight.readings import faults
from dinsight.readings.model import Limits

_CELL_END = re.compile(r"[,\r\n]")
_QUOTES = re.compile(r'"+')


def diagnosed(line: int, text: str, limits: Limits, refused: str) -> DinsightError:
    """The error for the text of a row that begins on `line`; its first fault from the left.

    `refused` is what the csv module said, for the case that nothing here explains it.
    """
    at = 0
    while at < len(text):
        here = line + text.count("\n", 0, at)
        quoted = text[at] == '"'
        end = _closing_quote(text, at + 1) if quoted else _cell_end(text, at)
        longest = (len(text) if end < 0 else end) - at - quoted
        if quoted and end >= 0:
            longest -= text.count('""', at + 1, end)
        if longest > limits.field:
            return faults.field_too_long(here, limits.field, quoted)
        if end < 0:
            return faults.unclosed_quote(here)
        opened, at = here, end + quoted
        here = line + text.count("\n", 0, at)
        after = text[at : at + 1]
        if quoted and after in faults.MARKS:
            return faults.wrong_delimiter(here, after)
        if quoted and after not in ("", ",", "\r", "\n"):
            return faults.text_after_quote(here, opened, text[at:].splitlines()[0])
        if after == "\r" and text[at:].strip("\r\n"):
            return faults.bare_return(here)
        at += 1
    return RowInvalid(f"line {line}: {refused}", line=line)


def _cell_end(text: str, start: int) -> int:
    found = _CELL_END.search(text, start)
    return found.start() if found else len(text)


def _closing_quote(text: str, start: int) -> int:
    """Where the quoted cell ends whose inside begins at `start`; -1 if it does not."""
    for run in _QUOTES.finditer(text, start):
        if len(run.group()) % 2:
            return run.end() - 1
    return -1
