"""From a point on the streaming page to a new version of its baseline, in the browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# Jobs run in a thread here: of what they import nothing may be half loaded while a page is drawn.
import pandas as pd  # noqa: F401
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By

from dinsight import baselines
from dinsight.accounts import Identity
from dinsight.services import Services
from tests.axe import violations
from tests.browser import Page, StreamUnderTest
from tests.factories import failing, healthy

pytest_plugins = ["tests.browser_fixtures"]

TRACES = """
const gd = document.querySelector(`#${arguments[0]} .js-plotly-plot`);
return gd && gd.data ? Object.fromEntries(gd.data.map((t) => [t.name, t.x.length])) : {};
"""


def find(page: Page, css: str, text: str = "") -> Any:
    """The visible element with this text, once it is there."""

    def seen() -> Any:
        found = page.driver.find_elements(By.CSS_SELECTOR, css)
        try:
            return next((each for each in found if each.is_displayed() and text in each.text), None)
        except StaleElementReferenceException:  # the page has just made it anew
            return None

    return page.wait(seen, f"{css} with {text!r}")


def press(page: Page, css: str, text: str = "") -> None:
    element = find(page, css, text)
    page.js("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def propose(page: Page, baseline_id: int) -> None:
    """Propose the episode around a point, from its panel."""
    page.go(f"/dashboard/streaming?baseline_id={baseline_id}&point=1:25")
    press(page, "#point summary", "Propose as new normal")
    first = int(page.element("point-first").get_attribute("value"))
    assert (first > 10, page.element("point-last").get_attribute("value")) == (True, "40")
    page.type("point-first", "41")
    page.click("point-propose")
    page.wait_text("toast", "Name the first and the last point, in this order.")
    page.type("point-first", "11")
    page.type("point-note", "new bearing")
    page.click("point-propose")
    page.wait_text("toast", "30 rows wait for review")


def go_back(page: Page) -> None:
    """Put version 1 in force again, and discard what version 2 was made of."""
    page.click("versions-adopt-1-asks")
    press(page, "#versions-adopt-1 [data-review]", "Adopt version 1")
    page.wait_text("versions-head", "Version 1 is in force, with 120 rows.")
    page.click("versions-discard-2-asks")
    press(page, "#versions-discard-2 [data-review]", "Discard version 2")
    page.wait_text("toast", "Version 2 is discarded.")
    page.wait_text("versions-queue", "30 rows proposed as normal")
    press(page, "[data-review=refuse]")
    page.wait_text("versions-queue", "No rows are proposed.")


def test_rows_become_a_version_that_is_reviewed_adopted_and_left_again(
    services: Services,
    user: Identity,
    baseline_id: int,
    page: Page,
    sign_in: Callable[..., None],
) -> None:
    services.jobs.start()
    stream = StreamUnderTest(services, user, baseline_id)
    stream.send(np.concatenate([healthy(10), failing(30)]))
    sign_in(user)
    propose(page, baseline_id)
    page.go("/dashboard/baselines")
    press(page, f"#baseline-{baseline_id}-news a", "30 rows wait for review")
    page.wait_text("versions-head", "Version 1 is in force, with 120 rows.")
    page.wait_text("versions-queue", "new bearing")
    page.wait(lambda: page.js(TRACES, "versions-queue-map") == {"Baseline": 120, "Proposed": 30},
              "the proposed rows on the map")  # fmt: skip
    assert violations(page) == []

    page.click("versions-take-1")
    press(page, "[data-review=make]")
    page.wait_text("toast", "Take some rows first: none is chosen.")
    page.click("versions-take-1")
    page.type("versions-note", "after the overhaul")
    press(page, "[data-review=make]", "Make version 2")
    page.wait_text("versions-version-2", "Under review", 60)
    page.wait_text("versions-queue", "No rows are proposed.")
    drawn = {"Baseline": 120, "Stream": 40, "Added rows": 30}
    page.wait(lambda: page.js(TRACES, "versions-compare-map") == drawn, "both versions on one map")
    page.wait_text("versions-figures", "30 added rows would be")
    assert "30 alarm" in page.text("versions-figures")
    assert "Under version 2 a typical change alarms when it is" in page.text("versions-figures")
    assert violations(page) == []

    page.click("versions-adopt-2-asks")
    find(page, "#versions-adopt-2", "1 stream of Pump 7 will go on in a new epoch")
    press(page, "#versions-adopt-2 [data-review]", "Adopt version 2")
    page.wait_text("toast", "Version 2 is in force.")
    page.wait_text("versions-head", "Version 2 is in force, with 150 rows.")
    assert stream.send(failing(5, seed=8))["epoch"] == 2

    go_back(page)
    with services.sessions() as session:
        assert baselines.get(session, user, baseline_id).rows == 120
