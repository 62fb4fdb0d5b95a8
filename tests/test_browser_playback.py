"""A recording on the streaming page: as it was at any moment, whatever the stream does now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys
from sqlalchemy import func, literal, update

from dinsight.accounts import Identity
from dinsight.models import Point
from dinsight.services import Services
from tests.browser import Page, StreamUnderTest
from tests.factories import failing, healthy

pytest_plugins = ["tests.browser_fixtures"]

BEGAN = dt.datetime(2026, 3, 1, 14, tzinfo=dt.UTC)
LINE: dict[str, Any] = {
    "first_seq": 3,
    "last_seq": 40,
    "first_point_at": "2026-03-01T14:00:00.000Z",
    "last_point_at": "2026-03-01T14:00:40.000Z",
    "limits": [[1, 1.0], [20, 1.5]],
    "limit": 1.5,
    "alerts": [
        {"opened_seq": 12, "cleared_seq": 15, "title": "Bearing", "severity": "high"},
        {
            "opened_seq": 30,
            "cleared_seq": None,
            "cleared_at": None,
            "title": "B",
            "severity": "low",
        },
    ],
    "trend": {
        "width": 10,
        "number": [0, 1, 2, 3],
        "at": [1000, 11000, 21000, 31000],
        "high": [0.1, 1.2, 0.3, 2.0],
        "level": [0, 1, 0, 2],
        "peak": [4, 12, 25, 33],
        "episodes": [{"first": 12, "level": 1}, {"first": 33, "level": 2}],
    },
}


@pytest.fixture
def recorded(services: Services, stream: StreamUnderTest, page: Page) -> StreamUnderTest:
    """An archived run of 60 points, one a second, failing from the 41st on; and 3 newer points."""
    stream.send(40)
    stream.send(failing(20))
    page.wait_points(60)
    with services.sessions.begin() as session:
        second = func.make_interval(0, 0, 0, 0, 0, 0, Point.seq)
        session.execute(update(Point).values(received_at=literal(BEGAN) + second))
    stream.reset()
    stream.send(healthy(3, seed=5))
    page.wait_points(3)
    return stream


def moment(page: Page) -> int:
    return int(page.js("const play = dinsight.playback.state(); return play ? play.drawn : 0;"))


def at(page: Page, seq: int) -> dict[str, Any]:
    """The map once the recording stands at a point."""
    page.wait(lambda: moment(page) == seq, f"point {seq} of the recording")
    drawn = page.map()
    assert drawn["seqs"] == list(range(1, seq + 1)), "what had come, and nothing of later"
    return drawn


# Moves the scrubber, and gives where the moment is marked before its points are drawn.
SCRUB = """
const range = document.getElementById("playback-range");
range.value = arguments[0];
range.dispatchEvent(new Event("input", { bubbles: true }));
const { left, top } = document.querySelector(".map-mark-moment").style;
return [parseFloat(left), parseFloat(top)];
"""
# To the point that is drawn, before another one could be.
BACK = """
const range = document.getElementById("playback-range");
for (const place of [arguments[0] - 1, arguments[0]]) {
  range.value = place;
  range.dispatchEvent(new Event("input", { bubbles: true }));
}
"""
PLACE = """
const { xaxis, yaxis } = document.querySelector("#live-map .js-plotly-plot")._fullLayout;
const [x, y] = arguments;
return [xaxis.l2p(x) + xaxis._offset, yaxis.l2p(y) + yaxis._offset];
"""


def scrub(page: Page, seq: int) -> dict[str, Any]:
    """The map of the point that the scrubber is moved to; its place is marked at once."""
    assert len(page.map()["monitor"]) != seq
    marked = page.js(SCRUB, seq)
    drawn = at(page, seq)
    place = page.js(PLACE, drawn["monitor"][-1], drawn["monitorY"][-1])
    assert marked == pytest.approx(place, abs=1)
    assert not page.driver.find_elements("css selector", ".map-mark-moment")
    page.js(BACK, seq)
    assert not page.driver.find_elements("css selector", ".map-mark-moment")
    return at(page, seq)


def press(page: Page, key: str) -> None:
    page.driver.switch_to.active_element.send_keys(key)


def test_from_the_history_to_a_moment_and_back_to_live(
    page: Page, recorded: StreamUnderTest
) -> None:
    page.click("playback-history")
    page.wait_text("playback-list", "ended by a reset")
    runs = page.driver.find_elements("css selector", "#playback-list .run")
    assert ["present run" in run.text for run in runs] == [True, False]
    assert "60 points" in runs[1].text and "Alarm" in runs[1].text
    runs[1].click()

    at(page, 1)
    assert page.text("live-badge").startswith("Playback, ")
    assert (page.text("live-state"), page.text("live-count")) == ("was Healthy", "1 / 60")
    for id in ("live-start", "live-pause", "live-stop", "live-reset", "live-pause-view"):
        assert not page.element(id).is_displayed(), id
    page.js("document.activeElement.blur()")
    press(page, Keys.ARROW_RIGHT)
    at(page, 2)
    press(page, Keys.ARROW_RIGHT)
    press(page, Keys.ARROW_LEFT)
    at(page, 2)

    page.click("playback-next")
    page.wait(lambda: moment(page) > 40, "the alert")
    at(page, moment(page))
    assert page.text("live-state") in {"was Deteriorating", "was Failing"}
    shown = scrub(page, 55)
    assert (page.text("live-state"), len(shown["latest"])) == ("was Failing", 10)
    score = page.text("live-score")
    link = page.element("playback-link").get_attribute("data-copy")
    page.wait(lambda: "at=55" in page.path, "the moment in the address")
    assert link.endswith(page.path) and "epoch=1" in link

    recorded.reset()  # of the present run: a recording does not change
    recorded.send(2)
    assert at(page, 55) == shown

    page.go(link)  # as a colleague opens it
    assert at(page, 55)["monitor"] == shown["monitor"]
    assert page.text("live-score") == score and "×" in score

    page.js("dinsight.playback.go(57)")
    at(page, 57)
    page.js(
        "document.getElementById('playback-speed').value = '10r';"
        "document.getElementById('playback-speed')"
        ".dispatchEvent(new Event('change', {bubbles: true}));"
    )
    page.js("document.activeElement.blur()")
    press(page, Keys.SPACE)
    at(page, 60)
    page.wait_text("playback-note", "the end of the run")
    assert page.text("playback-play") == "Play"

    page.click("playback-live")
    page.wait_points(2)
    assert "epoch" not in page.path and "Playback" not in page.text("live-badge")
    recorded.send(1)
    page.wait_points(3)  # it follows the stream again
    assert page.element("live-reset").is_displayed()
    assert not page.element("playback").is_displayed()


def test_a_point_of_a_recording_is_explained_and_the_trend_leads_to_moments(
    page: Page, recorded: StreamUnderTest
) -> None:
    number = recorded.baseline_id
    page.go(f"/dashboard/streaming?baseline_id={number}&epoch=1&at=50")
    at(page, 50)
    page.js(
        "document.dispatchEvent(new CustomEvent('dinsight:select', {detail: {epoch: 1, seq: 45}}))"
    )
    page.wait_text("point-top", "limit")
    assert "point=1:45" in page.path
    page.js("document.getElementById('trend-plot').focus()")
    press(page, Keys.HOME)
    press(page, Keys.ENTER)
    at(page, 1)
    page.js("document.activeElement.blur()")
    press(page, Keys.SHIFT + Keys.ARROW_RIGHT)
    page.wait(lambda: moment(page) > 40, "the alert")
    alert = moment(page)
    page.js("dinsight.playback.go(60)")
    page.wait(lambda: page.element("playback-next").get_attribute("disabled"), "the last of it")
    while moment(page) > alert:
        before = moment(page)
        press(page, Keys.SHIFT + Keys.ARROW_LEFT)
        page.wait(lambda before=before: moment(page) < before, "what was before")
    assert moment(page) == alert
    page.wait(lambda: page.element("playback-previous").get_attribute("disabled"), "the first")
    page.go(f"/dashboard/streaming?baseline_id={number}&epoch=7")
    page.wait_text("live-empty", "cannot be played back")
    page.js("document.querySelector('#live-empty a').click()")
    page.wait_points(3)
    page.go(f"/dashboard/streaming?baseline_id={number}&epoch=1&kiosk=1")
    page.wait_points(3)
    assert page.js("return dinsight.playback.on()") is False


def test_the_words_of_moments(
    page: Page, user: Identity, baseline_id: int, sign_in: Callable[..., None]
) -> None:
    sign_in(user)
    page.wait(lambda: page.js("return Boolean(window.dinsight && dinsight.moments)"), "the page")

    def ask(name: str, *arguments: Any) -> Any:
        return page.js("return dinsight.moments[arguments[0]](...arguments[1])", name, arguments)

    assert ask("speed", "0.25") == {"rows": None, "times": 0.25}
    assert ask("speed", "10r") == {"rows": 10, "times": None}
    about = ask("about", LINE, 16)
    assert (about["at"], about["score"], about["level"]) == (16000, 1.2, "warning")
    assert [ask("limit", LINE, seq) for seq in (3, 19, 20, 40)] == [1, 1, 1.5, 1.5]
    assert [ask("limit", {**LINE, "limits": []}, 3)] == [1.5]
    targets = ask("targets", LINE)
    assert [(each["seq"], each["text"]) for each in targets] == [
        (12, "Bearing (high)"),
        (30, "B (low)"),
        (33, "Alarm"),
    ]
    assert ask("next", targets, 12)["seq"] == 30
    assert ask("next", targets, 33) is None
    assert [ask("previous", targets, seq) for seq in (12, 31)] == [None, targets[1]]
    early = {
        **LINE,
        "alerts": [],
        "trend": {**LINE["trend"], "episodes": LINE["trend"]["episodes"][1:]},
    }
    assert [each["seq"] for each in ask("targets", early)] == [12, 33]
    assert [len(ask("active", LINE, seq)) for seq in (11, 12, 15, 40)] == [0, 1, 0, 1]
    assert not ask("burst", LINE)
    assert ask("burst", {**LINE, "last_point_at": LINE["first_point_at"]})
    assert (ask("usual", [0, 0, 1000, 1000, 2000, 9000]), ask("usual", [5, 5])) == (1000, 0)
    assert (ask("longest", 1000, 1), ask("longest", 1000, 60)) == (10_000, 120_000)
