"""The streaming page in a real browser, on the real server and database."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import requests

from dinsight import accounts, feed, fitting, maps, refitting, report_card
from dinsight.accounts import Identity
from dinsight.ingest import Incoming, ingest
from dinsight.models import Baseline
from dinsight.services import Services
from tests.browser import Page, StreamUnderTest
from tests.factories import BASELINE, FEATURES, csv, failing, healthy

pytest_plugins = ["tests.browser_fixtures"]
SignIn = Callable[..., None]


def drawn(page: Page) -> list[tuple[np.float32, np.float32]]:
    shown = page.map()
    return places(shown["monitor"], shown["monitorY"])


def stored(services: Services, who: Identity, baseline_id: int) -> list[Any]:
    with services.sessions() as session:
        points = feed.coordinates(session, who, baseline_id, "default")
    return places(points["dinsight_x"], points["dinsight_y"])


def places(x: list[float], y: list[float]) -> list[tuple[np.float32, np.float32]]:
    """Points as float32, which is what is stored."""
    return list(zip(map(np.float32, x), map(np.float32, y), strict=True))


def test_points_move_onto_the_map_while_rows_are_posted(
    page: Page, services: Services, user: Identity, stream: StreamUnderTest
) -> None:
    with services.sessions.begin() as session:
        _, key = accounts.make_key(session, user.id, "sensor")
    baseline = page.map()["baseline"]
    assert len(baseline) == len(BASELINE)

    for count in (1, 3, 10):
        file = io.BytesIO(csv(healthy(count, seed=count)))
        requests.post(
            f"{page.url}/api/v1/monitor/{stream.baseline_id}",
            files={"file": ("batch.csv", file)},
            headers={"Authorization": f"Bearer {key}"},
            timeout=10,
        ).raise_for_status()
        page.wait(lambda: page.map()["monitor"], "points")

    shown = page.wait_points(14)
    assert shown["seqs"] == list(range(1, 15))
    assert drawn(page) == stored(services, user, stream.baseline_id)
    assert shown["latest"] == shown["monitor"][-10:]
    assert page.text("live-count") == "14"
    assert page.text("live-badge") == "Polling"
    assert page.text("live-state") == "Healthy"


def test_points_are_drawn_also_without_webgl(page: Page, stream: StreamUnderTest) -> None:
    blind = (
        "const ask = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        "  return kind.startsWith('webgl') ? null : ask.call(this, kind, ...more); };"
    )
    stream.send(5)
    page.wait(lambda: page.map().get("type") == "scattergl", "the map with WebGL")
    with page.script(blind):
        page.go(f"/dashboard/streaming?baseline_id={stream.baseline_id}")
        assert page.wait_points(5)["type"] == "scatter"


# What is drawn on the map, and what is asked, until its first points are there.
OPENING = """
window.opening = { drawn: [], asked: [] };
const told = new AbortController();
document.addEventListener("dinsight:points", () => told.abort(), { once: true });
document.addEventListener("DOMContentLoaded", () => {
  for (const name of ["newPlot", "react", "redraw", "restyle", "relayout"]) {
    const own = window.Plotly[name];
    window.Plotly[name] = function (gd, data, ...more) {
      const map = gd.closest && gd.closest("#live-map");
      const points = Array.isArray(data) ? data.length : true;
      if (map && points && !told.signal.aborted) window.opening.drawn.push(name);
      return own.call(this, gd, data, ...more);
    };
  }
  const own = window.fetch;
  window.fetch = function (url, options) {
    const { output = "" } = JSON.parse((options && options.body) || "{}");
    if (["main.children", "live-opened.data", "live-feed.data"].some((id) => output.includes(id))) {
      window.opening.asked.push(output);
    }
    return own.call(this, url, options);
  };
}, { capture: true });
"""


def test_an_opening_asks_once_and_draws_the_map_once(page: Page, stream: StreamUnderTest) -> None:
    """As it was chosen, with its points, in its frame: a drawing takes longest of all."""
    stream.send(25)
    page.wait_points(25)
    with page.script(OPENING):
        page.go(f"/dashboard/streaming?baseline_id={stream.baseline_id}&size=9&glow=3&contours=0")
        shown = page.wait_points(25)
    opening = page.js("return window.opening")
    assert len(opening["drawn"]) == 1
    assert opening["asked"][:1] == ["live-opened.data"]  # while Dash still makes the page
    assert len([each for each in opening["asked"] if each == "live-opened.data"]) == 1
    assert (shown["size"], len(shown["latest"]), shown["contours"]) == (9, 3, [False, False])
    assert shown["ring"] == 9 + 7


LATE_PAGE = """
const own = window.fetch;
window.fetch = async function (url, options) {
  const page = String(options && options.body).includes('"output":"..main.children');
  if (page) await new Promise((done) => setTimeout(done, 3000));
  return own.call(this, url, options);
};
"""


def test_what_waited_for_the_page_is_as_old_as_it_is(page: Page, stream: StreamUnderTest) -> None:
    stream.send(5)
    page.wait_points(5)
    page.choose("live-interval", "10")
    page.wait(lambda: page.js("return dinsight.live.choices.interval") == 10, "a slow beat")
    with page.script(LATE_PAGE):
        page.go(f"/dashboard/streaming?baseline_id={stream.baseline_id}")
        page.wait_points(5)
    page.wait(lambda: page.js("return dinsight.live.state().cursor"), "them to be taken in")
    assert page.js("return performance.now() - dinsight.live.state().seenAt") > 2_500


def test_declared_total_shows_progress_and_the_end(page: Page, stream: StreamUnderTest) -> None:
    stream.configure(total_points=1_250)
    stream.send(250)
    page.wait_text("live-count", "250 / 1,250")
    assert page.text("live-percent") == "20 %"

    stream.send(1_000)
    page.wait_text("live-count", "1,250 / 1,250")
    page.wait_text("live-badge", "Finished")


def test_failing_machine_is_said_in_a_word(page: Page, stream: StreamUnderTest) -> None:
    stream.send(failing(40))
    page.wait_text("live-state", "Failing")
    assert "its limit" in page.text("live-score")
    page.wait(lambda: page.driver.title.startswith("Failing · Pump 7"), "the title to say so")


def test_score_is_told_in_units_of_the_limit_that_is_set(
    page: Page, stream: StreamUnderTest, fitted: maps.Map
) -> None:
    row = healthy(1, seed=3)
    score = float(fitted.place(row).score[0])
    stream.send(row)
    page.wait_text("live-score", f"score {score:.2f} of its limit")
    stream.configure(sensitivity_factor=5)
    told = score / fitted.limit_at(5)
    assert round(told, 2) != round(score, 2)
    words = f"score {told:.2f} of its limit" if told <= 1 else f"score {told:.1f} × its limit"
    page.wait_text("live-score", words)


def test_zoom_and_legend_survive_new_points(page: Page, stream: StreamUnderTest) -> None:
    stream.send(5)
    page.wait_points(5)
    gd = 'document.querySelector("#live-map .js-plotly-plot")'
    page.js(f"return Plotly.relayout({gd}, {{'xaxis.range[0]': -0.5, 'xaxis.range[1]': 0.25}})")
    page.js(f"return Plotly.restyle({gd}, {{visible: 'legendonly'}}, [2])")
    zoomed = page.map()["range"]

    stream.send(failing(5))
    page.wait_points(10)

    assert page.map()["range"] == zoomed == [-0.5, 0.25]
    assert page.js(f"return {gd}.data[2].visible") == "legendonly"


def test_view_widens_for_a_point_outside_of_it(page: Page, stream: StreamUnderTest) -> None:
    before = page.map()["range"]
    stream.send(failing(20))
    page.wait_points(20)
    page.wait(lambda: page.map()["range"] != before, "the view to widen")
    low, high = page.map()["range"]
    assert all(low < x < high for x in page.map()["monitor"])


@pytest.mark.parametrize(
    ("button", "state", "badge"),
    [("live-pause", "paused", "Paused"), ("live-stop", "stopped", "Stopped")],
)
def test_buttons_act_on_the_stream(
    page: Page, stream: StreamUnderTest, button: str, state: str, badge: str
) -> None:
    stream.send(3)
    page.wait_text("live-badge", "Polling")
    page.click(button)
    page.wait_text("live-badge", badge)
    assert stream.state == state

    page.click("live-resume" if state == "paused" else "live-start")
    page.wait(lambda: stream.state == "streaming", "the stream to go on")
    stream.send(1)  # on a busy machine the first ones are old by now
    page.wait_text("live-badge", "Polling")


def test_pause_from_another_tab_shows(page: Page, stream: StreamUnderTest) -> None:
    stream.send(3)
    page.wait_text("live-badge", "Polling")
    stream.control("pause")
    page.wait_text("live-badge", "Paused")
    assert not page.element("live-pause").is_enabled()
    assert page.element("live-resume").is_enabled()


def test_reset_asks_first_and_says_how_many_points_go(page: Page, stream: StreamUnderTest) -> None:
    stream.send(12)
    page.wait_points(12)

    page.click("live-reset")
    assert "12 points" in page.text("live-reset-dialog")
    page.driver.find_element("css selector", "#live-reset-dialog [data-closes]").click()
    assert len(page.map()["monitor"]) == 12

    page.click("live-reset")
    page.click("live-reset-confirm")
    page.wait_points(0)
    page.wait_text("live-badge", "Waiting")
    page.wait_text("toast", "12 points are archived")


def test_reset_elsewhere_clears_and_an_equally_long_run_is_drawn_anew(
    page: Page, services: Services, user: Identity, stream: StreamUnderTest
) -> None:
    stream.send(healthy(6, seed=1))
    first = page.wait_points(6)["monitor"]

    stream.reset()
    stream.send(healthy(6, seed=2))

    page.wait(lambda: page.map()["monitor"] not in ([], first), "the second run")
    assert drawn(page) == stored(services, user, stream.baseline_id)
    assert page.map()["seqs"] == [1, 2, 3, 4, 5, 6]


def test_contours_of_both_sets_are_switched(page: Page, stream: StreamUnderTest) -> None:
    stream.send(30)
    page.wait(lambda: page.map()["contours"] == [True, True], "both contours")
    page.click("live-contours")
    page.wait(lambda: page.map()["contours"] == [False, False], "no contours")
    page.click("live-contours")
    page.wait(lambda: page.map()["contours"] == [True, True], "both contours again")


def test_point_size_and_rings_follow_the_controls(page: Page, stream: StreamUnderTest) -> None:
    stream.send(30)
    page.wait_points(30)
    thumb = page.driver.find_element("css selector", "#live-size [role=slider]")
    for _ in range(3):
        thumb.send_keys("\ue014")  # arrow right
    page.wait(lambda: page.map()["size"] == 9, "larger points")
    assert page.map()["ring"] > 9

    page.type("live-glow", "4")
    page.wait(lambda: page.map()["latest"] == page.map()["monitor"][-4:], "four rings")
    stream.send(2)
    page.wait_points(32)
    assert page.map()["latest"] == page.map()["monitor"][-4:]

    page.go(f"/dashboard/streaming?baseline_id={stream.baseline_id}")
    page.wait_points(32)
    page.wait(lambda: page.map()["size"] == 9, "the size, kept")
    assert len(page.map()["latest"]) == 4


def test_rings_follow_what_the_sender_declares(page: Page, stream: StreamUnderTest) -> None:
    stream.configure(latest_glow_count=3)
    stream.send(8)
    page.wait(lambda: page.map().get("latest") == page.map()["monitor"][-3:], "three rings")
    glow = page.element("live-glow")
    page.wait(lambda: glow.get_attribute("value") == "3", "the control to say three")


LEAVING = """
const [stream, done] = arguments;
const select = document.getElementById("live-stream");
select.value = stream;
select.dispatchEvent(new Event("change", {bubbles: true}));
(function look() {
  if (dinsight.live.state().view) return window.requestAnimationFrame(look);
  const words = (id) => document.getElementById(id).textContent;
  done([words("live-badge"), words("live-state"), document.getElementById("live-stop").disabled]);
})();
"""


def test_what_was_shown_before_is_not_said_of_another_stream(
    page: Page, services: Services, user: Identity, stream: StreamUnderTest
) -> None:
    stream.send(3)
    with services.sessions.begin() as session:
        incoming, now = Incoming(csv(healthy(2)), "batch.csv", "night"), services.now()
        ingest(session, user, stream.baseline_id, incoming, limits=services.limits, now=now)
    page.go(page.path)
    page.wait_points(3)
    page.wait(lambda: page.element("live-stop").is_enabled(), "the stream's buttons")
    page.driver.set_script_timeout(30)
    shown = page.driver.execute_async_script(LEAVING, "night")
    assert shown == ["Connecting", "Unknown", True]
    page.wait_points(2)


def test_view_that_does_not_refresh_says_so(page: Page, stream: StreamUnderTest) -> None:
    stream.send(3)
    page.wait_points(3)
    page.click("live-auto")
    page.wait_text("live-badge", "Not refreshing, seen")
    stream.send(3)
    page.wait_text("live-badge", "seen 2 s ago")
    assert len(page.map()["monitor"]) == 3

    page.click("live-refresh")
    page.wait_points(6)
    page.click("live-auto")
    page.wait_text("live-badge", "Polling")


def test_address_and_selects_stay_in_step(
    page: Page, user: Identity, stream: StreamUnderTest, make_baseline: Callable[..., int]
) -> None:
    stream.send(2)
    page.wait_points(2)
    other = make_baseline(user, "Pump 8")
    assert page.path == f"/dashboard/streaming?baseline_id={stream.baseline_id}"
    page.go(page.path)
    page.wait_points(2)

    select = page.element("live-baseline")
    select.find_element("css selector", f"option[value='{other}']").click()
    page.wait(lambda: page.path.endswith(f"baseline_id={other}"), "the address to follow")
    page.wait_text("live-badge", "Waiting")
    assert f"--baseline-id {other}\nCopy the command" in page.text("live-empty")

    page.driver.back()
    page.wait_points(2)
    assert page.element("live-baseline").get_attribute("value") == str(stream.baseline_id)


def test_another_stream_is_chosen_by_name(
    page: Page, services: Services, user: Identity, stream: StreamUnderTest
) -> None:
    assert not page.element("live-stream").is_displayed()
    stream_named(services, user, stream.baseline_id, "night shift")
    page.go(f"/dashboard/streaming?baseline_id={stream.baseline_id}&stream=night+shift")
    page.wait_text("live-empty", "--stream 'night shift'")
    assert page.element("live-stream").get_attribute("value") == "night shift"


def stream_named(services: Services, who: Identity, baseline_id: int, name: str) -> None:
    from dinsight import streams

    with services.sessions.begin() as session:
        streams.find(session, who, baseline_id, name, create=True)


def test_fit_is_followed_until_the_map_opens(
    page: Page,
    services: Services,
    user: Identity,
    make_baseline: Callable[..., int],
    sign_in: SignIn,
) -> None:
    baseline_id = make_baseline(user)
    becomes(services, baseline_id, status="processing", progress=40, status_message="Half way")
    sign_in(user)
    page.wait_text("live-empty", "Pump 7 is being fitted")
    page.wait_text("live-fit-text", "40 % · Half way")

    becomes(services, baseline_id, status="processing", progress=70, status_message="Nearly")
    page.wait_text("live-fit-text", "70 % · Nearly")
    becomes(services, baseline_id, status="completed", progress=100, status_message="Ready")
    page.wait_text("live-badge", "Waiting")
    assert len(page.map()["baseline"]) == len(BASELINE)


def test_a_refit_opens_the_new_map_by_itself(
    page: Page, services: Services, user: Identity, stream: StreamUnderTest
) -> None:
    stream.send(5)
    page.wait_points(5)
    before = page.map()["baseline"]
    assert page.text("live-map-kind") == "Distances"

    fitted = maps.fit(BASELINE, layout="mspc", features=FEATURES)
    made = fitting.Made(fitted, 1.0, report_card.write(fitted))
    with services.sessions.begin() as session:
        refitting.adopt(session, stream.baseline_id, made, services.now())
    page.wait_text("live-map-kind", "T² and SPE")
    page.wait_text("live-badge", "Waiting")
    shown = [np.float32(x) for x in page.map()["baseline"]]
    assert shown == list(fitted.coordinates[:, 0])
    assert shown != [np.float32(x) for x in before]

    stream.send(4)
    page.wait_points(4)
    assert drawn(page) == stored(services, user, stream.baseline_id)


def test_failed_fit_says_why(
    page: Page,
    services: Services,
    user: Identity,
    make_baseline: Callable[..., int],
    sign_in: SignIn,
) -> None:
    baseline_id = make_baseline(user)
    becomes(services, baseline_id, status="failed", error_message="Line 7: no number.")
    sign_in(user)
    page.wait_text("live-empty", "Line 7: no number.")


def test_first_baseline_opens_by_itself(
    page: Page, user: Identity, make_baseline: Callable[..., int], sign_in: SignIn
) -> None:
    sign_in(user)
    page.wait_text("live-empty", "No baseline yet")
    make_baseline(user)
    page.wait_text("live-badge", "Waiting")


def test_anothers_baseline_is_not_shown(
    page: Page, user: Identity, other: Identity, baseline_id: int, sign_in: SignIn
) -> None:
    sign_in(other, f"/dashboard/streaming?baseline_id={baseline_id}")
    page.wait_text("live-empty", "There is no such baseline.")
    assert "Pump 7" not in page.js("return document.body.innerText")


def becomes(services: Services, baseline_id: int, **values: Any) -> None:
    with services.sessions.begin() as session:
        baseline = session.get_one(Baseline, baseline_id)
        for name, value in values.items():
            setattr(baseline, name, value)


def test_phone_has_no_horizontal_scroll_and_large_targets(
    page: Page, services: Services, user: Identity, stream: StreamUnderTest
) -> None:
    stream.send(20)
    with services.sessions.begin() as session:
        accounts.make_key(session, user.id, "the gateway in the hall of line A")
    for path in (f"/dashboard/streaming?baseline_id={stream.baseline_id}", "/account", "/signin"):
        page.resize(390, 844, mobile=True)
        page.go(path)
        page.wait(lambda: page.js("return document.querySelector('h1')"), "the page")
        width = page.js("return document.documentElement.scrollWidth")
        assert width <= 390, path
    touch = "Emulation.setTouchEmulationEnabled"
    page.driver.execute_cdp_cmd(touch, {"enabled": True, "maxTouchPoints": 5})
    page.go(f"/dashboard/streaming?baseline_id={stream.baseline_id}")
    page.wait_points(20)
    heights = page.js(
        "return [...document.querySelectorAll('.streaming .button, .streaming select')]"
        ".filter((e) => e.offsetParent).map((e) => e.offsetHeight)"
    )
    assert heights and min(heights) >= 44
    swipe_up(page, "live-map")
    page.wait(lambda: page.js("return window.scrollY") > 100, "one finger to scroll the page")
    order = page.js(
        "return ['live-state', 'live-map', 'live-pause', 'live-count', 'live-size']"
        ".map((id) => document.getElementById(id).getBoundingClientRect().top)"
    )
    assert order == sorted(order)
    page.driver.execute_cdp_cmd(touch, {"enabled": False})


def swipe_up(page: Page, id: str) -> None:
    """One finger, from the middle of the element upwards."""
    x, y = page.js(
        "const box = document.getElementById(arguments[0]).getBoundingClientRect();"
        "return [box.left + box.width / 2, box.top + box.height / 2].map(Math.round)",
        id,
    )
    for kind, step in [("touchStart", 0), *(("touchMove", n) for n in range(1, 11))]:
        touch = {"type": kind, "touchPoints": [{"x": x, "y": y - 20 * step}]}
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", touch)
    page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_page_that_is_refused_asks_nothing_more(page: Page, stream: StreamUnderTest) -> None:
    page.go("/dashboard/streaming?baseline_id=999")
    page.wait_text("live-badge", "Nothing to show")
    asked = "return performance.getEntriesByType('resource').map(({ name }) => name)"
    time.sleep(1.0)
    page.js("performance.clearResourceTimings()")
    time.sleep(2.5)  # more than one interval
    assert page.js(asked) == []
