"""Alerts in the browser: from failing rows to the verdict, and the rules of a baseline."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from selenium.webdriver.common.keys import Keys

from dinsight import baselines
from dinsight.accounts import Identity
from dinsight.alerts import rules
from dinsight.services import Services
from tests.axe import violations
from tests.browser import Page, StreamUnderTest
from tests.factories import failing, healthy
from tests.test_browser_versions import find, press

pytest_plugins = ["tests.browser_fixtures"]


@pytest.fixture
def watched(services: Services, user: Identity, baseline_id: int) -> int:
    with services.sessions.begin() as session:
        baselines.get(session, user, baseline_id)
        rules.add_defaults(session, baseline_id)
    return baseline_id


def is_open(page: Page, dialog: str) -> bool:
    return bool(page.js("return document.getElementById(arguments[0])?.open", dialog))


def close(page: Page, dialog: str) -> None:
    press(page, f"#{dialog} [data-closes]", "Close")
    page.wait(lambda: not is_open(page, dialog), f"{dialog} to close")


def test_an_alert_is_seen_acknowledged_shelved_and_judged(
    watched: int, page: Page, stream: StreamUnderTest
) -> None:
    stream.send(20)
    page.wait_points(20)
    assert not page.text("live-alerts")
    assert not page.element("alerts-badge").is_displayed()
    stream.send(failing(20))
    page.wait_text("live-alerts", "Failing since")
    assert "not acknowledged" in page.text("live-alerts")
    page.wait_text("alerts-badge", "1")
    page.wait(
        lambda: "A new alert." in page.element("alerts-announce").get_attribute("textContent"),
        "the new alert to be announced",
    )
    mark = find(page, "#trend-alerts button")
    assert "Failing, high, since" in mark.get_attribute("aria-label")
    mark.click()
    page.wait(lambda: "point=1" in page.path, "the point to be selected")
    assert violations(page) == []

    press(page, "#live-alerts a", "Details")
    page.wait(lambda: is_open(page, "alert-dialog"), "the alert's dialog")
    page.wait_text("alert-body", "Raised when a row is at the level alarm.")
    assert "1 not acknowledged" in page.driver.title
    assert violations(page) == []
    page.type("alert-note", "bearing is hot")
    page.click("alert-acknowledge")
    page.wait_text("alert-events", "bearing is hot")
    page.wait_text("alert-acknowledge", "Add the note")
    page.click("alert-shelve-do")
    page.wait_text("alert-body", "Shelved")
    page.click("alert-new-normal")
    page.wait_text("alert-body", "Review the new normal")
    pressed = page.element("alert-new-normal").get_attribute("aria-pressed")
    assert pressed == "true"
    page.element("alert-note").send_keys(Keys.ESCAPE)
    page.wait(lambda: not is_open(page, "alert-dialog"), "the dialog to close")
    assert "alert=" not in page.path
    page.wait_text("alerts-list", "Acknowledged and still active")
    listed = page.text("alerts-list")
    assert all(word in listed for word in ("bearing is hot", "Shelved until", "New normal"))
    page.wait(lambda: not page.element("alerts-badge").is_displayed(), "the badge to go")
    assert page.driver.title.startswith("Alerts")

    page.click("alerts-tab-quality")
    page.wait_text("quality-figures", "alerts a day")
    assert violations(page) == []
    page.resize(390, 844, mobile=True)
    page.click("alerts-tab-list")
    assert page.js("return document.documentElement.scrollWidth") <= 390
    assert violations(page) == []


VALUE = "return document.getElementById(arguments[0])?.value"


def test_several_alerts_are_acknowledged_at_once_and_filtered(
    watched: int,
    services: Services,
    user: Identity,
    page: Page,
    sign_in: Callable[..., None],
) -> None:
    stream = StreamUnderTest(services, user, watched)
    stream.send(healthy(20))
    stream.send(failing(20))
    stream.reset()
    stream.send(healthy(20))
    stream.send(failing(20))
    sign_in(user, "/dashboard/alerts")
    page.wait_text("alerts-list", "Not acknowledged 2")
    page.js("document.getElementById('alerts-severity').focus()")
    find(page, "#alerts-severity option[value=low]").click()
    page.wait_text("alerts-list", "No alert is like that")
    assert "severity=low" in page.path
    press(page, "#alerts-clear")
    page.wait_text("alerts-list", "Not acknowledged 2")
    find(page, "#alerts-time option[value=custom]").click()
    page.wait_text("alerts-period-note", "Choose From, To or both.")
    page.choose("alerts-until", "2020-01-01T06:00")
    page.wait_text("alerts-list", "They are listed whatever time is chosen")
    assert "until=2020-01-01T" in page.path
    page.choose("alerts-since", "2020-01-01T07:00")
    page.wait_text("alerts-period-note", "From must come before To")
    assert "since=" not in page.path
    page.go(page.path)
    page.wait(lambda: page.js(VALUE, "alerts-until") == "2020-01-01T06:00", "the moment again")
    find(page, "#alerts-time option[value=all]").click()
    page.wait(lambda: page.path == "/dashboard/alerts", "no time in the address")
    page.wait_text("alerts-list", "Not acknowledged 2")
    page.click("alerts-all")
    find(page, "#alerts-many-text", "2 alerts are then acknowledged")
    page.type("alerts-many-note", "storm")
    page.click("alerts-many-confirm")
    page.wait_text("toast", "2 alerts: acknowledged.")
    page.wait_text("alerts-list", "Resolved 1")
    assert "Not acknowledged" not in page.text("alerts-list")


def test_the_rules_of_a_baseline_are_changed_from_where_they_are_wanted(
    watched: int, page: Page, stream: StreamUnderTest
) -> None:
    press(page, "#detect-rules")
    page.wait_text("rules-title", "Rules of Pump 7")
    assert "Raised when a row is at the level alarm." in page.text("rules-list")
    page.click("rules-new")
    page.click("rules-save")
    page.wait_text("rules-message", "A rule's name has 1 to 60 printable characters.")
    page.type("rules-name", "Drifting")
    page.type("rules-score", "0.8")
    page.wait_text("rules-sentence", "3 of the last 5 rows score above 0.8 × the alarm limit")
    assert violations(page) == []
    page.element("rules-name").send_keys(Keys.ENTER)
    page.wait_text("rules-list", "Drifting")
    press(page, "#rules-list [role=switch][data-rule-act=disable]")
    page.wait_text("rules-message", "The rule Failing is switched off.")
    press(page, "#rules-list li:last-child [data-rule-act=change]")
    page.wait(lambda: page.element("rules-score").get_attribute("value") == "0.8", "its score")
    page.type("rules-name", "Drifted")
    page.click("rules-save")
    page.wait_text("rules-message", "The rule Drifted is changed.")
    press(page, "#rules-list li:last-child [data-rule-act=delete]")
    page.click("rules-delete-confirm")
    page.wait(lambda: "Drifted" not in page.text("rules-list"), "the rule to go")
    close(page, "rules-dialog")
    stream.send(20)
    stream.send(failing(20))
    page.wait_points(40)
    assert not page.text("live-alerts")  # the rule is off
    page.go("/dashboard/baselines")
    press(page, f"#baseline-{watched}-rules")
    page.wait_text("rules-title", "Rules of Pump 7")
