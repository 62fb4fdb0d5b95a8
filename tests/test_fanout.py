"""Fan-out: one read and one text for all who stand at the same place, a cursor for who does not."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from dinsight import baselines, fanout, feed, packing, streams
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound
from dinsight.fanout import Fanout, Place, Viewer
from dinsight.feed import Cursor
from dinsight.ingest import Incoming, ingest
from dinsight.services import Services
from tests.factories import csv, failing, healthy
from tests.postgres_kit import eventually

Json = dict[str, Any]
SOON = 10.0


class World:
    """A stream, those who send to it and those who watch it."""

    def __init__(self, services: Services, who: Identity, baseline_id: int) -> None:
        self.services, self.who, self.baseline_id = services, who, baseline_id
        self.place = Place(self.act(streams.find).id, baseline_id, "default")

    def act(self, function: Any, *args: Any, **more: Any) -> Any:
        with self.services.sessions.begin() as session:
            return function(session, self.who, self.baseline_id, "default", *args, **more)

    def send(self, rows: Any = 1, at: dt.timedelta = dt.timedelta(0)) -> None:
        values = healthy(rows) if isinstance(rows, int) else rows
        incoming = Incoming(csv(values), "batch.csv")
        with self.services.sessions.begin() as session:
            limits, now = self.services.limits, self.services.now() + at
            ingest(session, self.who, self.baseline_id, incoming, limits=limits, now=now)

    def poll(self, after: Cursor | None) -> Json:
        now = self.services.now()
        found = self.act(feed.delta, after, limit=20_000, now=now)
        return packing.pack(found, now)

    def watched(self, story: Callable[[Fanout], Awaitable[None]]) -> None:
        """Run a story with a fan-out in a loop of its own."""

        async def run() -> None:
            made = Fanout(self.services.database, self.services.now)
            try:
                await story(made)
            finally:
                await made.stop()

        asyncio.run(run())


@pytest.fixture
def world(services: Services, user: Identity, baseline_id: int) -> World:
    return World(services, user, baseline_id)


class Reader:
    """A viewer and what it has made of its messages."""

    def __init__(self, made: Fanout, world: World, after: Cursor | None = None) -> None:
        self.viewer: Viewer = made.watch(world.place, world.who, after)
        self.texts: list[str] = []
        self.seqs: list[int] = []
        self.status: Json = {}
        self.epoch = 0

    async def next(self) -> Json:
        self.texts.append(await asyncio.wait_for(self.viewer.next(), SOON))
        message: Json = json.loads(self.texts[-1])
        if message["epoch"] != self.epoch:
            self.epoch, self.seqs = message["epoch"], []
        self.seqs += range(message["seq"], message["seq"] + message["n"])
        as_polled = {"level": "", "score": "", **message, "first": message["seq"]}
        self.status = packing.foretold(self.status, as_polled) | message["status"]
        return message

    async def until(self, seq: int) -> None:
        while self.seqs[-1:] != [seq]:
            await self.next()


def rounded(status: Json) -> Json:
    """A status without its age, numbers as exact as points are."""
    kept = {name: value for name, value in status.items() if name != "age"}
    return {n: round(v, 5) if isinstance(v, float) else v for n, v in kept.items()}


def test_pushed_and_polled_messages_are_the_same(world: World) -> None:
    async def story(made: Fanout) -> None:
        reader = Reader(made, world, Cursor(1, 0))
        await reader.next()
        for rows in (healthy(10), failing(12), healthy(3)):
            before = Cursor(1, len(reader.seqs))
            await asyncio.to_thread(world.send, rows)
            message = await reader.next()
            polled = world.poll(before)
            for name in ("epoch", "n", "x", "y", "score", "level"):
                assert message[name] == polled[name], name
            assert message["seq"] == polled["first"]
            assert rounded(reader.status) == rounded(polled["status"])

    world.watched(story)


def test_ten_points_are_a_small_message(world: World) -> None:
    async def story(made: Fanout) -> None:
        reader = Reader(made, world)
        await reader.next()
        for _ in range(3):
            await asyncio.to_thread(world.send, 10)
            await reader.next()
        assert len(reader.texts[-1]) < 350

    world.watched(story)


def test_a_hundred_viewers_cost_one_read_and_one_text(world: World) -> None:
    reads = []

    def count(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "FROM points" in statement:
            reads.append(statement)

    async def story(made: Fanout) -> None:
        readers = [Reader(made, world) for _ in range(100)]
        await asyncio.gather(*(reader.next() for reader in readers))
        await asyncio.to_thread(world.send, 10)
        await asyncio.gather(*(reader.until(10) for reader in readers))
        reads.clear()
        await asyncio.to_thread(world.send, 5)
        await asyncio.gather(*(reader.next() for reader in readers))
        assert len(reads) == 1
        assert len({reader.texts[-1] for reader in readers}) == 1
        assert len({id(reader.texts[-1]) for reader in readers}) == 1
        assert all(reader.seqs == list(range(1, 16)) for reader in readers)

    event.listen(world.services.database.engine, "before_cursor_execute", count)
    world.watched(story)


def test_a_slow_viewer_resumes_by_its_cursor_without_a_gap(world: World) -> None:
    async def story(made: Fanout) -> None:
        quick, slow = Reader(made, world), Reader(made, world)
        await quick.next()
        await slow.next()
        for count in range(1, 8):
            await asyncio.to_thread(world.send, 2)
            await quick.until(2 * count)
        await slow.until(14)
        assert quick.seqs == slow.seqs == list(range(1, 15))
        assert len(slow.texts) < len(quick.texts)
        assert rounded(slow.status) == rounded(quick.status)
        await asyncio.to_thread(world.send, 2)
        await quick.until(16)
        await slow.until(16)
        assert quick.texts[-1] is slow.texts[-1]

    world.watched(story)


def test_a_viewer_far_behind_gets_all_of_it_in_pieces(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "MOST", 10)
    world.send(35)

    async def story(made: Fanout) -> None:
        reader = Reader(made, world, Cursor(1, 2))
        await reader.until(35)
        assert reader.seqs == list(range(3, 36))
        await asyncio.to_thread(world.send, 25)
        await reader.until(60)
        assert reader.seqs == list(range(3, 61))

        await asyncio.sleep(0.3)  # until channel and viewer stand where the stream is
        for last, rows in ((61, 1), (96, 35)):
            await asyncio.to_thread(world.send, rows)
            await reader.until(last)
        assert reader.seqs == list(range(3, 97))

    world.watched(story)


def test_a_reset_and_a_pause_are_told_and_a_new_epoch_begins(world: World) -> None:
    world.send(3)

    async def story(made: Fanout) -> None:
        reader = Reader(made, world, Cursor(1, 3))
        await reader.next()
        await asyncio.to_thread(world.act, streams.control, "pause")
        paused = await reader.next()
        assert (paused["control"], paused["n"], paused["epoch"]) == ("hold", 0, 1)
        assert paused["status"]["status"] == "paused"
        await asyncio.to_thread(world.act, streams.reset, now=world.services.now())
        anew = await reader.next()
        assert (anew["control"], anew["epoch"], anew["seq"], anew["n"]) == ("run", 2, 1, 0)
        await asyncio.to_thread(world.send, 2)
        await reader.until(2)
        assert (reader.epoch, reader.seqs) == (2, [1, 2])

    world.watched(story)


def test_order_is_seq_whatever_the_clock_says(world: World) -> None:
    hour = dt.timedelta(hours=1)

    async def story(made: Fanout) -> None:
        reader = Reader(made, world)
        await reader.next()
        for step, at in enumerate((0 * hour, hour, -hour, 0 * hour), 1):
            await asyncio.to_thread(world.send, 2, at)
            await reader.until(2 * step)
            assert reader.status["age"] >= 0
        assert reader.seqs == list(range(1, 9))
        assert rounded(reader.status) == rounded(world.poll(None)["status"])

    world.watched(story)


def test_a_change_of_the_settings_is_told(world: World) -> None:
    async def story(made: Fanout) -> None:
        reader = Reader(made, world)
        await reader.next()
        await asyncio.to_thread(world.act, streams.configure, {"total_points": 50})
        assert (await reader.next())["status"]["total_points"] == 50

    world.watched(story)


def test_news_that_is_lost_is_found_by_looking(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(fanout, "LOOK_SECONDS_QUIET", 0.2)
    monkeypatch.setattr("dinsight.news.NOTIFY", text("SELECT :ids"))

    async def story(made: Fanout) -> None:
        reader = Reader(made, world)
        await reader.next()
        await asyncio.to_thread(world.send, 4)
        await reader.until(4)

    world.watched(story)


def test_a_connection_that_is_killed_is_made_again(world: World) -> None:
    """All that the database says is lost: the viewers read from their cursors."""

    async def story(made: Fanout) -> None:
        reader = Reader(made, world)
        await reader.next()
        for count in (1, 2):
            await asyncio.to_thread(kill_listeners, world)
            await asyncio.to_thread(world.send, 3)
            await reader.until(3 * count)
        assert reader.seqs == [1, 2, 3, 4, 5, 6]

    world.watched(story)


def kill_listeners(world: World) -> None:
    """End the connection that listens, once there is one."""
    kill = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )

    def killed() -> bool:
        with world.services.database.engine.connect() as connection:
            return connection.scalar(text(kill)) == 1

    assert eventually(killed)


def test_a_baseline_that_is_deleted_ends_its_viewers(world: World) -> None:
    async def story(made: Fanout) -> None:
        readers = [Reader(made, world) for _ in range(3)]
        await asyncio.gather(*(reader.next() for reader in readers))
        waiting = [asyncio.create_task(reader.viewer.next()) for reader in readers]
        await asyncio.to_thread(remove, world)
        for task in waiting:
            with pytest.raises(BaselineNotFound):
                await asyncio.wait_for(task, SOON)

    world.watched(story)


def remove(world: World) -> None:
    with world.services.sessions.begin() as session:
        baselines.remove(session, world.who, world.baseline_id)


def test_a_stream_that_nobody_watches_any_more_is_not_followed(world: World) -> None:
    async def story(made: Fanout) -> None:
        reader = Reader(made, world)
        await reader.next()
        tasks = len(asyncio.all_tasks())
        reader.viewer.leave()
        await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) == tasks - 1
        again = Reader(made, world)
        await again.next()
        await asyncio.to_thread(world.send, 1)
        await again.until(1)

    world.watched(story)
