"""The server process ends in the middle of things: killed, asked to stop, away for minutes."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from dinsight import fitting
from simulator.retry import Backoff
from tests.factories import PASSWORD, csv, healthy
from tests.fault_kit import EMAIL, Stored, System, post
from tests.live_kit import seqs, told, watch
from tests.postgres_kit import eventually, postmaster
from tests.simulator_kit import play

pytest_plugins = ["tests.postgres_fixtures"]

ROWS = healthy(3_000, seed=31)
FORM = "multipart/form-data; boundary=b"
DRAIN = 10.0  # seconds that a server which was asked to stop gives to what is under way


@pytest.fixture(scope="module")
def system(
    fresh: Path, tmp_path_factory: pytest.TempPathFactory, made: fitting.Made
) -> Iterator[System]:
    """One for all tests here: each uses a stream of its own, and leaves a server that is ready."""
    with System(tmp_path_factory.mktemp("system") / "home", made) as running:
        yield running


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> str:
    """A stream of the test's own."""
    return f"stream {abs(hash(request.node.name)) % 10**9}"


def send_batch(
    system: System, content: bytes, headers: dict[str, str], stream: str
) -> requests.Response:
    return post(f"{system.direct}/api/v1", system.monitor, content, headers, stream=stream)


def notes(rows: int) -> list[str]:
    return [str(row) for row in range(rows)]


def expected(rows: int) -> list[Stored]:
    return [Stored(row + 1, str(row), ROWS[row].tobytes()) for row in range(rows)]


# ---- 29: killed in the middle of a batch ----


@pytest.mark.parametrize("kills", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_a_batch_under_a_kill_is_stored_whole_or_not_at_all_and_the_same_key_resolves_it(
    system: System, stream: str, kills: int
) -> None:
    chance = random.Random(kills)
    content = csv(ROWS, metadata=notes(len(ROWS)))
    for number in range(kills):
        each, key = f"{stream} {number}", {**system.headers, "Idempotency-Key": "k1"}
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send_batch, system, content, key, each)
            time.sleep(chance.uniform(0.0, 0.25))
            system.end(signal.SIGKILL)
            acknowledged = False
            with suppress(requests.RequestException):
                acknowledged = sending.result().status_code == 200
        system.restart()
        assert eventually(system.ready, 60)
        there = system.stored(each)
        assert there in ([], expected(len(ROWS)))
        assert there or not acknowledged
        again = send_batch(system, content, key, each)
        assert again.json()["data"]["last_seq"] == len(ROWS)
        assert system.stored(each) == expected(len(ROWS))


# ---- 30: SIGTERM in the middle of an upload ----


def upload(system: System, stream: str, content: bytes) -> tuple[socket.socket, bytes]:
    """Opens a connection and sends the first half of a batch; gives the other half."""
    field = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    body = field % (b"stream", b"", stream.encode())
    body += field % (b"file", b'; filename="x.csv"', content) + b"--b--\r\n"
    head = "\r\n".join(
        (
            *(f"POST /api/v1{system.monitor} HTTP/1.1", "Host: localhost"),
            *(f"Authorization: {system.headers['Authorization']}", f"Content-Type: {FORM}"),
            *(f"Content-Length: {len(body)}", "", ""),
        )
    )
    connection = socket.create_connection(("127.0.0.1", system.port), timeout=30)
    connection.sendall(head.encode() + body[: len(body) // 2])
    return connection, body[len(body) // 2 :]


def test_an_upload_that_goes_on_after_sigterm_is_finished_and_stored(
    system: System, stream: str
) -> None:
    connection, rest = upload(system, stream, csv(ROWS[:50], metadata=notes(50)))
    with connection, ThreadPoolExecutor(1) as pool:
        time.sleep(0.2)  # so that the request has begun
        ending = pool.submit(system.end, signal.SIGTERM)
        time.sleep(0.3)
        connection.sendall(rest)
        answer = connection.recv(12)
        assert ending.result() == 0
    system.restart()
    assert answer == b"HTTP/1.1 200"
    assert eventually(system.ready, 60)
    assert system.stored(stream) == expected(50)


@pytest.mark.slow
def test_an_upload_that_stops_after_sigterm_is_not_stored_and_does_not_hold_the_server(
    system: System, stream: str
) -> None:
    connection, _ = upload(system, stream, csv(ROWS[:50], metadata=notes(50)))
    with connection:
        time.sleep(0.2)
        began = time.monotonic()
        assert system.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < DRAIN + 15
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 503") and b"retry-after: 5" in answer.lower()
    system.restart()
    assert eventually(system.ready, 60)
    assert system.stored(stream) == []


def test_of_many_batches_under_sigterm_exactly_the_acknowledged_ones_are_stored(
    system: System, stream: str
) -> None:
    stop = threading.Event()
    acknowledged: list[str] = []

    def send(sender: int) -> None:
        number = 0
        while not stop.is_set():
            note, row = f"{sender}/{number}", ROWS[number : number + 1]
            content = csv(row, metadata=[note])
            with suppress(requests.RequestException):
                answer = post(
                    system.direct + "/api/v1",
                    system.monitor,
                    content,
                    system.headers,
                    stream=stream,
                )
                if answer.status_code == 200:
                    acknowledged.append(note)
            number += 1

    with ThreadPoolExecutor(6) as pool:
        for sender in range(6):
            pool.submit(send, sender)
        assert eventually(lambda: len(acknowledged) > 30, 20)
        try:
            assert system.end(signal.SIGTERM) == 0
        finally:
            stop.set()
    system.restart()
    assert eventually(system.ready, 60)
    there = [point.note for point in system.stored(stream)]
    assert sorted(there) == sorted(acknowledged)


# ---- 35: away for long ----


@pytest.mark.parametrize("seconds", [2.0, pytest.param(120.0, marks=pytest.mark.slow)])
def test_the_simulator_outlasts_a_server_that_is_away_and_resumes_in_order(
    system: System, stream: str, tmp_path: Path, seconds: float
) -> None:
    (tmp_path / "m.csv").write_bytes(csv(ROWS[:300], metadata=notes(300)))
    here: Any = SimpleNamespace(url=system.url)
    patience = Backoff(first=0.1, cap=0.5, patience=60.0) if seconds < 5 else Backoff()
    who = {"auth_email": EMAIL, "auth_password": PASSWORD, "baseline_id": system.baseline_id}
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(
            play, here, tmp_path / "m.csv", patience, stream=stream, batch_size=3, delay=0.02, **who
        )
        assert eventually(lambda: len(system.stored(stream)) > 60, 20)
        system.end(signal.SIGTERM)
        time.sleep(seconds)
        system.restart()
        played = playing.result(90)
    assert (played.error, played.status) == (None, 0)
    assert "sent 300 = acknowledged 300" in played.out
    assert system.stored(stream) == expected(300)


def test_viewers_outlast_a_database_that_is_started_again(system: System) -> None:
    """PostgreSQL is killed under an open socket: it stays open and goes on without a gap."""
    rows = csv(healthy(2))
    with watch(system.direct, system.baseline_id, system.headers) as viewer:
        assert told(viewer)["n"] == 0
        assert post(system.url, system.monitor, rows, system.headers).status_code == 200
        assert seqs(viewer, 2) == [1, 2]
        os.kill(postmaster(system.postgres), signal.SIGQUIT)
        assert eventually(
            lambda: post(system.url, system.monitor, rows, system.headers).status_code == 200, 60
        )
        assert seqs(viewer, 4) == [3, 4]
