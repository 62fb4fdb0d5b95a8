"""The Detection panel's callbacks and words, without a browser."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from dinsight.accounts import Identity
from dinsight.ingest import Incoming, ingest
from dinsight.models import Json
from dinsight.services import Services
from layouts import detection as layout
from layouts.detection import CALIBRATED, PRESENT
from tests.factories import csv, healthy
from tests.test_callbacks import Browser, question

WIDE = {"x0": -1e6, "y0": -1e6, "x1": 1e6, "y1": 1e6}


@pytest.fixture
def page(
    client: Any, services: Services, user: Identity, baseline_id: int
) -> tuple[Browser, dict[str, Any]]:
    """A browser that is signed in, and what it asks: the stream has five points."""
    browser = Browser(client)
    assert browser.sign_in(user.email).status_code == 303
    with services.sessions.begin() as session:
        incoming, now = Incoming(csv(healthy(5)), "batch.csv"), services.now()
        ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)
    return browser, question(baseline_id)


def ask(browser: Browser, id: str, to: str, data: Any) -> Any:
    name = to.replace("-", "_") + "__data"
    answer = browser.call(f"{id}.data", f"{to}.data", **{name: data})
    assert answer.status_code == 200
    return answer.json["response"][id]["data"]


def wish(browser: Browser, data: Any, **what: Any) -> Any:
    return ask(browser, "detect-done", "detect-wish", {**data, **what})


def sense(browser: Browser, view: Any, chosen: Any = None) -> Json:
    told: Json = ask(browser, "detect-sensed", "detect-sense", {**view, "chosen": chosen})
    return told


def test_an_area_is_saved_renamed_and_deleted_from_the_page(
    page: tuple[Browser, dict[str, Any]],
) -> None:
    browser, data = page
    shape = {"kind": "rectangle", "geometry": WIDE}
    assert wish(browser, data, action="add", name="Idle", **shape)["sentence"] == "Idle is saved."
    told = ask(browser, "detect-areas", "detect-ask", {**data, "after": "1:0", "limit": 3})
    (area,) = told["areas"]
    assert (area["name"], area["applied"], told["first"]) == ("Idle", True, 1)
    bits = np.unpackbits(np.frombuffer(base64.b64decode(told["inside"]), np.uint8))
    assert list(bits) == [1, 1, 1, 0, 0, 0, 0, 0]
    tally = ask(browser, "detect-tally", "detect-tally-ask", data)
    assert (tally["score"], tally["areas"]) == (
        {"normal": 5, "anomalous": 0},
        {"normal": 5, "anomalous": 0},
    )
    message = browser.feed(data)
    assert message["status"]["areas_revision"] == told["revision"] == tally["revision"]

    named = {"area_id": area["id"], "name": "Full load"}
    assert wish(browser, data, action="rename", **named)["sentence"] == "It is Full load now."
    gone = wish(browser, data, action="delete", area_id=area["id"])
    assert (gone["done"], gone["sentence"]) == (True, "The area is deleted.")
    after = ask(browser, "detect-areas", "detect-ask", {**data, "after": "1:0"})
    assert after["areas"] == [] and "inside" not in after


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"action": "explode", "area_id": 1}, "There is no action 'explode'."),
        ({"action": "delete", "area_id": "1"}, "area_id must be a whole number."),
        ({"action": "delete", "area_id": 999}, "This baseline has no such area."),
        ({"action": "add", "name": "", "kind": "lasso"}, "An area's name has"),
        ({"action": "add", "name": "x", "kind": "lasso"}, "geometry must be an object"),
        (
            {
                **{"action": "add", "name": "x", "kind": "rectangle", "geometry": WIDE},
                "map_id": 999_999,
            },
            "The baseline was refitted",
        ),
    ],
)
def test_what_cannot_be_done_with_an_area_is_said(
    page: tuple[Browser, dict[str, Any]], what: dict[str, Any], said: str
) -> None:
    browser, data = page
    result = wish(browser, data, **what)
    assert result["done"] is False
    assert said in result["sentence"]


def test_sensitivity_is_set_by_false_alarms_and_says_what_it_means(
    page: tuple[Browser, dict[str, Any]],
) -> None:
    browser, view = page
    first = sense(browser, view)
    assert first["value"] == CALIBRATED
    assert {"label": "As calibrated", "value": CALIBRATED} in first["options"]
    assert "Alarms above the calibrated limit." in first["text"]

    set_ = sense(browser, view, "0.1")
    assert set_["value"] == "0.1"
    assert "about 0.098 times a day (less than 0.01 to 1)" in set_["text"]
    assert set_["text"].endswith(layout.HOLDS)
    assert browser.feed(view)["status"]["alarm_limit"] != 1
    assert sense(browser, view, CALIBRATED)["value"] == CALIBRATED
    assert browser.feed(view)["status"]["alarm_limit"] == 1


def test_what_a_baseline_cannot_promise_cannot_be_chosen(
    page: tuple[Browser, dict[str, Any]],
) -> None:
    browser, view = page
    offered = {each["value"]: each for each in sense(browser, view)["options"]}
    assert offered["24"]["disabled"] is True
    assert offered["24"]["label"] == "24 a day: not with this baseline"
    refused = sense(browser, view, "24")
    assert "false_alarms_per_day can be set from" in refused["text"]
    assert refused["value"] == CALIBRATED
    assert "Choose how many" in sense(browser, view, "many")["text"]


def test_a_sensitivity_that_is_no_choice_is_an_option_of_its_own() -> None:
    cost = {"expected": 2.0, "low": 1.0, "high": 3.0, "rows_per_second": 1.0}
    told = {"sensitivity_factor": 4.0, "alarm_limit": 0.8, "false_alarms_per_day": cost}
    options, value = layout.choices((0.05, 6.0), told)
    assert value == PRESENT
    assert options[-1] == {"label": "About 2 a day", "value": PRESENT}
    near = {**told, "false_alarms_per_day": {**cost, "expected": 5.2}}
    assert layout.choices((0.05, 6.0), near)[1] == "5"
