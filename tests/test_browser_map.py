"""The map in a real browser: what it draws of many points, where it looks, how it is coloured."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from dinsight import streams
from dinsight.accounts import Identity
from dinsight.services import Services
from layouts import figures
from tests.browser import Page, StreamUnderTest
from tests.factories import csv, failing, healthy

pytest_plugins = ["tests.browser_fixtures"]

WINDOW = figures.GL.window
GD = 'document.querySelector("#live-map .js-plotly-plot")'
FILL = """
INSERT INTO points (stream_id, epoch, seq, received_at, source, x, y, score, level, metadata)
SELECT :stream, 1, number, now(), '', random(), random(), 0.5,
       CASE WHEN number = ANY(:anomalous) THEN 2 ELSE 0 END, '{}'
FROM generate_series(:first, :points) AS number
"""


@pytest.fixture
def me(services: Services, user: Identity, baseline_id: int) -> tuple[Services, Identity, int]:
    return services, user, baseline_id


def fill(
    me: tuple[Services, Identity, int], points: int, anomalous: list[int], first: int = 1
) -> None:
    """Many points at once, without readings: from `first` on, so that there are `points`."""
    services, who, baseline_id = me
    with services.sessions.begin() as session:
        stream = streams.lock(session, who, baseline_id, "default")
        values = {"first": first, "points": points, "anomalous": anomalous}
        session.execute(text(FILL), {"stream": stream.id, **values})
        stream.next_seq, stream.state = points + 1, "streaming"
        stream.last_point_at = services.now()


def move(me: tuple[Services, Identity, int], seq: int, x: float, y: float) -> None:
    with me[0].sessions.begin() as session:
        session.execute(
            text("UPDATE points SET x = :x, y = :y WHERE seq = :seq"), {"seq": seq, "x": x, "y": y}
        )


def seqs(page: Page, name: str) -> list[int]:
    found = page.js(
        f"const t = {GD}.data.find((each) => each.name === arguments[0]);"
        "return t ? t.customdata.map(([seq]) => seq) : [];",
        name,
    )
    return list(found)


def ranges(page: Page) -> list[list[float]]:
    return list(page.js(f"const {{x, y}} = dinsight.frame.ranges({GD}); return [x, y];"))


def colours(page: Page) -> Any:
    return page.js(f"return {GD}.data.find((t) => t.name === 'Monitor').marker.color")


def images(page: Page) -> int:
    return int(page.js(f"return ({GD}._fullLayout.images || []).length"))


def test_the_policy_against_scripts_lets_webgl_draw(page: Page, stream: StreamUnderTest) -> None:
    stream.send(3)
    assert page.wait_points(3)["type"] == "scattergl"
    assert page.js("return document.querySelectorAll('.no-webgl').length") == 0


def test_beyond_the_window_points_become_a_density_but_no_anomaly_does(
    page: Page, me: tuple[Services, Identity, int], stream: StreamUnderTest
) -> None:
    points = WINDOW + 500
    fill(me, points, [5, 6, 100, 505])
    page.wait_points(WINDOW)
    page.wait(lambda: seqs(page, "Earlier anomalies") == [5, 6, 100], "the anomalies before it")
    page.wait(lambda: images(page) == 1, "the density")
    page.wait_text("live-note", f"showing {WINDOW + 3:,} of {points:,}")
    page.js(f"return Plotly.relayout({GD}, {{'font.color': '#555'}})")
    assert images(page) == 1  # it outlives what a person does to the layout

    stream.send(10)
    page.wait(lambda: seqs(page, "Monitor")[-1] == points + 10, "ten more points")
    assert len(seqs(page, "Monitor")) == WINDOW
    assert seqs(page, "Earlier anomalies") == [5, 6, 100, 505]

    stream.reset()
    page.wait_points(0)
    assert (seqs(page, "Earlier anomalies"), images(page)) == ([], 0)


def test_a_page_that_slept_catches_up_at_once_and_keeps_the_anomalies(
    page: Page, me: tuple[Services, Identity, int], stream: StreamUnderTest
) -> None:
    stream.send(3)
    page.wait_points(3)
    page.click("live-auto")
    fill(me, 9_000, [50], first=4)
    page.click("live-refresh")
    page.wait_points(WINDOW)
    assert seqs(page, "Monitor") == list(range(9_001 - WINDOW, 9_001))
    page.wait(lambda: seqs(page, "Earlier anomalies")[-1:] == [50], "the anomaly before it")


def test_an_arrow_leads_to_a_far_outlier_and_fit_leads_back(
    page: Page, me: tuple[Services, Identity, int], stream: StreamUnderTest
) -> None:
    fill(me, 200, [7])
    move(me, 7, 1e6, -2e6)
    page.go(f"/dashboard/streaming?baseline_id={stream.baseline_id}")
    page.wait_points(200)
    near = ranges(page)
    assert near[0][1] - near[0][0] < 100
    arrow = page.driver.find_element("css selector", ".edge-arrow")
    assert arrow.text == "1"
    assert arrow.get_attribute("data-side") == "down"
    page.wait_text("live-note", "1 point outside the view")

    arrow.send_keys("\ue007")  # enter
    page.wait(lambda: ranges(page)[1][0] < -2e6 < ranges(page)[1][1], "the view at the outlier")
    (left, right), (low, high) = ranges(page)
    assert left < 1e6 < right
    assert high - low == pytest.approx(near[1][1] - near[1][0], rel=0.01)
    page.wait_text("live-note", "199 points outside the view")

    page.click("live-fit")
    page.wait(lambda: ranges(page) == near, "the first view again")


def test_a_view_that_follows_opens_at_the_newest(
    page: Page, me: tuple[Services, Identity, int], stream: StreamUnderTest
) -> None:
    fill(me, 30, [])
    for seq in range(21, 31):
        move(me, seq, 8, 8)
    page.go(f"/dashboard/streaming?baseline_id={stream.baseline_id}&follow=1")
    page.wait_points(30)
    page.wait(lambda: ranges(page)[0] == pytest.approx(around_8(page)), "the newest in the middle")
    page.resize(1200, 900)
    page.wait(lambda: page.js("return innerWidth") == 1200, "a smaller window")
    page.wait(lambda: ranges(page)[0] == pytest.approx(around_8(page)), "still in the middle")


def around_8(page: Page) -> list[float]:
    low, high = ranges(page)[0]
    return [8 - (high - low) / 2, 8 + (high - low) / 2]


def test_following_pans_calmly_and_a_zoom_by_hand_ends_it(
    page: Page, stream: StreamUnderTest
) -> None:
    stream.send(5)
    page.wait_points(5)
    page.js(f"return Plotly.relayout({GD}, {{'xaxis.range[0]': -0.5, 'xaxis.range[1]': 0.5}})")
    page.click("live-follow")
    page.wait(lambda: "follow=1" in page.path, "the address to say so")
    stream.send(failing(20))
    page.wait_points(25)
    newest = page.map()["monitor"][-10:]
    low, high = ranges(page)[0]
    assert low < sorted(newest)[5] < high
    assert high - low == pytest.approx(1.0)  # no zoom

    before = ranges(page)
    stream.send(failing(3, seed=8))
    page.wait_points(28)
    assert ranges(page) == before  # they are where the others were: nothing moves

    page.js(f"return Plotly.relayout({GD}, {{'xaxis.range[0]': -9, 'xaxis.range[1]': -8}})")
    page.wait(lambda: "follow" not in page.path, "the end of following")
    assert not page.element("live-follow").is_selected()
    stream.send(failing(5))
    page.wait_points(33)
    assert ranges(page)[0] == [-9, -8]


def test_what_is_said_of_a_point_is_kept_also_where_it_is_not_known(
    page: Page, stream: StreamUnderTest
) -> None:
    stream.send(3, metadata=["first shift"] * 3)
    page.go(page.path)
    page.wait_points(3)
    page.wait(page.element("live-columns-field").is_displayed, "the names")
    assert page.js("return dinsight.live.said()") == ["note"]  # nobody has chosen yet
    page.go(f"{page.path}&columns=%5B%22load%22%5D")
    page.wait_points(3)
    page.wait(page.element("live-columns-field").is_displayed, "the names")
    box = page.driver.find_element("css selector", "#live-columns input")
    assert not box.is_selected()
    box.click()
    page.wait(lambda: page.js("return dinsight.live.said()") == ["load", "note"], "both")
    assert "note" in page.path and "load" in page.path
    box.click()
    page.wait(lambda: page.js("return dinsight.live.said()") == ["load"], "the other to stay")


def test_colours_survive_new_points_and_a_reload_through_the_address(
    page: Page, stream: StreamUnderTest
) -> None:
    stream.send(6)
    page.wait_points(6)
    assert colours(page) == "#DC2626"
    path = f"/dashboard/streaming?baseline_id={stream.baseline_id}"
    assert page.path == path
    for mode in ("order", "score", "level", "normal"):
        option = f"#live-colour option[value={mode}]"
        page.driver.find_element("css selector", option).click()
        page.wait(lambda mode=mode: f"colour={mode}" in page.path, "the address to say so")
        assert len(colours(page)) == len(page.map()["monitor"])
    assert set(colours(page)) == {0}

    stream.send(failing(8))
    page.wait_points(14)
    shown = page.js(f"return {GD}.data.find((t) => t.name === 'Monitor').customdata")
    assert colours(page) == [int(level != "healthy") for _, _, level, *_ in shown]
    assert 1 in colours(page)
    symbols = page.js(f"return {GD}.data.find((t) => t.name === 'Monitor').marker.symbol")
    word = {"circle": "healthy", "triangle-up": "warning", "x": "alarm"}
    assert [word[symbol] for symbol in symbols] == [level for _, _, level, *_ in shown]

    page.js("dinsight.map.judge(({about}) => about.map(([seq]) => seq % 2))")
    stream.send(2)
    page.wait_points(16)
    assert colours(page)[-2:] == [1, 0]
    flags = [1] * 16
    page.js(f"dinsight.map.colour({GD}, 'normal', arguments[0])", flags)
    assert colours(page) == flags

    page.go(f"{path}&colour=level&kept=yes")
    page.wait_points(16)
    page.wait(lambda: isinstance(colours(page), list), "the colours of the address")
    assert page.path == f"{path}&colour=level&kept=yes"
    assert page.element("live-colour").get_attribute("value") == "level"
    page.js(f"return Plotly.relayout({GD}, {{'font.color': '#555'}})")
    span = f"const m = {GD}._fullData.find((t) => t.name === 'Monitor').marker;"
    assert page.js(f"{span} return [m.cmin, m.cmax, m.showscale]") == [-0.5, 2.5, True]
    page.driver.find_element("css selector", "#live-colour option[value=plain]").click()
    page.wait(lambda: page.path == f"{path}&kept=yes", "the usual to go from the address")
    assert colours(page) == "#DC2626"


def test_a_shared_view_wins_over_what_is_kept_and_is_not_kept_itself(
    page: Page, stream: StreamUnderTest
) -> None:
    path = f"/dashboard/streaming?baseline_id={stream.baseline_id}"
    stream.send(20)
    page.wait_points(20)
    page.type("live-glow", "7")
    page.wait(lambda: page.path == f"{path}&glow=7", "the address to say so")
    before = page.js("return history.length")

    page.go(f"{path}&glow=3&size=9&contours=0&theme=dark&size=junk")
    page.wait_points(20)
    page.wait(lambda: len(page.map()["latest"]) == 3, "three rings")
    page.wait(lambda: page.map()["size"] == 9, "the size")
    slider = (
        "return document.querySelector('#live-size [role=slider]').getAttribute('aria-valuenow')"
    )
    page.wait(lambda: page.js(slider) == "9", "the control to say so")
    assert page.map()["contours"][0] is False
    assert page.js("return document.documentElement.dataset.theme") == "dark"
    assert page.js("return history.length") <= before + 1

    page.go(path)
    page.wait_points(20)
    page.wait(lambda: len(page.map()["latest"]) == 7, "what is kept")
    assert page.map()["size"] == 6
    assert page.path == f"{path}&glow=7"
    assert page.js("return document.documentElement.dataset.theme") == "light"


def test_the_label_of_a_point_says_its_metadata_as_text(
    page: Page, stream: StreamUnderTest, services: Services, user: Identity
) -> None:
    notes = ["", "", "<b>bearing</b>"]
    from dinsight.ingest import Incoming, ingest

    with services.sessions.begin() as session:
        batch = Incoming(csv(healthy(3), metadata=notes), "batch.csv")
        now = services.now()
        ingest(session, user, stream.baseline_id, batch, limits=services.limits, now=now)
    page.wait_points(3)
    page.js(
        "window.chosen = [];"
        "document.addEventListener('dinsight:select', (e) => chosen.push(e.detail))"
    )
    box = page.js(
        f"const gd = {GD}, box = gd.getBoundingClientRect(), {{xaxis, yaxis}} = gd._fullLayout;"
        "const t = gd.data.find((each) => each.name === 'Monitor');"
        "return [box.left + xaxis._offset + xaxis.l2p(t.x[2]),"
        " box.top + yaxis._offset + yaxis.l2p(t.y[2])];"
    )
    at = {"x": box[0], "y": box[1]}
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", **at})
    page.wait_text("live-label", "note: <b>bearing</b>")
    assert page.text("live-label").startswith("point 3\nscore ")
    assert "of its limit, healthy" in page.text("live-label")

    for kind in ("mousePressed", "mouseReleased"):
        event = {"type": kind, "button": "left", "clickCount": 1, **at}
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
    page.wait(lambda: page.js("return chosen") == [{"epoch": 1, "seq": 3}], "the point, chosen")
    assert page.js("return document.querySelectorAll('.selected-ring').length") == 1
    page.js(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))"
    )
    page.wait(lambda: page.js("return chosen.length") == 2, "nothing chosen")
    assert page.js("return document.querySelectorAll('.selected-ring').length") == 0


SOAK = """
const done = arguments[arguments.length - 1];
const { cap, earlier } = dinsight.live.state().view;
const gd = dinsight.map.ready(dinsight.live.state().view.key);
(async () => {
  let seq = 100;
  for (let tick = 0; tick < arguments[0]; tick += 1) {
    const at = Array.from({ length: 100 }, Math.random);
    const about = at.map(() => [seq += 1, 0.5, seq % 10 ? "healthy" : "alarm"]);
    dinsight.map.extend(gd, { x: at, y: at, about }, { cap, earlier, glow: 10 });
    if (tick % 20 === 0) await new Promise(requestAnimationFrame);
  }
  done();
})();
"""


def test_a_long_watch_holds_no_more_than_the_window(page: Page, stream: StreamUnderTest) -> None:
    stream.send(5)
    page.wait_points(5)
    page.click("live-auto")
    page.driver.set_script_timeout(60)

    def heap() -> float:
        page.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        return float(page.driver.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"])

    page.driver.execute_async_script(SOAK, 60)
    before = heap()
    page.driver.execute_async_script(SOAK, 140)
    assert heap() - before < 3e6
    assert len(seqs(page, "Monitor")) == WINDOW
    assert len(seqs(page, "Earlier anomalies")) == figures.GL.earlier
