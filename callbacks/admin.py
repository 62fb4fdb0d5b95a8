"""The administrators' page. What is not asked by one is refused in the use case, not here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update
from sqlalchemy.orm import Session

from api.security import page_user
from api.users import link
from dinsight import audit_log, people
from dinsight.accounts import Identity
from dinsight.audit_log import ACTIONS, Entry, Wish
from dinsight.errors import DinsightError, InvalidRequest
from dinsight.people import Change, Invitation
from dinsight.services import Services
from layouts import admin as layout
from layouts.admin import ACT, ANY, PERIODS, Ids, Line, Person
from layouts.components import FAILURE, SUCCESS

ENTRIES = 50
CHANGES = {
    "admin": (Change(role="admin"), "{} is an administrator now."),
    "user": (Change(role="user"), "{} is no administrator any more."),
    "enable": (Change(disabled=False), "{} may sign in again; old sign-ins and keys stay ended."),
    "disable": (Change(disabled=True), "{} is disabled: every sign-in and API key is ended."),
}


@dataclass(frozen=True)
class Done:
    """What happened, in a sentence, and the link that was made, if any."""

    sentence: str
    invitation: Invitation | None = None


def register(app: Dash, services: Services) -> None:
    def act(*values: Any) -> list[Any]:
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return [no_update] * 6
        pressed = ctx.triggered_id
        if isinstance(pressed, dict):
            return acted(services, page_user(), str(pressed["action"]), pressed["user"])
        email, name, role = values[-3:]
        return added(services, page_user(), email or "", name or "", role or "")

    def log(person: Any, action: Any, period: Any, _: int, __: int, cursor: Any) -> list[Any]:
        older = cursor if ctx.triggered_id == Ids.OLDER else None
        return entries(services, page_user(), wish(person, action, period, older, services.now()))

    app.callback(
        Output(Ids.PEOPLE, "children"),
        Output(Ids.MESSAGE, "children"),
        Output(Ids.MESSAGE, "className"),
        Output(Ids.LINK, "children"),
        Output(Ids.EMAIL, "value"),
        Output(Ids.NAME, "value"),
        Input({"type": ACT, "action": ALL, "user": ALL}, "n_clicks"),
        Input(Ids.ADD, "n_clicks"),
        Input(Ids.EMAIL, "n_submit"),
        Input(Ids.NAME, "n_submit"),
        State(Ids.EMAIL, "value"),
        State(Ids.NAME, "value"),
        State(Ids.ROLE, "value"),
        prevent_initial_call=True,
    )(act)
    app.callback(
        Output(Ids.LOG, "children"),
        Output(Ids.CURSOR, "data"),
        Output(Ids.OLDER, "disabled"),
        Input(Ids.PERSON, "value"),
        Input(Ids.ACTION, "value"),
        Input(Ids.PERIOD, "value"),
        Input(Ids.NEWEST, "n_clicks"),
        Input(Ids.OLDER, "n_clicks"),
        State(Ids.CURSOR, "data"),
        prevent_initial_call=True,
    )(log)


def page(services: Services, who: Identity) -> Any:
    """Raises AdminOnly."""
    with services.sessions() as session:
        known = _people(session, who)
        shown = audit_log.read(session, who, Wish(limit=ENTRIES))
    return layout.page(
        people=known, log=layout.log_table(_lines(shown)), cursor=_cursor(shown), actions=ACTIONS
    )


def added(services: Services, who: Identity, email: str, name: str, role: str) -> list[Any]:
    """The outputs of adding somebody; what was typed stays after an error."""

    def invite(session: Session) -> Done:
        made = people.invite(session, who, email, full_name=name, role=role, now=services.now())
        return Done(f"{made.user.email} is added.", made)

    shown = _shown(services, who, invite)
    return [*shown, *([no_update] * 2 if shown[0] is no_update else ["", ""])]


def acted(services: Services, who: Identity, action: str, user_id: Any) -> list[Any]:
    """The outputs of changing somebody."""

    def change(session: Session) -> Done:
        if type(user_id) is not int:
            raise InvalidRequest("user must be a number.")
        if action == "link":
            made = people.renew(session, who, user_id, now=services.now())
            return Done(f"{made.user.email} has a new sign-in link.", made)
        if action not in CHANGES:
            raise InvalidRequest(f"There is no action {action!r}.")
        wanted, sentence = CHANGES[action]
        user = people.change(session, who, user_id, wanted, now=services.now())
        return Done(sentence.format(user.email))

    return [*_shown(services, who, change), no_update, no_update]


def entries(services: Services, who: Identity, wanted: Wish) -> list[Any]:
    """The table, the cursor to go on from, and whether there is nothing older."""
    with services.sessions() as session:
        shown = audit_log.read(session, who, wanted)
    return [layout.log_table(_lines(shown)), _cursor(shown), _cursor(shown) is None]


def wish(person: Any, action: Any, period: Any, before: Any, now: dt.datetime) -> Wish:
    """What the filters ask for; raises InvalidRequest for what no filter offers."""
    person, action, period = (
        None if value in {ANY, None} else str(value) for value in (person, action, period)
    )
    good = person is None or (person.isascii() and person.isdecimal())
    if not (good and period in {None, *PERIODS} and (before is None or type(before) is int)):
        raise InvalidRequest("There is no such filter.")
    return Wish(
        user_id=int(person[:20]) if person else None,
        action=action,
        since=now - dt.timedelta(hours=int(period)) if period else None,
        before=before,
        limit=ENTRIES,
    )


def _shown(services: Services, who: Identity, do: Callable[[Session], Done]) -> list[Any]:
    """Do it; then the people anew, the sentence and its look, the link."""
    try:
        with services.sessions.begin() as session:
            done = do(session)
            made = done.invitation
            box = layout.link_box(made.user.email, link(made.token)) if made else None
            table = layout.people_table(_people(session, who))
    except DinsightError as error:
        return [no_update, error.message, FAILURE, None]
    return [table, done.sentence, SUCCESS, box]


def _people(session: Session, who: Identity) -> list[Person]:
    return [
        Person(
            user.id,
            user.email,
            user.full_name,
            user.role,
            user.disabled_at is not None,
            user.password_hash is not None,
            user.created_at,
        )
        for user in people.list_all(session, who)
    ]


def _lines(shown: list[Entry]) -> list[Line]:
    return [
        Line(
            entry.at,
            entry.email or "–",
            ACTIONS.get(entry.action, entry.action),
            entry.subject,
            entry.details,
        )
        for entry in shown
    ]


def _cursor(shown: list[Entry]) -> int | None:
    """Where to go on; None where there is nothing older."""
    return shown[-1].id if len(shown) == ENTRIES else None
