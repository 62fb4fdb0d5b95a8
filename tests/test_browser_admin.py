"""The administrators' page and the keys of the account page, in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from dinsight import accounts, people
from dinsight.accounts import Identity
from dinsight.models import User
from dinsight.services import Services
from tests.browser import Page
from tests.conftest import make_user

pytest_plugins = ["tests.browser_fixtures"]
SignIn = Callable[..., None]


@pytest.fixture
def boss(services: Services) -> Identity:
    return make_user(services, "boss@example.com", role="admin")


def test_somebody_is_added_and_disabled_with_the_keyboard(
    page: Page, services: Services, boss: Identity, sign_in: SignIn
) -> None:
    sign_in(boss)
    page.wait_text("live-empty", "No baseline yet")
    page.driver.find_element(By.CSS_SELECTOR, ".account-button").click()
    page.driver.find_element(By.LINK_TEXT, "Administration").click()
    page.wait(lambda: page.path == "/admin", "the administrators' page")
    page.type("admin-email", "new@example.com")
    page.driver.switch_to.active_element.send_keys(Keys.TAB, "New person", Keys.ENTER)
    page.wait_text("admin-message", "new@example.com is added.")
    page.wait_text("admin-link", f"{page.url}/signin/link?token=")
    page.wait_text("admin-people", "New person")
    assert page.driver.title == "Administration · D'insight"

    with services.sessions() as session:
        new = session.query(User).filter_by(email="new@example.com").one().id
    opener = page.driver.find_element(By.CSS_SELECTOR, f"[data-opens='admin-disable-{new}']")
    opener.send_keys(Keys.ENTER)
    dialog = page.element(f"admin-disable-{new}")
    page.wait(dialog.is_displayed, "the question")
    assert page.driver.switch_to.active_element.text == "Cancel"
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait_text("admin-message", "new@example.com is disabled")
    with services.sessions() as session:
        assert session.get_one(User, new).disabled_at is not None


def test_the_log_is_filtered_and_read_on(
    page: Page, services: Services, boss: Identity, user: Identity, sign_in: SignIn
) -> None:
    with services.sessions.begin() as session:
        for number in range(60):
            accounts.audit(session, "key.make", user_id=user.id, subject=f"key {number}")
    sign_in(boss, "/admin")
    page.wait_text("admin-log", "key 59")
    page.click("admin-log-older")
    page.wait_text("admin-log", "key 0")
    assert not page.element("admin-log-older").is_enabled()
    page.click("admin-log-newest")
    page.wait_text("admin-log", "Signed in")
    page.js(
        "window.dash_clientside.set_props('admin-log-person', {value: arguments[0]})", str(boss.id)
    )
    page.wait(lambda: "key 59" not in page.text("admin-log"), "the boss's entries alone")
    assert "Signed in" in page.text("admin-log")


def test_who_is_no_administrator_sees_no_such_page(
    page: Page, user: Identity, sign_in: SignIn
) -> None:
    sign_in(user)
    page.wait_text("live-empty", "No baseline yet")
    page.driver.find_element(By.CSS_SELECTOR, ".account-button").click()
    assert not page.driver.find_elements(By.LINK_TEXT, "Administration")
    page.go("/admin")
    page.wait_text("main", "There is no such page")


def test_a_key_is_made_on_the_account_page_and_gone_after_a_reload(
    page: Page, services: Services, user: Identity, sign_in: SignIn
) -> None:
    sign_in(user, "/account")
    page.type("account-key-name", "gateway 3" + Keys.ENTER)
    page.wait_text("account-new-key", "dk_")
    key = page.text("account-new-key").splitlines()[-2].strip()
    with services.sessions.begin() as session:
        assert accounts.identify_key(session, key, services.now()).id == user.id
    page.go("/account")
    page.wait_text("account-keys", "gateway 3")
    assert page.text("account-new-key") == ""


def test_a_name_is_changed_on_the_account_page(page: Page, user: Identity, sign_in: SignIn) -> None:
    sign_in(user, "/account")
    page.type("account-name", "Ada L.")
    page.click("account-rename")
    page.wait_text("account-name-message", "The name is changed.")
    page.go("/account")
    assert page.element("account-name").get_attribute("value") == "Ada L."


@pytest.mark.parametrize("path", ["/admin", "/account"])
def test_nothing_is_wider_than_a_phone_and_everything_can_be_touched(
    page: Page, services: Services, boss: Identity, sign_in: SignIn, path: str
) -> None:
    with services.sessions.begin() as session:
        accounts.make_key(session, boss.id, "a gateway with a rather long name " * 2)
        email = "night.shift.operator@a-plant-with-a-long-name.example.com"
        people.invite(session, boss, email, full_name="Night", now=services.now())
    page.resize(390, 844, mobile=True)
    sign_in(boss, path)
    page.element("admin-log" if path == "/admin" else "account-keys")
    time.sleep(0.3)  # the fonts
    assert page.js("return document.documentElement.scrollWidth") == 390
    small = page.js(
        "return [...document.querySelectorAll('main button, main input, main select')]"
        ".filter((e) => e.offsetParent && e.tabIndex >= 0 && e.getBoundingClientRect().height < 44)"
        ".map((e) => e.outerHTML)"
    )
    assert small == []
    wide = page.js(
        "return [...document.querySelectorAll('main :not(pre *)')]"  # code scrolls by itself
        ".filter((e) => e.offsetParent && e.getBoundingClientRect().right > 390)"
        ".map((e) => e.outerHTML)"
    )
    assert wide == []
