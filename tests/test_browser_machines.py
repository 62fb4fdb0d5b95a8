"""The machines page in a real browser: it moves by itself, and never says more than it knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dinsight import streams
from dinsight.accounts import Identity
from dinsight.services import Services
from tests.browser import LiveServer, Page, StreamUnderTest
from tests.factories import failing

pytest_plugins = ["tests.browser_fixtures"]

MACHINES = "/dashboard/machines"
CARDS = """
const all = [...document.querySelectorAll(".machine-card")];
return all.filter((card) => !card.hidden).map((card) => {
  const text = (name) => card.querySelector(name).innerText.trim();
  return {
    name: text(".machine-link"), state: text(".state"), badge: text(".badge"),
    heard: text(".machine-heard"), score: text(".machine-score"), age: text(".machine-age"),
    trend: card.querySelector(".spark").getAttribute("aria-label"),
    path: card.querySelector(".spark-line").getAttribute("d"),
  };
});
"""
Make = Callable[..., StreamUnderTest]


@pytest.fixture
def make(services: Services, user: Identity, make_baseline: Callable[..., int]) -> Make:
    """Makes a machine of this name."""

    def named(name: str) -> StreamUnderTest:
        return StreamUnderTest(services, user, make_baseline(user, name))

    return named


def cards(page: Page) -> list[dict[str, Any]]:
    """The cards that are shown, in the order of the page."""
    return list(page.js(CARDS))


def names(page: Page) -> list[str]:
    return [card["name"] for card in cards(page)]


def wait_names(page: Page, *wanted: str) -> None:
    page.wait(lambda: names(page) == list(wanted), f"{wanted}, not {names(page)}")


def hurry(page: Page) -> None:
    """Poll twice a second."""
    page.js("document.getElementById('machines-list').dataset.beat = 0.5")


def wait_page(page: Page, *wanted: str) -> None:
    wait_names(page, *wanted)
    hurry(page)


def test_a_machine_that_begins_to_fail_moves_to_the_top_by_itself(
    page: Page, user: Identity, make: Make, sign_in: Callable[..., None]
) -> None:
    a, b, _ = make("Pump A"), make("Pump B"), make("Pump C")
    a.send(20)
    b.send(20)
    sign_in(user, MACHINES)
    wait_page(page, *sorted(["Pump A", "Pump B"]), "Pump C")
    assert [card["state"] for card in cards(page)] == ["Healthy", "Healthy", "Unknown"]
    assert [card["badge"] for card in cards(page)][2] == "Waiting"
    page.js("window.sameDocument = true")
    held = page.driver.find_elements("css selector", ".machine-link")[0]
    page.js("arguments[0].focus()", held)

    b.send(failing(40))

    wait_names(page, "Pump B", "Pump A", "Pump C")
    top = cards(page)[0]
    assert (top["state"], top["badge"]) == ("Failing", "Live")
    assert top["heard"].startswith("since ")
    assert "× its limit" in top["score"]
    assert "Score of the last 60 points" in top["trend"]
    assert top["path"].startswith("M40 ")
    assert page.driver.title == "1 Failing · Machines · D'insight"
    page.wait_text("machines-announce", "Pump B: Failing")
    alerts = page.driver.find_element("css selector", ".machine-alerts.severity-high")
    assert alerts.text == "High · 1 open alert"
    query = f"baseline_id={b.baseline_id}&stream=default"
    assert alerts.get_attribute("href").endswith(f"/dashboard/alerts?{query}")
    assert page.js("return document.activeElement === arguments[0]", held)
    assert page.js("return window.sameDocument") is True

    page.driver.find_element("css selector", ".machine-link").click()
    page.wait_text("live-state", "Failing")
    assert page.path == f"/dashboard/streaming?baseline_id={b.baseline_id}"
    assert page.js("return window.sameDocument") is True
    page.wait_text("live-heard", "since ")
    page.driver.back()
    wait_names(page, "Pump B", "Pump A", "Pump C")
    page.wait(lambda: page.driver.title.startswith("1 Failing · Machines"), "the title")
    current = page.driver.find_element("css selector", ".nav-link[aria-current=page]")
    assert current.text == "Machines"


def test_a_server_that_went_away_is_said_and_ages_go_on(
    page: Page,
    live_server: LiveServer,
    user: Identity,
    make: Make,
    sign_in: Callable[..., None],
) -> None:
    page.ignored = ("ERR_CONNECTION", "ERR_EMPTY_RESPONSE")  # noted by the browser itself
    a = make("Pump A")
    a.send(20)
    sign_in(user, MACHINES)
    wait_page(page, "Pump A")
    page.wait_text("machines-badge", "Updated just now")

    live_server.stop()
    page.wait_text("machines-badge", "Reconnecting in")
    assert cards(page)[0]["badge"] == "Not refreshing"
    before = cards(page)[0]["age"]
    page.wait(lambda: cards(page)[0]["age"] != before, "the age to go on")
    a.send(failing(40))
    live_server.start()

    page.wait_text("machines-badge", "Updated just now")
    page.wait(lambda: cards(page)[0]["state"] == "Failing", "what happened meanwhile")


def test_summary_and_search_filter_and_the_address_keeps_it(
    page: Page, services: Services, user: Identity, make: Make, sign_in: Callable[..., None]
) -> None:
    machines = [make(f"Pump {number}") for number in range(1, 8)]
    machines[4].send(failing(40))
    machines[2].send(5)
    with services.sessions.begin() as session:
        for name in ("night shift", "day shift"):
            streams.find(session, user, machines[0].baseline_id, name, create=True)
    sign_in(user, MACHINES)
    page.wait(lambda: len(cards(page)) == 9, "nine cards")
    assert page.text("machines-summary").split() == [
        *("1", "Failing", "0", "Deteriorating", "1", "Healthy", "7", "Unknown")
    ]

    page.click("machines-failing")
    wait_names(page, "Pump 5")
    assert page.path == f"{MACHINES}?state=failing"
    assert page.element("machines-failing").get_attribute("aria-pressed") == "true"
    page.go(page.path)
    wait_names(page, "Pump 5")
    page.click("machines-all")
    page.wait(lambda: len(cards(page)) == 9, "all of them")

    page.type("machines-search", "1 SHIFT")
    wait_names(page, "Pump 1", "Pump 1")
    page.type("machines-search", "nothing like it")
    page.wait_text("machines-note", "No machine is like that at present.")


def test_without_a_machine_the_page_says_what_to_do(
    page: Page, user: Identity, make: Make, sign_in: Callable[..., None]
) -> None:
    sign_in(user, MACHINES)
    page.wait_text("machines-none", "Upload a healthy machine's CSV")
    hurry(page)
    only = make("Pump 7")
    wait_names(page, "Pump 7")
    page.wait_text("machines-hint", f"python -m simulator --baseline-id {only.baseline_id}")
    assert not page.element("machines-none").is_displayed()
    copy = page.driver.find_element("css selector", "#machines-hint [data-copy]")
    assert copy.get_attribute("data-copy").endswith(f"--baseline-id {only.baseline_id}")
    only.send(3)
    page.wait(lambda: page.text("machines-hint") == "", "the hint to go")


def test_phone_has_no_horizontal_scroll_and_large_targets(
    page: Page, user: Identity, make: Make, sign_in: Callable[..., None]
) -> None:
    for name in ("Compressor K-201 in the north hall of the old works", "Fan_" + "x" * 90):
        make(name).send(failing(30))
    page.resize(390, 844, mobile=True)
    sign_in(user, MACHINES)
    page.wait(lambda: len(cards(page)) == 2, "two cards")
    assert page.js("return document.documentElement.scrollWidth") <= 390
    heights = page.js(
        "return [...document.querySelectorAll('.chip, .nav-link, .machine-card')]"
        ".filter((e) => e.offsetParent || e.offsetHeight).map((e) => e.offsetHeight)"
    )
    assert len(heights) == 4 + 4 + 2
    assert min(heights) >= 44
    bar = page.js("return document.querySelector('.pages').getBoundingClientRect().bottom")
    assert bar == 844
    page.driver.find_elements("css selector", ".nav-link")[1].click()
    page.wait(lambda: page.path.startswith("/dashboard/streaming"), "the streaming page")
