"""The account page: set a password, revoke a key."""

from __future__ import annotations

from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update
from sqlalchemy.orm import Session

from api.security import page_user
from dinsight import accounts
from dinsight.accounts import Identity
from dinsight.errors import DinsightError
from dinsight.services import Services
from layouts import account as layout
from layouts.account import REVOKE, Ids, Key

DIFFERENT = "The two new passwords differ."
FAILURE, SUCCESS = "message error", "message success"


def register(app: Dash, services: Services) -> None:
    def save(_: int, __: int, current: str, new: str, repeat: str) -> tuple[Any, str, str]:
        return set_password(services, page_user(), current or "", new or "", repeat or "")

    def revoke(_: list[int | None]) -> tuple[Any, Any, Any]:
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return no_update, no_update, no_update
        return revoke_key(services, page_user(), int(ctx.triggered_id["key"]))

    app.callback(
        Output(Ids.PASSWORD, "children"),
        Output(Ids.MESSAGE, "children"),
        Output(Ids.MESSAGE, "className"),
        Input(Ids.SAVE, "n_clicks"),
        Input(Ids.REPEAT, "n_submit"),
        State(Ids.CURRENT, "value"),
        State(Ids.NEW, "value"),
        State(Ids.REPEAT, "value"),
        prevent_initial_call=True,
    )(save)
    app.callback(
        Output(Ids.KEYS, "children"),
        Output(Ids.KEY_MESSAGE, "children"),
        Output(Ids.KEY_MESSAGE, "className"),
        Input({"type": REVOKE, "key": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )(revoke)


def page(services: Services, who: Identity) -> Any:
    with services.sessions() as session:
        return layout.page(
            email=who.email,
            full_name=who.full_name,
            role=who.role,
            has_password=accounts.has_password(session, who.id),
            keys=_keys(session, who),
        )


def set_password(
    services: Services, who: Identity, current: str, new: str, repeat: str
) -> tuple[Any, str, str]:
    """The form anew, empty, and what happened; the fields stay as they are after an error."""
    if new != repeat:
        return no_update, DIFFERENT, FAILURE
    try:
        with services.sessions.begin() as session:
            accounts.set_password(session, who.id, new, current)
            accounts.audit(session, "password.set", user_id=who.id)
    except DinsightError as error:
        return no_update, error.message, FAILURE
    return layout.password_form(True, who.email), "The password is set.", SUCCESS


def revoke_key(services: Services, who: Identity, key_id: int) -> tuple[Any, str, str]:
    try:
        with services.sessions.begin() as session:
            accounts.revoke_key(session, who.id, key_id, services.now())
            accounts.audit(session, "key.revoke", user_id=who.id, subject=str(key_id))
    except DinsightError as error:
        return no_update, error.message, FAILURE
    with services.sessions() as session:
        return layout.key_table(_keys(session, who)), "The key is revoked.", SUCCESS


def _keys(session: Session, who: Identity) -> list[Key]:
    return [
        Key(row.id, row.name, row.created_at, row.last_used_at)
        for row in accounts.list_keys(session, who.id)
    ]
