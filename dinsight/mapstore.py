"""Loaded maps, kept by the sha256 of their bytes: a cache, so any instance can answer."""

from __future__ import annotations

import threading
from collections import OrderedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import maps
from dinsight.errors import BaselineNotFound
from dinsight.models import FittedMap

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
        payload = session.scalar(
            select(FittedMap.payload).where(FittedMap.sha256 == sha256).limit(1)
        )
        if payload is None:
            raise BaselineNotFound()  # deleted since its map was named
        loaded = maps.load(payload)
        with self._lock:
            self._maps[sha256] = loaded
            while len(self._maps) > self._most:
                self._maps.popitem(last=False)
        return loaded


_cache = MapCache()


def load_map(session: Session, sha256: str) -> maps.Map:
    """The map of these bytes; raises BaselineNotFound once it was deleted with its baseline."""
    return _cache.get(session, sha256)
