"""Serving the WSGI app with uvicorn, and telling when it answers."""

from __future__ import annotations

import contextlib
import gc
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import uvicorn
from flask import Flask
from threadpoolctl import threadpool_limits

from api.access import hide_repeated
from api.gate import Gate
from api.sockets import MOST_BYTES, PING_SECONDS, PONG_SECONDS, Sockets, Wire
from dinsight.errors import DinsightError
from dinsight.settings import Settings

SWITCH_SECONDS = 0.0002
DRAIN_SECONDS = 10
BODY_SECONDS = 8  # of these for a body, so that there is time to answer
KEEP_ALIVE_SECONDS = 75
POLL_SECONDS = 0.05


class PortTaken(DinsightError):
    """The port is in use."""


def bind(settings: Settings) -> socket.socket:
    """The listening socket; raises PortTaken, saying which setting to change."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Only where the protocol is named does asyncio turn Nagle's delay off: 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"Cannot listen on {settings.host} port {settings.port} ({error.strerror}): "
            "stop what uses it, or set DINSIGHT_PORT or DINSIGHT_HOST."
        ) from error
    listener.listen(1024)
    return listener


def serve(
    server: Flask,
    listener: socket.socket,
    settings: Settings,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests under way and return."""
    # Two BLAS threads cost two to three times the CPU of one a batch once requests overlap.
    threadpool_limits(1, user_api="blas")
    # Beside a busy thread an answer took 21 ms with the default of 5 ms, 2.6 ms with this.
    sys.setswitchinterval(SWITCH_SECONDS)
    # What is here now stays: walked by every full collection, it stopped all answers for 0.25 s.
    gc.collect()
    gc.freeze()
    web = make(server, settings)
    logging.getLogger("uvicorn.error").addFilter(hide_repeated)
    with _watching(web, on_ready):
        web.run(sockets=[listener])


def make(server: Flask, settings: Settings) -> Web:
    """The server of this application, which is given its listening socket when it is run."""
    sockets = Sockets(server, settings.sockets) if settings.sockets else None
    gate = Gate(server, settings.threads, sockets)
    config = uvicorn.Config(
        gate,
        interface="asgi3",
        lifespan="off",
        ws=Wire if sockets else "none",
        ws_max_size=MOST_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PONG_SECONDS,
        ws_per_message_deflate=False,
        log_config=None,  # its records go where ours go
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    return Web(config, gate, sockets)


class Web(uvicorn.Server):
    """Lets what is under way end before it is cut off."""

    def __init__(self, config: uvicorn.Config, gate: Gate, live: Sockets | None) -> None:
        super().__init__(config)
        self._gate = gate
        self._live = live

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gate.hurry(BODY_SECONDS)
        await super().shutdown(sockets)
        if self._live is not None:
            await self._live.stop()


@contextlib.contextmanager
def _watching(web: uvicorn.Server, on_ready: Callable[[], None]) -> Iterator[None]:
    """Call `on_ready` in a thread of its own as soon as the server answers."""
    ended = threading.Event()

    def watch() -> None:
        while not (web.started or ended.is_set()):
            time.sleep(POLL_SECONDS)
        if web.started:
            on_ready()

    thread = threading.Thread(target=watch, name="ready", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
