"""The door of displays: what a wall screen may ask for, and nothing else.

A display's cookie counts here alone. Whatever is not named below, or admitted by the callbacks
that only read, is closed to it, so that a new page, route or callback is closed until it says
otherwise. There is nothing to forge with it: all that it opens is reading.
"""

from __future__ import annotations

from flask import Flask, current_app, request
from werkzeug.wrappers import Response

from api.context import services
from dinsight import displays
from dinsight.accounts import Identity
from dinsight.errors import DisplaysOnlyLook, NotSignedIn

COOKIE = "display_token"
PATH = "/display"
COOKIE_SECONDS = 400 * 24 * 3600  # the longest that browsers keep one
PAGES = {
    *("/dashboard/streaming", "/dashboard/machines"),
    *("/_dash-layout", "/_dash-dependencies"),
}
CALLBACK = "/_dash-update-component"
ADMITTED = "dinsight.displays"


def admit(server: Flask, *outputs: str) -> None:
    """Let displays call the callbacks whose first output is one of these, as `id.property`.

    Only for what reads, and asks `page_user` whose baseline it may read.
    """
    server.extensions.setdefault(ADMITTED, set()).update(outputs)


def identify() -> Identity:
    """The display whose cookie this request shows.

    Raises NotSignedIn where there is none, it is revoked or it asks for another page;
    DisplaysOnlyLook where it calls a callback that is not for displays.
    """
    token = request.cookies.get(COOKIE)
    if not token:
        raise NotSignedIn()
    with services().sessions.begin() as session:
        display = displays.identify(session, token, services().now())
    if request.path == CALLBACK:
        if _called() not in current_app.extensions.get(ADMITTED, set()):
            raise DisplaysOnlyLook()
    elif request.method not in {"GET", "HEAD"} or request.path.rstrip("/") not in PAGES:
        raise NotSignedIn()
    return display


def set_cookie(answer: Response, token: str) -> None:
    """Sign the browser in as a display, for as long as the token is good."""
    answer.set_cookie(
        COOKIE,
        token,
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )


def clear_cookie(answer: Response) -> None:
    """Who signs in or out is no display any more."""
    if COOKIE in request.cookies:
        answer.delete_cookie(COOKIE, httponly=True, samesite="Lax")


def _called() -> str:
    """The first output of the callback that is called; empty where nothing is."""
    body = request.get_json(silent=True)
    output = body.get("output") if isinstance(body, dict) else None
    return output.strip(".").split("...")[0] if isinstance(output, str) else ""
