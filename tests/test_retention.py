"""Retention on a real database: what is old goes, what is newer is never touched."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import OperationalError

from dinsight import baselines, feed, retention, streams
from dinsight.accounts import Identity
from dinsight.ingest import Incoming, ingest
from dinsight.models import Batch, Epoch, Point
from dinsight.retention import LOCK, Removed, Rules, Sweeper, sweep
from dinsight.services import Services
from dinsight.settings import Settings
from tests.factories import csv, healthy
from tests.postgres_kit import eventually
from tests.test_api_main_job import Api

DAY = dt.timedelta(days=1)
NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
Send = Callable[..., int]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "POINTS_A_STEP", 4)
    monkeypatch.setattr(retention, "KEYS_A_STEP", 3)
    monkeypatch.setattr(feed, "ROWS_A_READ", 5)


@pytest.fixture
def send(services: Services, user: Identity, baseline_id: int) -> Send:
    """Posts rows as they came so many days before `NOW`, in one batch; gives the last seq."""

    def post(rows: int, days_ago: float = 0, key: str | None = None) -> int:
        now = NOW - days_ago * DAY
        incoming = Incoming(csv(healthy(rows)), "x.csv", key=key)
        with services.sessions.begin() as session:
            answer = ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)
            session.execute(update(Batch).where(Batch.key == key).values(created_at=now))
        return int(answer["last_seq"])

    return post


def reset(services: Services, user: Identity, baseline_id: int, days_ago: float = 0) -> None:
    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=NOW - days_ago * DAY)


def kept(services: Services, epoch: int = 1) -> list[int]:
    with services.sessions() as session:
        query = select(Point.seq).where(Point.epoch == epoch).order_by(Point.seq)
        return list(session.scalars(query))


def with_readings(services: Services) -> list[int]:
    with services.sessions() as session:
        query = select(Point.seq).where(Point.features.is_not(None)).order_by(Point.seq)
        return list(session.scalars(query))


def test_without_a_rule_nothing_goes(services: Services, send: Send) -> None:
    send(3, days_ago=9_000)
    assert not Rules.of(Settings())
    assert not sweep(services.sessions, Rules(), NOW)
    assert kept(services) == [1, 2, 3]


def test_points_older_than_the_days_go_and_the_counters_stay(
    services: Services, send: Send, user: Identity, baseline_id: int
) -> None:
    send(10, days_ago=8)
    send(3, days_ago=6)
    rules = Rules.of(Settings(retention_days=7))
    assert sweep(services.sessions, rules, NOW) == Removed(points=10)
    assert kept(services) == [11, 12, 13]
    assert not sweep(services.sessions, rules, NOW)
    assert send(1) == 14
    with services.sessions() as session:
        found = streams.find(session, user, baseline_id, "default")
    assert (found.next_seq, found.epoch) == (15, 1)


def test_the_newest_points_of_every_epoch_are_kept(
    services: Services, send: Send, user: Identity, baseline_id: int
) -> None:
    send(10)
    reset(services, user, baseline_id)
    send(7)
    rules = Rules.of(Settings(retention_points=5))
    assert sweep(services.sessions, rules, NOW) == Removed(points=7)
    assert kept(services, 1) == [6, 7, 8, 9, 10]
    assert kept(services, 2) == [3, 4, 5, 6, 7]


def test_readings_go_and_places_stay(services: Services, send: Send) -> None:
    send(6, days_ago=3)
    send(2, days_ago=1)
    rules = Rules.of(Settings(retention_features_days=2))
    assert sweep(services.sessions, rules, NOW) == Removed(readings=6)
    assert not sweep(services.sessions, rules, NOW)
    assert kept(services) == list(range(1, 9))
    assert with_readings(services) == [7, 8]


def test_all_rules_together(services: Services, send: Send) -> None:
    for day in range(20, 0, -1):
        send(2, days_ago=day - 0.5)
    rules = Rules(age=10 * DAY, points=15, readings_age=4 * DAY)
    assert sweep(services.sessions, rules, NOW) == Removed(points=25, readings=7)
    assert kept(services) == list(range(26, 41))
    assert with_readings(services) == list(range(33, 41))


def test_a_clock_that_was_wrong_takes_nothing_that_is_newer(services: Services, send: Send) -> None:
    send(2, days_ago=1)
    send(3, days_ago=9_000)  # a clock that fell back
    send(2)
    assert not sweep(services.sessions, Rules(age=7 * DAY), NOW)
    assert kept(services) == list(range(1, 8))


def test_an_archived_epoch_of_which_nothing_is_left_goes_with_its_keys(
    services: Services, send: Send, user: Identity, baseline_id: int
) -> None:
    for number in range(7):
        send(1, days_ago=9, key=f"batch {number}")
    reset(services, user, baseline_id, days_ago=8)
    send(1, days_ago=8, key="of the present epoch")
    sweep(services.sessions, Rules(age=10 * DAY), NOW)
    with services.sessions() as session:
        assert session.scalars(select(Epoch.epoch).order_by(Epoch.epoch)).all() == [1, 2]
        assert session.scalar(select(func.count()).select_from(Batch)) == 8
    removed = sweep(services.sessions, Rules(age=7 * DAY), NOW)
    assert removed == Removed(points=8, keys=8, epochs=1)
    with services.sessions() as session:
        assert session.scalars(select(Epoch.epoch)).all() == [2]
        assert session.scalars(select(Batch.key)).all() == []
    assert send(1) == 2  # the stream goes on


def test_a_key_outlives_its_points_for_those_who_repeat_a_batch(
    services: Services, send: Send
) -> None:
    send(2, days_ago=0.5, key="repeated")
    send(9)
    sweep(services.sessions, Rules(points=3), NOW)
    assert kept(services) == [9, 10, 11]
    assert send(2, days_ago=0.5, key="repeated") == 2  # the answer of then
    assert sweep(services.sessions, Rules(points=3), NOW + DAY).keys == 1


def test_one_instance_at_a_time(services: Services, send: Send) -> None:
    send(5, days_ago=9)
    with services.sessions() as other:
        other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        assert not sweep(services.sessions, Rules(age=DAY), NOW)
    assert sweep(services.sessions, Rules(age=DAY), NOW).points == 5


def test_a_sweep_ends_between_steps_and_goes_on_later(services: Services, send: Send) -> None:
    send(10, days_ago=9)
    steps = iter([True, True, False])
    removed = sweep(services.sessions, Rules(age=DAY), NOW, lambda: next(steps))
    assert (removed.points, kept(services)) == (8, [9, 10])
    assert sweep(services.sessions, Rules(age=DAY), NOW).points == 2


def test_readers_by_cursor_go_on_where_the_points_now_begin(
    services: Services, send: Send, user: Identity, baseline_id: int
) -> None:
    send(10, days_ago=9)
    send(6)
    sweep(services.sessions, Rules(age=DAY), NOW)
    me = (user, baseline_id, "default")
    with services.sessions() as session:

        def delta(after: feed.Cursor | None, limit: int = 100) -> feed.Delta:
            return feed.delta(session, *me, after, limit=limit, now=NOW)

        behind = delta(feed.Cursor(1, 3))
        assert (behind.first, len(behind.x), str(behind.cursor)) == (11, 6, "1:16")
        assert (delta(None).first, len(delta(None).x)) == (11, 6)
        assert delta(feed.Cursor(1, 3), limit=2).cursor == feed.Cursor(1, 12)
        paged = feed.after(session, *me, feed.Cursor(1, 3), limit=4)
        assert [point["seq"] for point in paged["points"]] == [11, 12, 13, 14]
        assert (paged["next"], paged["total"]) == ("1:14", 16)
        newest = feed.latest(session, *me, limit=4, offset=4)
        assert [point["seq"] for point in newest["points"]] == [12, 11]
        assert (newest["next"], newest["total"]) == (None, 16)
        rows = [
            row["process_order"] for row in feed.rows(session, *me, start=0, limit=4, values=True)
        ]
        assert rows == [11, 12, 13, 14]


def test_a_stream_of_which_nothing_is_left_can_be_read(
    services: Services, send: Send, user: Identity, baseline_id: int
) -> None:
    send(10, days_ago=9)
    sweep(services.sessions, Rules(age=DAY), NOW)
    me = (user, baseline_id, "default")
    with services.sessions() as session:
        found = feed.delta(session, *me, feed.Cursor(1, 3), limit=5, now=NOW)
        assert (len(found.x), found.cursor) == (0, feed.Cursor(1, 10))
        assert list(feed.rows(session, *me, start=0, limit=None, values=True)) == []
        assert feed.latest(session, *me, limit=5, offset=0)["next"] is None


def test_points_without_readings_are_read_and_their_explanation_is_refused_in_words(
    services: Services, send: Send, client: FlaskClient, user: Identity, baseline_id: int
) -> None:
    send(2, days_ago=9)
    send(1)
    sweep(services.sessions, Rules(readings_age=DAY), NOW)
    api = Api(client, user.email)
    points = api("GET", f"/monitor/{baseline_id}").json
    assert [len(point["monitor_values"]) for point in points] == [0, 0, 12]
    assert all(isinstance(point["dinsight_x"], float) for point in points)
    refused = api("GET", f"/monitor/{baseline_id}/points/1/explain")
    assert (refused.status_code, refused.json["error"]["code"]) == (410, "READINGS_REMOVED")
    assert "DINSIGHT_RETENTION_FEATURES_DAYS" in refused.json["message"]
    assert api("GET", f"/monitor/{baseline_id}/points/3/explain").status_code == 200
    gone = Rules(age=DAY)
    sweep(services.sessions, gone, NOW)
    assert api("GET", f"/monitor/{baseline_id}/points/1/explain").status_code == 404


def test_it_runs_while_points_come_and_go_out_and_loses_nothing_newer(
    services: Services, send: Send, user: Identity, baseline_id: int
) -> None:
    """Two writers, two readers by cursor and two instances that sweep, all at once."""
    done = threading.Event()
    keep = 30
    me = (user, baseline_id, "default")

    def write(_: int) -> None:
        for _ in range(40):
            send(3)

    def read() -> list[int]:
        cursor, seen = feed.Cursor(1, 0), []
        while True:
            ended = done.is_set()
            with services.sessions() as session:
                found = feed.delta(session, *me, cursor, limit=7, now=NOW)
            seen += range(found.first, found.first + len(found.x))
            if ended and found.cursor == cursor:
                return seen
            cursor = found.cursor

    def stream() -> None:
        while not done.is_set():
            with services.sessions() as session:
                rows = feed.rows(session, *me, start=0, limit=None, values=True)
                orders = [row["process_order"] for row in rows]
            assert orders == sorted(set(orders))

    def remove() -> int:
        total = 0
        while not done.is_set():
            total += sweep(services.sessions, Rules(points=keep), NOW).points
        return total

    with ThreadPoolExecutor(7) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        others = [pool.submit(stream)]
        sweepers = [pool.submit(remove) for _ in range(2)]
        try:
            list(pool.map(write, range(2)))
        finally:
            done.set()
        for reader in readers:
            seen = reader.result(60)
            assert seen == sorted(set(seen))
            assert seen[-keep:] == list(range(241 - keep, 241))
        for other in others:
            other.result(60)
        removed = sum(sweeper.result(60) for sweeper in sweepers)
    removed += sweep(services.sessions, Rules(points=keep), NOW).points
    assert removed == 240 - keep
    assert kept(services) == list(range(241 - keep, 241))


def test_a_baseline_is_deleted_while_its_points_are_removed(
    services: Services, send: Send, user: Identity, baseline_id: int
) -> None:
    send(400, days_ago=9)
    started = threading.Event()

    def go_on() -> bool:
        started.set()
        return True

    with ThreadPoolExecutor(1) as pool:
        sweeping = pool.submit(sweep, services.sessions, Rules(age=DAY), NOW, go_on)
        started.wait(10)
        with services.sessions.begin() as session:
            baselines.remove(session, user, baseline_id)
        assert sweeping.result(30).points <= 400
    with services.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Point)) == 0


def test_the_sweeper_runs_by_itself_and_stops(services: Services, send: Send) -> None:
    send(10, days_ago=10_000)
    sweeper = Sweeper(services.database, Rules(age=9_000 * DAY))
    sweeper.start()
    try:
        assert eventually(lambda: kept(services) == [], 20)
    finally:
        sweeper.stop()
    assert not sweeper._thread.is_alive()
    idle = Sweeper(services.database, Rules())
    idle.start()
    assert not idle._thread.is_alive()
    idle.stop()


def test_a_sweeper_outlives_an_outage(
    services: Services, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SWEEP_SECONDS", 0.05)
    send(3, days_ago=10_000)
    failures = iter([True, True])
    real = services.database.sessions

    class Failing:
        def __call__(self) -> object:
            if next(failures, False):
                raise OperationalError("SELECT 1", {}, Exception("gone"))
            return real()

        begin = staticmethod(real.begin)

    database = dataclasses.replace(services.database, sessions=Failing())  # type: ignore[arg-type]
    sweeper = Sweeper(database, Rules(age=9_000 * DAY))
    sweeper.start()
    try:
        assert eventually(lambda: kept(services) == [], 20)
    finally:
        sweeper.stop()
