"""Many who watch one stream: what each costs the server, asking and being pushed to."""

from __future__ import annotations

import asyncio
import http.client
import time
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.chromium import Browser
from benchmarks.client import Client
from benchmarks.report import Table, met
from benchmarks.rows import csv, form
from benchmarks.speed import machine

VIEWERS = 500  # as many as a server takes by default
EVERY_SECONDS = 2.0  # the time between two polls of a page
POLLS = 2_000
BATCHES = 20
TICK = 10  # points
FEATURES = 1_024
# What the page asks with its polls, as its own browser sends it.
OVERHEAR = """
const done = arguments[0];
const fetched = window.fetch;
window.fetch = (where, options) => {
  if (!options || !String(options.body).includes("live-feed")) return fetched(where, options);
  window.fetch = fetched;
  done(options.body);
  return fetched(where, options);
};
document.getElementById("live-refresh").click();
"""


def viewers(page: Browser, client: Client, number: int) -> Table:
    """P11: polls that a core answers, and the work of a message to a viewer of many."""
    batch = form(csv(machine(TICK, FEATURES, seed=8)))
    client.post(f"/api/v1/monitor/{number}?stream=watched", batch)
    poll = _poll(page, client, number)
    pushed = asyncio.run(_push(client, number, batch))
    a_core = EVERY_SECONDS / poll
    line = (
        *(f"{poll * 1e3:.2f}", f"{a_core:,.0f}", met(a_core >= 1_000)),
        *(f"{pushed * 1e6:.0f}", met(pushed <= 40e-6)),
    )
    columns = ("a poll, ms", "viewers a core (at least 1,000)", "", "a push, us (at most 40)", " ")
    note = (
        f"CPU time of the server's process. {POLLS:,} idle polls of the page, whole: HTTP, "
        f"sign-in, database, answer; each viewer polls every {EVERY_SECONDS:.0f} s. {BATCHES} "
        f"batches of {TICK} rows to {VIEWERS} sockets, less what they take with nobody there."
    )
    return Table("P11: viewers", note, columns, [line])


def _poll(page: Browser, client: Client, number: int) -> float:
    """The processor's seconds that an idle poll takes."""
    page.open(number, "watched")
    page.refresh_by_hand()
    body = page.later(OVERHEAR)
    jar = page.cookies()
    headers = {
        "Content-Type": "application/json",
        "Cookie": "; ".join(f"{name}={value}" for name, value in jar.items()),
        "X-CSRF-TOKEN": jar["csrf_access_token"],
    }
    connection = http.client.HTTPConnection("127.0.0.1", client.port)
    began = 0.0
    for turn in range(POLLS + POLLS // 10):
        if turn == POLLS // 10:
            began = client.json("GET", "/api/bench/cpu")
        connection.request("POST", "/_dash-update-component", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200 or orjson.loads(content)["response"]["live-feed"]["data"]["n"]:
            raise RuntimeError(f"no idle poll: {answer.status} {content[:300]!r}")
    return float(client.json("GET", "/api/bench/cpu") - began) / POLLS


async def _push(client: Client, number: int, batch: bytes) -> float:
    """The processor's seconds that a message takes for each viewer."""
    alone = await _batches(client, number, batch, [])
    address = f"ws://127.0.0.1:{client.port}/api/v1/streaming/{number}/live?stream=watched"
    headers = {"Authorization": f"Bearer {client.token}"}
    sockets = [
        await connect(address, additional_headers=headers, proxy=None, ping_interval=None)
        for _ in range(VIEWERS)
    ]
    try:
        await asyncio.gather(*(socket.recv() for socket in sockets))  # where the stream is
        together = await _batches(client, number, batch, sockets)
    finally:
        await asyncio.gather(*(socket.close() for socket in sockets))
    return (together - alone) / (BATCHES * VIEWERS)


async def _batches(
    client: Client, number: int, batch: bytes, sockets: list[ClientConnection]
) -> float:
    """Post batches, each once every socket has heard of the one before; the server's CPU time."""
    path = f"/api/v1/monitor/{number}?stream=watched"
    began = client.json("GET", "/api/bench/cpu")
    for _ in range(BATCHES):
        await asyncio.to_thread(client.post, path, batch)
        await asyncio.gather(*(_heard(socket) for socket in sockets))
        await asyncio.to_thread(time.sleep, 0.05)
    return float(client.json("GET", "/api/bench/cpu") - began)


async def _heard(socket: ClientConnection) -> None:
    """Until points have come."""
    message: dict[str, Any] = {"n": 0}
    while not message["n"]:
        message = orjson.loads(await socket.recv())
