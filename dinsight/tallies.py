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
STEP, KEPT_STEPS = 50_000, 128  # points between the moments of the past that are kept; how many
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

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._known: OrderedDict[tuple[int, ...], Tally] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, ...]) -> Tally | None:
        with self._lock:
            return self._known.get(key)

    def put(self, key: tuple[int, ...], tally: Tally) -> None:
        with self._lock:
            before = self._known.get(key)
            if before is None or before.first != tally.first or before.upto < tally.upto:
                self._known[key] = tally
            self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)


_kept: WeakKeyDictionary[Any, _Kept] = WeakKeyDictionary()
_steps: WeakKeyDictionary[Any, _Kept] = WeakKeyDictionary()


def of_stream(session: Session, stream: Found) -> Tally:
    """All points of the stream's epoch. Raises MapBeingRefitted or MapOutdated."""
    kept = _kept.setdefault(session.get_bind(), _Kept())
    key = (stream.id, stream.epoch)
    first, last = feed.first_kept(session, stream), stream.next_seq - 1
    known = kept.get(key)
    if known is None or known.first != first:  # retention took what was counted
        known = _none(session, stream, first)
    if known.upto < last:
        known = _more(session, stream, known, last)
    kept.put(key, known)
    return known


def at(session: Session, stream: Found, seq: int) -> Tally:
    """The points of the stream's epoch up to a seq: as `of_stream` told when that one came.

    Every `STEP` points the tally is kept, so that another moment costs what lies after the last
    step before it. Raises MapBeingRefitted or MapOutdated.
    """
    kept = _steps.setdefault(session.get_bind(), _Kept(KEPT_STEPS))
    first, seq = feed.first_kept(session, stream), min(seq, stream.next_seq - 1)
    known = None
    for step in range(seq // STEP, first // STEP, -1):
        known = kept.get((stream.id, stream.epoch, step))
        if known is not None and known.first == first:
            break
        known = None
    known = known or _none(session, stream, first)
    for step in range(known.upto // STEP + 1, seq // STEP + 1):
        known = _more(session, stream, known, step * STEP)
        kept.put((stream.id, stream.epoch, step), known)
    return _more(session, stream, known, seq) if known.upto < seq else known


def _none(session: Session, stream: Found, first: int) -> Tally:
    places = feed.stream_map(session, stream).coordinates
    counted = cells.none(cells.lattice_of(places))
    return Tally(counted, first, first - 1, np.empty((0, 5)))


def _more(session: Session, stream: Found, known: Tally, last: int) -> Tally:
    lattice = known.cells.lattice
    counted = cells.add(known.cells, *feed.cells(session, stream, lattice, known.upto, last))
    newest = feed.anomalies(session, stream, known.upto, last, ANOMALIES)
    anomalies = np.concatenate([known.anomalies, newest])[-ANOMALIES:]
    return Tally(counted, known.first, last, anomalies)
