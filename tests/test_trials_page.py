"""Trying a rule or a sensitivity on history, as its dialog asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from callbacks import trials
from callbacks.trials import Ask
from dinsight.accounts import Identity
from dinsight.models import Json
from dinsight.services import Services
from layouts import trial_result
from layouts.alert_rules import DEFAULTS
from layouts.trials import EMPTY
from tests.alerts_kit import Plant
from tests.factories import failing, healthy
from tests.postgres_kit import eventually


@pytest.fixture
def plant(services: Services, user: Identity, baseline_id: int) -> Plant:
    return Plant(services, user, baseline_id)


def form(**changes: Any) -> Json:
    return {**DEFAULTS, "score": 0.9, **changes}


def opened(plant: Plant, who: Identity | None = None, **more: Any) -> Json:
    asked = {"what": "rule", "baseline_id": plant.baseline_id, "turn": 1, **more}
    asked["form"] = form(**more.get("form", {}))
    return trials.opened(plant.services, who or plant.who, Ask.parse(asked))


def acted(plant: Plant, act: str, run: Any = None, **more: Any) -> Json:
    asked = {"what": "rule", "baseline_id": plant.baseline_id, "turn": 1, "act": act, **more}
    ask = Ask.parse({**asked, "run": run, "form": form()})
    told = trials.acted(plant.services, plant.who, ask)
    assert told is not None
    return told


def tried(plant: Plant, run: str, **more: Any) -> Json:
    """Start a trial and look until it has ended."""
    number = acted(plant, "start", run, **more)["trial"]
    plant.services.jobs.wake()
    look = {**more, "trial": number}
    assert eventually(lambda: acted(plant, "look", **look)["status"] == "completed", 60)
    return acted(plant, "look", **look)


def a_night(plant: Plant, stream: str = "default") -> None:
    for values in (healthy(20), failing(6), healthy(20, 3)):
        plant.send(values, stream, after=900.0)


def test_the_run_that_is_looked_at_is_chosen_else_the_one_with_the_most_points(
    plant: Plant,
) -> None:
    a_night(plant)
    plant.reset()
    plant.send(healthy(4))
    told = opened(plant)
    assert "3 of the last 5 rows score above 0.9" in told["about"]
    assert told["turn"] == 1
    labels = {each["value"]: each["label"] for each in told["runs"]}
    assert labels.keys() == {"1:default", "2:default"}
    assert "run 2 (present)" in labels["2:default"] and "4 points" in labels["2:default"]
    assert (told["run"], opened(plant, epoch=2)["run"]) == ("1:default", "2:default")


def test_without_a_stored_point_there_is_nothing_to_try_it_on(plant: Plant) -> None:
    told = opened(plant)
    assert (told["empty"], "runs" in told) == (EMPTY, False)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"score": None}, "score must say above which score"),
        ({"needed": 9}, "needed can be no more than window"),
        ({"kind": "stale"}, "Only rules about the level or the score"),
    ],
)
def test_a_form_that_is_not_right_says_what_to_correct(
    plant: Plant, change: dict[str, Any], why: str
) -> None:
    a_night(plant)
    told = opened(plant, form=change)
    assert why in told["about"]
    assert (told["refused"], "runs" in told) == (True, False)


def test_a_rule_without_a_name_is_tried_and_told(plant: Plant) -> None:
    a_night(plant)
    plant.services.jobs.start()
    told = tried(plant, "1:default")
    assert told["sentence"].startswith("This rule would have alarmed once")
    text = told["result"]
    assert f"baseline_id={plant.baseline_id}&amp;stream=default&amp;epoch=1&amp;at=2" in text
    assert "severity-high" in text and "Timeline from 2026-05-01" in text
    assert "polygon(0% 100%" in text


def test_a_rule_that_would_not_have_alarmed_has_a_timeline_and_no_table(plant: Plant) -> None:
    plant.send(healthy(20))
    plant.services.jobs.start()
    told = tried(plant, "1:default")
    assert told["sentence"] == "This rule would not have alarmed in 20 rows."
    assert ("trial-table" in told["result"], "trial-line" in told["result"]) == (False, True)


def test_a_sensitivity_is_tried_by_the_rule_that_watches_the_level(plant: Plant) -> None:
    a_night(plant)
    plant.change(plant.rules()["level"]["id"], severity="critical")
    asked = {"what": "sensitivity"}
    told = opened(plant, **asked)
    assert "at the level alarm" in told["about"]
    assert told["present"] == "calibrated"
    assert "calibrated" in [each["value"] for each in told["sensitivities"]]
    plant.services.jobs.start()
    told = tried(plant, "1:default", sensitivity="calibrated", **asked)
    assert told["sentence"].startswith("At this sensitivity the rule would have alarmed once")
    assert "severity-critical" in told["result"]


def test_a_trial_can_be_cancelled_and_one_that_is_gone_says_so(plant: Plant) -> None:
    a_night(plant)
    number = acted(plant, "start", "1:default")["trial"]
    assert acted(plant, "cancel", trial=number)["status"] == "cancelled"
    gone = acted(plant, "look", trial=number)
    assert (gone["status"], gone["turn"]) == ("failed", 1)
    assert acted(plant, "start", "nonsense")["sentence"] == "Choose a run first."
    assert acted(plant, "start", "7:default")["status"] == "failed"


def test_nobody_reads_what_is_anothers(plant: Plant, other: Identity) -> None:
    a_night(plant)
    told = opened(plant, who=other)
    assert told.keys() == {"turn", "about", "refused"}
    assert "default" not in told["about"]


def test_only_so_many_alerts_are_listed() -> None:
    alert = {
        **{"opened_seq": 2, "opened_at": "2026-05-01T12:00:00Z", "cleared_seq": None},
        **{"cleared_at": None, "times": 2, "peak": 1.5, "peak_seq": 2},
    }
    found = {
        **{"rows": 9, "at_once": True, "alerts": 60, "listed": [alert] * 60},
        **{"began_at": alert["opened_at"], "ended_at": alert["opened_at"]},
        "live": {"alerts": 1},
    }
    about = {"baseline_id": 1, "stream": "default", "epoch": 1, "rule": {"severity": "low"}}
    text = trial_result.result({**about, "result": found}, trial_result.Score(1, []))
    assert "The first 50 of 60 are listed." in text
    assert text.count("data-trial-row") == 50
    assert "to the end, came 2 times" in text and "raised 1 alert then" in text
    assert trial_result.result({"result": {**found, "rows": 0}}, trial_result.Score(1, [])) == ""
