"""How many viewers a plant of servers answers: pages that poll, and sockets that are pushed to."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from websockets.asyncio.client import ClientConnection, connect

from benchmarks import load
from benchmarks.plant import Plant, Watch
from benchmarks.report import Table
from benchmarks.rows import csv, form
from benchmarks.speed import machine

FEATURES = 64
LIMIT = 1.0  # seconds: the 99th percentile of an answer, or of a row to a viewer
EVERY = 2.0  # seconds between the polls of a page
SECONDS = 16.0
POLLING = (50, 100, 150, 200, 300, 400, 600, 800, 1_000, 1_500, 2_000)
PUSHED = (100, 500, 1_000, 2_000, 3_000, 4_000)
ROWS = 15  # pushed to all, one a second
CPU = ("servers' CPU", "PostgreSQL's CPU", "viewers' CPU")
STREAM = "watched"


def viewers(plant: Plant, where: str) -> list[Table]:
    """Pages that poll every two seconds, then sockets: ever more until an answer takes too long."""
    number = plant.client.upload(form(csv(machine(400, FEATURES)), "files"))
    plant.client.wait_fitted(number)
    return [polling(plant, number, where), pushed(plant, number, where)]


def polling(plant: Plant, number: int, where: str) -> Table:
    lines, best = [], 0
    _post(plant, number, 0)
    for count in POLLING:
        watch = Watch(plant)
        heard = asyncio.run(_poll(plant, number, count))
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
        f"{best:,} viewers. Each asks every {EVERY:.0f} s as the page does, for what is new on a "
        "stream that gets a row a second, on a connection of its own; times from when a poll was "
        "due. The viewers run on the same machine."
    )
    columns = ("viewers", "polls/s", "p50 ms", "p99 ms (at most 1,000)", "failed", *CPU)
    return Table(f"Viewers that poll, {where}", note, columns, lines)


async def _poll(plant: Plant, number: int, count: int) -> load.Heard:
    cursors: dict[int, str] = {}
    headers = {**plant.cookies, "Content-Type": "application/json"}

    def make(viewer: int) -> Callable[[int], bytes]:
        def poll(turn: int) -> bytes:
            body = _question(number, cursors.get(viewer))
            return load.request("POST", "/_dash-update-component", headers, body)

        return poll

    def take(viewer: int) -> Callable[[bytes], None]:
        def remember(body: bytes) -> None:
            delta = orjson.loads(body)["response"]["live-feed"]["data"]
            cursors[viewer] = f"{delta['epoch']}:{delta['first'] + delta['n'] - 1}"

        return remember

    sending = asyncio.create_task(_send(plant, number, SECONDS))
    heard = await load.together(plant.ports, count, make, take, every=EVERY, seconds=SECONDS)
    await sending
    return heard


def _question(number: int, after: str | None) -> bytes:
    """What the page's poll sends."""
    ask = {"key": "", "baseline_id": number, "stream": STREAM, "after": after, "limit": 3_000}
    body: dict[str, Any] = {
        "output": "live-feed.data",
        "outputs": {"id": "live-feed", "property": "data"},
        "inputs": [{"id": "live-ask", "property": "data", "value": ask}],
        "changedPropIds": ["live-ask.data"],
        "parsedChangedPropsIds": ["live-ask.data"],
    }
    return json.dumps(body).encode()


async def _send(plant: Plant, number: int, seconds: float) -> None:
    for turn in range(int(seconds)):
        await asyncio.to_thread(_post, plant, number, turn)
        await asyncio.sleep(1.0)


def _post(plant: Plant, number: int, turn: int) -> None:
    path = f"/api/v1/monitor/{number}?stream={STREAM}"
    plant.client.post(path, form(csv(machine(1, FEATURES, seed=turn))))


def pushed(plant: Plant, number: int, where: str) -> Table:
    lines, best = [], 0
    for count in PUSHED:
        watch = Watch(plant)
        times, lost = asyncio.run(_push(plant, number, count))
        slow = float(np.quantile(times, 0.99)) if times else float("inf")
        middle = float(np.median(times)) if times else float("inf")
        lines.append(
            (
                *(f"{count:,}", f"{count:,}"),
                *(f"{middle * 1e3:,.0f}", f"{slow * 1e3:,.0f}", f"{lost:,}", *watch.cells()),
            )
        )
        if slow > LIMIT or lost:
            break
        best = count
    note = (
        f"{best:,} viewers. One stream gets a row a second; the time is from the row's POST to its "
        "arrival at each of the sockets, which are read on the same machine."
    )
    columns = ("viewers", "messages/s", "p50 ms", "p99 ms (at most 1,000)", "not received", *CPU)
    return Table(f"Viewers that are pushed to, {where}", note, columns, lines)


async def _push(plant: Plant, number: int, count: int) -> tuple[list[float], int]:
    """How long each row took to each viewer, and how many did not come."""
    sockets: list[ClientConnection] = []
    try:
        for each in range(count):
            sockets.append(await _socket(plant, number, each))
        await asyncio.gather(*(socket.recv() for socket in sockets))  # where the stream is
        times: list[float] = []
        lost = 0
        for turn in range(ROWS):
            began = time.monotonic()
            reading = [asyncio.create_task(_heard(socket)) for socket in sockets]
            await asyncio.to_thread(_post, plant, number, turn)
            done, late = await asyncio.wait(reading, timeout=10.0)
            times += [task.result() - began for task in done]
            lost += len(late)
            for task in late:
                task.cancel()
            await asyncio.sleep(max(0.0, began + 1.0 - time.monotonic()))
        return times, lost
    finally:
        await asyncio.gather(*(socket.close() for socket in sockets))


async def _socket(plant: Plant, number: int, viewer: int) -> ClientConnection:
    port = plant.ports[viewer % len(plant.ports)]
    return await connect(
        f"ws://127.0.0.1:{port}/api/v1/streaming/{number}/live?stream={STREAM}",
        additional_headers={"Authorization": f"Bearer {plant.client.token}"},
        proxy=None,
        ping_interval=None,
        open_timeout=30,
    )


async def _heard(socket: ClientConnection) -> float:
    """When the next points came."""
    while not orjson.loads(await socket.recv()).get("n"):
        pass
    return time.monotonic()
