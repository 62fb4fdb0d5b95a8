"""Wall screens: the link that signs one in, and the dialog that makes and revokes such links."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from dash import Dash
from flask import redirect, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from api import display_door
from api.displays import link
from api.limits import limits
from api.security import page_user
from callbacks import asked
from callbacks.denials import deny
from callbacks.live import MOST_ID, Ask
from callbacks.signin import refused, sentence_for, signed_in
from dinsight import displays
from dinsight.accounts import Identity, Sight
from dinsight.displays import ALL_STREAMS
from dinsight.errors import BaselineNotFound, DinsightError, InvalidRequest
from dinsight.models import Json
from dinsight.services import Services
from layouts import displays as layout
from layouts.displays import Ids, Screen
from layouts.shell import STREAMING
from layouts.wall import SCREEN


def register(app: Dash, services: Services) -> None:
    def enter() -> BaseResponse:
        return entered(services, request.args.get("token", ""))

    def act(deed: Any) -> Json:
        return acted(services, page_user(), deed)

    app.server.add_url_rule(display_door.PATH, "display", enter, methods=["GET"])
    asked.answer(app, Ids.DEED, Ids.TOLD, act)


def entered(services: Services, token: str) -> BaseResponse:
    """Sign the browser in as the display and show it the wall view, whose address names no token.

    A browser in which somebody is signed in stays theirs.
    """
    try:
        limits().admit_address()
        with services.sessions.begin() as session:
            display = displays.identify(session, token, services.now())
    except (DinsightError, SQLAlchemyError) as error:
        return quiet(refused(STREAMING, sentence_for(error)))
    assert display.sight  # noqa: S101 - a display has one
    answer = redirect(wall(display.sight), 303)
    if not signed_in():
        display_door.set_cookie(answer, token)
    return quiet(answer)


def quiet(answer: BaseResponse) -> BaseResponse:
    """An answer to an address that holds a token: kept nowhere, and told to nobody."""
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def wall(sight: Sight) -> str:
    if sight.stream == ALL_STREAMS:
        return SCREEN
    query = {"baseline_id": sight.baseline_id, "stream": sight.stream, "kiosk": 1}
    return f"{STREAMING}?{urlencode(query)}"


def acted(services: Services, who: Identity, deed: Any) -> Json:
    """Look, make a display or revoke one: the list anew as HTML, what happened, the link made."""
    ask = Ask.parse(deed)
    try:
        with services.sessions.begin() as session:
            done = _do(session, who, ask, deed, services.now())
            known = displays.list_all(session, who, _baseline(ask))
            rows = [
                Screen(each.id, each.name, each.stream, each.created_at, each.last_used_at)
                for each in known
            ]
    except BaselineNotFound as error:
        deny(services, who, f"screens of {ask.baseline_id}", ask.baseline_id)
        return {"sentence": error.message, "ok": False}
    except DinsightError as error:
        return {"sentence": error.message, "ok": False}
    return {"ok": True, "list": layout.screens(rows), **done}


def _do(session: Session, who: Identity, ask: Ask, deed: Json, now: dt.datetime) -> Json:
    act, number = deed.get("act"), deed.get("display")
    if act == "make":
        stream = ALL_STREAMS if deed.get("shows") == ALL_STREAMS else ask.stream
        name = str(deed.get("name") or "")
        _, token = displays.make(session, who, _baseline(ask), name=name, stream=stream)
        return {"sentence": "The link is made.", "link": layout.new_link(link(token))}
    if act == "revoke":
        if type(number) is not int or not 0 < number <= MOST_ID:
            raise InvalidRequest("display must be a number.")
        ended = displays.revoke(session, who, _baseline(ask), number, now=now)
        return {"sentence": f"The link of {ended} is revoked."}
    return {"sentence": ""}


def _baseline(ask: Ask) -> int:
    if ask.baseline_id is None:
        raise InvalidRequest("There is no stream to show.")
    return ask.baseline_id
