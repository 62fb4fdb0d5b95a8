"""Machines at a glance: their order, their states, and since when."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from dinsight import machines, streams
from dinsight.accounts import Identity
from dinsight.ingest import Incoming, ingest
from dinsight.machines import Machine
from dinsight.models import Baseline
from dinsight.services import Services
from dinsight.status import status
from layouts import sparkline
from tests.conftest import make_user
from tests.factories import csv, failing, healthy
from tests.test_api_main_job import Api

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
Send = Callable[..., Any]


@pytest.fixture
def send(services: Services, user: Identity) -> Send:
    """Sends rows to a stream of the user's, some seconds before `NOW`."""

    def post(
        baseline_id: int, rows: np.ndarray, *, ago: float = 0, stream: str = "default"
    ) -> None:
        incoming = Incoming(csv(rows), "batch.csv", stream)
        at = NOW - dt.timedelta(seconds=ago)
        with services.sessions.begin() as session:
            ingest(session, user, baseline_id, incoming, limits=services.limits, now=at)

    return post


def seen(services: Services, who: Identity, now: dt.datetime = NOW) -> list[Machine]:
    with services.sessions() as session:
        return machines.overview(session, who, now).machines


def since(services: Services, who: Identity, baseline_id: int) -> Any:
    with services.sessions() as session:
        return status(session, who, baseline_id, "default", now=NOW)["level_since"]


# ---- order ----


def machine(name: str, state: str, **more: Any) -> Machine:
    status = {
        "level": "healthy",
        "last_update": NOW,
        "status": "streaming",
        "score": 0.5,
        "alarm_limit": 1.0,
    }
    return Machine(1, name, "default", "ada@example.com", state, status | more)


IN_ORDER = [
    machine("far over its limit", "failing", score=7.0),
    machine("over its limit", "failing", score=1.2),
    machine("over a lower limit", "deteriorating", score=0.8, alarm_limit=0.7),
    machine("below a higher one", "deteriorating", score=0.9, alarm_limit=1.5),
    machine("was failing", "unknown", level="alarm", score=9.0, status="completed"),
    machine("fell silent", "unknown"),
    machine("A", "healthy"),
    machine("B", "healthy"),
    machine("finished", "unknown", status="completed"),
    machine("never started", "unknown", last_update=None, score=None),
]


def test_the_worst_comes_first() -> None:
    for shift in range(len(IN_ORDER)):
        mixed = IN_ORDER[shift:] + IN_ORDER[:shift]
        assert machines.worst_first(reversed(mixed)) == IN_ORDER


def test_the_summary_counts_every_state() -> None:
    assert machines.summary(IN_ORDER) == {
        **{"failing": 2, "deteriorating": 2},
        **{"healthy": 2, "unknown": 4},
    }
    assert machines.summary([]) == dict.fromkeys(machines.STATES, 0)


def test_streams_are_listed_with_their_state(
    services: Services, user: Identity, make_baseline: Callable[..., int], send: Send
) -> None:
    good, bad, silent, idle = (make_baseline(user, name) for name in ("A", "B", "C", "D"))
    send(good, healthy(20))
    send(bad, failing(20))
    send(silent, failing(20), ago=3600)
    send(good, healthy(5), ago=3, stream="night shift")
    found = [(each.name, each.stream, each.state) for each in seen(services, user)]
    assert found[:2] == [("B", "default", "failing"), ("C", "default", "unknown")]
    assert sorted(found[2:4]) == [("A", "default", "healthy"), ("A", "night shift", "healthy")]
    assert found[4:] == [("D", "default", "unknown")]
    assert idle == seen(services, user)[-1].status["baseline_id"]


def test_a_slow_sender_that_is_on_time_is_not_unknown(
    services: Services, user: Identity, baseline_id: int, send: Send
) -> None:
    for ago in (900, 600, 300):
        send(baseline_id, healthy(1), ago=ago)
    assert seen(services, user)[0].state == "healthy"
    assert seen(services, user, NOW + dt.timedelta(minutes=11))[0].state == "unknown"


def test_baselines_without_a_stream_are_counted(
    services: Services, user: Identity, baseline_id: int
) -> None:
    with services.sessions.begin() as session:
        for fit in ("processing", "processing", "failed"):
            session.add(Baseline(owner_id=user.id, name="x", status=fit, layout="distance"))
    with services.sessions() as session:
        found = machines.overview(session, user, NOW)
    assert (len(found.machines), found.fitting, found.failed) == (1, 2, 1)


# ---- trends ----


def test_a_trend_is_the_newest_scores_of_the_present_epoch(
    services: Services, user: Identity, baseline_id: int, send: Send
) -> None:
    send(baseline_id, failing(30))
    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=NOW)
    send(baseline_id, healthy(130, seed=3))
    (found,) = seen(services, user)
    with services.sessions() as session:
        scores = machines.trends(session, user, [found.id])[found.id]
    assert len(scores) == machines.TREND_POINTS
    assert np.float32(scores[-1]) == np.float32(found.status["score"])
    send(baseline_id, failing(1))
    with services.sessions() as session:
        later = machines.trends(session, user, [found.id])[found.id]
    assert later[:-1] == scores[1:]
    assert later[-1] > max(scores)


def test_trends_of_anothers_streams_are_not_given(
    services: Services, user: Identity, other: Identity, baseline_id: int, send: Send
) -> None:
    send(baseline_id, healthy(3))
    (found,) = seen(services, user)
    with services.sessions() as session:
        assert machines.trends(session, other, [found.id]) == {}
    assert seen(services, other) == []


def test_a_sparkline_ends_at_the_right_and_never_leaves_its_box() -> None:
    assert sparkline.path([]) == ""
    assert sparkline.path([0.5]) == "M99 56L99 56"
    drawn = sparkline.path([number / 50 for number in range(150)])
    numbers = [int(each) for each in drawn.removeprefix("M").replace("L", " ").split()]
    assert numbers[::2] == list(range(sparkline.WIDTH + 1))
    assert numbers[1] == sparkline.height(50 / 50)
    for share in (0.0, 0.3, 1.0, 1.0001, 29.0, 1e38):
        assert 0 <= sparkline.height(share) <= sparkline.HEIGHT
    heights = [sparkline.height(share) for share in (0.2, 0.9, 1.0, 1.3, 4.0, 25.0)]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == len(heights)


def test_a_sparkline_is_told_in_words() -> None:
    assert sparkline.words([]) == "No score yet"
    assert sparkline.words([0.5]) == (
        "Score of the one point: 0.50 to 0.50 of its alarm limit, now 0.50"
    )


# ---- since when ----


def test_a_level_has_lasted_since_the_batch_that_it_began_in(
    services: Services, user: Identity, baseline_id: int, send: Send
) -> None:
    def at(ago: float) -> dt.datetime:
        return NOW - dt.timedelta(seconds=ago)

    assert since(services, user, baseline_id) is None
    send(baseline_id, healthy(5), ago=60)
    send(baseline_id, healthy(5), ago=50)
    assert since(services, user, baseline_id) == at(60)
    send(baseline_id, failing(2), ago=40)  # not long enough for an alarm
    assert since(services, user, baseline_id) == at(60)
    send(baseline_id, failing(10), ago=30)
    send(baseline_id, failing(10), ago=20)
    assert since(services, user, baseline_id) == at(30)
    send(baseline_id, np.concatenate([healthy(20), failing(10)]), ago=10)  # it was well meanwhile
    assert since(services, user, baseline_id) == at(10)
    send(baseline_id, healthy(20))
    assert since(services, user, baseline_id) == NOW


def test_a_new_epoch_begins_its_level_anew(
    services: Services, user: Identity, baseline_id: int, send: Send
) -> None:
    send(baseline_id, healthy(5), ago=60)
    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=NOW)
    assert since(services, user, baseline_id) is None
    send(baseline_id, healthy(5), ago=30)
    assert since(services, user, baseline_id) == NOW - dt.timedelta(seconds=30)


def test_a_level_that_began_before_this_was_kept_is_not_made_up(
    services: Services, user: Identity, baseline_id: int, send: Send
) -> None:
    send(baseline_id, healthy(5), ago=60)
    with services.sessions.begin() as session:
        for stream in session.query(streams.Stream):
            kept = {key: stream.level_state[key] for key in stream.level_state if key != "since"}
            stream.level_state = kept
    send(baseline_id, healthy(5), ago=30)
    assert since(services, user, baseline_id) is None
    send(baseline_id, failing(20))
    assert since(services, user, baseline_id) == NOW


# ---- the API ----


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


def test_machines_are_paged_and_counted_as_a_whole(
    api: Api, user: Identity, make_baseline: Callable[..., int]
) -> None:
    first, second, third = (make_baseline(user, name) for name in ("A", "B", "C"))
    api.post(second, csv(failing(20)))
    api.post(third, csv(healthy(20)))
    listed: list[int] = []
    offset: int | None = 0
    for _ in itertools.repeat(None, 3):
        data = api("GET", f"/machines?limit=1&offset={offset}").json["data"]
        assert data["total"] == 3
        assert data["summary"] == {"failing": 1, "deteriorating": 0, "healthy": 1, "unknown": 1}
        listed += [each["baseline_id"] for each in data["machines"]]
        offset = data["next"]
    assert (listed, offset) == ([second, third, first], None)


def test_a_machine_is_told_with_its_trend(api: Api, baseline_id: int) -> None:
    api.post(baseline_id, csv(failing(20)))
    (told,) = api("GET", "/machines").json["data"]["machines"]
    now = api("GET", f"/streaming/{baseline_id}/status").json["data"]
    shared = set(told) & set(now) - {"is_active", "stale"}
    assert {name: told[name] for name in shared} == {name: now[name] for name in shared}
    assert (told["name"], told["state"], told["owner"]) == ("Pump 7", "failing", None)
    assert told["level_since"] == told["last_update"]
    assert (len(told["trend"]), told["trend"][-1]) == (20, told["score"])
    (short,) = api("GET", "/machines?trend=0").json["data"]["machines"]
    assert set(told) - set(short) == {"trend"}


def test_an_administrator_is_told_whose_a_machine_is(
    client: FlaskClient, services: Services, user: Identity, baseline_id: int
) -> None:
    make_user(services, "boss@example.com", role="admin")
    (told,) = Api(client, "boss@example.com")("GET", "/machines").json["data"]["machines"]
    assert (told["baseline_id"], told["owner"]) == (baseline_id, user.email)
