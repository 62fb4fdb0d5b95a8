"""CSV that can be posted back: see `dinsight.readings.exported` for its marks and its escapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import orjson

from dinsight.exporting.points import Points
from dinsight.exporting.selection import Selection
from dinsight.maps.levels import Level
from dinsight.readings.exported import ABSENT, COLUMNS, escaped
from dinsight.streams import level_word

LEVELS = tuple(map(level_word, Level))


class CsvFile:
    """RFC 4180 with `\\n` line ends: our columns, metadata, readings, in this order."""

    def __init__(self, selection: Selection) -> None:
        self._columns = selection.columns
        self._names = (
            *COLUMNS,
            *map(escaped, selection.columns),
            *map(escaped, selection.features),
        )

    def begin(self) -> bytes:
        return _line(map(quoted, self._names)).encode()

    def add(self, points: Points) -> bytes:
        cells = _Cells()
        lines: Iterator[str] = (
            f"{seq},{points.epoch},{at},{x},{y},{score},{LEVELS[level]},{cells[source]}"
            for seq, at, x, y, score, level, source in zip(
                *(points.seq, points.times(), points.x, points.y, points.score),
                *(points.level, points.source),
                strict=True,
            )
        )
        if self._columns:
            rows = (map(orjson.loads(text).get, self._columns) for text in points.metadata)
            more = (",".join(map(cells.__getitem__, row)) for row in rows)
            lines = map(",".join, zip(lines, more, strict=True))
        if points.readings is None:
            return "".join(f"{line}\n" for line in lines).encode()
        return b"".join(
            b"%b,%b\n" % (line.encode(), numbers(readings))
            for line, readings in zip(lines, points.readings, strict=True)
        )

    def end(self) -> bytes:
        return b""


def numbers(readings: bytes) -> bytes:
    """Float32 readings as text with commas: the shortest that is read as the same float32.

    >>> numbers(np.array([0.1, -0.0, 2.0], "<f4").tobytes())
    b'0.1,-0.0,2.0'
    """
    row = np.frombuffer(readings, "<f4")
    return orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


def quoted(text: str) -> str:
    """A cell, in quotes where it needs them.

    >>> [quoted(text) for text in ("a b", "a,b", 'a "b"', "")]
    ['a b', '"a,b"', '"a ""b\"""', '']
    """
    if "," in text or '"' in text or "\n" in text or "\r" in text:
        return '"' + text.replace('"', '""') + '"'
    return text


class _Cells(dict[str | None, str]):
    """Cells by their text, None where there is none: what stands in many rows is made once."""

    def __missing__(self, text: str | None) -> str:
        self[text] = cell = ABSENT if text is None else quoted(escaped(text))
        return cell


def _line(cells: Iterable[str]) -> str:
    return ",".join(cells) + "\n"
