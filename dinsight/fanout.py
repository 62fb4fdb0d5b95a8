"""Many viewers of few streams: what is new is read once, packed once, and handed to all of them.

A viewer is no more than where it stands: the last point that it has, and the status that it was
told. One that is slow reads later from there; nothing is kept for it. Everything here runs in one
event loop, except for the reads themselves, which have a few threads of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson

from dinsight import feed, packing
from dinsight.accounts import Identity
from dinsight.database import Database, is_outage
from dinsight.errors import DinsightError
from dinsight.feed import Cursor
from dinsight.models import Json
from dinsight.news import Listener

READERS = 2  # threads
MOST = 3_000  # points a message
GAP_SECONDS = 0.05  # between two messages to the viewers of a stream: the eye sees no more
# A watched stream is looked at this often even without news: that it has gone quiet is none, and
# news can be lost with the process that had it.
LOOK_SECONDS, LOOK_SECONDS_QUIET = 2.0, 10.0
OUTAGE_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """The stream that is watched."""

    stream_id: int
    baseline_id: int
    stream: str


@dataclass(frozen=True)
class Stand:
    """What a viewer has: all points up to the cursor, and the packed status but for its age."""

    cursor: Cursor
    status: Json

    @property
    def behind(self) -> bool:
        return bool(self.cursor.seq < self.status["last_seq"])


@dataclass(frozen=True)
class News:
    """A message that takes a viewer who stands at `base` to `stand`; None: one with its cursor."""

    base: Stand | None
    stand: Stand
    text: str


class Fanout:
    """The streams that somebody watches, in one process. To be made and used in one event loop."""

    def __init__(self, database: Database, now: Callable[[], dt.datetime]) -> None:
        self._database = database
        self._now = now
        self._threads = ThreadPoolExecutor(READERS, "push")
        self._channels: dict[int, _Channel] = {}
        loop = self._loop = asyncio.get_running_loop()
        self._listener = Listener(
            database.engine, lambda ids: _call_soon(loop, lambda: self._heard(ids))
        )

    def watch(self, place: Place, who: Identity, after: Cursor | None) -> Viewer:
        """A viewer who may see the stream, and has what is up to `after`; `leave` ends it."""
        channel = self._channels.get(place.stream_id)
        if channel is None:
            channel = _Channel(place, self._read, lambda: self._forget(place))
            self._channels[place.stream_id] = channel
        return Viewer(channel, who, after)

    async def stop(self) -> None:
        for channel in list(self._channels.values()):
            channel.stop()
        await asyncio.to_thread(self._listener.stop)
        self._threads.shutdown(cancel_futures=True)

    def _heard(self, ids: frozenset[int] | None) -> None:
        for stream_id in list(self._channels) if ids is None else ids:
            if channel := self._channels.get(stream_id):
                channel.look()

    def _forget(self, place: Place) -> None:
        del self._channels[place.stream_id]

    async def _read(
        self, place: Place, who: Identity, after: Cursor | None, base: Stand | None
    ) -> News:
        """What is after a cursor, for those who stand at `base`. Raises DinsightError."""

        def read() -> News:
            now = self._now()
            with self._database.sessions() as session:
                found = feed.delta(
                    session, who, place.baseline_id, place.stream, after, limit=MOST, now=now
                )
            message = packing.pack(found, now)
            told = packing.push(message, None if base is None else base.status)
            status = {name: value for name, value in message["status"].items() if name != "age"}
            return News(base, Stand(found.cursor, status), orjson.dumps(told).decode())

        return await self._loop.run_in_executor(self._threads, read)


class Viewer:
    """Somebody who watches a stream; `next` is what they are to be told."""

    def __init__(self, channel: _Channel, who: Identity, after: Cursor | None) -> None:
        self.who = who
        self._channel = channel
        self._after = after
        self._stand: Stand | None = None
        self._seen: News | None = None
        channel.viewers.add(self)

    def leave(self) -> None:
        self._channel.leave(self)

    async def next(self) -> str:
        """The next message, once there is one; at first all that is after the cursor.

        Raises DinsightError where the stream can be watched no longer, and SQLAlchemyError.
        """
        channel = self._channel
        while True:
            stand, newest = self._stand, channel.newest
            seen, self._seen = self._seen, newest
            with_channel = stand is not None and newest is not None and newest.stand == stand
            if with_channel or (stand is not None and newest is seen and not stand.behind):
                await channel.turn()  # it is on its way where it is behind itself
                continue
            if stand is not None and newest is not None and newest.base == stand:
                self._stand = newest.stand
                return newest.text
            news = await channel.read(self.who, stand.cursor if stand else self._after)
            self._stand = news.stand
            if news.stand != stand:
                return news.text


Read = Callable[[Place, Identity, Cursor | None, Stand | None], Any]


class _Channel:
    """A stream with those who watch it in this process."""

    def __init__(self, place: Place, read: Read, ended: Callable[[], None]) -> None:
        self.place = place
        self.viewers: set[Viewer] = set()
        self.newest: News | None = None
        self._read = read
        self._ended = ended
        self._stand: Stand | None = None  # where those stand who are up to date
        self._failure: Exception | None = None
        self._reads: dict[Cursor | None, asyncio.Task[News]] = {}
        self._turned = asyncio.Event()
        self._called = asyncio.Event()
        self._task = asyncio.create_task(self._follow())

    def look(self) -> None:
        """There may be news."""
        self._called.set()

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        if not self.viewers and self._failure is None:
            self.stop()
            self._ended()

    def stop(self) -> None:
        self._task.cancel()

    async def turn(self) -> None:
        """Wait until `newest` is another; raises what ended the watching."""
        if self._failure is None:
            await self._turned.wait()
        if self._failure is not None:
            raise self._failure

    async def read(self, who: Identity, after: Cursor | None) -> News:
        """All that is after a cursor, read once for those who ask for the same at once."""
        task = self._reads.get(after)
        if task is None:
            task = self._reads[after] = asyncio.create_task(
                self._read(self.place, who, after, None)
            )
            task.add_done_callback(lambda done: self._has_read(after, done))
        return await asyncio.shield(task)

    def _has_read(self, after: Cursor | None, done: asyncio.Task[News]) -> None:
        if self._reads.get(after) is done:
            del self._reads[after]
        if not done.cancelled() and done.exception() is None and self._stand is None:
            self._stand = done.result().stand

    async def _follow(self) -> None:
        while self._failure is None:
            active = self._stand is None or self._stand.status["is_active"]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if active else LOOK_SECONDS_QUIET):
                    await self._called.wait()
            if self._stand is None:
                await asyncio.sleep(GAP_SECONDS)  # nobody has read yet
                continue
            self._called.clear()
            try:
                await self._refresh(self._stand)
            except Exception as error:
                if not is_outage(error):
                    self._fail(error)
                    return
                self._called.set()  # the database is away: look again
                await asyncio.sleep(OUTAGE_SECONDS)
            await asyncio.sleep(GAP_SECONDS)

    async def _refresh(self, stand: Stand) -> None:
        who = next(iter(self.viewers)).who
        news = await self._read(self.place, who, stand.cursor, stand)
        if news.stand == stand:
            return
        self._stand, self.newest = news.stand, news
        if news.stand.behind:
            self._called.set()
        self._reads.clear()  # what is under way may have begun before this
        self._turn()

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, DinsightError):
            log.error("stream %s cannot be followed", self.place.stream_id, exc_info=error)
        self._failure = error
        self._ended()  # who comes from now on begins anew
        self._turn()

    def _turn(self) -> None:
        self._turned.set()
        self._turned = asyncio.Event()


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call it in the loop, from another thread; in none that has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)
