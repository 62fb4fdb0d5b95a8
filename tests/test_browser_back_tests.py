"""A rule that is not saved yet, tried on history in the browser, and then used."""

from __future__ import annotations

from sqlalchemy import select

from dinsight import back_testing, streams
from dinsight.accounts import Identity
from dinsight.models import Job, Json
from dinsight.services import Services
from tests.axe import violations
from tests.browser import Page, StreamUnderTest
from tests.factories import failing, healthy
from tests.test_browser_alerts import is_open, watched
from tests.test_browser_versions import find, press

pytest_plugins = ["tests.browser_fixtures"]

__all__ = ["watched"]  # a fixture


def test_a_rule_that_is_not_saved_is_tried_on_history_and_used(
    watched: int, services: Services, page: Page, stream: StreamUnderTest
) -> None:
    for rows in (healthy(20), failing(9), healthy(20, 3)):
        stream.send(rows)
    services.jobs.start()
    page.go(f"/dashboard/alerts?baseline_id={watched}")
    press(page, "#alerts-rules")
    page.click("rules-new")
    page.type("rules-needed", "9")
    page.wait_text("rules-sentence", "needed can be no more")
    page.click("trial-rule-open")
    page.wait_text("trial-about", "needed can be no more than window")
    assert not page.element("trial-start").is_displayed()
    press(page, "#trial-dialog [data-closes]")
    page.type("rules-needed", "2")
    page.type("rules-score", "0.9")
    page.type("rules-name", "Climbs")
    page.click("trial-rule-open")
    page.wait_text("trial-about", "2 of the last 5 rows score above 0.9")
    page.click("trial-start")
    page.wait_text("trial-message", "This rule would have alarmed once")
    line = find(page, "#trial-result .trial-line")
    assert ": 1 alert, at " in line.get_attribute("aria-label")
    see = find(page, "#trial-result a", "See it")
    assert f"baseline_id={watched}&stream=default&epoch=1&at=2" in see.get_attribute("href")
    page.js("arguments[0].focus()", see)
    find(page, ".trial-mark-on")
    assert violations(page) == []
    page.resize(390, 844, mobile=True)
    assert page.js("return document.documentElement.scrollWidth") <= 390
    page.click("trial-use")
    page.wait_text("rules-message", "The rule Climbs is added.")
    assert not is_open(page, "trial-dialog")
    page.wait_text("rules-list", "Climbs")


def test_a_trial_is_cancelled_fails_and_is_tried_again(
    watched: int, services: Services, user: Identity, page: Page, stream: StreamUnderTest
) -> None:
    press(page, "#trial-sensitivity-open")
    page.wait_text("trial-message", "No points are stored yet")
    assert not page.element("trial-start").is_displayed()
    press(page, "#trial-dialog [data-closes]")

    for rows in (healthy(20), failing(9), healthy(20, 3)):
        stream.send(rows)
    page.wait_points(49)
    press(page, "#trial-sensitivity-open")
    choose(page, "#trial-sensitivity", "24")
    page.click("trial-start")  # nothing performs it yet
    page.wait_text("trial-message", "Waiting for its turn")
    page.wait(lambda: trials(services, user, watched), "the trial to wait")
    (waiting,) = trials(services, user, watched)
    assert (waiting["status"], waiting["epoch"]) == ("waiting", 1)
    page.click("trial-cancel")
    page.wait(lambda: trials(services, user, watched) == [], "the trial to go")
    page.wait_text("trial-message", "Cancelled.")

    page.click("trial-start")
    page.wait(lambda: trials(services, user, watched), "the trial to wait")
    with services.sessions.begin() as session:
        job_id = session.scalars(select(Job.id)).one()
        back_testing.fail(session, job_id, watched, "There was not enough memory.")
    page.wait_text("trial-message", "There was not enough memory.")
    assert page.text("trial-start") == "Retry"
    services.jobs.start()
    page.click("trial-start")
    page.wait_text("trial-message", "At this sensitivity the rule would have alarmed once")
    find(page, ".trial-mark")
    page.click("trial-use")
    page.wait(lambda: "sensitivity_factor" in settings(services, user, watched), "the setting")
    assert not is_open(page, "trial-dialog")
    page.wait(lambda: "times the calibrated limit" in page.text("detect-cost"), "what it costs")


def choose(page: Page, select: str, value: str) -> None:
    press(page, f"{select} option[value='{value}']")


def trials(services: Services, who: Identity, baseline_id: int) -> list[Json]:
    with services.sessions() as session:
        return back_testing.list_all(session, who, baseline_id)


def settings(services: Services, who: Identity, baseline_id: int) -> Json:
    with services.sessions() as session:
        return dict(streams.find(session, who, baseline_id, "default").settings)
