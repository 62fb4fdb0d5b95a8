"""Parquet: typed, compressed, in row groups of a bounded size.

pyarrow is imported when the first such file is asked for: it takes a third of a second and tens
of megabytes, of which a server that exports none has no use.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from dinsight.exporting.csvfile import LEVELS
from dinsight.exporting.points import Points
from dinsight.exporting.selection import Selection
from dinsight.readings.exported import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_POINTS = 50_000
GROUP_BYTES = 16 * 1024 * 1024  # of readings in a row group
READINGS = "readings"


class Parquet:
    """Our columns, one of text for each name of metadata (null where a point lacks it), and the
    readings as one column of lists, whose names stand in the file's metadata under `features`.

    One column for each of thousands of features would make the file's footer, which is held until
    the end, grow with its rows times its columns.
    """

    def __init__(self, selection: Selection) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._pa = pa
        self._columns = selection.columns
        self._schema = _schema(pa, selection)
        self._out = _Pieces()
        self._writer = pq.ParquetWriter(self._out, self._schema, compression="zstd")
        width = max(1, len(selection.features))
        self._group = max(1, min(GROUP_POINTS, GROUP_BYTES // (4 * width)))
        self._held: list[pa.RecordBatch] = []

    def begin(self) -> bytes:
        return self._out.taken()

    def add(self, points: Points) -> bytes:
        self._held.append(self._batch(points))
        if sum(batch.num_rows for batch in self._held) >= self._group:
            self._flush()
        return self._out.taken()

    def end(self) -> bytes:
        if self._held:
            self._flush()
        self._writer.close()
        return self._out.taken()

    def _flush(self) -> None:
        held, self._held = self._held, []
        table = self._pa.Table.from_batches(held, self._schema).combine_chunks()
        self._writer.write_table(table, row_group_size=table.num_rows)

    def _batch(self, points: Points) -> pa.RecordBatch:
        known = [orjson.loads(text) for text in points.metadata]
        columns: list[Any] = [
            np.array(points.seq, np.int64),
            np.full(len(points), points.epoch, np.int32),
            points.moments,
            *(np.array(each, np.float32) for each in (points.x, points.y, points.score)),
            [LEVELS[level] for level in points.level],
            points.source,
            *([row.get(name) for row in known] for name in self._columns),
        ]
        arrays = [
            self._pa.array(column, field.type)
            for column, field in zip(columns, self._schema, strict=False)
        ]
        if points.readings is not None:
            arrays.append(self._lists(points.readings))
        return self._pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _lists(self, readings: Iterable[bytes]) -> Any:
        rows = [np.frombuffer(row, "<f4") for row in readings]
        ends = np.cumsum([0, *map(len, rows)], dtype=np.int32)
        return self._pa.ListArray.from_arrays(ends, self._pa.array(np.concatenate(rows)))


def _schema(pa: Any, selection: Selection) -> Any:
    ours = (
        *(pa.int64(), pa.int32(), pa.timestamp("us", tz="UTC")),
        *(pa.float32(), pa.float32(), pa.float32(), pa.string(), pa.string()),
    )
    taken = [*COLUMNS, *([READINGS] if selection.features else [])]
    names = told_apart(taken, selection.columns)
    fields = [pa.field(name, kind) for name, kind in zip(COLUMNS, ours, strict=True)]
    fields += [pa.field(name, pa.string()) for name in names]
    about = {"baseline": selection.name, "stream": selection.stream}
    if selection.features:
        fields.append(pa.field(READINGS, pa.list_(pa.float32())))
        about["features"] = orjson.dumps(selection.features).decode()
    return pa.schema(fields, metadata=about)


def told_apart(taken: Iterable[str], names: Iterable[str]) -> list[str]:
    """Names beside others: one that is taken is numbered, as pandas numbers a CSV's columns.

    >>> told_apart(["score", "score.1"], ["note", "score"])
    ['note', 'score.2']
    """
    known, found = set(taken), []
    asked = list(names)
    for name in asked:
        free, number = name, 0
        while free in known or (number and free in asked):
            number += 1
            free = f"{name}.{number}"
        known.add(free)
        found.append(free)
    return found


class _Pieces(io.RawIOBase):
    """A file that is only written to, whose content is taken away as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._held.append(bytes(piece))
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        """What came since it was last asked for."""
        held, self._held = self._held, []
        return b"".join(held)
