"""The WSGI application behind an ASGI server, with what a2wsgi leaves open closed.

Threads alone do not protect themselves: a client that sends or reads too slowly would hold one for
good, and a body that was cut off would look like a short one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from a2wsgi import WSGIMiddleware
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BODY_SECONDS = 30.0  # for a body to come, and a second more for every SLOWEST bytes of it
SLOWEST = 10_000
SEND_SECONDS = 60.0  # for a reader to take the next piece of an answer

OUTGOING = "dinsight.outgoing"


class Gate:
    """An ASGI application that runs `app` in `threads` threads."""

    def __init__(self, app: WSGIApplication, threads: int) -> None:
        self._app = app
        self._threads: Any = WSGIMiddleware(cast(Any, self._run), workers=threads)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            outgoing = scope[OUTGOING] = _Outgoing(send)
            receive, send = _Incoming(receive).receive, outgoing.send
        await self._threads(scope, receive, send)

    def _run(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        if "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input_terminated"] = True  # chunked: it ends where the chunks end
        outgoing: _Outgoing = environ["asgi.scope"][OUTGOING]
        answer = self._app(environ, start_response)
        try:
            for piece in answer:
                if outgoing.gone:
                    return
                yield piece
        finally:
            getattr(answer, "close", lambda: None)()


class _Incoming:
    """A body that is whole, or whose reading raises ClientDisconnected or RequestTimeout."""

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._began: float | None = None
        self._bytes = 0

    async def receive(self) -> Any:
        now = asyncio.get_running_loop().time()
        self._began = now if self._began is None else self._began
        allowed = self._began + BODY_SECONDS + self._bytes / SLOWEST - now
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, allowed))
        except TimeoutError:
            raise RequestTimeout("The body came too slowly: send it again.") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnected("The connection ended before the body did.")
        self._bytes += len(message.get("body", b""))
        return message


class _Outgoing:
    """An answer on its way; a reader that takes nothing loses the rest of it."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self.gone = False

    async def send(self, message: Any) -> None:
        if self.gone:
            return
        try:
            await asyncio.wait_for(self._send(message), SEND_SECONDS)
        except TimeoutError:
            self.gone = True
