"""The WSGI application behind an ASGI server, with what a2wsgi leaves open closed.

Threads alone do not protect themselves: a client that sends or reads too slowly would hold one for
good, and a body that was cut off would look like a short one.
"""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, cast

from a2wsgi import WSGIMiddleware
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    RequestTimeout,
    ServiceUnavailable,
)

from api.live import OFFERED

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BODY_SECONDS = 30.0  # for a body to come, and a second more for every SLOWEST bytes of it
SLOWEST = 10_000
SEND_SECONDS = 60.0  # for a reader to take the next piece of an answer
LONG = 32 * 1024  # bytes of a piece of an answer that more is to be expected after
READ_AHEAD = 1024 * 1024  # bytes of a body that are waited for before it is given a thread
STOPPING = "The server is stopping: send the body again."
RESTART_SECONDS = 5  # until it is worth asking again
ALL_AHEAD = 64 * 1024 * 1024  # of all bodies together

INCOMING, OUTGOING = "dinsight.incoming", "dinsight.outgoing"


class Gate:
    """An ASGI application that runs `app` in `threads` threads.

    A body gets its thread once it is here, so that slow senders hold none. One that is too large to
    wait for gets it at once, which may refuse it unread; such hold half of the threads at most.
    Sockets go to `sockets`, another ASGI application, if there is one.
    """

    def __init__(self, app: WSGIApplication, threads: int, sockets: Any = None) -> None:
        self._app = app
        self._sockets = sockets
        self._threads: Any = WSGIMiddleware(cast(Any, self._run), workers=threads)
        self._long = asyncio.Semaphore(max(1, threads // 2))
        self._ahead = 0
        self._bodies: set[_Incoming] = set()

    def hurry(self, seconds: float) -> None:
        """Take what is under way for so long only; to be called in the loop, before it ends."""
        for incoming in self._bodies:
            incoming.hurry(asyncio.get_running_loop().time() + seconds)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket" and self._sockets is not None:
            await self._sockets(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._threads(scope, receive, send)
            return
        outgoing = scope[OUTGOING] = _Outgoing(send)
        incoming = scope[INCOMING] = _Incoming(receive)
        self._bodies.add(incoming)
        try:
            length = _length(scope)
            if length > READ_AHEAD:
                incoming.ended = False
            elif length:
                await self._read_ahead(incoming)
            if incoming.ended:
                outgoing.watch(receive)
                await self._threads(scope, receive, outgoing.send)
            else:
                async with self._long:
                    await self._threads(scope, incoming.receive, outgoing.send)
        finally:
            outgoing.close()
            self._bodies.discard(incoming)
            self._ahead -= incoming.ahead

    async def _read_ahead(self, incoming: _Incoming) -> None:
        """Wait for the body, or for as much of it as there is room for."""
        while True:
            self._ahead += await incoming.take()
            if incoming.ended or incoming.ahead >= READ_AHEAD or self._ahead >= ALL_AHEAD:
                return

    def _run(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        scope = environ["asgi.scope"]
        environ[OFFERED] = self._sockets is not None
        if "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input_terminated"] = True  # chunked: it ends where the chunks end
        incoming: _Incoming = scope[INCOMING]
        if incoming.ended:
            environ["wsgi.input"] = incoming.whole()
        outgoing: _Outgoing = scope[OUTGOING]
        answer = self._app(environ, start_response)
        try:
            for piece in answer:
                if outgoing.gone:
                    return
                yield piece
        finally:
            getattr(answer, "close", lambda: None)()


def _length(scope: Any) -> int:
    """Bytes of the body as declared; 1 where it comes in chunks, of which nobody knows."""
    headers = dict(scope["headers"])
    return int(headers.get(b"content-length", b"transfer-encoding" in headers))


class _Incoming:
    """A body that is whole, or whose reading raises why it is not.

    ClientDisconnected, RequestTimeout, or ServiceUnavailable where the server ends before it does.
    """

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._waited = 0.0
        self._bytes = 0
        self._held = bytearray()
        self._failure: HTTPException | None = None
        self._timeout: asyncio.Timeout | None = None
        self._last = math.inf  # when the server does not wait any longer
        self.ahead = 0  # bytes that were taken before the thread
        self.ended = True

    def hurry(self, last: float) -> None:
        """Be whole by then, in the loop's time."""
        self._last = last
        if self._timeout is not None:
            self._timeout.reschedule(min(last, self._timeout.when() or last))

    async def take(self) -> int:
        """Hold the next piece, and say how many bytes it has."""
        try:
            message = await self._next()
        except HTTPException as failure:
            self._failure, self.ended = failure, True
            return 0
        body = message.get("body", b"")
        self._held += body
        self.ahead += len(body)
        self.ended = not message.get("more_body", False)
        return len(body)

    async def receive(self) -> Any:
        """The next piece for the thread, what is held first."""
        if not self._held:
            return await self._next()
        held, self._held = self._held, bytearray()
        return {"type": "http.request", "body": bytes(held), "more_body": True}

    def whole(self) -> IO[bytes]:
        """The body, once it has ended."""
        if self._failure:
            return cast(IO[bytes], _Broken(self._failure))
        return io.BytesIO(self._held)

    async def _next(self) -> Any:
        loop = asyncio.get_running_loop()
        began = loop.time()
        end = began + BODY_SECONDS + self._bytes / SLOWEST - self._waited
        try:
            async with asyncio.timeout_at(min(end, self._last)) as self._timeout:
                message = await self._receive()
        except TimeoutError:
            if self._last < end:
                raise ServiceUnavailable(STOPPING, retry_after=RESTART_SECONDS) from None
            raise RequestTimeout("The body came too slowly: send it again.") from None
        finally:
            self._timeout = None
        self._waited += loop.time() - began
        if message["type"] == "http.disconnect":
            raise ClientDisconnected("The connection ended before the body did.")
        self._bytes += len(message.get("body", b""))
        return message


class _Broken:
    """A body that did not come whole: reading it raises why."""

    def __init__(self, why: HTTPException) -> None:
        self._why = why

    def read(self, _: int = -1) -> bytes:
        raise self._why


class _Outgoing:
    """An answer on its way; a reader that takes nothing, or that has gone, loses the rest of it.

    Sending to nobody is silent in ASGI: who has gone is heard of by asking for more of the request.
    Only answers in several pieces ask, so that a short one costs nothing.
    """

    def __init__(self, send: Any) -> None:
        self._send = send
        self._receive: Any = None
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False

    def watch(self, receive: Any) -> None:
        """Listen here for the end of the connection; nobody else listens any more."""
        self._receive = receive

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True

    async def send(self, message: Any) -> None:
        if self.gone:
            return
        if self._receive and self._watcher is None and len(message.get("body", b"")) >= LONG:
            self._watcher = asyncio.create_task(self._until_gone())
        try:
            await asyncio.wait_for(self._send(message), SEND_SECONDS)
        except TimeoutError:
            self.gone = True
