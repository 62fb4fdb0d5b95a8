"""The server is killed while it plays a file: the next one goes on, no row lost, none twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dinsight.database import Database
from tests import server_kit
from tests.browser import free_port
from tests.factories import csv, healthy
from tests.postgres_kit import eventually
from tests.server_kit import Instance, ask, fitted_baseline, points, sign_in

ROWS = healthy(600, seed=31)
CONTENT = csv(ROWS, metadata=[f"row {n}" for n in range(len(ROWS))])
Start = Callable[[], tuple[Instance, str]]


@pytest.fixture
def start(database: Database, tmp_path: Path) -> Iterator[Start]:
    """Starts a server on this test's database, one after the other, and ends what is left."""
    begun: list[Instance] = []

    def begin() -> tuple[Instance, str]:
        port = free_port()
        name = f"server {len(begun)}"
        begun.append(server_kit.server(tmp_path, name, port, database.url))
        return begun[-1], begun[-1].ready(f"http://127.0.0.1:{port}")

    yield begin
    for each in begun:
        each.stop()


def replayed(base: str, number: int, who: dict[str, str]) -> dict[str, Any]:
    return dict(ask("GET", base, f"/streaming/{number}/replay", who).json()["data"])


def goes_on(base: str, number: int, who: dict[str, str]) -> bool:
    """Whether rows come, once the lease of the server before has run out."""
    before = replayed(base, number, who)["position"]
    return bool(eventually(lambda: replayed(base, number, who)["position"] > before, 60))


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_servers_replay_goes_on_after_the_last_row(start: Start, kills: int) -> None:
    chance = random.Random(kills)
    server, base = start()
    who = sign_in(base)
    number = fitted_baseline(base, who)
    delay = kills * 8 / len(ROWS)  # so that it lasts longer than the kills take
    asked = {"files": {"file": ("night.csv", CONTENT)}, "data": {"delay": str(delay)}}
    assert ask("POST", base, f"/streaming/{number}/replay", who, **asked).status_code == 202
    under_way = 0
    for _ in range(kills):
        assert goes_on(base, number, who)
        time.sleep(chance.uniform(0.0, 0.3))
        under_way += replayed(base, number, who)["status"] == "playing"
        server.stop()
        server, base = start()
    assert under_way >= kills / 2
    assert eventually(lambda: replayed(base, number, who)["status"] != "playing", 240)
    ended = replayed(base, number, who)
    assert (ended["status"], ended["position"]) == ("done", len(ROWS))
    there = points(base, number, who)
    assert [point["process_order"] for point in there] == list(range(1, len(ROWS) + 1))
    assert [point["metadata"]["note"] for point in there] == [f"row {n}" for n in range(len(ROWS))]
    values = np.array([point["monitor_values"] for point in there], np.float32)
    assert values.tobytes() == ROWS.tobytes()
