"""The account page: who you are, your password, your API keys."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from layouts.components import button, cell, command, field, moment, table


@enum.unique
class Ids(enum.StrEnum):
    CURRENT = "account-current-password"
    NEW = "account-new-password"
    REPEAT = "account-repeat-password"
    SAVE = "account-save-password"
    MESSAGE = "account-password-message"
    PASSWORD = "account-password"  # noqa: S105 - an element's id
    KEYS = "account-keys"
    KEY_MESSAGE = "account-keys-message"
    KEY_NAME = "account-key-name"
    MAKE_KEY = "account-make-key"
    NEW_KEY = "account-new-key"
    NAME = "account-name"
    RENAME = "account-rename"
    NAME_MESSAGE = "account-name-message"


REVOKE = "account-revoke-key"


@dataclass(frozen=True)
class Key:
    """An API key as the page shows it; the key itself is not known."""

    id: int
    name: str
    created_at: dt.datetime
    last_used_at: dt.datetime | None


def page(
    *,
    email: str,
    full_name: str,
    role: str,
    has_password: bool,
    keys: Sequence[Key],
    notifications: html.Section,
) -> html.Div:
    return html.Div(
        [
            html.H1("Account"),
            html.Section(
                [
                    html.H2("You"),
                    profile(email, role),
                    html.Form(name_form(full_name), className="one-line", **{"data-stays": ""}),
                    html.P(id=Ids.NAME_MESSAGE, role="status", className="message"),
                ],
                className="card",
            ),
            html.Section(
                [
                    html.H2("Password"),
                    html.Form(
                        password_form(has_password, email),
                        id=Ids.PASSWORD,
                        **{"data-stays": ""},
                    ),
                    html.P(id=Ids.MESSAGE, role="status", className="message"),
                ],
                className="card",
            ),
            html.Section(
                [
                    html.H2("API keys"),
                    html.P(
                        "Machine senders and scripts sign in with a key. "
                        "A revoked key stops working at once.",
                        className="hint",
                    ),
                    html.Div(key_table(keys), id=Ids.KEYS),
                    html.Form(key_form(), className="one-line", **{"data-stays": ""}),
                    html.P(id=Ids.KEY_MESSAGE, role="status", className="message"),
                    html.Div(id=Ids.NEW_KEY, className="new-key"),
                ],
                className="card",
            ),
            notifications,
        ],
        className="account",
    )


def profile(email: str, role: str) -> html.Dl:
    facts = {"E-mail": email, "Role": role}
    return html.Dl(
        [
            html.Div([html.Dt(name), html.Dd(value)], className="fact")
            for name, value in facts.items()
        ]
    )


def name_form(full_name: str) -> list[Any]:
    control = dbc.Input(
        id=Ids.NAME,
        type="text",
        value=full_name,
        maxlength=200,
        autocomplete="name",
        class_name="input",
    )
    return [field("Name", control, for_=Ids.NAME), button("Change the name", Ids.RENAME)]


def key_form() -> list[Any]:
    control = dbc.Input(
        id=Ids.KEY_NAME,
        type="text",
        value="",
        maxlength=100,
        autocomplete="off",
        placeholder="gateway 3",
        class_name="input",
    )
    return [
        field("What the new key is for", control, for_=Ids.KEY_NAME),
        button("Make a key", Ids.MAKE_KEY, kind="primary"),
    ]


def new_key(key: str) -> list[Any]:
    """A key that was just made; only its hash is kept, so it is never shown again."""
    return [
        html.P("This is the key. It is shown only now: copy it to where it is used."),
        command(key, "Copy the key"),
    ]


def password_form(has_password: bool, email: str) -> list[Any]:
    """The fields; without a password there is no current one to ask for.

    The hidden user name tells password managers whose password this is.
    """
    current = _password("Current password", Ids.CURRENT, "current-password")
    current.hidden = not has_password
    hint = "8 to 128 characters; the commonest passwords are refused."
    intro = [] if has_password else [html.P("No password is set: set one to sign in with it.")]
    return [
        *intro,
        html.Label(
            [
                "Whose password this is",
                dbc.Input(
                    type="text", value=email, autocomplete="username", readonly=True, tabindex="-1"
                ),
            ],
            className="sr-only",
        ),
        current,
        _password("New password", Ids.NEW, "new-password", hint),
        _password("New password, again", Ids.REPEAT, "new-password"),
        button(
            "Change the password" if has_password else "Set the password", Ids.SAVE, kind="primary"
        ),
    ]


def key_table(keys: Sequence[Key]) -> Any:
    if not keys:
        return html.P("There are no keys.")
    return table(("Name", "Made", "Last used", ""), [_key_row(key) for key in keys])


def _key_row(key: Key) -> html.Tr:
    revoke = html.Button(
        ["Revoke", html.Span(f" the key {key.name}", className="sr-only")],
        id={"type": REVOKE, "key": key.id},
        className="button danger small",
        type="button",
    )
    used = moment(key.last_used_at) if key.last_used_at else "never"
    return html.Tr(
        [
            cell("Name", key.name),
            cell("Made", moment(key.created_at)),
            cell("Last used", used),
            html.Td(revoke),
        ]
    )


def _password(label: str, id: Ids, autocomplete: str, hint: str = "") -> html.Div:
    control = dbc.Input(
        id=id,
        type="password",
        autocomplete=autocomplete,
        maxlength=128,
        class_name="input",
        value="",
    )
    return field(label, control, for_=id, hint=hint)
