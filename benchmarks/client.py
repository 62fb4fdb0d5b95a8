"""A kept connection to a server under measurement."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.rows import CONTENT_TYPE

WHO = {"email": "bench@example.com", "password": "a long enough password"}
READY_SECONDS = 300


class Client:
    """Signed in over one connection, without Nagle's delay."""

    def __init__(self, port: int, token: str = "") -> None:
        self.port, self.token = port, token
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def another(self) -> Client:
        """The same user on a connection of its own, as after a while without a request."""
        return Client(self.port, self.token)

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """The body of a good answer; raises RuntimeError for any other."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        self._connection.request(method, path, body, sent)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
        return content

    def json(self, method: str, path: str, value: Any = None) -> Any:
        """The `data` of an answer of the API."""
        body = b"" if value is None else json.dumps(value).encode()
        return json.loads(self.call(method, path, body, Content_Type="application/json"))["data"]

    def sign_in(self) -> None:
        self.json("POST", "/api/v1/auth/register", WHO)
        self.token = self.json("POST", "/api/v1/auth/login", WHO)["access_token"]

    def post(self, path: str, form: bytes) -> float:
        """Post a form with a key of its own; how long it took, in seconds."""
        key = uuid.uuid4().hex
        started = time.perf_counter()
        self.call("POST", path, form, Content_Type=CONTENT_TYPE, Idempotency_Key=key)
        return time.perf_counter() - started

    def upload(self, form: bytes) -> int:
        """Upload a baseline; its number."""
        body = self.call("POST", "/api/v1/analyze", form, Content_Type=CONTENT_TYPE)
        return int(json.loads(body)["data"]["id"])

    def wait_fitted(self, number: int) -> None:
        """Until it is fitted."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            status = self.json("GET", f"/api/v1/analyze/{number}/status")
            if status["status"] == "completed":
                return
            time.sleep(0.2)
        raise RuntimeError(f"not fitted: {status}")


@contextmanager
def server() -> Iterator[Client]:
    """A fresh server with what it is compared with, signed in; gone at the end."""
    with TemporaryDirectory(prefix="dinsight-bench-") as folder:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.door", folder]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
        )
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            client = Client(int(process.stdout.readline()))
            client.sign_in()
            yield client
        finally:
            assert process.stdin is not None  # noqa: S101 - it is a pipe
            process.stdin.close()
            process.wait(timeout=60)
