"""Exports: the points of a stream as a file, streamed, whatever their number.

`select` says at its start which points a file will have: of each epoch from one seq to another,
which nothing changes afterwards. `written` then reads them by key, piece by piece, each in a short
transaction of its own, so that however slowly a file is taken nothing in the database is held for
it. A reset meanwhile changes nothing, for the points stay under their epoch. Where points go
meanwhile all the same, by retention or a deletion, the export ends with `ExportInterrupted`: a
file with a hole in it is never made to look whole.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Protocol

from dinsight.database import Sessions
from dinsight.exporting.csvfile import CsvFile
from dinsight.exporting.jsonl import JsonLines
from dinsight.exporting.parquet import Parquet
from dinsight.exporting.points import Points, read
from dinsight.exporting.selection import ALL, Part, Selection, Wanted, metadata_names, select

__all__ = ["ALL", "FORMATS", "Part", "Selection", "Wanted", "estimated_bytes", "select", "written"]

SAMPLED = 50  # points that tell about how large a file will be


class Writer(Protocol):
    """A kind of file: what it begins with, each piece of points, what it ends with."""

    def __init__(self, selection: Selection) -> None: ...
    def begin(self) -> bytes: ...
    def add(self, points: Points) -> bytes: ...
    def end(self) -> bytes: ...


FORMATS: dict[str, type[Writer]] = {"csv": CsvFile, "parquet": Parquet, "jsonl": JsonLines}


def written(sessions: Sessions, selection: Selection, kind: str) -> Generator[bytes]:
    """The file, in pieces of about a megabyte at most; raises ExportInterrupted."""
    writer = FORMATS[kind](selection)
    if head := writer.begin():
        yield head
    for points in read(sessions, selection):
        if piece := writer.add(points):
            yield piece
    if tail := writer.end():
        yield tail


def estimated_bytes(sessions: Sessions, selection: Selection, kind: str) -> int:
    """About how large the file will be, by what its first points take."""
    few, share = selection.beginning(SAMPLED)
    few = replace(few, columns=metadata_names(sessions, few))
    if not few.points:
        return sum(map(len, written(sessions, few, kind)))
    none = few.without_points()
    frame = sum(map(len, written(sessions, none, kind)))
    return frame + round((sum(map(len, written(sessions, few, kind))) - frame) * share)
