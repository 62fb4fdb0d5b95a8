"""The Detection panel in a real browser: areas drawn on the map, modes, sensitivity."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser import Page, StreamUnderTest
from tests.factories import failing, healthy

pytest_plugins = ["tests.browser_fixtures"]

MARKS = """
const gd = document.querySelector("#live-map .js-plotly-plot");
const { x, y, marker, customdata } = gd.data.find((trace) => trace.name === "Monitor");
const each = (value) => (Array.isArray(value) ? value : x.map(() => value));
return { symbols: each(marker.symbol).slice(0, x.length), inside: customdata.map((a) => a[3]) };
"""
PIXELS = """
const gd = document.querySelector("#live-map .js-plotly-plot");
const { xaxis, yaxis } = gd._fullLayout;
const box = gd.getBoundingClientRect();
return arguments[0].map(([x, y]) => [
  box.left + xaxis._offset + xaxis.d2p(x), box.top + yaxis._offset + yaxis.d2p(y)]);
"""
DRAFT = """
const shape = document.querySelector("#detect-overlay polygon");
return shape ? shape.getAttribute("points") : "";
"""
SHAPES = """
const gd = document.querySelector("#live-map .js-plotly-plot");
return (gd.layout.shapes || []).map((shape) => shape.label.text);
"""


class Area:
    """A rectangle in map units around the lower half of some points."""

    def __init__(self, page: Page) -> None:
        shown = page.map()
        x, y = shown["monitor"], sorted(shown["monitorY"])
        self.left, self.right = min(x) - 0.05, max(x) + 0.05
        middle = len(y) // 2
        self.bottom, self.top = y[0] - 0.05, (y[middle - 1] + y[middle]) / 2
        self.count = middle


def drag(page: Page, *places: tuple[float, float]) -> None:
    """Press, move and release the pointer, at places in map units."""
    way = [[round(each) for each in at] for at in page.js(PIXELS, places)]
    kinds = ["mousePressed", *["mouseMoved"] * (len(way) - 1), "mouseReleased"]
    for kind, (x, y) in zip(kinds, [*way, way[-1]], strict=True):
        event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def wait_inside(page: Page, flags: list[Any]) -> None:
    page.wait(lambda: page.js(MARKS)["inside"] == flags, f"the flags {flags}")


def expected(page: Page, area: Area) -> list[bool]:
    return [y <= area.top for y in page.map()["monitorY"]]


def test_a_rectangle_is_drawn_kept_through_ticks_saved_and_deleted(
    page: Page, stream: StreamUnderTest
) -> None:
    stream.send(healthy(12))
    page.wait_points(12)
    area = Area(page)
    page.click("detect-rectangle")
    drag(page, (area.left, area.bottom), (0, area.top), (area.right, area.top))
    page.wait(lambda: page.js(DRAFT), "the draft")
    drawn = page.js("return window.dinsight.draw.draft().geometry")
    assert drawn["y1"] == pytest.approx(area.top, abs=0.05)
    # A tick, a theme, contours: the draft stays where it is on the map.
    stream.send(healthy(3, seed=9))
    page.wait_points(15)
    page.js("window.dinsightTheme.toggle()")
    page.click("live-contours")
    page.wait(lambda: page.map()["contours"] == [False, False], "no contours")
    assert page.js("return window.dinsight.draw.draft().geometry") == drawn
    assert page.js(DRAFT)
    top = page.js("return window.dinsight.draw.draft().geometry.y1")
    page.type("detect-name", "Idle")
    page.click("detect-save")
    page.wait_text("toast", "Idle is saved.")
    flags = [y <= top for y in page.map()["monitorY"]]
    wait_inside(page, flags)
    page.wait(lambda: page.js(SHAPES) == ["Idle"], "the area on the map")
    assert page.js(DRAFT) == ""

    page.js("document.querySelectorAll('#detect-mode input')[1].click()")
    inside = sum(flags)
    page.wait_text("detect-normal", f"{inside} normal")
    page.wait_text("detect-anomalous", f"{15 - inside} anomalous")
    symbols = ["circle" if flag else "diamond" for flag in flags]
    page.wait(lambda: page.js(MARKS)["symbols"] == symbols, "diamonds outside")

    stream.send(failing(2))
    page.wait_points(17)
    wait_inside(page, [*flags, False, False])
    page.wait_text("detect-anomalous", f"{17 - inside} anomalous")
    assert "&detect=areas" in page.path

    page.go(page.path)
    page.wait_points(17)
    wait_inside(page, [*flags, False, False])
    page.wait(lambda: page.js(MARKS)["symbols"] == [*symbols, "diamond", "diamond"], "the marks")
    assert page.js(SHAPES) == ["Idle"]
    page.wait_text("detect-normal", f"{inside} normal")

    page.driver.find_element("css selector", ".area [aria-label='Delete Idle']").click()
    page.wait_text("detect-delete-text", "Idle goes")
    page.click("detect-delete-confirm")
    page.wait(lambda: page.js(SHAPES) == [], "no area")
    page.wait_text("detect-about", "No normal area on this map yet")
    assert set(page.js(MARKS)["symbols"]) == {"circle"}


def test_a_sensitivity_that_could_not_be_set_is_not_shown(
    page: Page, stream: StreamUnderTest
) -> None:
    page.ignored = ("ERR_BLOCKED_BY_CLIENT", "ERR_CONNECTION_REFUSED")
    stream.send(3)
    page.wait_points(3)
    select = page.element("detect-sensitivity")
    page.wait(select.is_enabled, "the choices")
    before = select.get_attribute("value")
    offered = "return [...arguments[0].options].find((o) => !o.disabled && !o.selected).value"
    other = page.js(offered, select)
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*_dash-update-component*"]})
    page.choose("detect-sensitivity", other)
    page.wait_text("toast", "nothing was changed")
    assert select.get_attribute("value") == before
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    page.choose("detect-sensitivity", other)
    page.wait_text("detect-cost", "times the calibrated limit")
    assert select.get_attribute("value") == other
