"""Wall screens: the link that signs one in, and the dialog that makes and revokes such links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dash import ALL, Dash, Input, Output, State, ctx, no_update
from flask import redirect, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from api import display_door
from api.displays import link
from api.limits import limits
from api.security import page_user
from callbacks.live import Ask
from callbacks.signin import refused, sentence_for, signed_in
from dinsight import audit_log, displays
from dinsight.accounts import Identity, Sight
from dinsight.displays import ALL_STREAMS
from dinsight.errors import BaselineNotFound, DinsightError, InvalidRequest
from dinsight.services import Services
from layouts import displays as layout
from layouts.components import FAILURE, SUCCESS
from layouts.displays import REVOKE, Ids, Screen
from layouts.shell import STREAMING
from layouts.streaming import Ids as StreamingIds
from layouts.wall import SCREEN


@dataclass(frozen=True)
class Wish:
    """A display that is wanted: its name, and whether it shows all streams or the page's."""

    name: str
    whole: bool


def register(app: Dash, services: Services) -> None:
    def enter() -> BaseResponse:
        return entered(services, request.args.get("token", ""))

    def act(*values: Any) -> list[Any]:
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return [no_update] * 5
        name, shows, view = values[-3:]
        wish = Wish(str(name or ""), whole=shows == ALL_STREAMS)
        return acted(services, page_user(), ctx.triggered_id, wish, view)

    app.server.add_url_rule(display_door.PATH, "display", enter, methods=["GET"])
    app.callback(
        Output(Ids.LIST, "children"),
        Output(Ids.MESSAGE, "children"),
        Output(Ids.MESSAGE, "className"),
        Output(Ids.LINK, "children"),
        Output(Ids.NAME, "value"),
        Input({"type": REVOKE, "display": ALL}, "n_clicks"),
        Input(Ids.OPEN, "n_clicks"),
        Input(Ids.MAKE, "n_clicks"),
        Input(Ids.NAME, "n_submit"),
        State(Ids.NAME, "value"),
        State(Ids.SHOWS, "value"),
        State(StreamingIds.VIEW, "data"),
        prevent_initial_call=True,
    )(act)


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


def acted(services: Services, who: Identity, pressed: Any, wish: Wish, view: Any) -> list[Any]:
    """The list anew, what happened, the link that was made, the field; after an error as it was."""

    def do(session: Session, ask: Ask, baseline_id: int) -> list[Any]:
        if isinstance(pressed, dict):
            number = pressed["display"]
            if type(number) is not int:
                raise InvalidRequest("display must be a number.")
            ended = displays.revoke(session, who, baseline_id, number, now=services.now())
            return [f"The link of {ended} is revoked.", SUCCESS, None, no_update]
        if pressed == Ids.OPEN:
            return [None, SUCCESS, None, no_update]
        stream = ALL_STREAMS if wish.whole else ask.stream
        _, token = displays.make(session, who, baseline_id, name=wish.name, stream=stream)
        return ["The link is made.", SUCCESS, layout.new_link(link(token)), ""]

    try:
        return _shown(services, who, Ask.parse(view), do)
    except BaselineNotFound as error:
        number = Ask.parse(view).baseline_id
        with services.sessions.begin() as session:
            audit_log.deny(session, who, f"screens of {number}", number, services.now())
        return [no_update, error.message, FAILURE, None, no_update]
    except DinsightError as error:
        return [no_update, error.message, FAILURE, None, no_update]


def _shown(
    services: Services,
    who: Identity,
    ask: Ask,
    do: Callable[[Session, Ask, int], list[Any]],
) -> list[Any]:
    if ask.baseline_id is None:
        raise InvalidRequest("There is no stream to show.")
    with services.sessions.begin() as session:
        done = do(session, ask, ask.baseline_id)
        known = displays.list_all(session, who, ask.baseline_id)
        rows = [
            Screen(each.id, each.name, each.stream, each.created_at, each.last_used_at)
            for each in known
        ]
        return [layout.screens(rows), *done]
