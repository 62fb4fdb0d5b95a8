"""JSON Lines: a point is an object on a line of its own."""

from __future__ import annotations

import orjson

from dinsight.exporting.csvfile import LEVELS, numbers
from dinsight.exporting.points import Points
from dinsight.exporting.selection import Selection


class JsonLines:
    """Metadata and readings are objects by name; a name that a point lacks is left out."""

    def __init__(self, selection: Selection) -> None:
        names = (orjson.dumps(name).replace(b"%", b"%%") for name in selection.features)
        named = b",".join(name + b":%b" for name in names)
        self._readings = b',"readings":{' + named + b"}}\n"  # to be filled in

    def begin(self) -> bytes:
        return b""

    def add(self, points: Points) -> bytes:
        words = [f'"{level}"' for level in LEVELS]
        lines = [
            f'{{"seq":{seq},"epoch":{points.epoch},"received_at":"{at}","dinsight_x":{x},'
            f'"dinsight_y":{y},"score":{score},"level":{words[level]},'
            f'"source_file":{orjson.dumps(source).decode()},"metadata":{metadata}'
            for seq, at, x, y, score, level, source, metadata in zip(
                *(points.seq, points.times(), points.x, points.y, points.score),
                *(points.level, points.source, points.metadata),
                strict=True,
            )
        ]
        if points.readings is None:
            return "".join(f"{line}}}\n" for line in lines).encode()
        return b"".join(
            line.encode() + self._readings % tuple(numbers(readings).split(b","))
            for line, readings in zip(lines, points.readings, strict=True)
        )

    def end(self) -> bytes:
        return b""
