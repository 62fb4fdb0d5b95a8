"""Playing back 100,000 points in a real browser: what a scrub takes, and frames at 600 times.

`python -m benchmarks.scale_playback` prints the table alone.
"""

from __future__ import annotations

import argparse
import logging
import os
from datetime import UTC, datetime

import numpy as np

from benchmarks import report
from benchmarks.chromium import Browser, browser
from benchmarks.client import Client, server
from benchmarks.report import Table, met
from benchmarks.rows import csv, form
from benchmarks.speed import machine

POINTS = 100_000
DRAGS = 30
MOVES = 20  # of a drag, about half a second
SECONDS = 10  # of playing
GOAL_MS = 100
KEPT = 20  # chunks that hold POINTS

log = logging.getLogger("bench")

# Drags the scrubber as a hand does, over several places and then to rest; of each move how long it
# took until a frame told the moment and marked its place on the map, and of each drag how long it
# took from the last move until a frame showed all its points.
SCRUB = """
const [places, done] = arguments;
const range = document.getElementById("playback-range");
const frame = (then) => requestAnimationFrame(() => {
  const { port1, port2 } = new MessageChannel(); // comes before what a timer does
  port1.onmessage = () => then(performance.now());
  port2.postMessage(null);
});
const shown = () => new Promise((drawn) => {
  document.addEventListener("dinsight:points", () => frame(drawn), { once: true });
});
const told = (place) => {
  const words = document.getElementById("playback-time").textContent.replace(/\\D/g, "");
  return words.includes(String(place)) && document.querySelector(".map-mark-moment");
};
const rest = (ms) => new Promise((over) => setTimeout(over, ms));
const answers = [];
const move = (place) => {
  const began = performance.now();
  range.value = place;
  range.dispatchEvent(new Event("input", { bubbles: true }));
  if (told(place)) frame((at) => answers.push(at - began));
  else answers.push(NaN);
};
(async () => {
  const drawn = [];
  for (const drag of places) {
    await rest(300 + 300 * Math.random());
    for (const place of drag.slice(0, -1)) {
      move(place);
      await rest(20 + 20 * Math.random());
    }
    const points = shown();
    const began = performance.now();
    move(drag[drag.length - 1]);
    drawn.push((await points) - began);
  }
  done({ answers, drawn });
})();
"""
# Plays, and gives the times between drawings, the longest task, and the points that were passed.
PLAY = """
const [seconds, done] = arguments;
const state = dinsight.playback.state();
const drawn = [];
const hear = () => drawn.push(performance.now());
document.addEventListener("dinsight:points", hear);
const from = state.seq;
dinsight.playback.toggle();
setTimeout(() => {
  if (state.playing) dinsight.playback.toggle();
  document.removeEventListener("dinsight:points", hear);
  done({ gaps: drawn.slice(1).map((at, i) => at - drawn[i]), points: state.seq - from });
}, 1000 * seconds);
"""


def scrub_times(
    page: Browser, client: Client, number: int, points: int = POINTS, drags: int = DRAGS
) -> Table:
    """Scrubbing and playing a recording of so many points."""
    client.json("POST", f"/api/bench/record/{number}/recorded/{points}")
    page.open(number, "recorded", epoch="1")
    loaded = float(page.wait_drawn(0)["since"])
    random = np.random.default_rng(7)
    places = [_drag(random, points) for _ in range(drags)]
    cold = page.later(SCRUB, [[drag[-1]] for drag in places[:5]])["drawn"]
    page.wait(
        lambda: page.js("return dinsight.playback.state().record.kept()") * 5_000 >= points,
        "the recording",
    )
    scrubbed = page.later(SCRUB, places)
    page.js(SPEED, points // 10)
    before = page.busy()
    played = page.later(PLAY, SECONDS)
    busy = (page.busy() - before) / SECONDS
    gaps = np.array(played["gaps"])
    half, most = np.quantile(scrubbed["answers"], (0.5, 0.95))
    line = (
        *(f"{points:,}", f"{loaded:.1f}", f"{half:.0f}", f"{most:.0f}", met(most <= GOAL_MS)),
        *(f"{quantile:.0f}" for quantile in np.quantile(scrubbed["drawn"], (0.5, 0.95))),
        f"{max(cold):.0f}",
        *(f"{np.median(gaps):.0f}", f"{np.quantile(gaps, 0.95):.0f}", f"{busy * 100:.0f} %"),
        f"{played['points'] / SECONDS:.0f}",
    )
    columns = (
        *("points", "opened s", "scrub to answer p50 ms", f"p95 ms (at most {GOAL_MS})", ""),
        *("to all points p50 ms", "p95 ms", "slowest of the first five ms"),
        *("between frames at 600 x p50 ms", "p95 ms", "main thread", "points/s"),
    )
    note = (
        f"Drags of {MOVES} moves in half a second. From each move to the frame that tells the "
        "moment and marks its place on the map, and from the last one to the frame that shows the "
        "map of that moment, with its newest 3,000 points, which waits for the hand to rest where "
        "a drawing takes long; the first five right after opening, when chunks are still on their "
        "way. "
        "Playing a recording of a point a second 600 times as fast. What limits it is the drawing "
        "of the map, WebGL in software."
    )
    return Table("Playback", note, columns, [line])


def _drag(random: np.random.Generator, points: int) -> list[int]:
    """Places from one moment to another, of which the scrubber's own step is the finest."""
    begin, end = random.integers(3_000, points, 2)
    return [int(place) for place in np.linspace(begin, end, MOVES)]


SPEED = """
const select = document.getElementById("playback-speed");
select.value = "600";
select.dispatchEvent(new Event("change", { bubbles: true }));
dinsight.playback.go(arguments[0]);
"""


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale_playback", description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--drags", type=int, default=DRAGS)
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    busy = os.getloadavg()[0]
    with server() as client, browser(client.port) as page:
        number = client.upload(form(csv(machine(800, 64)), "files"))
        client.wait_fitted(number)
        table = scrub_times(page, client, number, options.points, options.drags)
    report.show("Playback, measured", report.opening(datetime.now(UTC), busy, []), [table])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
