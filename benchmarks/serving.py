"""`make bench`: the server's speed beside its floors, in one run; prints and writes SERVER.md."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.client import Client, server
from benchmarks.report import Table, met
from benchmarks.rows import csv, form
from benchmarks.speed import machine

HEADING = "The server, measured"
ABOUT = (
    "Written by `make bench`; do not edit. Times are medians over one connection on this machine, "
    "taken in turns in one run, from the first byte sent to the last received. The floor stores "
    "the same batch in the same process with nothing but what storing takes (`benchmarks/door.py`)."
)
SIZES = {1: 300, 10: 150, 100: 40, 1_000: 8}  # rows in a batch: how often
POINTS = 1_000
BEHIND = (1_000, 1_000_000)
WARM = 5

log = logging.getLogger("bench")


def milliseconds(times: list[float], quantile: float = 0.5) -> float:
    """A quantile of times in seconds, without the first few."""
    return float(np.quantile(times[WARM:], quantile)) * 1e3


def batches(client: Client, number: int) -> Table:
    """P1 and P2: a batch to committed, ours beside the floor and the usual way."""
    rows = machine(max(SIZES), 1_024, seed=3)
    paths = {"ours": f"/api/v1/monitor/{number}"}
    paths |= {name: f"/api/bench/{name}/{number}" for name in ("floor", "naive")}
    lines = []
    for size, times in SIZES.items():
        log.info("batches of %s", size)
        body = form(csv(rows[:size]))
        taken: dict[str, list[float]] = {name: [] for name in paths}
        for turn in range(times + WARM):
            for name, path in paths.items():
                if name != "naive" or turn < max(WARM + 3, times // 10):
                    taken[name].append(client.post(path, body))
        ours, floor, naive = (milliseconds(taken[name]) for name in paths)
        lines.append(
            (
                *(f"{size:,}", f"{ours:.2f}", f"{floor:.2f}", f"{ours / floor:.2f} x"),
                *(met(ours <= 1.4 * floor), f"{naive:.1f}"),
                *(f"{naive / ours:.1f} x", met(naive >= 10 * ours)),
            )
        )
    columns = ("rows", "ours ms", "floor ms", "P1 (at most 1.4 x)", "", "naive ms")
    note = "A batch of 1,024 features and six metadata columns, sent to committed."
    return Table("P1, P2: batches", note, (*columns, "P2 (at least 10 x)", " "), lines)


def parsing(client: Client) -> Table:
    """P3: one row parsed against only read."""
    body = form(csv(machine(1, 1_024, seed=4)))
    taken: dict[str, list[float]] = {"read": [], "parse": []}
    for _ in range(400):
        for name, times in taken.items():
            times.append(client.post(f"/api/bench/{name}", body))
    read, parse = milliseconds(taken["read"]), milliseconds(taken["parse"])
    line = (f"{read:.3f}", f"{parse:.3f}", f"{parse / read:.2f} x", met(parse <= 1.3 * read))
    note = "A form of one row: a handler that reads its body, and one that also parses it."
    return Table("P3: parsing", note, ("read ms", "parse ms", "P3 (at most 1.3 x)", ""), [line])


def storage(client: Client, number: int) -> Table:
    """P4: what a point takes."""
    before = client.json("GET", "/api/bench/size")
    client.post(f"/api/v1/monitor/{number}?stream=stored", form(csv(machine(POINTS, 1_024, 5))))
    size = (client.json("GET", "/api/bench/size") - before) / POINTS
    note = "Growth of the table of points and its index and TOAST, over 1,000 points."
    return Table(
        "P4: storage",
        note,
        ("bytes a point", "P4 (at most 5,900)"),
        [(f"{size:,.0f}", met(size <= 5_900))],
    )


def polls(client: Client, number: int) -> Table:
    """P5: an idle poll, and ten new points with few and with many behind them."""
    paths = {}
    for behind in BEHIND:
        log.info("a stream of %s points", behind)
        client.json("POST", f"/api/bench/fill/{number}/behind{behind}/{behind}")
        paths[behind] = f"/api/bench/poll/{number}/behind{behind}/"
    idle: dict[int, list[float]] = {behind: [] for behind in BEHIND}
    ten: dict[int, list[float]] = {behind: [] for behind in BEHIND}
    for _ in range(300):
        for behind, path in paths.items():
            idle[behind].append(float(client.json("GET", f"{path}{behind}")))
            ten[behind].append(float(client.json("GET", f"{path}{behind - 10}")))
    costs = [milliseconds(ten[behind]) for behind in BEHIND]
    lines = [
        (f"{behind:,}", f"{milliseconds(idle[behind]):.2f}", f"{cost:.2f}")
        for behind, cost in zip(BEHIND, costs, strict=True)
    ]
    growth = costs[-1] / costs[0]
    verdict = met(growth <= 1.2)
    note = (
        f"CPU time of the server's thread for one poll. With many behind {growth:.2f} x: {verdict}."
    )
    return Table("P5: polls", note, ("points behind", "idle ms (at most 0.8)", "ten new ms"), lines)


def meanwhile(client: Client, number: int) -> Table:
    """P13: one-row batches while a large baseline is uploaded and fitted."""
    body = form(csv(machine(1, 1_024, seed=6)))
    path = f"/api/v1/monitor/{number}"
    quiet = [client.post(path, body) for _ in range(600)]
    large = form(csv(machine(12_000, 1_024, seed=7)), "files")
    log.info("%.0f MB of baseline go up", len(large) / 1e6)
    other, fitted = client.another(), threading.Event()

    def upload() -> None:
        other.wait_fitted(other.upload(large))
        fitted.set()

    threading.Thread(target=upload, daemon=True).start()
    busy = []
    while not fitted.is_set():
        busy.append(client.post(path, body))
        time.sleep(0.005)
    calm, under = milliseconds(quiet, 0.99), milliseconds(busy, 0.99)
    line = (
        f"{len(large) / 1e6:.0f}",
        f"{calm:.1f}",
        f"{under:.1f}",
        f"{under / calm:.1f} x",
        met(under <= 2 * calm),
    )
    columns = ("MB", "quiet p99 ms", "meanwhile p99 ms", "P13 (at most 2 x)", "")
    return Table("P13: beside a fit", f"{len(busy)} batches of one row meanwhile.", columns, [line])


def main() -> int:
    """Measure, print, write."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    busy = os.getloadavg()[0]
    with server() as client:
        number = client.upload(form(csv(machine(800, 1_024)), "files"))
        client.wait_fitted(number)
        topics = [partial(batches, client, number), partial(parsing, client)]
        topics += [partial(topic, client, number) for topic in (storage, meanwhile, polls)]
        tables = [topic() for topic in topics]
    about = report.opening(datetime.now(UTC), busy, [ABOUT])
    report.show(HEADING, about, tables)
    output = Path(__file__).parent / "SERVER.md"
    output.write_text(report.markdown(HEADING, about, tables))
    log.info("Written to %s.", output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
