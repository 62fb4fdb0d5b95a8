"""What of each stream is counted by cell: counted once, and from then on only what is new.

A process keeps the tallies of the streams that are looked at; another process counts its own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from sqlalchemy.orm import Session

from dinsight import cells, feed
from dinsight.cells import Cells
from dinsight.streams import Found

KEPT = 64  # streams
ANOMALIES = 4_000  # newest points that are not healthy: more than a page draws of all points


@dataclass(frozen=True)
class Tally:
    """The points of an epoch from `first` up to `upto`, by cell, and the newest anomalous ones.

    `anomalies` (n, 5): seq, x, y, score, level; oldest first.
    """

    cells: Cells
    first: int
    upto: int
    anomalies: np.ndarray


class _Kept:
    """The tallies of one database's streams; the one that was not asked for longest goes."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], Tally] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int]) -> Tally | None:
        with self._lock:
            return self._known.get(key)

    def put(self, key: tuple[int, int], tally: Tally) -> None:
        with self._lock:
            before = self._known.get(key)
            if before is None or before.first != tally.first or before.upto < tally.upto:
                self._known[key] = tally
            self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)


_kept: WeakKeyDictionary[Any, _Kept] = WeakKeyDictionary()


def of_stream(session: Session, stream: Found) -> Tally:
    """All points of the stream's present epoch. Raises MapBeingRefitted or MapOutdated."""
    kept = _kept.setdefault(session.get_bind(), _Kept())
    key = (stream.id, stream.epoch)
    first, last = feed.first_kept(session, stream), stream.next_seq - 1
    known = kept.get(key)
    if known is None or known.first != first:  # retention took what was counted
        places = feed.stream_map(session, stream).coordinates
        counted = cells.none(cells.lattice_of(places))
        known = Tally(counted, first, first - 1, np.empty((0, 5)))
    if known.upto < last:
        known = _more(session, stream, known, last)
    kept.put(key, known)
    return known


def _more(session: Session, stream: Found, known: Tally, last: int) -> Tally:
    lattice = known.cells.lattice
    counted = cells.add(known.cells, *feed.cells(session, stream, lattice, known.upto, last))
    newest = feed.anomalies(session, stream, known.upto, last, ANOMALIES)
    anomalies = np.concatenate([known.anomalies, newest])[-ANOMALIES:]
    return Tally(counted, known.first, last, anomalies)
