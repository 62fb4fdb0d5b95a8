"""The load of the scale benchmark: what it sends is what it counts, and lateness is not lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks import load


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append(body)
        time.sleep(self.server.pause)
        self.send_response(503 if body == b"bad" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    pause = 0.0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard: list[bytes] = []


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def run(server: Server, count: int, bodies: tuple[bytes, ...], seconds: float) -> Any:
    answers: list[bytes] = []
    heard = asyncio.run(
        load.together(
            [server.server_address[1]],
            count,
            lambda number: lambda turn: load.request("POST", "/", {}, bodies[turn % len(bodies)]),
            lambda number: answers.append,
            every=0.1,
            seconds=seconds,
        )
    )
    return heard, answers


def test_each_sends_at_every_beat_and_what_fails_is_counted(server: Server) -> None:
    heard, answers = run(server, 4, (b"good", b"bad"), 0.4)
    assert len(server.heard) == 16
    assert (len(heard.seconds), heard.failures, answers) == (8, ["503"] * 8, [b"good"] * 8)


def test_a_server_that_is_behind_is_charged_for_the_wait(server: Server) -> None:
    server.pause = 0.25  # two and a half beats: each request is later than the one before
    heard, _ = run(server, 1, (b"good",), 0.4)
    assert len(heard.seconds) == 4
    assert heard.quantile(1.0) >= 4 * 0.25 - 3 * 0.1


def test_nothing_answered_has_no_time() -> None:
    assert load.Heard().quantile(0.99) == float("inf")
