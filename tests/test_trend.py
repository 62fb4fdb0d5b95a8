"""The score trend: buckets that hide nothing, episodes, and reading only what is new."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, event, insert, update

from dinsight import streams, trend
from dinsight.accounts import Identity
from dinsight.models import Epoch, Point, Stream
from dinsight.services import Services
from dinsight.streams import Found
from dinsight.trend import Buckets, Episode, Trend

BEGAN = dt.datetime(2026, 3, 1, 14, 2, tzinfo=dt.UTC)
Store = Callable[..., None]
Read = Callable[..., Trend]


@pytest.fixture
def found(services: Services, user: Identity, baseline_id: int) -> Callable[[], Found]:
    def look() -> Found:
        with services.sessions.begin() as session:
            return streams.find(session, user, baseline_id, "default")

    return look


@pytest.fixture
def store(services: Services, found: Callable[[], Found]) -> Store:
    """Stores points of these scores and levels after those that are there, one a second."""

    def add(scores: Any, levels: Any = None) -> None:
        stream = found()
        levels = np.zeros(len(scores), int) if levels is None else levels
        with services.sessions.begin() as session:
            session.execute(
                insert(Point),
                [
                    point(stream, stream.next_seq + i, float(score), int(level))
                    for i, (score, level) in enumerate(zip(scores, levels, strict=True))
                ],
            )
            moved = update(Stream).where(Stream.id == stream.id)
            session.execute(moved.values(next_seq=stream.next_seq + len(scores)))

    return add


def point(stream: Found, seq: int, score: float, level: int) -> dict[str, Any]:
    place = {"stream_id": stream.id, "epoch": stream.epoch, "seq": seq, "x": 0.0, "y": 0.0}
    told = {"score": score, "level": level, "source": "b.csv", "metadata_": {}, "features": b""}
    return place | told | {"received_at": BEGAN + dt.timedelta(seconds=seq)}


@pytest.fixture
def read(services: Services, found: Callable[[], Found]) -> Read:
    def look(**more: Any) -> Trend:
        with services.sessions() as session:
            return trend.of_stream(session, found(), **more)

    return look


def one_by_one(scores: Any, levels: Any) -> Buckets:
    return Buckets.of(
        (seq - 1, score, score, seq, level, float(seq))
        for seq, (score, level) in enumerate(zip(scores, levels, strict=True), start=1)
    )


@given(st.lists(st.tuples(st.floats(0, 1e6, width=32), st.integers(0, 2)), min_size=1, max_size=80))
def test_no_bucket_hides_a_peak_or_an_alarm(rows: list[tuple[float, int]]) -> None:
    scores, levels = (list(column) for column in zip(*rows, strict=True))
    wide = one_by_one(scores, levels).doubled().doubled().doubled()
    for bucket, start in enumerate(range(0, len(rows), 8)):
        part, worst = scores[start : start + 8], levels[start : start + 8]
        assert (wide.low[bucket], wide.high[bucket]) == (min(part), max(part))
        assert wide.peak[bucket] == start + 1 + part.index(max(part))
        assert (wide.level[bucket], wide.at[bucket]) == (max(worst), start + 1)


@pytest.mark.parametrize("steps", [[1_500], [1, 1_499], [700, 1, 799], [599, 1, 1, 899]])
def test_what_is_read_in_steps_is_what_is_read_at_once(
    store: Store, read: Read, monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    monkeypatch.setattr(trend, "PIECE", 37)
    random = np.random.default_rng(4)
    scores = random.lognormal(size=1_500).astype(np.float32)
    levels = np.repeat(random.integers(0, 3, 150), 10)
    at = 0
    for count in steps:
        store(scores[at : at + count], levels[at : at + count])
        read()
        at += count
    told = read()

    assert (told.last, told.width, len(told.buckets)) == (1_500, 4, 375)
    whole = one_by_one(scores, levels).doubled().doubled()
    for column, expected in zip(told.buckets.columns()[:5], whole.columns()[:5], strict=True):
        assert np.array_equal(column, expected)
    assert [episode_of(each) for each in told.episodes] == runs(levels)[-trend.MOST_EPISODES :]
    for each in told.episodes:
        inside = scores[each.first - 1 : each.last]
        assert (each.peak, each.peak_seq) == (inside.max(), each.first + int(inside.argmax()))


def episode_of(each: Episode) -> tuple[int, int, int]:
    return each.level, each.first, each.last


def runs(levels: Any) -> list[tuple[int, int, int]]:
    """Level, first and last seq of what is not healthy, one by one."""
    found: list[tuple[int, int, int]] = []
    for seq, level in enumerate(map(int, levels), start=1):
        if found and found[-1][0] == level and found[-1][2] == seq - 1:
            found[-1] = (level, found[-1][1], seq)
        elif level:
            found.append((level, seq, seq))
    return found


def test_the_present_episode_says_since_when_and_its_peak(store: Store, read: Read) -> None:
    store([0.4] * 5, [0] * 5)
    assert read().present is None
    store([0.9, 0.9, 1.2, 3.5, 2.0], [1, 1, 2, 2, 2])
    store([1.5, 1.4], [2, 2])
    found = read().present
    assert found == Episode(
        *(2, 8, 12),
        *(BEGAN + dt.timedelta(seconds=8), BEGAN + dt.timedelta(seconds=12)),
        *(3.5, 9),
    )
    store([0.3], [0])
    told = read()
    assert told.present is None
    assert [each.level for each in told.episodes] == [1, 2]


def test_only_what_is_new_is_read(
    services: Services, store: Store, read: Read, found: Callable[[], Found]
) -> None:
    store(np.full(900, 0.5))
    read()
    store([0.6] * 3)
    asked: list[Any] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *more: Any) -> None:
        if "points.score" in statement:
            asked.append({parameters[name] for name in parameters if "seq" in name})

    event.listen(services.database.engine, "before_cursor_execute", note)
    assert read().last == 903
    assert len(asked) == 2
    assert all({900, 903} <= values for values in asked)
    asked.clear()
    assert read().last == 903
    assert asked == []
    event.remove(services.database.engine, "before_cursor_execute", note)


def test_a_long_history_is_read_in_several_calls(store: Store, read: Read) -> None:
    store(np.full(250, 0.5))
    assert [read(most=100).last for _ in range(4)] == [100, 200, 250, 250]


def test_what_retention_took_is_gone(
    services: Services, store: Store, read: Read, found: Callable[[], Found]
) -> None:
    store([9.0] * 10 + [0.5] * 1_290, [2] * 10 + [0] * 1_290)
    assert (read().width, read().episodes[0].last) == (4, 10)
    stream = found()
    with services.sessions.begin() as session:
        session.execute(delete(Point).where(Point.stream_id == stream.id, Point.seq < 500))
        session.execute(update(Epoch).where(Epoch.stream_id == stream.id).values(points_from=500))
    told = read()
    assert (told.first, told.episodes) == (500, ())
    assert (int(told.buckets.number[0]), float(told.buckets.high.max())) == (124, 0.5)
    trend._known.clear()
    afresh = read()
    assert (afresh.first, afresh.last, afresh.width) == (500, 1_300, 2)


def test_a_reset_begins_a_trend_of_its_own(
    services: Services, user: Identity, baseline_id: int, store: Store, read: Read
) -> None:
    store([2.0] * 3, [2] * 3)
    assert len(read().buckets) == 3
    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=BEGAN)
    assert (read().last, len(read().buckets), read().present) == (0, 0, None)


def test_times_of_the_recent_points(
    services: Services, store: Store, found: Callable[[], Found]
) -> None:
    store(np.full(1_100, 0.5))
    with services.sessions() as session:
        times = trend.recent_times(session, found(), 1_100)
    assert len(times) == trend.RECENT
    assert times[-1] == (BEGAN + dt.timedelta(seconds=1_100)).timestamp() * 1000
    assert np.all(np.diff(times) == 1_000)
