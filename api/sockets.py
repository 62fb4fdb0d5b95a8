"""The sockets behind the doors of `api.live`: an ASGI application in front of the WSGI one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api import live
from api.context import EXTENSION
from api.errors import status_of
from api.live import Refusal, Ticket
from dinsight.database import is_outage
from dinsight.errors import DinsightError
from dinsight.fanout import Fanout, Viewer
from dinsight.services import Services

CHECK_SECONDS = 3.0  # how long a socket may outlive the right to it
DOORS = 2  # threads
PING_SECONDS = 25.0
PONG_SECONDS = 35.0  # for the answer: a viewer who takes nothing for a minute is let go
MOST_BYTES = 1024  # of a message from a viewer, none of which is read
CLOSE_SECONDS = 1.0  # for a viewer to take that it is over
# Why a socket is closed: the database is away; we failed; or 4000 and a request's status.
AGAIN, BROKEN, OF_STATUS = 1013, 1011, 4000

log = logging.getLogger(__name__)


class Sockets:
    """An ASGI application of at most `most` sockets, whose doors are those of `server`."""

    def __init__(self, server: Flask, most: int) -> None:
        self._server = server
        self._most = most
        self._count = 0
        self._doors = ThreadPoolExecutor(DOORS, "doors")
        self._open: set[_Socket] = set()
        self._fanout: Fanout | None = None
        self._checking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()  # that it wants to connect
        if self._count >= self._most:
            await _deny(send, Refusal.full())
            return
        self._count += 1
        try:
            answer = await self._in_thread(live.knock, scope)
            if isinstance(answer, Refusal):
                await _deny(send, answer)
            else:
                await self._serve(answer, receive, send)
        finally:
            self._count -= 1

    async def stop(self) -> None:
        """Let go of the database; to be called in the loop, once the sockets are closed."""
        if self._checking is not None:
            self._checking.cancel()
        if self._fanout is not None:
            await self._fanout.stop()
        self._doors.shutdown(cancel_futures=True)

    async def _serve(self, ticket: Ticket, receive: Any, send: Any) -> None:
        viewer = self._begun().watch(ticket.place, ticket.who, ticket.after)
        socket = _Socket(ticket, viewer, send)
        self._open.add(socket)
        try:
            await send({"type": "websocket.accept"})
            await socket.run(receive)
        finally:
            self._open.discard(socket)
            viewer.leave()

    def _begun(self) -> Fanout:
        """The fan-out, from the first viewer on."""
        if self._fanout is None:
            services: Services = self._server.extensions[EXTENSION]
            self._fanout = Fanout(services.database, services.now)
            self._checking = asyncio.create_task(self._check())
        return self._fanout

    async def _check(self) -> None:
        """Close the sockets of those who may see their stream no longer."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            sockets = defaultdict(list)
            for socket in self._open:
                sockets[socket.ticket.right].append(socket)
            try:
                ended = await self._in_thread(live.ended, list(sockets))
            except Exception as error:
                if not is_outage(error):
                    log.error("the rights of viewers cannot be checked", exc_info=error)
                continue
            for right, status in ended.items():
                for socket in sockets[right]:
                    socket.close(OF_STATUS + status)

    async def _in_thread(self, call: Any, subject: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._doors, call, self._server, subject)


class _Socket:
    """An open socket: what is new goes out, and what comes in is only that it has ended."""

    def __init__(self, ticket: Ticket, viewer: Viewer, send: Any) -> None:
        self.ticket = ticket
        self._viewer = viewer
        self._send = send
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def close(self, code: int) -> None:
        if not self._code.done():
            self._code.set_result(code)

    async def run(self, receive: Any) -> None:
        tasks = [asyncio.create_task(self._push()), asyncio.create_task(_until_gone(receive))]
        ends: list[asyncio.Future[Any]] = [*tasks, self._code]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._code.done():
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._send({"type": "websocket.close", "code": self._code.result()})

    async def _push(self) -> None:
        try:
            while True:
                text = await self._viewer.next()
                await self._send({"type": "websocket.send", "text": text})
        except OSError:
            return  # it has gone
        except DinsightError as error:
            self.close(OF_STATUS + status_of(type(error)))
        except SQLAlchemyError as error:
            if not is_outage(error):
                log.error("a socket broke", exc_info=error)
            self.close(AGAIN)
        except Exception as error:
            log.error("a socket broke", exc_info=error)
            self.close(BROKEN)


class Wire(WebSocketsSansIOProtocol):
    """uvicorn's socket, but one whose peer takes nothing is not waited for at its end."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # or it is taken for an application that said nothing

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(self.close_timeout + CLOSE_SECONDS, self.transport.abort)


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _deny(send: Any, refusal: Refusal) -> None:
    """Answer an upgrade as a request is answered."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in refusal.headers]
    head = {"type": "websocket.http.response.start", "status": refusal.status, "headers": headers}
    await send(head)
    await send({"type": "websocket.http.response.body", "body": refusal.body})
