"""`/streaming/{id}/live`: the doors of the sockets that push what is new on a stream.

A socket passes the same doors as any request: its upgrade runs through the application as one, so
that who asks, whose stream it is, limits, the log and the audit are the same. What is behind the
doors is asynchronous (`api.sockets`) and the ASGI server's alone; under another server there is no
such route, and pages poll.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from a2wsgi.wsgi import build_environ
from flask import Flask, Response, request
from werkzeug.exceptions import Forbidden, NotFound

from api import security
from api.answers import dumps
from api.baselines import ID
from api.context import services, who
from api.errors import RETRY_AFTER_SECONDS, status_of
from api.fields import stream_name
from api.security import Caller, signed_in
from dinsight import streams
from dinsight.accounts import Identity
from dinsight.errors import DinsightError
from dinsight.fanout import Place
from dinsight.feed import Cursor
from dinsight.mapstore import require_known

OFFERED = "dinsight.push"  # in an environ: whether this server has the route
TICKET = "dinsight.ticket"  # in that of an upgrade: what it was let in for
SCHEMES = {"ws": "http", "wss": "https"}
FULL = "This server has as many live viewers as it may: poll instead, or try again later."


@dataclass(frozen=True)
class Ticket:
    """What a socket was let in for."""

    caller: Caller
    who: Identity
    place: Place
    after: Cursor | None

    @property
    def right(self) -> Right:
        return self.caller, self.place


Right = tuple[Caller, Place]


@dataclass(frozen=True)
class Refusal:
    """The answer to an upgrade that was not let in."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def full(cls) -> Refusal:
        """There are as many sockets as there may be."""
        error = {"code": "TOO_MANY_VIEWERS", "message": FULL, "details": {}}
        body = dumps({"success": False, "message": FULL, "error": error})
        wait = ("Retry-After", str(RETRY_AFTER_SECONDS))
        return cls(503, [("Content-Type", "application/json"), wait], body)


def register(server: Flask, prefix: str) -> None:
    rule = f"{prefix}/streaming/{ID}/live"
    server.add_url_rule(rule, "live.upgrade", upgrade, websocket=True)


def offered() -> bool:
    """Whether the server of this request pushes."""
    return bool(request.environ.get(OFFERED))


@signed_in
def upgrade(baseline_id: int) -> Response:
    """Let a socket in: the checks of any request, and for a cookie where its page is from."""
    if TICKET not in request.environ:
        raise NotFound(f"There is no {request.path} here.")
    if security.by_cookie():
        require_own_page()
    after = request.args.get("after")
    cursor = Cursor.parse(after) if after else None
    with services().sessions() as session:
        found = streams.find(session, who(), baseline_id, stream_name())
        require_known(session, found.map_id, found.map_format)
    place = Place(found.id, baseline_id, found.name)
    request.environ[TICKET] = Ticket(security.caller(), who(), place, cursor)
    return Response(status=101)


def require_own_page() -> None:
    """Refuse (403) a socket that a page of another site opens with our user's cookie.

    A browser names the page's site in `Origin`, which no script can change: it must be the host
    that the socket is asked of, or one that the settings name.
    """
    origin = request.headers.get("Origin", "")
    own = services().settings.origins.split(",")
    if not origin or (urlsplit(origin).netloc != request.host and origin not in own):
        raise Forbidden(
            "A socket may be opened by pages of this server alone. If this is one, name in "
            "DINSIGHT_ORIGINS what its browser shows, such as https://dinsight.example.com."
        )


def knock(server: Flask, scope: Any) -> Ticket | Refusal:
    """Run an upgrade through the application. It takes a thread."""
    asked = {**scope, "type": "http", "method": "GET", "scheme": SCHEMES[scope["scheme"]]}
    environ: Any = build_environ(asked, io.BytesIO())
    environ[TICKET] = None
    said: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        said[:] = [int(status.split(" ", 1)[0]), headers]

    answer = server.wsgi_app(environ, start_response)
    try:
        body = b"".join(answer)
    finally:
        getattr(answer, "close", lambda: None)()
    return environ[TICKET] if said[0] == 101 else Refusal(said[0], said[1], body)


def ended(server: Flask, rights: Iterable[Right]) -> dict[Right, int]:
    """Those of the rights that hold no longer, with the status that a request would meet."""
    found = {}
    with server.app_context(), services().sessions.begin() as session:
        for caller, place in rights:
            try:
                caller.require_time(services().now())
                who = caller.identify(session)
                streams.find(session, who, place.baseline_id, place.stream)
            except DinsightError as error:
                found[caller, place] = status_of(type(error))
    return found
