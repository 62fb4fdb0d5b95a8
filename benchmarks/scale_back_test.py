"""Trying a rule on many stored points: how long it takes, and how much memory.

`python -m benchmarks.scale_back_test` prints the table alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import select, text, update

from benchmarks import report
from benchmarks.client import WHO
from benchmarks.door import RECORD, peak
from benchmarks.report import Table, met
from benchmarks.rows import csv
from benchmarks.speed import machine
from dinsight import accounts, back_testing, baselines, database, streams, work
from dinsight.accounts import Identity
from dinsight.back_testing import Wish
from dinsight.database import Sessions
from dinsight.models import Job
from dinsight.services import limits
from dinsight.settings import Settings

HEADING = "Rules tried on history, measured"
ABOUT = (
    "What the job process does, in this process: seconds on the clock and of its processor, and "
    "the memory that it held at most above what it held before. A recording of a point a second."
)
POINTS = (250_000, 1_000_000)
GOAL_SECONDS = 3.0
LEASE = "measured"
LIMITS = limits(Settings.from_env({}))
SCORE = {"kind": "score", "score": 1.1, "needed": 3, "window": 5}
LEVEL = {"kind": "level", "level": "alarm"}
TRIALS: dict[str, dict[str, Any]] = {
    "score": {"rule": SCORE},
    "level, another sensitivity": {"rule": LEVEL, "factor": 4.0},
}

log = logging.getLogger("bench")


@dataclass(frozen=True)
class Place:
    """A database with a fitted baseline: its sessions, who owns it, its number."""

    sessions: Sessions
    who: Identity
    number: int


@contextmanager
def place(features: int = 64) -> Iterator[Place]:
    """A fresh one; gone at the end."""
    with TemporaryDirectory(prefix="dinsight-bench-") as folder:
        settings = dataclasses.replace(Settings.from_env({}), home=Path(folder))
        opened = database.connect(settings)
        try:
            with opened.sessions.begin() as session:
                row = accounts.register(session, **WHO)
                who = Identity(row.id, row.email, row.full_name, row.role)
                file = baselines.File("machine.csv", io.BytesIO(csv(machine(800, features))))
                number = baselines.create(session, who, [file], limits=LIMITS).id
            _perform(opened.sessions)
            yield Place(opened.sessions, who, number)
        finally:
            opened.close()


def _perform(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(update(Job).values(lease=LEASE))
        job_id = session.scalars(select(Job.id)).one()
    work.perform(sessions, job_id, LEASE, LIMITS)


def record(of: Place, name: str, points: int) -> None:
    """A stream of so many points."""
    log.info("a stream of %s points", f"{points:,}")
    with of.sessions.begin() as session:
        stream = streams.lock(session, of.who, of.number, name)
        session.execute(text(RECORD), {"stream": stream.id, "points": points})
        stream.next_seq = points + 1


def measure(points: Sequence[int] = POINTS) -> Table:
    """Every trial on recordings of so many points."""
    lines = []
    with place() as of:
        for many in points:
            record(of, f"of {many}", many)
            lines += [_line(of, many, name) for name in TRIALS]
    columns = ("rule", "points", "s", f"at most {GOAL_SECONDS:.0f}", "processor s", "memory, MB")
    return Table("Rules tried on history", ABOUT, (*columns, "alerts"), lines)


def _line(of: Place, points: int, name: str) -> tuple[str, ...]:
    with of.sessions.begin() as session:
        wish = Wish(stream=f"of {points}", **TRIALS[name])
        asked = back_testing.ask(session, of.who, of.number, wish)
    peak()
    before, began, busy = peak(), time.perf_counter(), time.process_time()
    _perform(of.sessions)
    seconds, processor = time.perf_counter() - began, time.process_time() - busy
    memory = (peak() - before) / 1e6
    with of.sessions() as session:
        done = back_testing.get(session, of.who, asked["id"])
    log.info("%s: %.1f s, %s", name, seconds, done["status"])
    told = (f"{seconds:.1f}", met(seconds <= GOAL_SECONDS), f"{processor:.1f}", f"{memory:.0f}")
    return (name, f"{points:,}", *told, f"{done['result']['alerts']:,}")


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale_back_test", description=__doc__)
    parser.add_argument("--points", type=int, action="append")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    busy = os.getloadavg()[0]
    table = measure(options.points or POINTS)
    report.show(HEADING, report.opening(datetime.now(UTC), busy, [ABOUT]), [table])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
