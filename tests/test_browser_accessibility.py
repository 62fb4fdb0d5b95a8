"""Every page for everybody: axe-core in both themes, the keyboard, large type, little room.

A new page is one line in `PAGES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from dinsight import accounts, displays
from dinsight.accounts import Identity
from dinsight.ingest import Incoming, ingest
from dinsight.services import Services
from tests import axe
from tests.browser import Page, StreamUnderTest
from tests.conftest import make_user
from tests.factories import csv, healthy

pytest_plugins = ["tests.browser_fixtures"]
SignIn = Callable[..., None]

STREAMING = "/dashboard/streaming?baseline_id={id}"
WALL = "/dashboard/machines?view=wall"


@dataclass(frozen=True)
class Shown:
    """A page: its address, and what is there once it is. `opens` is the button of a dialog."""

    name: str
    path: str
    ready: str
    opens: str = ""


PAGES = [
    Shown("sign-in", "/signin", "#signin-submit"),
    Shown("streaming", STREAMING, "#live-reset:enabled"),
    Shown("wall", STREAMING + "&kiosk=1", "#live-reset:enabled"),
    Shown("machines wall", WALL, ".minimap-ground[d]"),
    Shown("wall of machines", WALL + "&kiosk=1", ".minimap-ground[d]"),
    Shown("compared", STREAMING + "&compare=night", "#compare-state:not([hidden])"),
    Shown("keys", STREAMING, "#live-reset:enabled", "keys-open"),
    Shown("screens", STREAMING, "#live-reset:enabled", "displays-open"),
    Shown("reset", STREAMING, "#live-reset:enabled", "live-reset"),
    Shown("refused", "/dashboard/streaming?baseline_id=999", ".stage-blocked .notice"),
    Shown("account", "/account", "#account-keys table"),
    Shown("admin", "/admin", "#admin-log table"),
    Shown("error", "/nowhere", ".notice-page"),
]
NAMES = [shown.name for shown in PAGES]


@dataclass(frozen=True)
class Plant:
    """An administrator with two streams of twenty points, a key and a screen."""

    page: Page
    boss: Identity
    baseline_id: int
    sign_in: SignIn

    def show(self, shown: Shown) -> None:
        path = shown.path.format(id=self.baseline_id)
        if shown.name == "sign-in":
            self.page.go(path)
        else:
            self.sign_in(self.boss, path)
        self.page.wait(lambda: find(self.page, shown.ready), f"{shown.name}: {shown.ready}")
        if shown.opens:
            self.page.js("document.getElementById(arguments[0]).click()", shown.opens)
            self.page.wait(lambda: find(self.page, "dialog[open]"), "the dialog")
        if shown.name == "screens":
            self.page.wait_text("displays-list", "hall 3")
        self.page.js("return document.fonts.ready.then(() => null)")


@pytest.fixture
def plant(
    page: Page, services: Services, sign_in: SignIn, make_baseline: Callable[..., int]
) -> Iterator[Plant]:
    boss = make_user(services, "boss@example.com", role="admin")
    number = make_baseline(boss)
    with services.sessions.begin() as session:
        accounts.make_key(session, boss.id, "gateway 3")
        displays.make(session, boss, number, name="hall 3", stream="default")
        for stream in ("default", "night"):
            incoming = Incoming(csv(healthy(20)), "batch.csv", stream)
            ingest(session, boss, number, incoming, limits=services.limits, now=services.now())
    yield Plant(page, boss, number, sign_in)
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def find(page: Page, selector: str) -> list[Any]:
    return list(page.driver.find_elements(By.CSS_SELECTOR, selector))


def choose(page: Page, theme: str, motion: str = "no-preference") -> None:
    """What the system asks for; each page takes it up at once."""
    features = [
        {"name": "prefers-color-scheme", "value": theme},
        {"name": "prefers-reduced-motion", "value": motion},
    ]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def focused(page: Page) -> str:
    return str(page.js("return document.activeElement.id || document.activeElement.tagName"))


def press(page: Page, *keys: str) -> None:
    ActionChains(page.driver).send_keys(*keys).perform()


# ---- every page ----


@pytest.mark.parametrize("shown", PAGES, ids=NAMES)
def test_a_page_is_for_everybody(plant: Plant, shown: Shown) -> None:
    """Nothing serious for axe in either theme, no other host, room enough on small screens."""
    plant.show(shown)
    for theme in ("light", "dark"):
        choose(plant.page, theme)
        now = "return document.documentElement.dataset.theme"
        plant.page.wait(lambda now=now, theme=theme: plant.page.js(now) == theme, theme)
        assert axe.violations(plant.page) == [], theme

    asked = plant.page.js("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert asked, "nothing was asked for"
    assert [url for url in asked if not url.startswith((plant.page.url, "data:", "blob:"))] == []

    # A page of 1,440 px that is zoomed to 200 % has half of the room; what was beside goes below.
    for width, height in ((390, 844), (360, 740), (720, 500)):
        plant.page.resize(width, height, mobile=width < 700)
        plant.page.wait(lambda width=width: inner(plant.page) == width, f"{width} px")
        assert plant.page.js("return document.documentElement.scrollWidth") <= width


def inner(page: Page) -> int:
    return int(page.js("return window.innerWidth"))


def test_axe_does_find_what_is_wrong(plant: Plant) -> None:
    """So that the tests above can fail."""
    plant.show(PAGES[1])
    plant.page.js(
        "document.getElementById('live-stop').style.color = '#eee';"
        "document.querySelector('label[for=live-baseline]').remove();"
    )
    assert {each["rule"] for each in axe.violations(plant.page)} >= {
        *("color-contrast", "select-name"),
    }


# ---- the keyboard ----


def test_the_skip_link_comes_first_and_leads_to_the_content(plant: Plant) -> None:
    plant.show(PAGES[1])
    press(plant.page, Keys.TAB)
    link = plant.page.driver.switch_to.active_element
    assert link.text == "Skip to the content" and link.rect["y"] >= 0
    press(plant.page, Keys.ENTER)
    assert focused(plant.page) == "main"
    press(plant.page, Keys.TAB)
    assert focused(plant.page) == "live-baseline"
    assert plant.page.path.startswith(STREAMING.format(id=plant.baseline_id))


def test_focus_goes_through_the_page_in_order_and_is_seen(plant: Plant) -> None:
    plant.show(PAGES[1])
    plant.page.js("document.getElementById('main').focus()")
    seen: list[str] = []
    for _ in range(60):
        press(plant.page, Keys.TAB)
        name = focused(plant.page)
        if name == "BODY":
            break
        seen.append(name)
        outline = plant.page.js(
            "const style = getComputedStyle(document.activeElement);"
            "return style.outlineStyle !== 'none' || style.boxShadow !== 'none'"
        )
        assert outline, f"the focus on {name} is not seen"
    expected = ["live-baseline", "live-pause", "live-stop", "live-reset", "live-contours"]
    expected += ["live-glow", "live-auto", "live-interval", "live-refresh"]
    expected += ["live-pause-view", "keys-open", "displays-open"]
    assert [name for name in seen if name in expected] == expected


@pytest.mark.parametrize("opener", ["live-reset", "keys-open", "displays-open"])
def test_a_dialog_keeps_the_focus_and_gives_it_back(plant: Plant, opener: str) -> None:
    plant.show(PAGES[1])
    plant.page.js("document.getElementById(arguments[0]).focus()", opener)
    press(plant.page, Keys.ENTER)
    plant.page.wait(lambda: find(plant.page, "dialog[open]"), "the dialog")
    inside = "return Boolean(document.activeElement.closest('dialog, body:not(:has(:focus))'))"
    for _ in range(8):
        assert plant.page.js(inside), focused(plant.page)
        press(plant.page, Keys.TAB)
    press(plant.page, Keys.ESCAPE)
    plant.page.wait(lambda: not find(plant.page, "dialog[open]"), "the dialog to close")
    assert focused(plant.page) == opener


def test_space_pauses_the_view_and_goes_on_without_a_gap(
    page: Page, stream: StreamUnderTest
) -> None:
    stream.send(3)
    page.wait_points(3)
    press(page, Keys.SPACE)
    page.wait_text("live-badge", "View paused, 0 new")
    stream.send(4)
    stream.send(5)
    page.wait_text("live-badge", "View paused, 9 new")
    assert page.text("live-count") == "12"  # the state goes on being told
    assert page.map()["seqs"] == [1, 2, 3]
    assert page.text("live-pause-view") == "Resume view"
    assert stream.state == "streaming"

    press(page, Keys.SPACE)
    assert page.wait_points(12)["seqs"] == list(range(1, 13))
    page.wait_text("live-badge", "Polling")

    page.click("live-pause-view")
    page.wait_text("live-badge", "View paused, 0 new")
    stream.reset()
    stream.send(2)
    page.wait_text("live-badge", "View paused, 2 new")
    page.click("live-pause-view")
    assert page.wait_points(2)["seqs"] == [1, 2]


def test_keys_do_nothing_while_somebody_types(page: Page, stream: StreamUnderTest) -> None:
    stream.send(3)
    page.wait_points(3)
    page.js(
        "window.selected = 0;"
        "document.addEventListener('dinsight:select',"
        " (event) => { window.selected += event.detail === null; })"
    )
    field = page.element("live-glow")
    field.send_keys(" ", "?", Keys.ESCAPE)
    page.click("live-refresh")
    page.element("live-refresh").send_keys(Keys.SPACE)  # presses the button, as ever
    assert page.js(
        "return [window.selected, document.querySelectorAll('dialog[open]').length]"
    ) == [
        *(0, 0),
    ]
    assert "View paused" not in page.text("live-badge")

    page.js("document.activeElement.blur()")
    press(page, Keys.ESCAPE)
    assert page.js("return window.selected") == 1
    press(page, "?")
    page.wait(lambda: page.element("keys-dialog").is_displayed(), "the keys")
    press(page, Keys.ESCAPE)
    page.wait(lambda: not page.element("keys-dialog").is_displayed(), "the keys to close")
    assert page.js("return window.selected") == 1  # Esc closed the dialog, and that alone


# ---- motion, colour, touch ----


def test_reduced_motion_is_respected(plant: Plant) -> None:
    choose(plant.page, "light", motion="reduce")
    plant.show(PAGES[1])
    moving = plant.page.js(
        "return [...document.querySelectorAll('*')].filter((e) => {"
        "  const s = getComputedStyle(e);"
        "  return s.animationName !== 'none' ||"
        "    s.transitionDuration.split(', ').some((t) => parseFloat(t) > 0); }).length"
    )
    assert moving == 0


def test_a_state_is_told_by_word_and_shape_and_not_by_colour_alone(plant: Plant) -> None:
    plant.show(PAGES[1])
    looks = plant.page.js(
        "const box = document.createElement('div'); document.body.append(box);"
        "return ['healthy', 'deteriorating', 'failing', 'unknown'].map((kind) => {"
        "  box.className = `state state-${kind}`;"
        "  const s = getComputedStyle(box, '::before');"
        "  return [s.clipPath, s.borderStyle, s.borderRadius].join(' '); })"
    )
    assert len(set(looks)) == 4
    badges = plant.page.js(
        "const box = document.createElement('div'); document.body.append(box);"
        "return ['wait', 'live', 'held', 'done', 'stale'].map((kind) => {"
        "  box.className = `badge badge-${kind}`;"
        "  const s = getComputedStyle(box, '::before');"
        "  return [s.backgroundColor === 'rgba(0, 0, 0, 0)', s.borderRadius, s.borderWidth,"
        "    s.borderStyle].join(' '); })"
    )
    assert len(set(badges)) == 5


def test_two_fingers_zoom_the_map_about_what_lies_between_them(
    page: Page, stream: StreamUnderTest
) -> None:
    touch = "Emulation.setTouchEmulationEnabled"
    page.driver.execute_cdp_cmd(touch, {"enabled": True, "maxTouchPoints": 5})
    page.resize(390, 844, mobile=True)
    page.go(f"/dashboard/streaming?baseline_id={stream.baseline_id}")
    stream.send(5)
    page.wait_points(5)
    before = page.map()["range"]
    x, y, middle = page.js(
        "const gd = document.querySelector('#live-map .js-plotly-plot');"
        "gd.scrollIntoView({block: 'center'});"
        "const box = gd.getBoundingClientRect(), { xaxis, yaxis } = gd._fullLayout;"
        "const x = box.left + xaxis._offset + xaxis._length * 0.25;"
        "return [x, box.top + yaxis._offset + yaxis._length / 2, xaxis.p2d(xaxis._length * 0.25)]"
    )
    scrolled = page.js("return window.scrollY")
    for kind, apart in [("touchStart", 20), *(("touchMove", n) for n in (25, 30, 35, 40))]:
        fingers = [{"x": x, "y": y - apart, "id": 0}, {"x": x, "y": y + apart, "id": 1}]
        page.driver.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers}
        )
    page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def width() -> float:
        low, high = page.map()["range"]
        return float((high - low) / (before[1] - before[0]))

    page.wait(lambda: width() < 0.55, "the map to be zoomed")
    low, high = page.map()["range"]
    assert width() == pytest.approx(0.5, abs=0.02)
    assert low + 0.25 * (high - low) == pytest.approx(middle, abs=0.02 * (high - low))
    assert page.js("return [window.scrollY, window.visualViewport.scale]") == [scrolled, 1]

    stream.send(5)
    page.wait_points(10)
    assert page.map()["range"] == [low, high]
    page.driver.execute_cdp_cmd(touch, {"enabled": False})


def test_everything_on_a_phone_can_be_touched(page: Page, stream: StreamUnderTest) -> None:
    stream.send(3)
    touch = "Emulation.setTouchEmulationEnabled"
    page.driver.execute_cdp_cmd(touch, {"enabled": True, "maxTouchPoints": 5})
    page.resize(390, 844, mobile=True)
    page.go(f"/dashboard/streaming?baseline_id={stream.baseline_id}")
    page.wait_points(3)
    small = (
        "return [...document.querySelectorAll('button, a, select, input, summary')]"
        ".filter((e) => e.offsetParent && e.tabIndex >= 0 && !e.closest('.js-plotly-plot'))"
        ".map((e) => [(e.closest('.form-check, label.check') || e).getBoundingClientRect(), e])"
        ".filter(([box]) => box.height < 44 || box.width < 24).map(([box, e]) =>"
        " `${e.outerHTML.slice(0, 90)} ${box.width} x ${box.height}`)"
    )
    assert page.js(small) == []
    page.click("displays-open")
    page.wait_text("displays-list", "No screen")
    assert page.js(small) == []
    page.driver.execute_cdp_cmd(touch, {"enabled": False})
