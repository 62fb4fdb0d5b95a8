"""Servers to load: one or several processes of the application, on one database."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.client import Client
from benchmarks.ports import free_port
from dinsight.postgres import EmbeddedPostgres

READY_SECONDS = 120
UNLIMITED = {
    "DINSIGHT_RATE_LIMIT": "10000000",
    "DINSIGHT_SIGN_IN_RATE_LIMIT": "1000000",
    "DINSIGHT_SOCKETS": "20000",
    "DINSIGHT_LOG_FORMAT": "json",
}
TICKS = os.sysconf("SC_CLK_TCK")
CALM_SECONDS = 5
BUSY_SHARE = 0.1  # of a processor


class Process(NamedTuple):
    number: int
    parent: int
    name: str
    seconds: float


@dataclass(frozen=True)
class Plant:
    """Running servers, by port, and a client that is signed in at the first."""

    ports: tuple[int, ...]
    client: Client
    processes: tuple[int, ...]

    @property
    def cookies(self) -> dict[str, str]:
        """The headers with which a page of the same sign-in asks."""
        payload = self.client.token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return {
            "Cookie": f"access_token_cookie={self.client.token}",
            "X-CSRF-TOKEN": claims["csrf"],
        }

    def work(self) -> dict[str, float]:
        """The processor's seconds so far: of the servers, and of PostgreSQL."""
        found = {"server": 0.0, "postgres": 0.0}
        for each in _processes():
            if each.name == "postgres":
                found["postgres"] += each.seconds
            elif each.number in self.processes:
                found["server"] += each.seconds
        return found

    def memory(self) -> int:
        """The most bytes that a server process has held (its high-water mark)."""
        return max(_peak(pid) for pid in self.processes)


class Watch:
    """What was used of the processors between two moments."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._work, self._own, self._began = plant.work(), time.process_time(), time.monotonic()

    def cells(self) -> tuple[str, ...]:
        seconds = time.monotonic() - self._began
        after, own = self._plant.work(), time.process_time() - self._own
        used = [after[name] - before for name, before in self._work.items()]
        return tuple(f"{part / seconds:.2f} of {os.cpu_count()}" for part in (*used, own))


@contextmanager
def plant(instances: int = 1, *, external: bool = False, **environ: str) -> Iterator[Plant]:
    """Fresh servers, ready and signed in; `external` gives them a PostgreSQL that is not theirs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="dinsight-plant-")))
        shared = {"DINSIGHT_SECRET_KEY": secrets.token_hex(32), **UNLIMITED, **environ}
        if external:
            shared["DATABASE_URL"] = stack.enter_context(_postgres(folder / "database"))
        ports, processes = [], []
        for number in range(instances):
            port = free_port()
            own = {"DINSIGHT_PORT": str(port), "DINSIGHT_HOME": str(folder / f"home{number}")}
            process = stack.enter_context(_server(folder / f"{number}.log", shared | own))
            _wait_ready(port, process)
            ports.append(port)
            processes.append(process.pid)
        _rest(processes)
        client = Client(ports[0])
        client.sign_in()
        yield Plant(tuple(ports), client, tuple(processes))


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL with durable commits, which the servers are only told the address of."""
    embedded = EmbeddedPostgres(folder, options={"max_connections": "200"})
    try:
        yield embedded.start()
    finally:
        embedded.stop()


@contextmanager
def _server(log: Path, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DINSIGHT_", "DATABASE_"))}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "app.py", "serve"],
            cwd=Path(__file__).parents[1],
            env={**kept, **environ},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            Client(port).call("GET", "/readyz")
        except (OSError, RuntimeError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the server on port {port} did not become ready")


def _rest(processes: list[int]) -> None:
    """Until the servers' job processes have compiled what they fit with: it takes half a minute."""
    deadline = time.monotonic() + READY_SECONDS
    calm = 0
    while calm < CALM_SECONDS and time.monotonic() < deadline:
        before = _children(processes)
        time.sleep(1.0)
        calm = calm + 1 if _children(processes) - before < BUSY_SHARE else 0


def _children(processes: list[int]) -> float:
    """The processor's seconds that the children of some processes have taken."""
    return sum(each.seconds for each in _processes() if each.parent in processes)


def _processes() -> Iterator[Process]:
    """Every process, with the processor's seconds that it has taken.

    Those of children that have ended count with their parent, as PostgreSQL's backends do.
    """
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                head, _, rest = (entry / "stat").read_text().rpartition(") ")
            except OSError:  # it has just ended
                continue
            fields: list[Any] = rest.split()
            used = sum(int(fields[place]) for place in (11, 12, 13, 14))
            name = head.partition("(")[2]
            yield Process(int(entry.name), int(fields[1]), name, used / TICKS)


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    line = next(each for each in lines if each.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
