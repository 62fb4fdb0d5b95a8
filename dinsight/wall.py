"""The small maps of many machines at once: what a wall of them shows.

One query finds the newest points of all, by their primary key. A map's ground is made once a
process from the places in its bytes, without loading the map.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, REAL, SmallInteger, bindparam, func, select
from sqlalchemy.orm import Session

from dinsight import baselines, mapstore, minimap
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound, MapBeingRefitted, MapOutdated
from dinsight.minimap import Bytes, Ground
from dinsight.models import Baseline, FittedMap, Point, Stream

KEPT = 512  # grounds of this process, a few kB each
MADE_AT_ONCE = 24  # grounds: each takes reading a map's bytes


def _newest(column: Any) -> Any:
    """The column of a stream's newest points, the newest first."""
    return (
        select(column)
        .where(Point.stream_id == Stream.id, Point.epoch == Stream.epoch)
        .order_by(Point.seq.desc())
        .limit(minimap.NEWEST)
        .correlate(Stream)
        .scalar_subquery()
    )


NEWEST = (
    select(Stream.id, Stream.map_id, FittedMap.sha256)
    .add_columns(
        func.array(_newest(Point.x), type_=ARRAY(REAL)),
        func.array(_newest(Point.y), type_=ARRAY(REAL)),
        func.array(_newest(Point.level), type_=ARRAY(SmallInteger)),
    )
    .join(Baseline, Baseline.id == Stream.baseline_id)
    .join(FittedMap, FittedMap.id == Stream.map_id)
    .where(Stream.id.in_(bindparam("ids", expanding=True)), baselines.VISIBLE)
)


@dataclass(frozen=True)
class SmallMap:
    """A machine on its small map: `spots` (n, 3) as in `minimap.spots`, the newest last.

    `ground` is None where the map cannot be read, and `note` then says why.
    """

    map_id: int
    ground: Ground | None
    spots: Bytes | None
    note: str = ""


class Grounds:
    """The grounds of this process, by the sha256 of their maps' bytes."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._known: OrderedDict[str, Ground] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, sha256: str) -> Ground | None:
        with self._lock:
            if sha256 in self._known:
                self._known.move_to_end(sha256)
            return self._known.get(sha256)

    def make(self, session: Session, sha256: str) -> Ground:
        """Raises what `mapstore.places` does."""
        made = minimap.ground_of(mapstore.places(session, sha256))
        with self._lock:
            self._known[sha256] = made
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return made


_grounds = Grounds()


def small_maps(session: Session, who: Identity, ids: Sequence[int]) -> dict[int, SmallMap]:
    """The small maps of these streams, by stream; those of streams that are gone are not there.

    At most `MADE_AT_ONCE` grounds are made: who misses a stream asks once more.
    """
    if not ids:
        return {}
    asked = {"ids": list(ids), **baselines.seen_by(who)}
    found: dict[int, SmallMap] = {}
    left = MADE_AT_ONCE
    rows = session.connection().execute(NEWEST, asked).all()
    for stream_id, map_id, sha256, *columns in rows:
        ground, note = _grounds.get(sha256), ""
        if ground is None and left == 0:
            continue
        if ground is None:
            left -= 1
            ground, note = _made(session, sha256)
        found[stream_id] = _placed(map_id, ground, columns, note)
    return found


def _made(session: Session, sha256: str) -> tuple[Ground | None, str]:
    try:
        return _grounds.make(session, sha256), ""
    except MapBeingRefitted:
        return None, "Its map is being fitted anew."
    except MapOutdated:
        return None, "Its map is of another version of D'insight: refit the baseline."
    except BaselineNotFound:
        return None, "It was deleted."


def _placed(map_id: int, ground: Ground | None, columns: list[Any], note: str) -> SmallMap:
    if ground is None:
        return SmallMap(map_id, None, None, note)
    oldest_first = (values[::-1] for values in columns)
    return SmallMap(map_id, ground, minimap.spots(ground.frame, *oldest_first))
