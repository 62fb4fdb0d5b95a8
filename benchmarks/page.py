"""`make bench-page`: the streaming page in a real browser; prints and writes PAGE.md."""

from __future__ import annotations

import argparse
import logging
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.chromium import Browser, browser
from benchmarks.client import Client, server
from benchmarks.report import Table, met
from benchmarks.rows import csv, form
from benchmarks.speed import machine
from benchmarks.viewers import viewers

HEADING = "The streaming page, measured"
ABOUT = (
    "Written by `make bench-page`; do not edit. Chromium without a graphics card (WebGL in "
    "software) on the machine of the server. Work is the processor's time of the page's main "
    "thread, of all that it did meanwhile."
)
TICK = 10  # points
WARM = 5
POLL_SECONDS = 1.0
OPENINGS = 5
BEHIND = (1_000, 1_000_000)
FEATURES = 1_024

log = logging.getLogger("bench")


def bytes_a_point(page: Browser, client: Client, number: int) -> Table:
    """P6: what answers of the poll weigh, without and with their headers."""
    points = 3_000
    client.json("POST", f"/api/bench/fill/{number}/bytes/{points}")
    page.open(number, "bytes")
    page.refresh_by_hand()
    time.sleep(2)  # until nothing is asked any more
    page.js("performance.clearResourceTimings()")
    page.js(ASK_ALL)
    bulk, _ = max(_answers(page))
    sizes: dict[str, list[tuple[float, float]]] = {"tick": [], "idle": []}
    last = points
    for _ in range(20):
        client.post(f"/api/v1/monitor/{number}?stream=bytes", _batch())
        for kind in ("tick", "idle"):
            page.js("performance.clearResourceTimings()")
            page.refresh()
            if kind == "tick":
                last = int(page.wait_drawn(last)["seq"])
            page.wait(lambda: page.js("return dinsight.live.state().asked === null"), "an answer")
            sizes[kind].append(min(_answers(page)))
    tick, with_head = np.median(sizes["tick"], axis=0)
    idle, _ = np.median(sizes["idle"], axis=0)
    line = (
        *(f"{bulk / points:.1f}", met(bulk / points <= 18)),
        *(f"{tick:.0f}", met(tick <= 500), f"{idle:.0f}", f"{with_head - tick:.0f}"),
    )
    columns = ("bulk, B a point (at most 18)", "", "tick of 10, B (at most 500)", " ", "idle, B")
    note = "Bodies as sent, compressed where they are; headers come on top."
    return Table("P6: bytes", note, (*columns, "headers, B"), [line])


ASK_ALL = """
const { key, baseline_id, stream, cap: limit } = dinsight.live.state().view;
const data = { key, baseline_id, stream, limit, after: null, at: Date.now() };
dinsight.ask("live-ask", "live-feed", data);
"""


def _answers(page: Browser) -> list[tuple[float, float]]:
    """Body and whole of the answers to callbacks that were timed."""
    found = page.wait(
        lambda: page.js(
            "return performance.getEntriesByType('resource')"
            ".filter((each) => each.name.includes('_dash-update-component'))"
            ".map((each) => [each.encodedBodySize, each.transferSize])"
        ),
        "an answer",
    )
    return [(body, whole) for body, whole in found]


def _batch() -> bytes:
    return form(csv(machine(TICK, FEATURES, seed=random.randrange(10_000))))  # noqa: S311


def by_push(page: Browser, client: Client, number: int, times: int) -> Table:
    """P7: from a POST to its points on the screen, over the socket."""
    _watch(page, client, number, "pushed")
    page.wait(lambda: page.js("return dinsight.socket.open()"), "the socket")
    half, most = _to_pixel(page, client, number, "pushed", times)
    line = (f"{half:.0f}", met(half <= 60), f"{most:.0f}", met(most <= 250))
    columns = ("p50 ms (at most 60)", "", "p99 ms (at most 250)", " ")
    return Table("P7: POST to pixel, pushed", f"{times} batches of {TICK} rows.", columns, [line])


def by_poll(page: Browser, client: Client, number: int, times: int) -> Table:
    """P8: from a POST to its points on the screen, polling."""
    _watch(page, client, number, "polled", push="0")
    page.js("dinsight.live.choose('interval', arguments[0])", POLL_SECONDS)
    half, most = _to_pixel(page, client, number, "polled", times)
    t = POLL_SECONDS * 1e3
    line = (
        f"{t:.0f}",
        f"{half:.0f}",
        met(half <= t / 2 + 100),
        f"{most:.0f}",
        met(most <= t + 150),
    )
    columns = ("T ms", "p50 ms (at most T / 2 + 100)", "", "p99 ms (at most T + 150)", " ")
    return Table("P8: POST to pixel, polled", f"{times} batches of {TICK} rows.", columns, [line])


def _watch(page: Browser, client: Client, number: int, stream: str, **view: str) -> None:
    client.post(f"/api/v1/monitor/{number}?stream={stream}", _batch())
    page.open(number, stream, **view)


def _to_pixel(
    page: Browser, client: Client, number: int, stream: str, times: int
) -> tuple[float, float]:
    """Median and 99 % of the milliseconds from sending a batch to the frame that shows it."""
    path, batch = f"/api/v1/monitor/{number}?stream={stream}", _batch()
    last, taken = TICK, []
    for _ in range(times):
        time.sleep(random.uniform(0.2, 1.2) * POLL_SECONDS)  # noqa: S311 - any phase of a poll
        began = time.time()
        client.post(path, batch)
        drawn = page.wait_drawn(last)
        last = int(drawn["seq"])
        taken.append(drawn["at"] - began)
    half, most = (float(np.quantile(taken, quantile)) * 1e3 for quantile in (0.5, 0.99))
    return half, most


def ticks(page: Browser, client: Client, number: int, times: int) -> Table:
    """P9: the work of a tick with few and with many points stored, pushed and polled."""
    work: dict[str, list[float]] = {"pushed": [], "polled": []}
    for behind in BEHIND:
        name = f"behind{behind}"
        log.info("a stream of %s points", behind)
        client.json("POST", f"/api/bench/fill/{number}/{name}/{behind}")
        page.open(number, name)
        page.wait(lambda: page.js("return dinsight.socket.open()"), "the socket")
        time.sleep(2)  # until its density is there
        path = f"/api/v1/monitor/{number}?stream={name}"
        for way, times_taken in work.items():
            if way == "polled":
                page.refresh_by_hand()
            taken = [_work(page, client, path, way) for _ in range(times + WARM)]
            times_taken.append(float(np.median(taken[WARM:])) * 1e3)
    lines = [
        (way, f"{few:.1f}", f"{many:.1f}", f"{many / few:.2f} x", met(many <= min(50, 2 * few)))
        for way, (few, many) in work.items()
    ]
    columns = ("", *(f"with {behind:,} stored, ms" for behind in BEHIND))
    note = "The work of one tick of 10 points, from asking for it, or being told of it, to drawn."
    return Table("P9: ticks", note, (*columns, "ratio (at most 50 ms and 2 x)", " "), lines)


def _work(page: Browser, client: Client, path: str, way: str) -> float:
    """The page's work for a tick, in seconds."""
    if way == "polled":
        client.post(path, _batch())
        before = page.busy()
        page.refresh_and_wait()
    else:
        page.js(AWAIT_POINTS)
        before = page.busy()
        client.post(path, _batch())
        page.later("const done = arguments[0]; window.shown.then(done);")
    return page.busy() - before


AWAIT_POINTS = """
window.shown = new Promise((done) => {
  const drawn = () => requestAnimationFrame(() => setTimeout(done));
  document.addEventListener("dinsight:points", drawn, { once: true });
});
"""
WATCH = """
const [count, done] = arguments;
const state = dinsight.live.state();
const text = (values) => btoa(String.fromCharCode(...new Uint8Array(values.buffer)));
const pack = (values) => text(new Float32Array(values));
const anywhere = () => pack(Array.from({ length: 10 }, Math.random));
const answer = (seq) => ({
  key: state.view.key, kind: "ready", epoch: state.cursor.epoch, first: seq + 1, n: 10,
  x: anywhere(), y: anywhere(),
  score: pack(Array(10).fill(0.5)), level: text(new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 2])),
  status: { ...state.status, streamed_points: seq + 10, age: 0 },
});
(async () => {
  const taken = [];
  for (let i = 0; i < count; i += 1) {
    const news = answer(dinsight.live.state().cursor.seq);
    const began = dinsight.live.state().asked = performance.now();
    dinsight.live.reduce(news);
    taken.push(performance.now() - began);
    await new Promise(requestAnimationFrame);
  }
  taken.sort((a, b) => a - b);
  done(taken[Math.floor(count / 2)]);
})();
"""


def long_watch(page: Browser, client: Client, number: int, count: int) -> Table:
    """P10: the first tenth of many ticks against the last."""
    client.json("POST", f"/api/bench/fill/{number}/watched/3000")
    page.open(number, "watched")
    page.refresh_by_hand()
    tenth = max(20, count // 10)
    page.later(WATCH, WARM * 4)
    log.info("%s ticks", count)
    first, before = float(page.later(WATCH, tenth)), page.heap()
    if count > 2 * tenth:
        page.later(WATCH, count - 2 * tenth)
    last, after = float(page.later(WATCH, tenth)), page.heap()
    grown = (after - before) / 1e6
    line = (
        *(f"{count:,}", f"{before / 1e6:.1f}", f"{grown:+.1f}", met(grown <= 15)),
        *(f"{first:.1f}", f"{last:.1f}", f"{last / first:.2f} x", met(last <= 1.1 * first)),
    )
    columns = ("ticks", "heap MB", "grown MB (at most 15)", "", "first tenth ms", "last tenth ms")
    note = "Answers as of a poll given to the reducer one a frame; the heap after a collection."
    return Table("P10: a long watch", note, (*columns, "ratio (at most 1.1 x)", " "), [line])


def opening(page: Browser, client: Client) -> Table:
    """P12: from the address to the first map, signed in."""
    number = client.upload(form(csv(machine(5_000, 64)), "files"))
    client.wait_fitted(number)
    client.json("POST", f"/api/bench/fill/{number}/default/10000")
    taken = []
    for _ in range(OPENINGS + 1):
        page.open(number)
        taken.append(float(page.wait_drawn(0)["since"]))
    usual = float(np.median(taken[1:]))
    line = (f"{taken[0]:.2f}", f"{usual:.2f}", met(usual <= 1.5))
    columns = ("first s", "then s (at most 1.5)", "")
    note = "5,000 baseline and 10,000 monitor points; the scripts in the browser's cache."
    return Table("P12: opening", note, columns, [line])


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.page", description=__doc__)
    parser.add_argument("--ticks", type=int, default=14_400, help="of the long watch (8 h at 2 s)")
    parser.add_argument("--batches", type=int, default=60, help="from POST to pixel")
    parser.add_argument("--only", action="append", default=[], help="P6 to P12")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "PAGE.md")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    busy = os.getloadavg()[0]
    tables = []
    with server() as client, browser(client.port) as page:
        number = client.upload(form(csv(machine(800, FEATURES)), "files"))
        client.wait_fitted(number)
        topics: dict[str, Callable[[], Table]] = {
            "P6": lambda: bytes_a_point(page, client, number),
            "P7": lambda: by_push(page, client, number, options.batches),
            "P8": lambda: by_poll(page, client, number, options.batches),
            "P9": lambda: ticks(page, client, number, 30),
            "P10": lambda: long_watch(page, client, number, options.ticks),
            "P11": lambda: viewers(page, client.another(), number),
            "P12": lambda: opening(page, client.another()),
        }
        for name, topic in topics.items():
            if not options.only or name in options.only:
                log.info(name)
                tables.append(topic())
                log.info("%s", tables[-1].rows)
    about = report.opening(datetime.now(UTC), busy, [ABOUT])
    report.show(HEADING, about, tables)
    options.output.write_text(report.markdown(HEADING, about, tables))
    log.info("Written to %s.", options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
