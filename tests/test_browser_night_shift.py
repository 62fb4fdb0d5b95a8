"""A night shift: from the first drift to the verdict and the baseline that has learnt from it."""

from __future__ import annotations

from typing import Any

import numpy as np

# Jobs run in a thread here: of what they import nothing may be half loaded while a page is drawn.
import pandas as pd  # noqa: F401
from selenium.webdriver.common.keys import Keys

from dinsight.accounts import Identity
from dinsight.services import Services
from tests.browser import Page, StreamUnderTest
from tests.factories import failing, healthy
from tests.test_browser_export import FETCH, href
from tests.test_browser_versions import find, press

pytest_plugins = ["tests.browser_fixtures"]


def drift() -> np.ndarray:
    """Sixty rows of a machine whose fault grows."""
    values = healthy(60, seed=12)
    values[:, [2, 9]] += np.linspace(0, 6, 60, dtype=np.float32)[:, None]
    return values


def send_until(stream: StreamUnderTest, rows: list[Any], level: str) -> None:
    """Row by row, until one is judged so."""
    while stream.send(rows.pop(0)[None])["level"] != level:
        pass


def test_a_night_shift(
    services: Services, user: Identity, page: Page, stream: StreamUnderTest
) -> None:
    services.jobs.start()
    watch_it_drift(page, stream)
    acknowledge(page)
    look_at_the_hour_before(page, services, stream)
    take_it_along(page)
    judge_and_learn(page)
    after = stream.send(failing(6, seed=30))
    assert (after["epoch"], after["level"]) == (2, "healthy")  # what was learnt holds


def watch_it_drift(page: Page, stream: StreamUnderTest) -> None:
    stream.send(30)
    page.wait_text("live-state", "Healthy")
    rows = list(drift())
    send_until(stream, rows, "warning")
    page.wait_text("live-state", "Deteriorating")
    assert not page.text("live-alerts")  # a warning is no alarm
    send_until(stream, rows, "alarm")
    page.wait_text("live-state", "Failing")
    page.wait_text("live-alerts", "Failing since")
    page.wait_text("alerts-badge", "1")
    stream.send(failing(40, seed=12))


def acknowledge(page: Page) -> None:
    press(page, "#live-alerts a", "Details")
    page.wait_text("alert-body", "times the alarm limit")
    page.type("alert-note", "Bearing runs hot, maintenance is told")
    page.click("alert-acknowledge")
    page.wait_text("alert-events", "Bearing runs hot")
    page.wait(lambda: not page.element("alerts-badge").is_displayed(), "nothing to be left unseen")


def look_at_the_hour_before(page: Page, services: Services, stream: StreamUnderTest) -> None:
    press(page, "#alert-body a", "See the moment")
    page.wait(lambda: page.text("live-badge").startswith("Playback, "), "the recording")
    page.wait_text("live-state", "was Failing")
    began = int(page.js("return dinsight.playback.state().seq"))
    page.js("document.activeElement.blur()")
    page.js("dinsight.playback.go(arguments[0])", began - 2)
    page.wait_text("live-state", "was Deteriorating")
    page.js("dinsight.playback.go(20)")
    page.wait_text("live-state", "was Healthy")
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    page.wait(lambda: page.js("return dinsight.playback.state().drawn") == 21, "a step")
    page.click("playback-live")
    page.wait_text("live-state", "Failing")


def take_it_along(page: Page) -> None:
    page.click("export-open")
    page.click("export-readings")
    page.wait(lambda: "features=1" in href(page), "the readings")
    status, _, _, content = page.driver.execute_async_script(FETCH, href(page))
    points = int(page.text("live-count").split("/")[0].strip().replace(",", ""))
    assert (status, len(content.splitlines())) == (200, points + 1)
    page.js("document.getElementById('export-dialog').close()")
    page.go("/dashboard/alerts")
    press(page, "#alerts-list button.alert-title", "Failing")
    report = find(page, "#alert-body a", "Report").get_attribute("href")
    page.go(report)
    page.wait(lambda: "Bearing runs hot" in page.js("return document.body.innerText"), "the report")


def judge_and_learn(page: Page) -> None:
    """It was an overhaul: what it does now is how it runs from now on."""
    page.go("/dashboard/alerts")
    press(page, "#alerts-list button.alert-title", "Failing")
    page.wait_text("alert-body", "times the alarm limit")
    page.click("alert-resolve")
    page.wait_text("alert-events", "Resolved")
    page.click("alert-new-normal")
    press(page, "#alert-body a", "Review the new normal")
    page.wait_text("versions-queue", "rows proposed as normal")
    press(page, "[data-review=make]", "Make version 2")
    page.wait_text("versions-version-2", "Under review", 60)
    page.click("versions-adopt-2-asks")
    press(page, "#versions-adopt-2 [data-review]", "Adopt version 2")
    page.wait_text("versions-head", "Version 2 is in force")
