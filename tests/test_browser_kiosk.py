"""A wall screen in a real browser: signed in by its link, large, and true for weeks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from dinsight import displays, packing
from dinsight.accounts import Identity
from dinsight.ingest import Incoming, ingest
from dinsight.services import Services
from tests.browser import LiveServer, Page, StreamUnderTest
from tests.factories import csv, failing, healthy

pytest_plugins = ["tests.browser_fixtures"]
SignIn = Callable[..., None]

SEEN = """
const seen = (e) => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length;
return [...document.querySelectorAll("button, a[href], input, select, header, summary")]
  .filter((e) => seen(e) && !e.closest(".js-plotly-plot")).map((e) => e.outerHTML.slice(0, 80));
"""


@pytest.fixture
def link(services: Services, user: Identity, baseline_id: int, live_server: LiveServer) -> str:
    with services.sessions.begin() as session:
        _, token = displays.make(session, user, baseline_id, name="hall 3", stream="default")
    return f"{live_server.url}/display?token={token}"


@pytest.fixture
def wall(
    page: Page, services: Services, user: Identity, baseline_id: int, link: str
) -> StreamUnderTest:
    """The wall screen with three points, polling twice a second; nobody is signed in."""
    stream = StreamUnderTest(services, user, baseline_id)
    stream.send(3)
    page.resize(1920, 1080)
    page.go(link)
    page.wait_points(3)
    page.choose("live-interval", "0.5")
    return stream


def put(page: Page, script: str) -> None:
    """Leave a mark on the page that a reload takes away."""
    page.js("window.before = true;" + script)


def reloaded(page: Page) -> bool:
    return bool(page.js("return window.before === undefined && document.readyState === 'complete'"))


def test_a_screen_shows_the_stream_with_no_controls_in_large_type(
    page: Page, wall: StreamUnderTest
) -> None:
    shown = f"/dashboard/streaming?baseline_id={wall.baseline_id}&stream=default&kiosk=1"
    assert page.path.startswith(shown)
    assert "token" not in page.js("return document.referrer + document.cookie + location.href")
    wall.send(failing(40))
    page.wait_text("live-state", "Failing")
    page.wait_text("kiosk-count", "43")
    page.wait_text("kiosk-age", "last point")
    assert page.text("kiosk-name") == "Pump 7"
    assert "its limit" in page.text("live-score")
    assert page.text("live-badge") == "Polling"
    first = page.text("kiosk-clock")
    page.wait(lambda: page.text("kiosk-clock") != first, "the clock to go on")
    assert page.js(SEEN) == []
    assert page.js("return Object.keys(localStorage)") == []  # its large points are its own
    assert page.path.startswith(shown) and "size" not in page.path

    sizes = page.js(
        "return ['kiosk-name', 'live-state', 'live-score', 'live-badge', 'kiosk-count',"
        " 'kiosk-age', 'kiosk-clock'].map((id) =>"
        " parseFloat(getComputedStyle(document.getElementById(id)).fontSize))"
    )
    assert min(sizes) >= 48  # of 1,920 px: on a screen of a metre, letters of 2 cm
    stage, whole = page.js(
        "const box = document.getElementById('live-stage').getBoundingClientRect();"
        "return [box.width * box.height, innerWidth * innerHeight]"
    )
    assert stage > 0.6 * whole
    assert page.js("return [document.documentElement.scrollHeight, innerHeight]") == [1080, 1080]


def test_a_screen_never_shows_a_lost_connection_as_live(
    page: Page, wall: StreamUnderTest, live_server: LiveServer
) -> None:
    page.ignored = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    wall.configure(delay_seconds=60)  # so that the stream itself does not grow stale
    page.wait_text("live-badge", "Polling")
    page.wait_text("live-state", "Healthy")
    live = page.js("return getComputedStyle(document.getElementById('live-state')).color")
    live_server.stop()
    page.wait_text("live-badge", "Reconnecting")
    # Only now: a page would be loaded anew from a server that is just about to stop.
    put(page, "window.dinsight.kiosk.patience.silence = 0;")
    time.sleep(2.5)  # it looks once a second
    lost = "return getComputedStyle(document.getElementById('live-state'))"
    assert page.js(lost + ".color") != live
    assert page.js(lost + ".borderStyle") == "dashed"
    assert not reloaded(page)  # a browser's own error page would stay for good
    live_server.start()
    page.wait(lambda: reloaded(page), "the page to load itself anew")
    page.wait_points(3)


def test_a_screen_loads_itself_anew_after_an_upgrade(
    page: Page, wall: StreamUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(page, "window.dinsight.kiosk.patience.upgrade = 1500;")
    before = packing.version()
    page.wait(
        lambda: page.js("return window.dinsight.live.state().status.version") == before, "an answer"
    )
    monkeypatch.setattr(packing, "version", lambda: "another")
    page.wait(lambda: reloaded(page), "the page to load itself anew")
    page.wait_points(3)
    put(page, "window.dinsight.kiosk.patience.upgrade = 1500;")
    wall.send(2)
    page.wait_points(5)
    assert not reloaded(page)


def test_a_revoked_screen_shows_nothing_more(
    page: Page, wall: StreamUnderTest, services: Services, user: Identity
) -> None:
    page.ignored = ("401",)
    with services.sessions.begin() as session:
        (screen,) = displays.list_all(session, user, wall.baseline_id)
        displays.revoke(session, user, wall.baseline_id, screen.id, now=services.now())
    page.wait(lambda: page.path.startswith("/signin?next="), "the screen to be out")
    assert "Pump 7" not in page.js("return document.body.innerText")


def test_a_link_is_made_used_and_revoked_in_the_dialog(
    page: Page, stream: StreamUnderTest, services: Services, user: Identity
) -> None:
    stream.send(3)
    page.wait_points(3)
    page.click("displays-open")
    page.wait_text("displays-list", "No screen shows this baseline.")
    page.type("displays-name", "hall 3, north wall")
    page.click("displays-make")
    page.wait_text("displays-link", "/display?token=dd_")
    page.wait_text("displays-list", "hall 3, north wall")
    made = page.driver.find_element("css selector", "#displays-link code").text
    assert made.startswith(page.url)
    here = page.element("displays-wall").get_attribute("href")
    assert here.endswith(f"?baseline_id={stream.baseline_id}&kiosk=1")

    page.driver.find_element("css selector", "#displays-list button").click()
    page.wait_text("displays-message", "The link of hall 3, north wall is revoked.")
    page.wait_text("displays-list", "No screen shows this baseline.")
    page.driver.find_element("css selector", "#displays-dialog [data-closes]").click()
    page.click("displays-open")
    page.wait(lambda: page.text("displays-link") == "", "the link to be gone")

    page.go(here)
    page.wait_points(3)
    assert page.js(SEEN) == []


def test_a_screen_opens_the_stream_that_it_was_made_for(
    page: Page, services: Services, user: Identity, baseline_id: int, sign_in: Any
) -> None:
    with services.sessions.begin() as session:
        incoming = Incoming(csv(healthy(4)), "batch.csv", "night shift")
        now = services.now()
        ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)
        _, token = displays.make(session, user, baseline_id, name="hall 3", stream="night shift")
    page.go(f"/display?token={token}")
    page.wait_points(4)
    assert "&stream=night+shift&kiosk=1" in page.path
