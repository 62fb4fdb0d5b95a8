"""What is new is pushed to the page; without a socket it polls, and nobody sees the seam."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dinsight import accounts
from dinsight.accounts import Identity
from dinsight.services import Services
from tests.browser import LiveServer, Page, StreamUnderTest
from tests.factories import failing

pytest_plugins = ["tests.browser_fixtures"]

# Counts the questions of the page and the sockets that it opens.
COUNT = """
if (!window.asked) {
  window.asked = []; window.opened = [];
  const fetch = window.fetch;
  window.fetch = function (resource, options) {
    if (String((options || {}).body).includes('"output":"live-feed.data"')) window.asked.push(1);
    return fetch.apply(this, arguments);
  };
  window.WebSocket = class extends window.WebSocket {
    constructor(url) { super(url); window.opened.push(url); }
  };
}
window.asked.length = 0; window.opened.length = 0;
"""


@pytest.fixture
def live_server(services: Services, port: int) -> Iterator[LiveServer]:
    """The whole server, with its sockets."""
    from app import create_app

    server = LiveServer(create_app(services).server, port, services.settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pushed(page: Page, stream: StreamUnderTest) -> StreamUnderTest:
    """The stream, its page told by a socket, with three points; its own beat is a slow one."""
    page.choose("live-interval", "10")
    stream.send(3)
    page.wait_text("live-badge", "Live")
    page.wait_points(3)
    return stream


def hide(page: Page, hidden: bool) -> None:
    page.js(
        "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'));",
        hidden,
    )


def test_points_come_by_themselves_and_once(page: Page, pushed: StreamUnderTest) -> None:
    page.js(COUNT)
    for _ in range(5):
        pushed.send(4)
    pushed.send(failing(40))
    assert page.wait_points(63)["seqs"] == list(range(1, 64))
    page.wait_text("live-state", "Failing", seconds=2)
    assert page.text("live-count") == "63"
    assert page.js("return [asked.length, opened.length]") == [0, 0]


def test_what_others_do_to_the_stream_is_seen_at_once(page: Page, pushed: StreamUnderTest) -> None:
    page.js(COUNT)
    pushed.control("pause")
    page.wait_text("live-badge", "Paused", seconds=2)
    pushed.control("stop")
    page.wait_text("live-badge", "Stopped", seconds=2)
    pushed.reset()
    page.wait_text("live-badge", "Waiting", seconds=2)
    assert page.map()["monitor"] == []
    pushed.send(2)
    page.wait_text("live-badge", "Live", seconds=2)
    assert page.wait_points(2)["seqs"] == [1, 2]
    assert page.js("return asked.length") == 0


def test_a_stream_that_goes_quiet_becomes_stale(page: Page, pushed: StreamUnderTest) -> None:
    page.wait_text("live-badge", "Stale, last point", seconds=12)


def test_a_page_that_does_not_refresh_by_itself_has_no_socket(
    page: Page, pushed: StreamUnderTest
) -> None:
    page.click("live-auto")
    page.wait_text("live-badge", "Not refreshing")
    pushed.send(2)
    page.click("live-refresh")
    page.wait_points(5)
    page.js(COUNT)
    page.click("live-auto")
    page.wait_text("live-badge", "Live", seconds=5)
    assert page.js("return opened.length") == 1
    pushed.send(2)
    page.wait_points(7)


def test_push_can_be_turned_off_in_the_address(page: Page, pushed: StreamUnderTest) -> None:
    page.go(f"/dashboard/streaming?baseline_id={pushed.baseline_id}&push=0")
    page.js(COUNT)
    page.wait_text("live-badge", "Polling")
    pushed.send(1)
    page.click("live-refresh")
    page.wait_points(4)
    assert page.js("return opened.length") == 0


def test_a_view_that_was_paused_goes_on_without_a_gap(page: Page, pushed: StreamUnderTest) -> None:
    page.click("live-pause-view")
    page.wait_text("live-badge", "View paused")
    page.wait(lambda: not page.js("return dinsight.socket.open()"), "the socket to close")
    for _ in range(4):
        pushed.send(5)
    page.wait_text("live-badge", "20 new", seconds=10)
    page.js("document.getElementById('live-pause-view').click()")
    for _ in range(4):
        pushed.send(2)
    assert page.wait_points(31)["seqs"] == list(range(1, 32))
    page.wait(lambda: page.js("return dinsight.socket.open()"), "the socket to open")


def test_a_sleeping_tab_catches_up_with_one_question(page: Page, pushed: StreamUnderTest) -> None:
    page.js(
        "window.clock = 0; const now = performance.now.bind(performance);"
        "performance.now = () => now() + window.clock;"
    )
    hide(page, True)
    page.js("window.clock = 200000")
    page.wait(lambda: not page.js("return dinsight.socket.open()"), "the socket to close")
    pushed.send(5)
    pushed.send(6)
    page.js(COUNT)
    hide(page, False)
    page.wait(lambda: page.js("return dinsight.socket.open()"), "the socket to open")
    assert page.wait_points(14)["seqs"] == list(range(1, 15))
    assert page.js("return [asked.length, opened.length]") == [1, 1]
    pushed.send(1)
    page.wait_points(15)


def test_page_outlives_a_server_that_is_started_again(
    page: Page, live_server: LiveServer, pushed: StreamUnderTest
) -> None:
    page.ignored = ("ERR_CONNECTION", "ERR_EMPTY_RESPONSE")  # noted by the browser itself
    page.js("window.sameDocument = true")
    live_server.stop()
    page.wait_text("live-badge", "Reconnecting", seconds=5)
    pushed.send(7)
    pushed.control("pause")
    live_server.start()
    page.wait_text("live-badge", "Paused")
    assert page.wait_points(10)["seqs"] == list(range(1, 11))
    pushed.control("resume")
    pushed.send(1)
    page.wait_text("live-badge", "Live")
    assert page.wait_points(11)["seqs"] == list(range(1, 12))
    assert page.js("return window.sameDocument") is True


def test_a_user_who_is_put_out_is_led_to_the_sign_in_page(
    page: Page, pushed: StreamUnderTest, services: Services, user: Identity
) -> None:
    page.ignored = ("401",)
    with services.sessions.begin() as session:
        accounts.set_password(session, user.id, "a new and better one", "correct horse battery")
    page.wait(lambda: page.path.startswith("/signin"), "the sign-in page", seconds=8)
