"""What a page may run, in a real browser: its own scripts, and nothing that is written into it."""

from __future__ import annotations

from collections.abc import Callable

from dinsight.accounts import Identity
from tests.browser import Page, StreamUnderTest

pytest_plugins = ["tests.browser_fixtures"]

WRITE = """
const script = document.createElement("script");
script.textContent = "window.written = true";
document.head.append(script);
return window.written === true;
"""


def test_the_page_draws_and_follows_without_breaking_its_policy(
    stream: StreamUnderTest, page: Page
) -> None:
    stream.send(5)
    page.wait_points(5)
    assert page.map()["type"] == "scattergl"
    assert not page.js("return document.querySelector('#live-map .no-webgl')")
    page.click("live-contours")
    stream.send(3)
    page.wait_points(8)
    assert page.complaints() == []


def test_a_script_that_is_written_into_the_page_does_not_run(
    page: Page, user: Identity, sign_in: Callable[..., None]
) -> None:
    page.ignored = ("Content Security Policy",)
    sign_in(user)
    assert page.js(WRITE) is False
