"""The sign-in page's door: what is sent to it by hand, and what else is shut."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from callbacks import signin
from dinsight.accounts import Identity
from layouts.shell import STREAMING
from tests.factories import PASSWORD


@pytest.mark.parametrize("target", ["//[x", "//\u2100", "/x\ud800"])
def test_a_next_that_is_no_address_leads_to_the_streaming_page(target: str) -> None:
    assert signin.local_path(target) == STREAMING


@pytest.mark.parametrize("origin", ["http://[", "http://[x]", ""])
def test_an_origin_that_is_none_is_another_site(
    client: FlaskClient, user: Identity, origin: str
) -> None:
    form = {"email": user.email, "password": PASSWORD}
    answer = client.post("/signin", data=form, headers={"Origin": origin})
    assert answer.status_code == 403


def test_an_address_with_a_nul_character_is_nobodys(client: FlaskClient) -> None:
    answer = client.post("/signin", data={"email": "ada\0@example.com", "password": PASSWORD})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path", ["/signinx", "/healthzz", "/readyz/x", "/robots.txtx", "/signin/x"]
)
def test_a_page_is_not_open_because_its_name_begins_like_an_open_one(
    client: FlaskClient, path: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Location"][:13]) == (302, "/signin?next=")


def test_a_script_of_no_library_of_ours_is_404(client: FlaskClient) -> None:
    assert client.get("/_dash-component-suites/x/y.js").status_code == 404
