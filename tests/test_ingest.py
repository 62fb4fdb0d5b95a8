"""Batches: whole or not at all, in order, once for a sender that sends a key."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from dinsight import maps, streams
from dinsight.accounts import Identity
from dinsight.errors import (
    BaselineNotFound,
    BaselineNotReady,
    ColumnsMissing,
    EpochChanged,
    InvalidReadings,
    KeyReused,
)
from dinsight.ingest import Incoming, ingest
from dinsight.models import Baseline, Batch, Point
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, csv, failing, healthy

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
Post = Callable[..., dict[str, Any]]


@pytest.fixture
def post(services: Services, user: Identity, baseline_id: int) -> Post:
    """Posts rows to the user's baseline, each call in a transaction of its own."""

    def send(values: np.ndarray, *, who: Identity = user, **more: Any) -> dict[str, Any]:
        content = more.pop("content", None) or csv(values)
        incoming = Incoming(content, more.pop("source", "batch.csv"), **more)
        with services.sessions.begin() as session:
            return ingest(session, who, baseline_id, incoming, limits=services.limits, now=NOW)

    return send


def stored(services: Services) -> list[Point]:
    with services.sessions() as session:
        order = (Point.stream_id, Point.epoch, Point.seq)
        return list(session.scalars(select(Point).order_by(*order)))


def test_a_batch_is_placed_scored_and_stored_in_order(
    services: Services, post: Post, fitted: maps.Map, baseline_id: int
) -> None:
    values = healthy(3)
    answer = post(values, content=csv(values, metadata=["a", "", "ü,"]), source="monitor_1.csv")
    placed = fitted.place(values)
    points = stored(services)
    assert [(p.epoch, p.seq, p.source, p.metadata_) for p in points] == [
        (1, 1, "monitor_1.csv", {"note": "a"}),
        (1, 2, "monitor_1.csv", {"note": ""}),
        (1, 3, "monitor_1.csv", {"note": "ü,"}),
    ]
    for number, point in enumerate(points):
        assert np.float32(point.x) == placed.x[number]
        assert np.float32(point.y) == placed.y[number]
        assert np.float32(point.score) == placed.score[number]
        with services.sessions() as session:
            features = session.scalars(select(Point.features).where(Point.seq == point.seq)).one()
        assert features == values[number].tobytes()
    assert answer == {
        "id": baseline_id,
        "stream": "default",
        "points_processed": 3,
        "first_seq": 1,
        "last_seq": 3,
        "epoch": 1,
        "control": "run",
        "anomalies": 0,
        "level": "healthy",
        "score": pytest.approx(float(placed.score[-1])),
    }


def test_order_goes_on_over_batches_and_apart_for_every_stream(post: Post) -> None:
    assert post(healthy(2))["last_seq"] == 2
    assert post(healthy(3))["first_seq"] == 3
    assert post(healthy(1), stream="night")["first_seq"] == 1


def test_a_failing_machine_comes_to_alarm(post: Post) -> None:
    assert post(healthy(20))["level"] == "healthy"
    answer = post(failing(10))
    assert (answer["level"], answer["anomalies"]) == ("alarm", 10)
    assert answer["score"] > 1


def test_levels_do_not_depend_on_how_rows_are_batched(services: Services, post: Post) -> None:
    rows = np.concatenate([healthy(5), failing(8), healthy(9, seed=3)])
    post(rows, stream="whole")
    for row in rows:
        post(row[None], stream="single")
    points = stored(services)
    whole, single = (points[: len(rows)], points[len(rows) :])
    assert [(p.x, p.y, p.score, p.level) for p in whole] == [
        (p.x, p.y, p.score, p.level) for p in single
    ]


def test_a_row_with_a_fault_refuses_the_whole_batch(services: Services, post: Post) -> None:
    content = csv(healthy(3)).replace(b"\n", b"\nx", 2)
    with pytest.raises(InvalidReadings, match=r"line 2, column f_0"):
        post(healthy(1), content=content)
    assert stored(services) == []
    assert post(healthy(1))["first_seq"] == 1


def test_missing_columns_are_named(post: Post) -> None:
    with pytest.raises(ColumnsMissing, match=r"expected 12 features, got 11; missing f_4"):
        post(healthy(1), content=csv(healthy(1)[:, :11], [f for f in FEATURES if f != "f_4"]))


def test_column_order_is_free(services: Services, post: Post) -> None:
    row = healthy(1)
    post(row)
    post(row, content=csv(row[:, ::-1], FEATURES[::-1]))
    first, second = stored(services)
    assert (first.x, first.y, first.score) == (second.x, second.y, second.score)


def test_a_baseline_row_lands_on_its_own_point(
    services: Services, post: Post, fitted: maps.Map
) -> None:
    post(BASELINE[[17, 99]])
    places = [(np.float32(p.x), np.float32(p.y)) for p in stored(services)]
    assert places == [tuple(fitted.coordinates[17]), tuple(fitted.coordinates[99])]


def test_the_same_key_and_body_are_stored_once_and_answered_alike(
    services: Services, post: Post
) -> None:
    first = post(healthy(4), key="k1")
    assert post(healthy(4), key="k1") == first
    assert len(stored(services)) == 4
    assert post(healthy(4), key="k2")["first_seq"] == 5
    assert post(healthy(4))["first_seq"] == 9


def test_a_score_beyond_every_whole_number_is_answered_alike_again(post: Post) -> None:
    rows = healthy(1)
    rows[:, 3] = 3e38
    first = post(rows, key="k1")
    again = post(rows, key="k1")
    assert first["score"] > 2.0**64
    assert (again, type(again["score"])) == (first, float)


def test_the_same_key_with_another_body_is_refused(services: Services, post: Post) -> None:
    post(healthy(4), key="k1")
    with pytest.raises(KeyReused):
        post(healthy(5), key="k1")
    assert len(stored(services)) == 4


def test_a_refused_batch_does_not_use_its_key_up(services: Services, post: Post) -> None:
    with pytest.raises(InvalidReadings):
        post(healthy(1), content=b"f_0\nx\n", key="k1")
    with services.sessions() as session:
        assert session.scalars(select(Batch)).all() == []
    assert post(healthy(1), key="k1")["first_seq"] == 1


def test_the_same_key_twice_at_once_is_stored_once(services: Services, post: Post) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(healthy(20), key="k1"), range(8)))
    assert answers == [answers[0]] * 8
    assert len(stored(services)) == 20


def test_two_senders_on_one_stream_leave_no_gap(services: Services, post: Post) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: post(healthy(1 + n % 4)), range(24)))
    spans = sorted((answer["first_seq"], answer["last_seq"]) for answer in answers)
    sequence = [seq for first, last in spans for seq in range(first, last + 1)]
    assert sequence == list(range(1, len(sequence) + 1))
    assert [point.seq for point in stored(services)] == sequence


def test_a_batch_of_an_earlier_epoch_is_refused_unless_it_was_stored_then(
    services: Services, user: Identity, post: Post, baseline_id: int
) -> None:
    first = post(healthy(2), key="k1", epoch=1)
    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=NOW)
    assert post(healthy(2), key="k1", epoch=1) == first
    with pytest.raises(EpochChanged) as refused:
        post(healthy(2), key="k2", epoch=1)
    assert refused.value.details == {"epoch": 2, "sent": 1, "reason": "reset"}
    assert post(healthy(2), key="k2", epoch=2)["first_seq"] == 1
    assert [(p.epoch, p.seq) for p in stored(services)] == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_another_users_baseline_is_not_there(post: Post, other: Identity) -> None:
    with pytest.raises(BaselineNotFound):
        post(healthy(1), who=other)


def test_an_administrator_reaches_every_baseline(post: Post, other: Identity) -> None:
    admin = Identity(other.id, other.email, "", "admin")
    assert post(healthy(1), who=admin)["first_seq"] == 1


def test_a_baseline_that_is_being_fitted_takes_no_rows(
    services: Services, post: Post, baseline_id: int
) -> None:
    with services.sessions.begin() as session:
        waiting = Baseline(owner_id=1, name="waiting", status="processing", layout=maps.DEFAULT)
        session.add(waiting)
        session.flush()
        owner = Identity(1, "", "", "admin")
        with pytest.raises(BaselineNotReady):
            incoming = Incoming(csv(healthy(1)), "x.csv")
            ingest(session, owner, waiting.id, incoming, limits=services.limits, now=NOW)
