"""The account page: change a name, set a password, make and revoke keys."""

from __future__ import annotations

from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update
from sqlalchemy.orm import Session

from api.auth import change_password
from api.security import page_user, renew_cookies
from callbacks import channels
from dinsight import accounts
from dinsight.accounts import Identity
from dinsight.errors import DinsightError
from dinsight.services import Services
from layouts import account as layout
from layouts.account import REVOKE, Ids, Key
from layouts.components import FAILURE, SUCCESS

DIFFERENT = "The two new passwords differ."
PASSWORD_SET = "The password is set. Every other sign-in of yours is ended; API keys go on."  # noqa: S105


def register(app: Dash, services: Services) -> None:
    def save(_: int, __: int, current: str, new: str, repeat: str) -> tuple[Any, str, str]:
        return set_password(page_user(), current or "", new or "", repeat or "")

    def keys(_: list[int | None], __: int, ___: int, name: str) -> tuple[Any, ...]:
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return (no_update,) * 5
        if isinstance(ctx.triggered_id, dict):
            return revoke_key(services, page_user(), int(ctx.triggered_id["key"]))
        return make_key(services, page_user(), name or "")

    def change_name(_: int, __: int, name: str) -> tuple[str, str]:
        return rename(services, page_user(), name or "")

    app.callback(
        Output(Ids.NAME_MESSAGE, "children"),
        Output(Ids.NAME_MESSAGE, "className"),
        Input(Ids.RENAME, "n_clicks"),
        Input(Ids.NAME, "n_submit"),
        State(Ids.NAME, "value"),
        prevent_initial_call=True,
    )(change_name)
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
        Output(Ids.NEW_KEY, "children"),
        Output(Ids.KEY_NAME, "value"),
        Input({"type": REVOKE, "key": ALL}, "n_clicks"),
        Input(Ids.MAKE_KEY, "n_clicks"),
        Input(Ids.KEY_NAME, "n_submit"),
        State(Ids.KEY_NAME, "value"),
        prevent_initial_call=True,
    )(keys)


def page(services: Services, who: Identity) -> Any:
    with services.sessions() as session:
        return layout.page(
            email=who.email,
            full_name=who.full_name,
            role=who.role,
            has_password=accounts.has_password(session, who.id),
            keys=_keys(session, who),
            notifications=channels.section(services, session, who),
        )


def set_password(who: Identity, current: str, new: str, repeat: str) -> tuple[Any, str, str]:
    """The form anew, empty, and what happened; the fields stay as they are after an error."""
    if new != repeat:
        return no_update, DIFFERENT, FAILURE
    try:
        entered = change_password(who, new, current)
    except DinsightError as error:
        return no_update, error.message, FAILURE
    renew_cookies(entered)
    return layout.password_form(True, who.email), PASSWORD_SET, SUCCESS


def rename(services: Services, who: Identity, name: str) -> tuple[str, str]:
    try:
        with services.sessions.begin() as session:
            accounts.rename(session, who.id, name)
            accounts.audit(session, "profile.rename", user_id=who.id)
    except DinsightError as error:
        return error.message, FAILURE
    return "The name is changed.", SUCCESS


def make_key(services: Services, who: Identity, name: str) -> tuple[Any, ...]:
    """The table anew, what happened, the key itself, the field; an error leaves what was typed."""
    try:
        with services.sessions.begin() as session:
            row, key = accounts.make_key(session, who.id, name)
            accounts.audit(session, "key.make", user_id=who.id, subject=row.name, key_id=row.id)
            table = layout.key_table(_keys(session, who))
    except DinsightError as error:
        return no_update, error.message, FAILURE, None, no_update
    return table, "The key is made.", SUCCESS, layout.new_key(key), ""


def revoke_key(services: Services, who: Identity, key_id: int) -> tuple[Any, ...]:
    try:
        with services.sessions.begin() as session:
            name = accounts.revoke_key(session, who, key_id, services.now())
            accounts.audit(session, "key.revoke", user_id=who.id, subject=name, key_id=key_id)
            table = layout.key_table(_keys(session, who))
    except DinsightError as error:
        return no_update, error.message, FAILURE, None, no_update
    return table, "The key is revoked.", SUCCESS, None, no_update


def _keys(session: Session, who: Identity) -> list[Key]:
    return [
        Key(row.id, row.name, row.created_at, row.last_used_at)
        for row in accounts.list_keys(session, who.id)
    ]
