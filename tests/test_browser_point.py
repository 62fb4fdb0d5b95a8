"""The score trend and the panel of one point, in a real browser."""

from __future__ import annotations

from typing import Any

import numpy as np
from selenium.webdriver.common.keys import Keys

from tests.browser import Page, StreamUnderTest
from tests.factories import failing, healthy

pytest_plugins = ["tests.browser_fixtures"]

AXES = """
document.addEventListener("dinsight:trend", ({detail}) => { window.axis = detail.frame?.last; });
"""
BLIND = """
const ask = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind.startsWith('webgl') ? null : ask.call(this, kind, ...more); };
"""
UNDER = """
const [point] = document.querySelector("#live-map .js-plotly-plot")._hoverdata || [];
return point && point.customdata ? point.customdata[0] : null;
"""
PLACE = """
const gd = document.querySelector("#live-map .js-plotly-plot");
const { data, _fullLayout: { xaxis, yaxis } } = gd;
const trace = data.find(({ name }) => name === "Monitor");
const at = trace.customdata.findIndex((about) => about[0] === arguments[0]);
const box = gd.getBoundingClientRect();
return [box.left + xaxis._offset + xaxis.l2p(trace.x[at]),
        box.top + yaxis._offset + yaxis.l2p(trace.y[at])];
"""
INK = """
const canvas = document.querySelector("#trend-plot canvas");
const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
const ink = [];
for (let x = 0; x < canvas.width; x += 1) {
  let count = 0;
  for (let y = 30; y < canvas.height - 30; y += 1) {
    count += data[4 * (y * canvas.width + x) + 3] > 0;
  }
  ink.push(count);
}
return ink;
"""


def mouse(page: Page, kind: str, x: float, y: float, **more: Any) -> None:
    event = {"type": kind, "x": x, "y": y, **more}
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def click_point(page: Page, seq: int) -> None:
    """With the mouse, where the map shows it, once the map says that it is under the pointer.

    Once more where the map was drawn anew under the pointer, as somebody would.
    """

    def clicked() -> bool:
        x, y = page.js(PLACE, seq)
        mouse(page, "mouseMoved", x - 2, y - 2)
        mouse(page, "mouseMoved", x, y)
        if page.js(UNDER) != seq:
            return False
        for kind in ("mousePressed", "mouseReleased"):
            mouse(page, kind, x, y, button="left", clickCount=1)
        return page.path.endswith(f"&point=1:{seq}")

    page.wait(clicked, f"point {seq} to be clicked")


def shown(page: Page, number: int) -> None:
    page.wait(
        lambda: (
            page.text("point").startswith(f"Point {number}")
            and page.js("return document.getElementById('point-body').getAttribute('aria-busy')")
            == "false"
        ),
        f"point {number} in the panel",
    )


def test_a_failing_stream_shades_its_episode_and_says_since_when(
    page: Page, stream: StreamUnderTest
) -> None:
    page.ignored = ("willReadFrequently",)  # of reading the canvas, which only this test does
    stream.send(healthy(40))
    page.wait_text("trend-episodes-title", "No warning or alarm in this run")
    calm = page.wait(lambda: page.js(INK), "the trend")

    stream.send(failing(20))
    page.wait_text("live-state", "Failing")
    page.wait_text("trend-episodes-title", "Alarm since ")
    page.wait_text("live-heard", "since ")
    since = page.text("live-heard").removeprefix("since ").split(",")[0]  # ", as of 5 s ago"
    assert since in page.text("trend-episodes-title")
    ink = page.js(INK)
    shaded = len(ink) * 9 // 10
    assert ink[shaded] > 3 * max(ink[len(ink) // 2], calm[shaded])

    page.click("trend-episodes-title")
    page.driver.find_element("css selector", "#trend-episodes .episode-alarm").click()
    page.wait(lambda: "point=1:" in page.path, "the worst point of the alarm")
    stream.reset()
    page.wait_text("trend-episodes-title", "No warning or alarm in this run")


def test_a_million_times_the_limit_leaves_the_healthy_visible(
    page: Page, stream: StreamUnderTest
) -> None:
    heights = page.js(
        "return [0, 0.5, 1, 10, 1e6, 1e9].map((score) => dinsight.trendPlot.height(score, 1e6))"
    )
    assert heights[:3] == [0, 0.25, 0.5]
    assert 0.5 < heights[3] < 0.6
    assert heights[4:] == [1, 1]


def test_trend_of_a_long_run_is_drawn_in_buckets_that_live_points_extend(
    page: Page, stream: StreamUnderTest
) -> None:
    for seed in range(5):
        stream.send(healthy(500, seed=seed))
    stream.send(failing(5))
    told = "const { past, last, width, buckets } = dinsight.trend.state();"
    page.go(page.path)
    page.wait(lambda: page.js(told + "return past") == 2_505, "the past")
    assert page.js(told + "return [width, buckets.length]") == [8, 314]
    peak = page.js(told + "return buckets[buckets.length - 1].peak")
    assert peak > 2_500
    stream.send(healthy(3))
    page.wait(lambda: page.js(told + "return last") == 2_508, "three more points")
    assert page.js(told + "return [past, buckets.length]") == [2_505, 314]
    page.choose("trend-span", "100")
    page.element("trend-plot").send_keys(Keys.END)
    value = page.element("trend-plot").get_attribute("aria-valuetext")
    assert value.startswith("point 2,508 · score 0.")

    with page.script(AXES):
        page.choose("trend-axis", "time")
        page.go(page.path)  # kept on this device
        page.wait(lambda: (page.js("return window.axis") or 0) > 1e12, "moments for points")
        assert page.element("trend-axis").get_attribute("value") == "time"


def test_a_click_on_the_map_says_why_and_every_way_back(
    page: Page, stream: StreamUnderTest
) -> None:
    row = healthy(1, seed=3)[0]
    row[7] += 9
    rows = np.concatenate([healthy(6), row[None], healthy(2, seed=9)])
    with page.script(BLIND):
        page.go(page.path)
        page.wait_text("live-badge", "Waiting")
        stream.send(rows)
        page.wait_points(9)
        page.wait(lambda: page.js("return dinsight.trend.state().past") == 9, "the trend")

        click_point(page, 7)
        shown(page, 7)
        assert "associated with f_7 (higher than usual)" in page.text("point-top")
        assert page.text("point-rest").splitlines()[1].startswith("f_7")
        assert page.path.endswith("&point=1:7")
        assert page.js("return document.querySelectorAll('.map-mark-selected').length") == 1
        assert page.js("return document.querySelectorAll('.map-mark-nearest').length") == 1

        page.element("live-map").find_element("xpath", "//body").send_keys(Keys.ARROW_LEFT)
        shown(page, 6)
        assert page.path.endswith("&point=1:6")
        for name, number in [("newest", 9), ("worst", 7), ("next", 8)]:
            page.driver.find_element("css selector", f"[data-point={name}]").click()
            shown(page, number)

        page.go(page.path)  # as a colleague would who was sent the address
        shown(page, 8)
        stream.send(healthy(1, seed=4))
        page.wait_points(10)
        assert page.text("point").startswith("Point 8")

        page.driver.find_element("tag name", "body").send_keys(Keys.ESCAPE)
        page.wait(lambda: "point=" not in page.path, "the selection to be gone")
        assert not page.js("return document.getElementById('point').open")
        assert page.js("return document.querySelectorAll('.map-mark').length") == 0


def test_pointing_at_the_trend_marks_the_point_on_the_map(
    page: Page, stream: StreamUnderTest
) -> None:
    stream.send(12)
    page.wait_points(12)
    page.wait(lambda: page.js("return dinsight.trend.state().past") == 12, "the trend")
    plot = page.element("trend-plot")
    plot.send_keys(Keys.HOME)
    page.wait_text("trend-about", "point 1 ·")
    assert page.js("return document.querySelectorAll('.map-mark-hovered').length") == 1
    plot.send_keys(Keys.ARROW_RIGHT)
    page.wait_text("trend-about", "point 2 ·")
    plot.send_keys(Keys.ENTER)
    shown(page, 2)


def test_a_point_that_is_not_there_is_said_in_the_panel(
    page: Page, stream: StreamUnderTest
) -> None:
    stream.send(2)
    page.go(f"{page.path}&point=1:5")
    page.wait_text("point-top", "has no point 5 in epoch 1")
