"""Signing in and out, and the account page, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

from dinsight import accounts
from dinsight.accounts import Identity
from dinsight.services import Services
from tests.browser import Page
from tests.factories import PASSWORD

pytest_plugins = ["tests.browser_fixtures"]
SignIn = Callable[..., None]


def fill(page: Page, email: str, password: str) -> None:
    page.type("signin-email", email)
    page.type("signin-password", password)
    page.click("signin-submit")


def test_password_leads_to_the_page_that_was_asked_for(page: Page, user: Identity) -> None:
    page.go("/account")
    page.wait(lambda: page.path.startswith("/signin?next="), "the sign-in page")

    fill(page, user.email, PASSWORD)

    page.wait(lambda: page.path == "/account", "the account page")
    page.wait_text("main", user.email)


def test_wrong_password_is_said_and_the_address_is_kept(page: Page, user: Identity) -> None:
    page.ignored = ("401",)  # the browser itself notes the status of the answer
    page.go("/signin")
    fill(page, user.email, "not the password")

    page.wait_text("signin-error", "The e-mail address or the password is wrong.")
    assert page.element("signin-email").get_attribute("value") == user.email


def test_link_signs_in_once(page: Page, services: Services, user: Identity) -> None:
    with services.sessions.begin() as session:
        token = accounts.make_link_token(session, user.id, services.now())
    page.go(f"/signin/link?token={token}")
    page.wait(lambda: page.path.startswith("/dashboard/streaming"), "the streaming page")
    page.wait_text("live-empty", "No baseline yet")

    page.go(f"/signin/link?token={token}")
    page.wait(lambda: page.path.startswith("/dashboard/streaming"), "the streaming page again")

    page.ignored = ("410",)
    page.go("/assets/favicon.svg")  # a page that asks nothing while the cookies go
    page.driver.delete_all_cookies()
    page.go(f"/signin/link?token={token}")
    page.wait_text("signin-error", "This sign-in link was used")


def test_sign_out_closes_the_pages(page: Page, user: Identity, sign_in: SignIn) -> None:
    sign_in(user)
    page.wait_text("live-empty", "No baseline yet")
    page.driver.find_element("css selector", ".account-button").click()
    page.click("account-sign-out")
    page.wait(lambda: page.path == "/signin", "the sign-in page")

    page.go("/dashboard/streaming")
    assert page.path.startswith("/signin?next=")


def test_an_ended_sign_in_leads_to_the_sign_in_page_and_back(
    page: Page, user: Identity, baseline_id: int, sign_in: SignIn
) -> None:
    page.ignored = ("401",)
    sign_in(user)
    page.wait_text("live-badge", "Waiting")
    page.driver.delete_all_cookies()

    page.wait(lambda: page.path.startswith("/signin?next="), "the sign-in page")
    fill(page, user.email, PASSWORD)
    page.wait(
        lambda: page.path == f"/dashboard/streaming?baseline_id={baseline_id}", "the page again"
    )


def test_password_is_changed_on_the_account_page(
    page: Page, services: Services, user: Identity, sign_in: SignIn
) -> None:
    sign_in(user, "/account")
    page.type("account-current-password", PASSWORD)
    page.type("account-new-password", "a new and better one")
    page.type("account-repeat-password", "another one")
    page.click("account-save-password")
    page.wait_text("account-password-message", "The two new passwords differ.")

    page.type("account-repeat-password", "a new and better one")
    page.click("account-save-password")
    page.wait_text("account-password-message", "The password is set.")
    with services.sessions.begin() as session:
        assert accounts.sign_in(session, user.email, "a new and better one").id == user.id


def test_key_is_revoked_on_the_account_page(
    page: Page, services: Services, user: Identity, sign_in: SignIn
) -> None:
    with services.sessions.begin() as session:
        accounts.make_key(session, user.id, "gateway 3")
    sign_in(user, "/account")
    page.wait_text("account-keys", "gateway 3")

    page.driver.find_element("css selector", "#account-keys button").click()

    page.wait_text("account-keys-message", "The key is revoked.")
    page.wait_text("account-keys", "There are no keys.")
    with services.sessions() as session:
        assert accounts.list_keys(session, user.id) == []


def test_unknown_address_leads_back_to_a_page(page: Page, user: Identity, sign_in: SignIn) -> None:
    sign_in(user, "/nowhere")
    page.wait_text("main", "There is no such page")
    assert page.driver.title == "No such page · D'insight"
    page.driver.find_element("css selector", "#main a").click()
    page.wait(lambda: page.path == "/dashboard/streaming", "the streaming page")
    page.wait_text("live-empty", "No baseline yet")


def test_theme_is_the_systems_until_one_is_chosen(
    page: Page, user: Identity, sign_in: SignIn
) -> None:
    def theme() -> str:
        return str(page.js("return document.documentElement.dataset.theme"))

    def system(scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    system("dark")
    sign_in(user)
    assert theme() == "dark"
    system("light")
    page.go("/account")
    assert theme() == "light"
    page.click("theme-toggle")
    assert theme() == "dark"
    page.go("/account")
    assert theme() == "dark"
