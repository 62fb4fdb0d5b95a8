"""Two streams on one map in a real browser: told apart, kept up with, and ended without a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dinsight import baselines, streams
from dinsight.accounts import Identity
from dinsight.ingest import Incoming, ingest
from dinsight.services import Services
from tests.browser import Page, StreamUnderTest
from tests.factories import csv, failing, healthy

pytest_plugins = ["tests.browser_fixtures"]

COMPARED = """
const gd = document.querySelector("#live-map .js-plotly-plot");
const trace = gd && gd.data && gd.data.find(({name}) => name === "Compared");
if (!trace) return null;
const names = gd.data.map(({name}) => name);
return {
  x: trace.x, text: trace.text, symbol: trace.marker.symbol, color: trace.marker.color,
  under: names.indexOf("Compared") < names.indexOf("Monitor"),
  visible: trace.visible === undefined || trace.visible,
};
"""
Send = Callable[..., None]


@pytest.fixture
def send(services: Services, user: Identity) -> Send:
    def post(baseline_id: int, rows: Any, name: str) -> None:
        with services.sessions.begin() as session:
            incoming = Incoming(csv(rows), "batch.csv", name)
            now = services.now()
            ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)

    return post


def compared(page: Page) -> dict[str, Any]:
    return dict(page.js(COMPARED) or {"x": []})


def wait_compared(page: Page, count: int) -> dict[str, Any]:
    page.wait(lambda: len(compared(page)["x"]) == count, f"{count} compared points")
    return compared(page)


def test_another_stream_is_drawn_followed_and_ended(  # noqa: PLR0915 - one long walk
    page: Page,
    stream: StreamUnderTest,
    services: Services,
    user: Identity,
    make_baseline: Callable[..., int],
    send: Send,
) -> None:
    own = stream.baseline_id
    twin = make_baseline(user, "Fan <b>")
    send(own, healthy(6), "night")
    send(twin, failing(25), "default")
    stream.send(3)
    page.wait_points(3)
    assert page.js(COMPARED) is None and not page.element("compare-line").is_displayed()

    # Of this baseline, chosen by hand: under this stream's points, and not of its looks.
    page.go(f"/dashboard/streaming?baseline_id={own}")
    page.wait_points(3)
    page.choose("live-interval", "0.5")
    offered = "return [...document.querySelectorAll('#compare-with option')].map((o) => o.text)"
    page.wait(lambda: "night" in page.js(offered), "the choices")
    assert [text for text in page.js(offered) if text] == ["nothing", "night", "Fan <b> · default"]
    page.choose("compare-with", f"{own}:night")
    found = wait_compared(page, 6)
    assert (found["symbol"], found["under"]) == ("square-open", True)
    assert found["color"] == "#b0478a"
    assert "point 6" in found["text"][-1] and "Pump 7 · night" in found["text"][-1]
    page.wait_text("compare-line", "Healthy")
    page.wait_text("compare-said", "last point")
    assert "compare=night" in page.path
    send(own, healthy(4), "night")
    wait_compared(page, 10)
    assert len(page.map()["monitor"]) == 3

    # Another run of it clears; this stream's own points stay.
    with services.sessions.begin() as session:
        streams.reset(session, user, own, "night", now=services.now())
    wait_compared(page, 0)
    send(own, healthy(2), "night")
    wait_compared(page, 2)

    # Hidden by the legend it stays hidden when points come.
    page.js(
        "const gd = document.querySelector('#live-map .js-plotly-plot');"
        "const at = gd.data.findIndex(({name}) => name === 'Compared');"
        "window.Plotly.restyle(gd, {visible: 'legendonly'}, [at]);"
    )
    send(own, healthy(1), "night")
    assert wait_compared(page, 3)["visible"] == "legendonly"

    # Of another baseline, by the address; its name is text.
    page.go(f"/dashboard/streaming?baseline_id={own}&compare={twin}:default")
    found = wait_compared(page, 25)
    assert "<b>Fan &lt;b&gt; · default</b>" in found["text"][0]
    page.wait_text("compare-line", "Failing")
    assert page.text("compare-machine") == "Fan <b> · default"

    # It goes with its baseline, and says so.
    page.choose("live-interval", "0.5")
    with services.sessions.begin() as session:
        baselines.remove(session, user, twin)
    page.wait_text("compare-said", "no such baseline")
    assert page.js(COMPARED) is None
    stream.send(2)
    page.wait_points(5)

    # And it ends with the choice, and with another stream.
    page.choose("compare-with", f"{own}:night")
    wait_compared(page, 3)
    page.choose("compare-with", "")
    page.wait(lambda: page.js(COMPARED) is None, "the trace to go")
    assert "compare" not in page.path
    page.choose("compare-with", f"{own}:night")
    wait_compared(page, 3)
    page.choose("live-stream", "night")
    page.wait_points(3)
    assert "compare" not in page.path
    assert page.js(COMPARED) is None
    assert not page.element("compare-line").is_displayed()
