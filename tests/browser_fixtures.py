"""Fixtures of the browser tests.

A test module takes them with `pytest_plugins = ["tests.browser_fixtures"]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from selenium import webdriver

from dinsight import accounts
from dinsight.accounts import Identity
from dinsight.services import Services
from tests import browser as kit
from tests.browser import LiveServer, Page, StreamUnderTest


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser a run."""
    if reason := kit.missing():
        pytest.skip(f"no browser: {reason}")
    driver = kit.start_browser(str(tmp_path_factory.mktemp("chromium")))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def port() -> int:
    """The same for every test, so that the browser keeps its cached scripts."""
    return kit.free_port()


@pytest.fixture
def live_server(services: Services, port: int) -> Iterator[LiveServer]:
    from app import create_app

    server = LiveServer(create_app(services).server, port)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def page(chromium: webdriver.Chrome, live_server: LiveServer) -> Iterator[Page]:
    """A fresh visit, signed in as nobody; at the end the console must be clean."""
    chromium.get(live_server.url + "/signin")
    chromium.execute_script("window.localStorage.clear(); window.sessionStorage.clear();")
    chromium.delete_all_cookies()
    chromium.get_log("browser")
    shown = Page(chromium, live_server.url)
    shown.resize(1440, 1000)
    yield shown
    complaints = shown.complaints()
    chromium.get("about:blank")
    assert complaints == [], "the console is not clean"


@pytest.fixture
def sign_in(services: Services, page: Page) -> Callable[..., None]:
    """Signs the browser in, as a one-time link would, and opens a page of the application."""

    def enter(who: Identity, path: str = "/dashboard/streaming") -> None:
        with services.sessions.begin() as session:
            token = accounts.make_link_token(session, who.id, services.now())
        # Chromium may send once more what the page of the test before had asked a server that was
        # stopped: it has no cookie any more, and the answer, 401, is not this test's.
        page.complaints()
        page.take_cookies(f"/signin/link?token={token}")
        page.go(path)

    return enter


@pytest.fixture
def stream(
    services: Services, user: Identity, baseline_id: int, page: Page, sign_in: Callable[..., None]
) -> StreamUnderTest:
    """The user's stream, its page open and polling twice a second."""
    sign_in(user)
    page.wait_text("live-badge", "Waiting")
    page.choose("live-interval", "0.5")
    return StreamUnderTest(services, user, baseline_id)
