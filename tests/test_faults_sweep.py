"""The kill sweep: servers and databases die under senders, and every row is there, once, in order.

Two senders: the simulator, whose batches carry keys, and a plain one without, which tells its tries
apart by what it writes into the rows. Neither is told of the kills; both go on by themselves.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import requests

from dinsight import fitting
from dinsight.postgres import EmbeddedPostgres
from simulator.retry import Backoff
from tests.factories import PASSWORD, csv, healthy
from tests.fault_kit import EMAIL, Stored, System, post
from tests.postgres_kit import connect, eventually, postmaster
from tests.simulator_kit import Played, play

pytest_plugins = ["tests.postgres_fixtures"]

PLAIN, KEYED = "plain", "keyed"
ROWS = healthy(60_000, seed=5)
BATCH = b"POST /api/v1/monitor"
NAP = 0.02  # between the batches of the plain sender, and between its tries
STEADY_ROWS = 30  # that the simulator gets through between two kills, at the least
BACK_SECONDS = 40.0


@pytest.fixture
def system(place: Callable[[Path], Path], tmp_path: Path, made: fitting.Made) -> Iterator[System]:
    home = tmp_path / "home"
    place(home / "postgres")
    with System(home, made) as running:
        yield running


@dataclass
class Try:
    """One attempt to send `rows` rows from `first` on, without a key."""

    first: int
    rows: int
    number: int
    began: float
    ended: float = 0.0
    acknowledged: bool = False

    @property
    def notes(self) -> list[str]:
        return [f"{self.first + i}, try {self.number}" for i in range(self.rows)]


@dataclass
class PlainSender:
    """Sends one batch after another, each until it is acknowledged; keeps every try."""

    system: System
    tries: list[Try] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        first, number = 0, 0
        while not self.enough.is_set():
            number += 1
            attempt = Try(first, 1 + first % 4, number, time.monotonic())
            self.tries.append(attempt)
            if self._acknowledged(attempt):
                attempt.ended, attempt.acknowledged = time.monotonic(), True
                first, number = first + attempt.rows, 0
            time.sleep(NAP)

    def _acknowledged(self, attempt: Try) -> bool:
        rows = ROWS[attempt.first : attempt.first + attempt.rows]
        content = csv(rows, metadata=attempt.notes)
        headers = {**self.system.headers, "Connection": "close"}
        try:
            answer = post(self.system.url, self.system.monitor, content, headers, stream=PLAIN)
        except requests.RequestException:
            return False  # no telling whether it was stored
        if answer.status_code not in {200, 503}:
            self.strange.append(f"{answer.status_code} {answer.text}")
        return answer.status_code == 200

    def back(self, since: float) -> Try | None:
        """The first try that began after a moment and was acknowledged."""
        later = (attempt for attempt in self.tries if attempt.began >= since)
        return next((attempt for attempt in later if attempt.acknowledged), None)


# ---- the kills ----


@dataclass(frozen=True)
class Kill:
    """When it began, and since when nothing of what was killed answers any more."""

    began: float
    over: float


def kill_server(system: System, number: int = signal.SIGKILL) -> Kill:
    began = time.monotonic()
    system.end(number)
    over = time.monotonic()
    system.restart()
    return Kill(began, over)


def terminate_server(system: System) -> Kill:
    return kill_server(system, signal.SIGTERM)


def kill_postmaster(system: System) -> Kill:
    return strike(postmaster(system.postgres), signal.SIGKILL)


def kill_both(system: System) -> Kill:
    return Kill(kill_postmaster(system).began, kill_server(system).over)


def kill_backend(system: System) -> Kill:
    """PostgreSQL then ends every other backend too, and recovers."""
    return strike(busy_backend(system), signal.SIGKILL)


def end_backend(system: System) -> Kill:
    return strike(busy_backend(system), signal.SIGTERM)


def strike(pid: int, number: int) -> Kill:
    """Kill a process of PostgreSQL; the others of it go within a few milliseconds."""
    began = time.monotonic()
    os.kill(pid, number)
    time.sleep(0.05)
    return Kill(began, time.monotonic())


def busy_backend(system: System) -> int:
    """A connection of the server's that works on something, or the last one that did."""
    question = (
        "SELECT pid, state FROM pg_stat_activity WHERE application_name = 'dinsight'"
        " ORDER BY state = 'idle', state_change DESC LIMIT 1"
    )
    deadline = time.monotonic() + 0.5
    with (
        EmbeddedPostgres(system.postgres) as url,
        closing(connect(url, user="postgres")) as connection,
        connection.cursor() as cursor,
    ):
        while True:
            cursor.execute(question)
            pid, state = cursor.fetchone()
            if state != "idle" or time.monotonic() > deadline:
                return int(pid)


KILLS: dict[str, Callable[[System], Kill]] = {
    "kill -9 of the server": kill_server,
    "kill -9 of the postmaster": kill_postmaster,
    "kill -9 of a backend": kill_backend,
    "kill -9 of both": kill_both,
    "a backend ended": end_backend,
    "SIGTERM to the server": terminate_server,
}


def cut_an_answer_and_a_request(system: System, chance: random.Random) -> None:
    """Two connections end: one after COMMIT, somewhere in the answer, and one in the batch."""
    for side, most in (("answer", 300), ("request", 900)):
        cut = system.relay.cut(BATCH, side, chance.randrange(most))
        assert cut.done.wait(BACK_SECONDS), f"no {side} was cut"


# ---- the sweep ----


@pytest.mark.parametrize("kills", [3, pytest.param(24, marks=pytest.mark.slow)])
def test_every_acknowledged_row_is_stored_once_and_in_order_however_often_things_are_killed(
    system: System, tmp_path: Path, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(kills)
    monitor = tmp_path / "monitor.csv"
    monitor.write_bytes(csv(ROWS, metadata=[str(row) for row in range(len(ROWS))]))
    plain = PlainSender(system)
    back: list[tuple[str, float]] = []
    with ThreadPoolExecutor(2) as pool:
        keyed = pool.submit(simulate, system, monitor)
        sending = pool.submit(plain.run)
        try:
            wait_until(lambda: plain.back(0.0) and rows_of(system, KEYED) > 0, "the beginning")
            for name in itertools.islice(itertools.cycle(KILLS), kills):
                cut_an_answer_and_a_request(system, chance)
                before = rows_of(system, KEYED) + STEADY_ROWS
                time.sleep(chance.uniform(0.0, 0.1))
                kill = KILLS[name](system)
                wait_until(lambda since=kill.over: plain.back(since), name)
                back.append((name, plain.back(kill.over).ended - kill.began))
                wait_until(lambda more=before: keyed.done() or rows_of(system, KEYED) > more, name)
                assert not keyed.done(), keyed.result()
        finally:
            plain.enough.set()
            stop_simulator(system)
        played = keyed.result(BACK_SECONDS)
        sending.result(BACK_SECONDS)
    sent = check_keyed(system, played)
    check_plain(system, plain)
    assert system.relay.statuses.keys() <= {"200", "503"}
    assert plain.strange == []
    assert all("Traceback" not in server.text for server in system.servers)
    if kills > 3:
        with capsys.disabled():
            print(report(back, sent, plain))


def simulate(system: System, monitor: Path) -> Played:
    here: Any = SimpleNamespace(url=system.url)
    who = {"auth_email": EMAIL, "auth_password": PASSWORD, "baseline_id": system.baseline_id}
    patience = Backoff(first=0.1, cap=1.0, patience=BACK_SECONDS)
    return play(here, monitor, patience, **who, stream=KEYED, batch_size=3, delay=0.03)


def stop_simulator(system: System) -> None:
    """As from the page; the next answer to a batch says so."""
    path = f"{system.direct}/api/v1/streaming/{system.baseline_id}/control"
    wish = {"action": "stop", "stream": KEYED}
    with suppress(requests.RequestException):  # then it has nobody to send to, and gives up
        requests.post(path, json=wish, headers=system.headers, timeout=10)


def rows_of(system: System, stream: str) -> int:
    """How many rows a stream has; none while the server cannot say."""
    with suppress(requests.RequestException):
        return int(system.status(stream)["last_seq"])
    return 0


def wait_until(condition: Callable[[], object], what: str) -> None:
    assert eventually(condition, BACK_SECONDS), f"senders do not go on after: {what}"


def check_keyed(system: System, played: Played) -> int:
    """Sent = acknowledged = stored, each row once, in order, as it is in the file."""
    assert (played.status, played.error) == (0, None)
    told = re.search(r"sent ([\d,]+) = acknowledged ([\d,]+)", played.out)
    assert told, played.out
    sent = int(told[1].replace(",", ""))
    assert told[1] == told[2]
    assert system.stored(KEYED) == [
        Stored(row + 1, str(row), ROWS[row].tobytes()) for row in range(sent)
    ]
    return sent


def check_plain(system: System, plain: PlainSender) -> None:
    """Every acknowledged try is stored once and whole, what was not answered once or not at all."""
    stored = system.stored(PLAIN)
    assert [point.seq for point in stored] == list(range(1, len(stored) + 1))
    there = {point.note for point in stored}
    assert len(there) == len(stored)
    expected = []
    for attempt in plain.tries:
        found = [note in there for note in attempt.notes]
        assert all(found) if attempt.acknowledged else len(set(found)) == 1, attempt
        if any(found):
            rows = ROWS[attempt.first : attempt.first + attempt.rows]
            expected += zip(attempt.notes, map(np.ndarray.tobytes, rows), strict=True)
    assert [(point.note, point.features) for point in stored] == expected


def report(back: list[tuple[str, float]], sent: int, plain: PlainSender) -> str:
    """A line a kind of kill, and one over all: seconds until a batch was acknowledged again."""

    def line(name: str, times: list[float]) -> str:
        middle, most = statistics.median(times), max(times)
        return f"{name:26} {len(times):3} kills, back after {middle:5.2f} s, at most {most:5.2f} s"

    kinds = {name: [seconds for each, seconds in back if each == name] for name in KILLS}
    acknowledged = [attempt for attempt in plain.tries if attempt.acknowledged]
    return "\n".join(
        [
            "",
            *(line(name, times) for name, times in kinds.items() if times),
            line("all", [seconds for _, seconds in back]),
            f"with keys: {sent:,} rows sent = acknowledged = stored, in order, no duplicate",
            f"without: {len(plain.tries):,} tries, {len(acknowledged):,} acknowledged, all stored",
        ]
    )
