"""How many machines a plant of servers keeps up with, at a row a second each."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from benchmarks import load
from benchmarks.plant import Plant, Watch
from benchmarks.report import Table
from benchmarks.rows import CONTENT_TYPE, csv, form
from benchmarks.speed import machine

FEATURES = 1_024
LIMIT = 1.0  # seconds: the 99th percentile of acknowledging a row
STEPS = (20, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300, 400, 500, 650, 800, 1_000)
SECONDS = 20.0
BASELINES = 4
COLUMNS = (
    *("machines", "rows/s", "acknowledge p50 ms", "p99 ms (at most 1,000)", "failed"),
    *("servers' CPU", "PostgreSQL's CPU", "senders' CPU"),
)


def machines(plant: Plant, title: str) -> Table:
    """Ever more machines until acknowledging takes too long; what it took of the processors."""
    numbers = [_baseline(plant) for _ in range(BASELINES)]
    bodies = [form(csv(machine(1, FEATURES, seed=seed))) for seed in range(20)]
    lines, best = [], 0
    for count in STEPS:
        _warm(plant, numbers, count, bodies[0])
        watch = Watch(plant)
        heard = asyncio.run(_send(plant, numbers, count, bodies))
        slow = heard.quantile(0.99)
        lines.append(
            (
                *(f"{count:,}", f"{len(heard.seconds) / SECONDS:,.0f}"),
                *(f"{heard.quantile(0.5) * 1e3:,.0f}", f"{slow * 1e3:,.0f}"),
                *(f"{len(heard.failures):,}", *watch.cells()),
            )
        )
        if slow > LIMIT:
            break
        best = count
    note = (
        f"{best:,} machines. A row of {FEATURES:,} features each second from each, every machine a "
        f"stream of its own and a connection of its own, {BASELINES} baselines, {SECONDS:.0f} s a "
        "step; times from when a row was due. The senders run on the same machine."
    )
    return Table(title, note, COLUMNS, lines)


def _baseline(plant: Plant) -> int:
    number = plant.client.upload(form(csv(machine(400, FEATURES)), "files"))
    plant.client.wait_fitted(number)
    return number


def _path(numbers: list[int], count: int) -> str:
    return f"/api/v1/monitor/{numbers[count % len(numbers)]}?stream=machine-{count}"


def _warm(plant: Plant, numbers: list[int], count: int, body: bytes) -> None:
    """Make the streams: a machine that has sent before is what is measured."""
    for each in range(count):
        plant.client.post(_path(numbers, each), body)


async def _send(plant: Plant, numbers: list[int], count: int, bodies: list[bytes]) -> load.Heard:
    headers = {"Authorization": f"Bearer {plant.client.token}", "Content-Type": CONTENT_TYPE}

    def make(number: int) -> Callable[[int], bytes]:
        path, body = _path(numbers, number), bodies[number % len(bodies)]

        def row(turn: int) -> bytes:
            key = {"Idempotency-Key": uuid.uuid4().hex}
            return load.request("POST", path, headers | key, body)

        return row

    return await load.together(
        plant.ports, count, make, lambda _: _forget, every=1.0, seconds=SECONDS
    )


def _forget(body: bytes) -> None:
    """Nothing in an answer is needed."""
