"""The server goes away under the open page, and comes back."""

from __future__ import annotations

from tests.browser import LiveServer, Page, StreamUnderTest

pytest_plugins = ["tests.browser_fixtures"]


def test_page_reconnects_by_itself_and_misses_nothing(
    page: Page, live_server: LiveServer, stream: StreamUnderTest
) -> None:
    page.ignored = ("ERR_CONNECTION", "ERR_EMPTY_RESPONSE")  # noted by the browser itself
    stream.send(5)
    page.wait_points(5)
    page.js("window.sameDocument = true")

    live_server.stop()
    page.wait_text("live-badge", "Reconnecting in", seconds=5)
    stream.send(7)
    page.click("live-pause")
    page.wait_text("toast", "The server cannot be reached: nothing was changed.")
    live_server.start()

    page.wait_text("live-badge", "Polling")
    assert page.wait_points(12)["seqs"] == list(range(1, 13))
    assert page.js("return window.sameDocument") is True
    assert stream.state == "streaming"
