"""Exports of many points: how fast they come, and how much memory the server takes for them."""

from __future__ import annotations

import http.client
import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks import report
from benchmarks.client import Client, server
from benchmarks.report import Table
from benchmarks.rows import csv, form
from benchmarks.speed import machine

HEADING = "Exports, measured"
ABOUT = (
    "One client that reads as fast as it comes, uncompressed but for what Parquet does itself. "
    "Memory is what the server process held at most above what it held before."
)
FEATURES = 1_024
POINTS, WIDE_POINTS = 1_000_000, 100_000
KINDS = ("csv", "jsonl", "parquet")
PIECE = 64 * 1024

log = logging.getLogger("bench")


@dataclass(frozen=True)
class Export:
    """An export: how many points with how many features, seconds to its first byte and to its
    last, its bytes, and the bytes of memory that the server took for it at most.
    """

    kind: str
    points: int
    features: int
    first: float
    seconds: float
    size: int
    memory: int

    @property
    def points_a_second(self) -> float:
        return self.points / self.seconds


def run(client: Client, number: int, points: int, features: int) -> list[Export]:
    """Export a stream of so many points, which is made first, in every format."""
    stream = f"export{points}x{features}"
    log.info("a stream of %s points of %s features", f"{points:,}", features)
    # Each on a connection of its own: an idle one is closed while a long export goes on.
    client.another().json("POST", f"/api/bench/whole/{number}/{stream}/{points}/{features}")
    path = f"/api/v1/streaming/{number}/export?stream={stream}&features={int(features > 0)}"
    _take(client, f"{path}&format=parquet&epoch=1&to=2000-01-01T00:00:00Z")  # imports its library
    return [_measured(client, path, kind, points, features) for kind in KINDS]


def _measured(client: Client, path: str, kind: str, points: int, features: int) -> Export:
    client.another().json("GET", "/api/bench/peak")
    before = int(client.another().json("GET", "/api/bench/peak"))
    first, seconds, size = _take(client, f"{path}&format={kind}")
    memory = int(client.another().json("GET", "/api/bench/peak")) - before
    log.info("%s: %.1f s", kind, seconds)
    return Export(kind, points, features, first, seconds, size, memory)


def _take(client: Client, path: str) -> tuple[float, float, int]:
    """Read an answer to its end, and keep none of it: seconds to the first byte and to the last,
    and how many there were.
    """
    connection = http.client.HTTPConnection("127.0.0.1", client.port)
    began = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Bearer {client.token}"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"GET {path}: {answer.status} {answer.read(300)!r}")
    size, first = 0, 0.0
    while piece := answer.read(PIECE):
        first = first or time.perf_counter() - began
        size += len(piece)
    connection.close()
    return first, time.perf_counter() - began, size


def table(exports: Iterable[Export]) -> Table:
    """The figures as text."""
    lines = [
        (
            *(each.kind, f"{each.points:,}", f"{each.features:,}"),
            *(f"{each.points_a_second:,.0f}", f"{each.seconds:.1f}", f"{each.first:.2f}"),
            *(f"{each.size / 1e6:,.0f}", f"{each.memory / 1e6:.0f}"),
        )
        for each in exports
    ]
    columns = ("format", "points", "features", "points a second", "s", "first byte s", "MB")
    return Table("Exports", ABOUT, (*columns, "server memory, MB"), lines)


def measure(
    client: Client, number: int, points: int = POINTS, wide_points: int = WIDE_POINTS
) -> list[Export]:
    """All figures: many points without readings, and fewer with."""
    return [*run(client, number, points, 0), *run(client, number, wide_points, FEATURES)]


def main(arguments: Sequence[str] = ()) -> int:
    """Measure and print."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    busy = os.getloadavg()[0]
    with server() as client:
        number = client.upload(form(csv(machine(800, FEATURES)), "files"))
        client.wait_fitted(number)
        tables = [table(measure(client, number))]
    report.show(HEADING, report.opening(datetime.now(UTC), busy, [ABOUT]), tables)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
