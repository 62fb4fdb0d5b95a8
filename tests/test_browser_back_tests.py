"""A rule that is not saved yet, tried on history in the browser, and then used."""

from __future__ import annotations

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
