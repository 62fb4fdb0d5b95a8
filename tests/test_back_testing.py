"""A rule tried on a stored epoch: the same alerts that it would have raised live."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, update

from dinsight import back_testing, baselines, fitting, packed_rows, work
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
from dinsight.models import Job, Point
from dinsight.packed_rows import Piece
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


# ---- what interrupts one ----


def hold(plant: Plant, lease: str) -> int:
    """Take the one job that waits; its number."""
    with plant.services.sessions.begin() as session:
        session.execute(update(Job).values(lease=lease))
        return session.scalars(select(Job.id)).one()


def perform(plant: Plant, job_id: int, lease: str) -> None:
    work.perform(plant.services.sessions, job_id, lease, plant.services.limits)


def jobs(plant: Plant) -> int:
    with plant.services.sessions() as session:
        return session.scalars(select(func.count()).select_from(Job)).one()


def in_the_middle(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do so once, when a few of the points have been read."""
    whole = packed_rows.pieces
    acts = [act]

    def slowly(sessions: Any, stretch: Any, _: int) -> Iterator[Piece]:
        for number, piece in enumerate(whole(sessions, stretch, 30)):
            if number == 1 and acts:
                acts.pop()()
            yield piece

    monkeypatch.setattr(packed_rows, "pieces", slowly)


def test_one_whose_instance_died_in_the_middle_is_taken_over(plant: Plant) -> None:
    send_a_night(plant)
    number = ask(plant)["id"]
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    with plant.services.sessions.begin() as session:
        dead = {"lease": "a dead instance", "lease_until": past, "attempts": 1}
        session.execute(update(Job).values(**dead))
        back_testing._tell(session, number, status="processing", progress=40)
    plant.services.jobs.start()
    done = ended(plant, number)
    assert (done["status"], done["progress"], done["result"]["rows"]) == ("completed", 100, 102)
    assert jobs(plant) == 0


def test_one_that_is_taken_over_in_the_middle_ends_and_leaves_what_the_other_stored(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_a_night(plant)
    number = ask(plant)["id"]
    job_id = hold(plant, "mine")
    taken: list[Any] = []

    def take_over() -> None:
        hold(plant, "somebody else's")
        perform(plant, job_id, "somebody else's")
        taken.append(get(plant, number))

    in_the_middle(monkeypatch, take_over)
    perform(plant, job_id, "mine")
    assert taken[0]["status"] == "completed"
    assert get(plant, number) == taken[0]


def test_one_that_is_deleted_in_the_middle_ends_at_the_next_piece(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_a_night(plant)
    number = ask(plant)["id"]
    judged: list[int] = []
    add = back_testing.Trial.add

    def count(trial: Any, rows: Any, first: int) -> None:
        judged.append(first)
        add(trial, rows, first)

    def delete() -> None:
        with plant.services.sessions.begin() as session:
            back_testing.remove(session, plant.who, number)

    monkeypatch.setattr(back_testing.Trial, "add", count)
    in_the_middle(monkeypatch, delete)
    perform(plant, hold(plant, "mine"), "mine")
    assert judged == [1, 31]
    with pytest.raises(BackTestNotFound):
        get(plant, number)


def test_one_that_always_dies_is_given_up_with_the_reason(plant: Plant) -> None:
    send_a_night(plant)
    number = ask(plant)["id"]
    with plant.services.sessions.begin() as session:
        session.execute(update(Job).values(attempts=3))
    plant.services.jobs.start()
    done = ended(plant, number)
    assert done["status"] == "failed"
    assert "The trial ended unexpectedly three times" in done["error_message"]
    assert jobs(plant) == 0


def test_one_that_lost_its_lease_stores_no_failure(plant: Plant) -> None:
    send_a_night(plant)
    number = ask(plant)["id"]
    job_id = hold(plant, "somebody else's")
    with plant.services.sessions.begin() as session, pytest.raises(fitting.LeaseLost):
        work.give_up(session, job_id, "mine", plant.baseline_id, "It died.")
    assert get(plant, number)["status"] == "waiting"


def test_packed_points_are_those_that_were_stored(plant: Plant) -> None:
    send_a_night(plant)
    with plant.services.sessions() as session:
        stored = session.execute(
            select(Point.seq, Point.received_at, Point.score, Point.level, Point.x, Point.y)
            .where(Point.epoch == 1)
            .order_by(Point.seq)
        ).all()
        stream_id = session.scalars(select(Point.stream_id)).first() or 0
    stretch = packed_rows.Stretch(stream_id, epoch=1, first=1, stop=103)
    read = [
        (piece.first + row, *(column[row] for column in columns))
        for piece in packed_rows.pieces(plant.services.sessions, stretch, 40)
        for columns in [(piece.at, piece.score, piece.level, piece.x, piece.y)]
        for row in range(len(piece.at))
    ]
    assert read == [(seq, at.timestamp(), *rest) for seq, at, *rest in stored]
    assert len(read) == 102
