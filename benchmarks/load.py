"""Many senders and readers at once, each on a kept connection and at its own beat.

Times are from the moment a request was due, not from when it was sent, so that a server that is
behind does not look fast because it is asked less.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

PATIENCE = 30.0
LENGTH = b"content-length:"


@dataclass
class Heard:
    """How long answers took, in seconds, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def quantile(self, which: float) -> float:
        """A quantile of the times; infinite where nothing was answered."""
        return float(np.quantile(self.seconds, which)) if self.seconds else float("inf")


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request on a connection that is kept.

    >>> request("GET", "/healthz", {"A": "b"})
    b'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 0\\r\\nA: b\\r\\n\\r\\n'
    """
    own = {"Host": "localhost", "Content-Length": str(len(body)), **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in own.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """A kept connection; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, sent: bytes) -> tuple[int, bytes]:
        """Status and body of the answer, which is a whole one with a length."""
        if self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        assert self._reader is not None  # noqa: S101 - it came with the writer
        self._writer.write(sent)
        head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head[9:12]), await self._reader.readexactly(_length(head))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _length(head: bytes) -> int:
    """The length of a body by its headers.

    >>> _length(b"HTTP/1.1 200 OK\\r\\nContent-Length: 12\\r\\n\\r\\n")
    12
    """
    lower = head.lower()
    start = lower.index(LENGTH) + len(LENGTH)
    return int(lower[start : lower.index(b"\r\n", start)])


async def beat(
    port: int,
    make: Callable[[int], bytes],
    take: Callable[[bytes], None],
    *,
    heard: Heard,
    every: float,
    first: float,
    until: float,
) -> None:
    """Ask every so many seconds from `first` to `until`, times of `time.monotonic`.

    A request that is late is followed by the next at once, as a sender that keeps its rows does.
    """
    connection = Connection(port)
    due, turn = first, 0
    try:
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                status, body = await asyncio.wait_for(connection.ask(make(turn)), PATIENCE)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                heard.failures.append(type(error).__name__)
                connection.close()
                connection = Connection(port)
            else:
                if status == 200:
                    heard.seconds.append(time.monotonic() - due)
                    take(body)
                else:
                    heard.failures.append(str(status))
            due, turn = due + every, turn + 1
    finally:
        connection.close()


async def together(
    ports: Sequence[int],
    count: int,
    make: Callable[[int], Callable[[int], bytes]],
    take: Callable[[int], Callable[[bytes], None]],
    *,
    every: float,
    seconds: float,
) -> Heard:
    """So many at once, by turns at the servers and spread over a beat."""
    heard = Heard()
    begin = time.monotonic() + 0.2
    spread = np.random.default_rng(count).random(count)
    await asyncio.gather(
        *(
            beat(
                ports[number % len(ports)],
                make(number),
                take(number),
                heard=heard,
                every=every,
                first=begin + float(spread[number]) * every,
                until=begin + seconds,
            )
            for number in range(count)
        )
    )
    return heard
