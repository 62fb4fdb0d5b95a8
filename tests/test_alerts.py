"""Alerts of a stream: raised, cleared and counted in the transaction that stores its rows."""

from __future__ import annotations

import datetime as dt
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from api import answers
from dinsight import candidates, maps
from dinsight.accounts import Identity
from dinsight.alerts import acting, listing, stale
from dinsight.errors import AlertNotFound, ColumnsMissing, InvalidRequest
from dinsight.exporting import alerts as exporting
from dinsight.services import Services
from tests.alerts_kit import NOW, Plant
from tests.factories import failing, healthy


@pytest.fixture
def plant(services: Services, user: Identity, baseline_id: int) -> Plant:
    return Plant(services, user, baseline_id)


def short(alert: dict[str, Any]) -> tuple[Any, ...]:
    return alert["title"], alert["condition"], alert["opened_seq"], alert["cleared_seq"]


def test_a_healthy_machine_raises_nothing_and_keeps_nothing(plant: Plant) -> None:
    plant.send(healthy(40))
    assert (plant.alerts(), plant.told()) == ([], {})


def test_a_machine_in_alarm_raises_one_alert_that_says_why(plant: Plant, fitted: maps.Map) -> None:
    plant.send(healthy(10))
    plant.send(failing(12))
    (alert,) = plant.alerts()
    scores = fitted.place(failing(12)).score
    assert short(alert) == ("Failing", "active", 15, None)  # at the fifth row above the limit
    assert alert["alert_type"] == "anomaly" and alert["severity"] == "high"
    assert alert["score"] == pytest.approx(float(scores[4]))
    assert alert["peak"] == pytest.approx(float(scores[4:].max()))
    assert alert["peak_seq"] == 15 + int(scores[4:].argmax())
    assert {each["first_feature"] for each in alert["drivers"]} >= {"f_2", "f_9"}
    assert "times the alarm limit, associated with" in alert["message"]
    assert alert["opened_at"] == NOW + dt.timedelta(seconds=2)
    assert alert["link"].endswith("&stream=default&epoch=1&at=15")
    assert plant.told()["told"]["active"] == plant.told()["told"]["unacknowledged"] == 1


def test_numbers_of_any_size_are_told_as_numbers(plant: Plant) -> None:
    values = failing(8)
    values[3:, 4] = 1e30
    plant.send(values)
    plant.send(healthy(3))
    plant.send(values)
    (alert,) = plant.alerts()
    one = plant.alert(alert["id"])
    assert b"e+" in answers.dumps(alert) and answers.dumps(one)
    told = [*alert["drivers"], *(event["details"] for event in one["events"])]
    numbers = [each[name] for each in told for name in ("share", "z", "score") if name in each]
    assert {type(number) for number in numbers} == {float} and max(numbers) > 2**64
    assert list(
        exporting.written(plant.services.sessions, plant.who, listing.Wish(), "jsonl", now=NOW)
    )


def test_it_is_cleared_when_the_level_is_left_and_stays_until_somebody_has_seen_it(
    plant: Plant,
) -> None:
    plant.send(failing(8))
    plant.send(healthy(3))
    (alert,) = plant.alerts()
    assert short(alert) == ("Failing", "cleared", 5, 9)
    assert (alert["status"], alert["acknowledged_at"]) == ("active", None)
    told = plant.told()["told"]
    assert (told["active"], told["unacknowledged"], told["open"]) == (0, 1, 1)
    plant.now += dt.timedelta(days=40)
    assert [a["id"] for a in plant.alerts(since=plant.now)] == [alert["id"]]
    done = plant.do(acting.acknowledge, alert["id"], "bearing looks dry")
    assert (done["status"], done["note"]) == ("resolved", "bearing looks dry")
    assert done["acknowledged_by"] == plant.who.email
    assert done["resolved_at"] == plant.now
    assert plant.alerts(since=plant.now) == []
    assert plant.told()["told"]["unacknowledged"] == plant.told()["told"]["open"] == 0


def test_batches_raise_the_same_alerts_however_they_are_cut(
    services: Services, plant: Plant
) -> None:
    plant.rule(name="Two of three", kind="score", level=None, score=0.8, needed=2, window=3)
    values = np.concatenate(
        [healthy(9), failing(7), healthy(4, 3), failing(6, 5), healthy(8, 9), failing(2, 6)]
    )
    for name, size in (("whole", len(values)), ("ones", 1), ("threes", 3), ("tens", 10)):
        for start in range(0, len(values), size):
            plant.send(values[start : start + size], name, after=0.0)
    by_stream = {
        name: [
            (*short(a), a["times"], a["score"], a["peak"] if a["cleared_seq"] else None)
            for a in sorted(plant.alerts(stream=name), key=lambda a: (a["title"], a["opened_seq"]))
        ]
        for name in ("whole", "ones", "threes", "tens")
    }
    assert len(by_stream["whole"]) >= 2
    for a, b in itertools.pairwise(by_stream.values()):
        assert a == b


def test_what_flickers_is_one_alert_that_came_so_many_times(plant: Plant) -> None:
    for _ in range(3):
        plant.send(failing(6))
        plant.send(healthy(2))
    (alert,) = plant.alerts()
    assert (alert["times"], alert["condition"]) == (3, "cleared")
    kinds = [event["kind"] for event in plant.alert(alert["id"])["events"]]
    assert kinds == ["raised", "cleared", "raised_again", "cleared", "raised_again", "cleared"]
    plant.send(failing(6), after=700.0)
    assert [a["times"] for a in plant.alerts()] == [1, 3]


def test_a_rolled_back_batch_leaves_no_alert(
    services: Services, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dinsight import ingest as module

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(module, "_copy_points", fail)
        with pytest.raises(RuntimeError):
            plant.send(failing(9))
    assert (plant.alerts(), plant.told()) == ([], {})
    plant.send(failing(9))
    assert len(plant.alerts()) == 1


def test_never_more_than_one_active_alert_of_a_rule_and_stream(plant: Plant) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: plant.send(failing(6, seed)), range(8)))
    (alert,) = plant.alerts()
    assert alert["condition"] == "active"


def test_resolving_by_hand_waits_until_the_rule_is_over(plant: Plant) -> None:
    plant.send(failing(8))
    (alert,) = plant.alerts()
    done = plant.do(acting.resolve, alert["id"], "known")
    assert (done["status"], done["condition"], done["cleared_seq"]) == ("resolved", "cleared", 9)
    plant.send(failing(8))
    assert len(plant.alerts()) == 1
    plant.send(healthy(2))
    plant.send(failing(8))
    assert [a["condition"] for a in plant.alerts()] == ["active", "cleared"]


def test_a_shelf_holds_what_the_rule_raises_until_it_ends(plant: Plant) -> None:
    plant.send(failing(8))
    (alert,) = plant.alerts()
    until = plant.now + dt.timedelta(hours=8)
    done = plant.do(acting.shelve, alert["id"], until.isoformat())
    assert (done["shelved_until"], done["shelved_by"]) == (until, plant.who.email)
    plant.send(healthy(2))
    plant.send(failing(8), after=3600.0)
    newest = max(plant.alerts(), key=lambda a: a["id"])
    assert (newest["id"] != alert["id"], newest["shelved_until"]) == (True, until)
    plant.now = until
    assert all(a["shelved_until"] is None for a in plant.alerts())
    with pytest.raises(InvalidRequest):
        plant.do(acting.shelve, alert["id"], (plant.now + dt.timedelta(days=31)).isoformat())


def test_a_verdict_is_kept_and_counted(plant: Plant) -> None:
    plant.send(failing(8))
    (alert,) = plant.alerts()
    done = plant.do(acting.judge, alert["id"], "false_alarm", "a test run")
    assert (done["verdict"], done["verdict_by"]) == ("false_alarm", plant.who.email)
    with plant.services.sessions() as session:
        figures = listing.quality(
            session, plant.who, since=NOW, until=plant.now + dt.timedelta(seconds=1)
        )
    (rule,) = figures["rules"]
    assert (rule["rule"], rule["alerts"], rule["false_share"]) == ("Failing", 1, 1.0)
    assert figures["days"] == [{"day": "2026-05-01", "alerts": 1, "false": 1}]
    with pytest.raises(InvalidRequest):
        plant.do(acting.judge, alert["id"], "perhaps")


def test_a_reset_closes_what_is_active(plant: Plant) -> None:
    plant.send(failing(8))
    plant.reset()
    (alert,) = plant.alerts()
    assert (alert["condition"], alert["epoch"]) == ("cleared", 1)
    last = plant.alert(alert["id"])["events"][-1]
    assert (last["kind"], last["details"]) == ("closed", {"reason": "The stream was reset."})
    plant.send(failing(8))
    assert [a["epoch"] for a in plant.alerts()] == [2, 1]


def test_a_rule_that_changes_begins_anew(plant: Plant) -> None:
    plant.send(failing(8))
    rule = plant.rules()["level"]
    plant.change(rule["id"], enabled=False)
    (alert,) = plant.alerts()
    assert alert["condition"] == "cleared"
    plant.send(failing(8))
    assert len(plant.alerts()) == 1
    plant.change(rule["id"], enabled=True, needed=3, window=4)
    plant.send(failing(2))
    assert len(plant.alerts()) == 1
    plant.send(failing(1))
    assert [a["condition"] for a in plant.alerts()] == ["active", "cleared"]


def test_a_rule_that_was_off_for_a_while_remembers_nothing(plant: Plant) -> None:
    level = plant.rules()["level"]
    rule = plant.rule(kind="score", level=None, score=0.9, seconds=60, name="Sixty")
    plant.send(failing(8))
    plant.do(acting.resolve, plant.alerts()[0]["id"])
    for each in (rule, level):
        plant.change(each["id"], enabled=False)
    plant.send(healthy(5), after=1800.0)
    for each in (rule, level):
        plant.change(each["id"], enabled=True)
    plant.send(failing(8), after=1800.0)
    active = [a["title"] for a in plant.alerts() if a["condition"] == "active"]
    assert active == ["Failing"]  # no longer waiting; and the 60 s begin anew


def test_a_batch_that_waited_while_its_rules_changed_is_judged_by_the_new_ones(
    plant: Plant,
) -> None:
    rule = plant.rules()["level"]
    with plant.services.sessions.begin() as session, ThreadPoolExecutor(1) as pool:
        from dinsight import streams

        held = streams.find(session, plant.who, plant.baseline_id, "default")
        streams.hold(session, held.id)
        waiting = pool.submit(plant.send, failing(8))
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        from sqlalchemy import text

        session.execute(text("UPDATE alert_rules SET enabled = false"))
        session.execute(text("UPDATE baselines SET rules_revision = 'another'"))
        session.commit()
        waiting.result(timeout=10)
    assert (plant.alerts(), plant.rules()["level"]["enabled"]) == ([], False)
    assert rule["enabled"]


def test_a_refused_batch_is_told_once_and_over_with_the_next_good_one(plant: Plant) -> None:
    from dinsight.alerts import missing

    plant.send(healthy(2))
    error = ColumnsMissing("line 2: f_3 is missing.")
    for _ in range(3):
        plant.do(missing.refused, plant.baseline_id, "default", error)
    (alert,) = plant.alerts()
    assert (alert["alert_type"], alert["title"], alert["times"]) == (
        *("data_quality", "Readings missing"),
        1,
    )
    assert "f_3 is missing" in alert["message"]
    plant.send(healthy(1))
    assert plant.alerts()[0]["condition"] == "cleared"
    plant.do(missing.refused, plant.baseline_id, "never", error)
    assert len(plant.alerts()) == 1


def look(plant: Plant, seconds: float) -> int:
    plant.now += dt.timedelta(seconds=seconds)
    return stale.look(plant.services.sessions, plant.now)


def test_a_stream_that_falls_silent_is_told_and_over_with_its_next_point(plant: Plant) -> None:
    for _ in range(4):
        plant.send(healthy(1))
    assert (look(plant, 59), look(plant, 2), look(plant, 5)) == (0, 1, 0)
    (alert,) = plant.alerts()
    assert (alert["title"], alert["condition"], alert["opened_seq"]) == ("No points", "active", 4)
    assert alert["message"] == "No point for 61 s, where one was due within 60 s."
    plant.send(healthy(1))
    assert plant.alerts()[0]["condition"] == "cleared"


def test_a_slow_stream_is_not_silent_and_a_stopped_one_is_expected_to_be(plant: Plant) -> None:
    from dinsight import streams

    for _ in range(4):
        plant.send(healthy(1), after=40.0)
    assert (look(plant, 100), look(plant, 25)) == (0, 1)
    with plant.services.sessions.begin() as session:
        streams.control(session, plant.who, plant.baseline_id, "default", "stop")
    assert look(plant, 1) == 1
    assert plant.alerts()[0]["condition"] == "cleared"


def test_the_servers_own_absence_is_no_silence_of_its_streams(plant: Plant) -> None:
    watch = stale.StaleWatch(plant.services.database)

    def looks(seconds: int) -> int:
        found = 0
        for _ in range(0, seconds, 5):
            plant.now += dt.timedelta(seconds=5)
            found += watch.look(plant.now)
        return found

    for _ in range(4):
        plant.send(healthy(1))
    plant.now += dt.timedelta(seconds=120)
    assert (looks(60), looks(10)) == (0, 1)  # at its start
    plant.send(healthy(1))
    plant.now += dt.timedelta(seconds=120)
    assert (looks(60), looks(10)) == (0, 1)  # after a gap
    plant.send(healthy(1))
    assert looks(40) == 0
    watch.recover()  # after a look that failed
    assert (looks(60), looks(10)) == (0, 1)


def refit(plant: Plant) -> None:
    """Put the map in force once more, as a refit does: every stream goes on in a new epoch."""
    from sqlalchemy import select

    from dinsight import mapstore, refitting
    from dinsight.models import Baseline, FittedMap

    with plant.services.sessions.begin() as session:
        baseline = session.get_one(Baseline, plant.baseline_id, with_for_update=True)
        assert baseline.map_id
        sha256 = session.scalars(
            select(FittedMap.sha256).where(FittedMap.id == baseline.map_id)
        ).one()
        fitted = mapstore.load_map(session, sha256)
        refitting.put_in_force(session, baseline, baseline.map_id, fitted, plant.now)


@pytest.mark.parametrize("told_before", [True, False])
def test_a_refit_hides_no_silence(plant: Plant, told_before: bool) -> None:
    for _ in range(4):
        plant.send(healthy(1))
    assert look(plant, 70 if told_before else 10) == int(told_before)
    refit(plant)
    assert look(plant, 70) == int(not told_before)
    assert [(a["title"], a["condition"]) for a in plant.alerts()] == [("No points", "active")]
    plant.send(healthy(1))
    assert [a["condition"] for a in plant.alerts()] == ["cleared"]


def test_a_refit_forgets_no_pace(plant: Plant) -> None:
    for _ in range(4):
        plant.send(healthy(1), after=40.0)
    refit(plant)
    assert look(plant, 100) == 0
    plant.send(healthy(1))
    assert (look(plant, 100), look(plant, 25)) == (0, 1)


def test_nobody_sees_or_changes_anothers_alerts(plant: Plant, other: Identity) -> None:
    plant.send(failing(8))
    (alert,) = plant.alerts()
    assert plant.alerts(who=other) == []
    for act, more in (
        *((acting.acknowledge, ()), (acting.resolve, ()), (acting.shelve, (None,))),
        (acting.judge, ("real",)),
    ):
        with pytest.raises(AlertNotFound):
            plant.do(act, alert["id"], *more, who=other)
    assert plant.alert(alert["id"])["events"][1:] == []


def test_the_new_normal_is_proposed_for_the_next_version(plant: Plant) -> None:
    plant.send(failing(8))
    plant.send(healthy(2))
    (alert,) = plant.alerts()
    plant.do(acting.judge, alert["id"], "new_normal")
    with plant.services.sessions() as session:
        (queued,) = candidates.queue(session, plant.who, plant.baseline_id)
    assert (queued["first"], queued["last"], queued["alert_id"]) == (5, 9, alert["id"])


def stuck(rows: int, seed: int, value: float = 30.0) -> np.ndarray:
    values = healthy(rows, seed)
    values[:, 4] = value
    return values


def test_a_stuck_sensor_is_told_as_such_and_raises_no_anomaly(plant: Plant) -> None:
    plant.send(healthy(10))
    for seed in range(20, 60):
        answer = plant.send(stuck(1, seed))
    assert answer["level"] == "alarm"  # the map hides nothing
    (alert,) = plant.alerts()
    assert (alert["title"], alert["alert_type"]) == ("Sensor stands still", "data_quality")
    assert alert["opened_seq"] == 15  # where the machine would have been called failing
    assert alert["message"].startswith("f_4 stands still at 30 (")
    plant.send(healthy(46, seed=9))  # up to the end of a block that shows nothing of it any more
    assert [a["condition"] for a in plant.alerts()] == ["cleared"]


def test_a_stuck_sensor_is_found_at_the_end_of_a_block_whatever_the_score(plant: Plant) -> None:
    plant.change(plant.rules()["level"]["id"], enabled=False)
    values = healthy(32)
    values[10:, 4] = values[10, 4]
    for row in values:
        plant.send(row[None], after=0.5)
    assert [(a["title"], a["opened_seq"]) for a in plant.alerts()] == [("Sensor stands still", 32)]


def test_an_anomaly_beside_a_stuck_sensor_is_raised(plant: Plant) -> None:
    values = stuck(90, 21, value=5.0)
    values[40:, [2, 9]] += 30
    plant.send(values[:20])
    for start in range(20, 90, 10):
        plant.send(values[start : start + 10])
    assert {a["title"]: a["condition"] for a in plant.alerts()} == {
        "Failing": "active",
        "Sensor stands still": "active",
    }


@pytest.mark.parametrize("recovers", [True, False])
def test_a_machine_that_breaks_soon_after_a_sensor_stuck_is_told_within_ten_rows(
    plant: Plant, recovers: bool
) -> None:
    plant.send(healthy(40))
    for seed in range(8):
        plant.send(stuck(1, 100 + seed), after=3600.0)
    broken = failing(10, 200)
    broken[:, [2, 9]] += 100
    broken[:, 4] = broken[:, 4] if recovers else 30.0
    for row in broken:
        plant.send(row[None], after=3600.0)
    assert [a["title"] for a in plant.alerts(alert_type="anomaly")] == ["Failing"]


def test_without_a_rule_about_sensors_the_anomaly_is_raised(plant: Plant) -> None:
    plant.change(plant.rules()["flat"]["id"], enabled=False)
    plant.send(healthy(10))
    plant.send(stuck(40, 20))
    assert [a["title"] for a in plant.alerts()] == ["Failing"]
