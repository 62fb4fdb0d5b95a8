"""`make bench-scale`: how far a machine carries; prints and writes SCALE.md."""

from __future__ import annotations

import argparse
import logging
import os
import resource
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report, scale_back_test, scale_export
from benchmarks.chromium import browser
from benchmarks.client import server
from benchmarks.plant import Plant, plant
from benchmarks.report import Table
from benchmarks.rows import csv, form
from benchmarks.scale_machines import machines
from benchmarks.scale_outbox import outbox
from benchmarks.scale_playback import scrub_times
from benchmarks.scale_viewers import viewers
from benchmarks.speed import machine

HEADING = "How far it carries, measured"
ABOUT = (
    "Written by `make bench-scale`; do not edit. Servers, PostgreSQL, senders and viewers share "
    "this machine, so what the last two take is missing to the first two: the columns of CPU say "
    "who had how much. A figure is the last step at which its limit held."
)
PLANTS: dict[str, Callable[[], AbstractContextManager[Plant]]] = {
    "one server with its embedded PostgreSQL": plant,
    "two servers on an external PostgreSQL": lambda: plant(2, external=True),
}
FEW = 64  # features
FILES = 20_000  # descriptors: a socket takes one on either side

log = logging.getLogger("bench")


def of_plants() -> list[Table]:
    """Machines and viewers, of each kind of plant."""
    tables = []
    for where, make in PLANTS.items():
        with make() as servers:
            log.info("machines, %s", where)
            tables.append(machines(servers, f"Machines at a row a second, {where}"))
            log.info("viewers, %s", where)
            tables += viewers(servers, where)
    return tables


def of_recordings() -> list[Table]:
    """Playback and exports of long recordings, on one server."""
    with server() as client:
        number = client.upload(form(csv(machine(800, FEW)), "files"))
        client.wait_fitted(number)
        with browser(client.port) as page:
            log.info("playback")
            tables = [scrub_times(page, client.another(), number)]
        log.info("exports")
        wide = client.another().upload(form(csv(machine(800, scale_export.FEATURES)), "files"))
        client.another().wait_fitted(wide)
        return [*tables, scale_export.table(scale_export.measure(client.another(), wide))]


TOPICS: dict[str, Callable[[], list[Table]]] = {
    "plants": of_plants,
    "recordings": of_recordings,
    "back-tests": lambda: [scale_back_test.measure()],
    "outbox": lambda: [outbox()],
}


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("--only", action="append", default=[], choices=list(TOPICS))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "SCALE.md")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, most), most))
    busy = os.getloadavg()[0]
    tables = []
    for name, topic in TOPICS.items():
        if not options.only or name in options.only:
            log.info(name)
            tables += topic()
    about = report.opening(datetime.now(UTC), busy, [ABOUT])
    report.show(HEADING, about, tables)
    options.output.write_text(report.markdown(HEADING, about, tables))
    log.info("Written to %s.", options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
