"""The API's page in a real browser: all of it from this server, under a strict policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Response, request
from flask.testing import FlaskClient
from selenium.webdriver.common.by import By

from dinsight.accounts import Identity
from tests.browser import LiveServer, Page

pytest_plugins = ["tests.browser_fixtures"]

# No inline script, no eval, no other host; Swagger UI draws its icons as data and styles itself.
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self' data:; connect-src 'self'; frame-ancestors 'self'"
)
OPERATIONS = "document.querySelectorAll('.opblock').length"


@pytest.fixture
def strict(live_server: LiveServer) -> None:
    """Every answer of the API carries the policy, whatever the application says itself."""

    def add(response: Response) -> Response:
        if request.path.startswith("/api/"):
            response.headers["Content-Security-Policy"] = STRICT
        return response

    app: Any = live_server._app  # a Flask server
    app.after_request_funcs[None].append(add)


def shown(page: Page) -> int:
    return int(page.js(f"return {OPERATIONS}"))


def test_a_stranger_reads_the_document_and_no_other_host_is_asked(strict: None, page: Page) -> None:
    page.go("/api/v1/docs")
    document = page.js("return fetch('openapi.json').then((answer) => answer.json())")
    count = sum(len(set(item) - {"parameters"}) for item in document["paths"].values())
    page.wait(lambda: shown(page) == count, f"{count} operations")
    asked = page.js("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(asked) >= 4
    assert [url for url in asked if not url.startswith((page.url, "data:"))] == []


def test_trying_it_out_uses_the_pages_own_sign_in(
    strict: None, page: Page, sign_in: Callable[..., None], user: Identity
) -> None:
    sign_in(user, "/api/v1/docs#/auth/make-key")
    press(page, ".try-out__btn")
    press(page, ".execute")
    page.wait(lambda: read(page, ".live-responses-table .response-col_status"), "the answer")
    assert read(page, ".live-responses-table .response-col_status").startswith("201")
    assert '"name": "gateway in hall 3"' in read(
        page, ".live-responses-table .response-col_description"
    )


def press(page: Page, selector: str) -> None:
    found = page.wait(lambda: page.driver.find_elements(By.CSS_SELECTOR, selector), selector)
    page.js("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", found[0])


def read(page: Page, selector: str) -> str:
    found = page.driver.find_elements(By.CSS_SELECTOR, selector)
    return found[-1].text if found else ""


def test_only_the_files_of_the_page_are_served(client: FlaskClient) -> None:
    for name in ("index.html", "swagger-ui.css.map", "..%2Fdocs.py", "LICENSE"):
        answer: Any = client.get(f"/api/v1/docs/{name}")
        assert (answer.status_code, answer.json["success"]) == (404, False)
