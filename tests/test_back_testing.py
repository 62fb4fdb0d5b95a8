"""A rule tried on a stored epoch: the same alerts that it would have raised live."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dinsight import back_testing, baselines
from dinsight.accounts import Identity
from dinsight.back_testing import Wish
from dinsight.errors import (
    BackTestNotFound,
    BackTestsWaiting,
    BaselineNotFound,
    EpochNotFound,
    InvalidRequest,
    StreamNotFound,
)
from dinsight.services import Services
from tests.alerts_kit import Plant
from tests.factories import failing, healthy
from tests.postgres_kit import eventually

RULE = {"kind": "score", "score": 0.9, "needed": 2, "window": 3}


@pytest.fixture
def plant(services: Services, user: Identity, baseline_id: int) -> Plant:
    return Plant(services, user, baseline_id)


def ask(plant: Plant, who: Identity | None = None, **wish: Any) -> Any:
    wanted = Wish(**{"stream": "default", "rule": RULE, **wish})
    with plant.services.sessions.begin() as session:
        return back_testing.ask(session, who or plant.who, plant.baseline_id, wanted)


def get(plant: Plant, number: int, who: Identity | None = None) -> Any:
    with plant.services.sessions() as session:
        return back_testing.get(session, who or plant.who, number)


def ended(plant: Plant, number: int) -> Any:
    plant.services.jobs.wake()
    assert eventually(lambda: get(plant, number)["status"] in {"completed", "failed"}, 60)
    return get(plant, number)


def send_a_night(plant: Plant, stream: str = "default") -> None:
    for values in (healthy(30), failing(9), healthy(40, 3), failing(3, 5), healthy(20, 6)):
        plant.send(values, stream, after=400.0)


def test_it_finds_what_the_rule_raises_live(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(back_testing, "PIECE", 7)
    plant.rule(name="Live", **{**RULE, "level": None})
    send_a_night(plant)
    live = sorted(
        (a["opened_seq"], a["cleared_seq"], a["times"], pytest.approx(a["peak"], rel=0.011))
        for a in plant.alerts()
        if a["title"] == "Live"
    )
    plant.services.jobs.start()
    done = ended(plant, ask(plant)["id"])
    assert (done["status"], done["progress"]) == ("completed", 100)
    found = [
        (a["opened_seq"], a["cleared_seq"], a["times"], a["peak"]) for a in done["result"]["listed"]
    ]
    assert found and found == live
    assert done["result"]["live"]["alerts"] == len(plant.alerts())
    assert done["result"]["sentence"].startswith("This rule would have alarmed")


def test_scores_of_any_size_are_told_as_numbers(plant: Plant) -> None:
    values = failing(9)
    values[:, 4] = 1e30
    plant.send(values)
    plant.services.jobs.start()
    (listed,) = ended(plant, ask(plant)["id"])["result"]["listed"]
    assert (type(listed["peak"]), listed["peak"] > 2**64) == (float, True)


def test_an_earlier_epoch_and_another_sensitivity_can_be_tried(plant: Plant) -> None:
    send_a_night(plant)
    plant.reset()
    plant.send(healthy(5))
    plant.services.jobs.start()
    level = {"kind": "level", "level": "alarm"}
    dull, keen = (
        ended(plant, ask(plant, rule=level, epoch=1, factor=factor)["id"]) for factor in (0.5, 5)
    )
    assert dull["sensitivity_factor"] == 0.5
    assert keen["result"]["rows"] == dull["result"]["rows"] == 102
    assert keen["result"]["share"] >= dull["result"]["share"]
    present = ended(plant, ask(plant, rule=level)["id"])
    assert (present["epoch"], present["result"]["rows"]) == (2, 5)
    with pytest.raises(EpochNotFound):
        ask(plant, epoch=9)


def test_what_cannot_be_tried_is_refused_with_the_reason(plant: Plant) -> None:
    plant.send(healthy(3))
    with pytest.raises(InvalidRequest, match="Only rules about the level or the score"):
        ask(plant, rule={"kind": "stale"})
    with pytest.raises(InvalidRequest, match="score must say"):
        ask(plant, rule={"kind": "score"})
    with pytest.raises(StreamNotFound):
        ask(plant, stream="never")


def test_the_same_question_is_asked_once_and_only_so_many_wait(plant: Plant) -> None:
    plant.send(healthy(3))
    first = ask(plant)
    assert ask(plant)["id"] == first["id"]
    for score in (0.1, 0.2, 0.3, 0.4):
        ask(plant, rule=RULE | {"score": score})
    with pytest.raises(BackTestsWaiting):
        ask(plant, rule=RULE | {"score": 0.5})
    with plant.services.sessions.begin() as session:
        back_testing.remove(session, plant.who, first["id"])
    ask(plant, rule=RULE | {"score": 0.5})


def test_one_that_is_deleted_meanwhile_is_nothing_to_the_others(plant: Plant) -> None:
    plant.send(np.concatenate([healthy(3), failing(9)]))
    first, second = ask(plant), ask(plant, rule=RULE | {"score": 0.5})
    with plant.services.sessions.begin() as session:
        back_testing.remove(session, plant.who, first["id"])
    plant.services.jobs.start()
    assert ended(plant, second["id"])["status"] == "completed"
    with pytest.raises(BackTestNotFound):
        get(plant, first["id"])
    with plant.services.sessions.begin() as session:
        baselines.remove(session, plant.who, plant.baseline_id)


def test_nobody_tries_or_sees_what_is_anothers(plant: Plant, other: Identity) -> None:
    plant.send(healthy(3))
    number = ask(plant)["id"]
    with pytest.raises(BaselineNotFound):
        ask(plant, who=other)
    with pytest.raises(BackTestNotFound):
        get(plant, number, who=other)
    with plant.services.sessions.begin() as session, pytest.raises(BackTestNotFound):
        back_testing.remove(session, other, number)
    with plant.services.sessions() as session, pytest.raises(BaselineNotFound):
        back_testing.list_all(session, other, plant.baseline_id)
