"""Loaded maps, kept by the sha256 of their bytes: a cache, so any instance can answer."""

from __future__ import annotations

import threading
from collections import OrderedDict

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from dinsight import maps
from dinsight.errors import BaselineNotFound, MapBeingRefitted, MapOutdated
from dinsight.maps.exact import Floats32
from dinsight.models import Baseline, BaselineVersion, FittedMap

MOST_MAPS = 16


class MapCache:
    """The most recently used maps of this process."""

    def __init__(self, most: int = MOST_MAPS) -> None:
        self._most = most
        self._maps: OrderedDict[str, maps.Map] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, session: Session, sha256: str) -> maps.Map:
        with self._lock:
            if found := self._maps.get(sha256):
                self._maps.move_to_end(sha256)
                return found
        loaded = maps.load(_payload(session, sha256))
        with self._lock:
            self._maps[sha256] = loaded
            while len(self._maps) > self._most:
                self._maps.popitem(last=False)
        return loaded


_cache = MapCache()


def load_map(session: Session, sha256: str) -> maps.Map:
    """The map of these bytes; raises BaselineNotFound once it was deleted with its baseline.

    Raises MapBeingRefitted or MapOutdated for a map in a format that this program does not know.
    """
    return _cache.get(session, sha256)


def places(session: Session, sha256: str) -> Floats32:
    """Where a map's baseline rows are, (n, 2), without the rest of it; raises what `load_map` does.

    For looking at many maps at once, which `load_map` would keep in memory.
    """
    return maps.coordinates(_payload(session, sha256))


def require_known(session: Session, map_id: int, format: int) -> None:
    """Raises MapBeingRefitted or MapOutdated for a map in a format that cannot be loaded."""
    if format == maps.FORMAT:
        return
    if format > maps.FORMAT:
        raise MapOutdated(
            "This map was made by a newer version of D'insight: update this server, "
            "or refit the baseline."
        )
    refit = session.execute(
        select(Baseline.id, Baseline.refit)
        .outerjoin(BaselineVersion, BaselineVersion.baseline_id == Baseline.id)
        .where(or_(Baseline.map_id == map_id, BaselineVersion.map_id == map_id))
        .limit(1)
    ).one_or_none()
    if refit is None:
        raise MapOutdated(
            "These points were placed on a map of an earlier version of D'insight, which this one "
            "cannot read."
        )
    if refit.refit and refit.refit["status"] == "failed":
        raise MapOutdated(
            "This map was made by an earlier version of D'insight, and its refit failed: "
            f"{refit.refit['error_message']} Refit the baseline, or upload it again."
        )
    raise MapBeingRefitted()


def _payload(session: Session, sha256: str) -> bytes:
    query = select(FittedMap.id, FittedMap.format).where(FittedMap.sha256 == sha256)
    found = session.execute(query.order_by(FittedMap.id.desc()).limit(1)).one_or_none()
    if found is not None:
        require_known(session, found.id, found.format)
        payload = session.scalar(select(FittedMap.payload).where(FittedMap.id == found.id))
        if payload is not None:
            return payload
    raise BaselineNotFound()  # deleted since its map was named
