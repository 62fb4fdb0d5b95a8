"""The callbacks of the trend and of the panel of one point, on the real database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from callbacks import point, trend
from callbacks.live import Ask
from callbacks.point import PointAsk
from dinsight import fitting, maps, mapstore, refitting, report_card
from dinsight.accounts import Identity
from dinsight.errors import InvalidRequest
from dinsight.ingest import Incoming, ingest
from dinsight.models import Audit, Baseline, FittedMap, Json, Point
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, csv, failing, healthy

Send = Callable[[np.ndarray], dict[str, Any]]


@pytest.fixture
def send(services: Services, user: Identity, baseline_id: int) -> Send:
    def post(rows: np.ndarray) -> dict[str, Any]:
        with services.sessions.begin() as session:
            incoming = Incoming(csv(rows, metadata=["night"] * len(rows)), "batch.csv")
            now = services.now()
            return ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)

    return post


def question(baseline_id: int, **more: Any) -> dict[str, Any]:
    return {"key": "1", "baseline_id": baseline_id, "stream": "default", **more}


def looked(services: Services, who: Identity, baseline_id: int) -> dict[str, Any] | None:
    return trend.looked(services, who, Ask.parse(question(baseline_id)))


def told(services: Services, who: Identity, baseline_id: int, **more: Any) -> Json:
    asked = question(baseline_id, **{"epoch": 1, "seq": 1, "theme": "dark", **more})
    return point.told(services, who, PointAsk.parse(asked))


def test_trend_tells_limits_buckets_and_since_when(
    services: Services, user: Identity, baseline_id: int, send: Send, fitted: maps.Map
) -> None:
    send(healthy(20))
    send(failing(10))
    found = looked(services, user, baseline_id)
    assert found is not None
    assert (found["key"], found["epoch"], found["last"], found["more"]) == ("1", 1, 30, False)
    assert (found["warning"], found["limit"]) == (fitted.rule.warning, 1.0)
    assert (found["width"], len(found["number"]), len(found["times"])) == (1, 30, 30)
    episode = found["episodes"][-1]
    assert (episode["level"], episode["last"]) == (2, 30)
    assert episode["began"] == found["times"][episode["first"] - 1] >= found["times"][0]


def test_anothers_trend_is_as_one_that_is_not_there(
    services: Services, other: Identity, baseline_id: int, send: Send
) -> None:
    send(healthy(3))
    assert looked(services, other, baseline_id) is None
    assert looked(services, other, 99_999) is None


def test_point_is_explained_with_its_spectrum_and_its_places(
    services: Services, user: Identity, baseline_id: int, send: Send, fitted: maps.Map
) -> None:
    row = BASELINE[29].copy()
    row[7] += 6
    send(row[None])
    answer = told(services, user, baseline_id)
    figure = answer["figure"]
    assert "associated with f_7 (higher than usual)" in answer["said"]
    assert answer["said"] in answer["top"]
    assert "f_7" in answer["rest"]
    assert "night" in answer["rest"]
    (drawn,) = [each for each in figure["data"] if each["name"] == "This point"]
    assert np.array_equal(np.float32(drawn["y"]), row)
    assert figure["layout"]["shapes"][0]["x0"] == 6.5
    place = fitted.place(row[None])
    assert (answer["epoch"], answer["seq"], answer["found"]) == (1, 1, True)
    at = (np.float32(answer["x"]), np.float32(answer["y"]))
    assert at == (place.x[0], place.y[0])
    near = answer["nearest"]
    assert [near["x"], near["y"]] == [float(each) for each in fitted.coordinates[near["row"]]]


def test_anothers_point_is_as_one_that_is_not_there(
    services: Services, other: Identity, baseline_id: int, send: Send
) -> None:
    send(failing(1))
    theirs, nobodys = (told(services, other, number) for number in (baseline_id, 99_999))
    assert theirs == nobodys
    assert "There is no such baseline." in theirs["top"]
    with services.sessions() as session:
        noted = session.scalars(select(Audit.subject).where(Audit.user_id == other.id)).all()
    assert f"point of {baseline_id}/default" in noted


def test_point_that_is_not_there_is_said_in_a_sentence(
    services: Services, user: Identity, baseline_id: int, send: Send
) -> None:
    send(healthy(2))
    answer = told(services, user, baseline_id, seq=7)
    assert "has no point 7 in epoch 1" in answer["top"]
    assert (answer["rest"], answer["found"], "figure" in answer) == ("", False, False)


def test_removed_readings_are_said_in_a_sentence(
    services: Services, user: Identity, baseline_id: int, send: Send
) -> None:
    send(healthy(1))
    with services.sessions.begin() as session:
        session.execute(update(Point).values(features=None))
    answer = told(services, user, baseline_id)
    assert "its place, score and level remain" in answer["top"]
    assert not answer["found"]


def test_map_that_cannot_be_read_is_said_in_a_sentence(
    services: Services,
    user: Identity,
    baseline_id: int,
    send: Send,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send(failing(1))
    fitted = maps.fit(BASELINE, layout="mspc", features=FEATURES)
    made = fitting.Made(fitted, 1.0, report_card.write(fitted))
    with services.sessions.begin() as session:
        old = session.get_one(Baseline, baseline_id).map_id
        refitting.adopt(session, baseline_id, made, services.now())
        session.execute(update(FittedMap).where(FittedMap.id == old).values(format=1))
    monkeypatch.setattr(mapstore, "_cache", mapstore.MapCache())
    assert "earlier version of D'insight" in told(services, user, baseline_id)["said"]


@pytest.mark.parametrize("more", [{"seq": 0}, {"seq": "1"}, {"epoch": None}, {"seq": True}])
def test_point_must_be_named(baseline_id: int, more: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="such as 1:250"):
        PointAsk.parse(question(baseline_id, **{"epoch": 1, "seq": 1, **more}))
