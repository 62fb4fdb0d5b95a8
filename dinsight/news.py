"""Telling every instance that a stream has changed: PostgreSQL's NOTIFY with the stream's id.

Who changes a stream says `changed` in its transaction. Once that has committed, the ids go out in a
short transaction of their own, those of a moment together: PostgreSQL lets transactions that notify
commit only one after another, each with its write to the disk, and senders would stand in that
queue. What is lost with a process is found by looking (`dinsight.fanout`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

import psycopg2
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dinsight.database import is_outage, once_committed, outside_of_pool

CHANNEL = "dinsight_streams"
GAP_SECONDS = 0.02  # between two notifications of a process: what changes meanwhile goes together
AGAIN_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)  # between tries to listen while there is no database
CHANGED = "dinsight.changed"  # in a session's `info`
# It stores nothing, so nothing is lost where the disk comes later.
NOTIFY = text(
    "SELECT set_config('synchronous_commit', 'off', true),"
    f" pg_notify('{CHANNEL}', id::text) FROM unnest(CAST(:ids AS integer[])) AS id"
)

# Told the ids of streams that have changed; None: any may have.
Hearer = Callable[[frozenset[int] | None], None]

log = logging.getLogger(__name__)


def changed(session: Session, stream_id: int) -> None:
    """Tell all instances of a change of this stream, once the session has committed."""
    session.info.setdefault(CHANGED, set()).add(stream_id)


@once_committed(CHANGED)
def _tell(engine: Engine, ids: set[int]) -> None:
    herald = _heralds.get(engine) or _heralds.setdefault(engine, _Herald())
    herald.tell(engine, ids)


class _Herald:
    """Notifies of what has changed, in a thread that lives as long as somebody may need it."""

    def __init__(self) -> None:
        self._ids: set[int] = set()
        self._lock = threading.Lock()
        self._busy = False
        self._thread = ThreadPoolExecutor(1, "news")

    def tell(self, engine: Engine, ids: Iterable[int]) -> None:
        with self._lock:
            self._ids.update(ids)
            begins, self._busy = not self._busy, True
        if begins:
            self._thread.submit(self._send, engine)

    def _send(self, engine: Engine) -> None:
        while ids := self._take():
            try:
                with engine.connect() as connection:
                    autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
                    autocommit.execute(NOTIFY, {"ids": ids})
            except Exception as error:
                if not is_outage(error):
                    log.exception("changes could not be told; viewers hear of them by looking")
                else:
                    log.info("viewers hear of changes later: %s", " ".join(str(error).split()))
            time.sleep(GAP_SECONDS)

    def _take(self) -> list[int]:
        with self._lock:
            ids, self._ids = list(self._ids), set()
            self._busy = bool(ids)
        return ids


def _ready(descriptors: Iterable[int], seconds: float | None) -> set[int]:
    """Those that can be read, within so many seconds; by poll, which takes any number of them."""
    poll = select.poll()
    for each in descriptors:
        poll.register(each, select.POLLIN)
    return {each for each, _ in poll.poll(None if seconds is None else 1e3 * seconds)}


# Of each database that this process has open.
_heralds: WeakKeyDictionary[Engine, _Herald] = WeakKeyDictionary()


class Listener:
    """Hears of changed streams, on one connection and in one thread.

    A connection that ends is made again, for as long as it takes; what was missed meanwhile nobody
    knows, so `heard` is then told that anything may have changed, as at the start.
    """

    def __init__(self, engine: Engine, heard: Hearer) -> None:
        self._engine = engine
        self._heard = heard
        self._ending, self._end = os.pipe()
        self._thread = threading.Thread(target=self._listen, name="listen", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        os.write(self._end, b".")
        self._thread.join()
        os.close(self._ending)
        os.close(self._end)

    def _listen(self) -> None:
        failures = 0
        while True:
            try:
                with contextlib.closing(outside_of_pool(self._engine)) as connection:
                    connection.autocommit = True
                    connection.cursor().execute(f"LISTEN {CHANNEL}")
                    failures = 0
                    self._heard(None)
                    for ids in self._batches(connection):
                        self._heard(ids)
                return
            except (psycopg2.Error, SQLAlchemyError) as error:
                if not failures:
                    log.warning("not listening for changes: %s", " ".join(str(error).split()))
            wait = AGAIN_SECONDS[min(failures, len(AGAIN_SECONDS) - 1)]
            failures += 1
            if _ready([self._ending], wait):
                return

    def _batches(self, connection: Any) -> Iterator[frozenset[int]]:
        """What is notified, until this is stopped; raises psycopg2.Error once nothing can be."""
        while True:
            if self._ending in _ready([connection.fileno(), self._ending], None):
                return
            connection.poll()
            notified = [connection.notifies.pop(0) for _ in range(len(connection.notifies))]
            if notified:
                yield frozenset(int(each.payload) for each in notified)
