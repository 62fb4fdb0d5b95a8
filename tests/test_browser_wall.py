"""The wall of machines in a real browser: small maps that move, and a screen that hides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from callbacks import machines as callback
from dinsight import displays
from dinsight.accounts import Identity
from dinsight.ingest import Incoming, ingest
from dinsight.services import Services
from tests.browser import LiveServer, Page, StreamUnderTest
from tests.factories import csv, failing, healthy
from tests.test_browser_kiosk import SEEN

pytest_plugins = ["tests.browser_fixtures"]

MACHINES = "/dashboard/machines"
TILES = """
const all = [...document.querySelectorAll(".machine-card")].filter((card) => !card.hidden);
return all.map((card) => {
  const of = (name) => (card.querySelector(name) || {getAttribute: () => null});
  return {
    name: card.querySelector(".machine-link").innerText.trim(),
    stream: card.querySelector(".machine-stream").innerText.trim(),
    state: card.querySelector(".state").innerText.trim(),
    map: of(".minimap").getAttribute("aria-label"), ground: of(".minimap-ground").getAttribute("d"),
    alarm: of(".minimap-alarm").getAttribute("d"),
    arrows: of(".minimap-alarm-arrow").getAttribute("d"),
    ring: of(".minimap-ring").getAttribute("visibility"),
  };
});
"""


def tiles(page: Page) -> list[dict[str, Any]]:
    return list(page.js(TILES))


def hurry(page: Page) -> None:
    page.js("document.getElementById('machines-list').dataset.beat = 0.5")


def test_the_wall_is_chosen_kept_and_follows_its_machines(
    page: Page,
    services: Services,
    user: Identity,
    make_baseline: Callable[..., int],
    sign_in: Callable[..., None],
) -> None:
    a, b, _ = (
        StreamUnderTest(services, user, make_baseline(user, name))
        for name in ("Pump A", "Pump B", "Pump C")
    )
    a.send(20)
    b.send(20)
    sign_in(user, MACHINES)
    page.wait(lambda: len(tiles(page)) == 3, "three cards")
    assert tiles(page)[0]["map"] is None

    page.click("machines-view-wall")
    page.wait(lambda: all(tile["ground"] for tile in tiles(page)), "the grounds")
    assert page.path == f"{MACHINES}?view=wall"
    first = {tile["name"]: tile for tile in tiles(page)}
    assert first["Pump B"]["map"] == "Small map of the newest 20 points: 20 healthy"
    assert (first["Pump C"]["map"], first["Pump C"]["ring"]) == (
        "Small map: no point yet",
        "hidden",
    )
    assert page.element("machines-view-wall").get_attribute("aria-pressed") == "true"
    page.js("dinsight.wall.take({cards: [], grounds: {999: ''}})")  # of a map that was replaced
    hurry(page)

    far = failing(40)
    far[:, 2] += 4_000
    b.send(far)
    page.wait(lambda: tiles(page)[0]["state"] == "Failing", "the failing machine in front")
    page.wait(lambda: "beyond its frame" in (tiles(page)[0]["map"] or ""), "its newest points")
    assert 999 not in page.js("return dinsight.wall.question().grounds")
    top = tiles(page)[0]
    assert top["name"] == "Pump B" and top["alarm"] and top["arrows"].endswith("z")
    assert top["ring"] == "visible"

    page.go(MACHINES)  # as it was chosen before
    page.wait(lambda: all(tile["ground"] for tile in tiles(page)), "the wall again")
    page.click("machines-failing")
    page.wait(lambda: [tile["name"] for tile in tiles(page)] == ["Pump B"], "the failing one alone")
    assert page.path == f"{MACHINES}?state=failing&view=wall"
    page.driver.find_element("css selector", ".machine-link").click()
    page.wait_text("live-state", "Failing")
    assert page.path == f"/dashboard/streaming?baseline_id={b.baseline_id}"


def test_a_screen_shows_as_many_as_it_holds_and_never_hides_a_bad_one(
    page: Page,
    services: Services,
    user: Identity,
    baseline_id: int,
    live_server: LiveServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def send(number: int, rows: Any) -> None:
        with services.sessions.begin() as session:
            incoming = Incoming(csv(rows), "batch.csv", f"line {number:02d}")
            now = services.now()
            ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)

    for number in range(1, 16):
        send(number, failing(25) if number > 13 else healthy(8))
    with services.sessions.begin() as session:
        wanted = {"name": "hall 3", "stream": displays.ALL_STREAMS}
        _, token = displays.make(session, user, baseline_id, **wanted)
    page.resize(1920, 1080)
    page.go(f"{live_server.url}/display?token={token}")
    page.wait(lambda: len(tiles(page)) == 12 and tiles(page)[11]["ground"], "twelve tiles")
    assert page.path == f"{MACHINES}?view=wall&kiosk=1"
    assert [tile["state"] for tile in tiles(page)[:3]] == ["Failing", "Failing", "Healthy"]
    counts = page.driver.find_elements("css selector", ".machine-alerts:not([hidden])")
    assert {each.text for each in counts} == {"High · 1 open alert"}
    assert {each.get_attribute("href") for each in counts} == {None}
    page.wait_text("wall-shown", "Showing 12 of 16 · not shown: ")
    assert page.js(SEEN) == []  # no controls, and nothing that leads elsewhere
    hurry(page)

    for number in range(1, 12):
        send(number, failing(25))
    page.wait(
        lambda: [tile["state"] for tile in tiles(page)].count("Failing") == 13, "all that fail"
    )
    assert page.text("wall-failing") == "13"
    assert "Failing" not in page.text("wall-shown")
    size = "const e = document.documentElement; return [e.scrollWidth, e.scrollHeight]"
    assert page.js(size) == [1920, 1080]
    boxes = page.js(
        "return [...document.querySelectorAll('.machine-card:not([hidden])')].map((e) => {"
        "const box = e.getBoundingClientRect(); return [box.right, box.bottom]; })"
    )
    assert max(right for right, _ in boxes) <= 1920 and max(low for _, low in boxes) <= 1080
    first = page.text("kiosk-clock")
    page.wait(lambda: page.text("kiosk-clock") != first, "the clock to go on")

    page.js("window.before = true; window.dinsight.kiosk.patience.upgrade = 1500;")
    monkeypatch.setattr(callback, "version", lambda: "another")
    page.wait(lambda: page.js("return window.before === undefined"), "the page to load anew")
    page.wait(lambda: len(tiles(page)) == 13, "the tiles again")
