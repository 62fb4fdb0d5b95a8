"""The administrators' page: people, and the audit log."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from layouts.components import button, cell, command, moment, table
from layouts.components import field as labelled


@enum.unique
class Ids(enum.StrEnum):
    PEOPLE = "admin-people"
    MESSAGE = "admin-message"
    LINK = "admin-link"
    EMAIL = "admin-email"
    NAME = "admin-name"
    ROLE = "admin-role"
    ADD = "admin-add"
    PERSON = "admin-log-person"
    ACTION = "admin-log-action"
    PERIOD = "admin-log-period"
    LOG = "admin-log"
    NEWEST = "admin-log-newest"
    OLDER = "admin-log-older"
    CURSOR = "admin-log-cursor"


ACT = "admin-act"  # the type of the buttons that change a person
ANY = "any"
ROLES = {"user": "User", "admin": "Administrator"}
PERIODS = {
    ANY: "Any time",
    "1": "The last hour",
    "24": "The last 24 hours",
    "168": "The last 7 days",
    "720": "The last 30 days",
}


@dataclass(frozen=True)
class Person:
    """Somebody as the page shows them."""

    id: int
    email: str
    full_name: str
    role: str
    disabled: bool
    has_password: bool
    created_at: dt.datetime


@dataclass(frozen=True)
class Line:
    """An entry of the audit log, in words."""

    at: dt.datetime
    who: str
    what: str
    subject: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def page(
    *, people: Sequence[Person], log: Any, cursor: int | None, actions: Mapping[str, str]
) -> html.Div:
    return html.Div(
        [
            html.H1("Administration"),
            html.Section(
                [
                    html.H2("People"),
                    html.Div(people_table(people), id=Ids.PEOPLE),
                    html.P(id=Ids.MESSAGE, role="status", className="message"),
                    html.Div(id=Ids.LINK, className="admin-link"),
                    html.H3("Add somebody"),
                    _add_form(),
                ],
                className="card",
            ),
            html.Section(
                [
                    html.H2("Audit log"),
                    _filters(people, actions),
                    html.Div(log, id=Ids.LOG),
                    html.Div(
                        [
                            button("Newest", Ids.NEWEST),
                            button("Older", Ids.OLDER, disabled=cursor is None),
                        ],
                        className="admin-buttons",
                    ),
                    dcc.Store(id=Ids.CURSOR, data=cursor),
                ],
                className="card",
            ),
        ],
        className="admin",
    )


def people_table(people: Sequence[Person]) -> Any:
    head = ("Person", "Role", "State", "Added", "")
    return table(head, [_person_row(person) for person in people])


def log_table(lines: Sequence[Line]) -> Any:
    if not lines:
        return html.P("There is nothing to show: choose another filter, or go to the newest.")
    return table(("When", "Who", "What", "Which"), [_log_row(line) for line in lines])


def link_box(email: str, link: str) -> list[Any]:
    """The link that was just made; this is the only time that it is shown."""
    return [
        html.P(
            f"Give this link to {email}, to nobody else. It signs them in once, within a day, and "
            "is shown only now; they set a password on their account page."
        ),
        command(link, "Copy the link"),
    ]


def _add_form() -> html.Form:
    text = {"class_name": "input", "value": ""}
    return html.Form(
        [
            labelled(
                "E-mail",
                dbc.Input(id=Ids.EMAIL, type="email", maxlength=254, autocomplete="off", **text),
                for_=Ids.EMAIL,
            ),
            labelled(
                "Name",
                dbc.Input(id=Ids.NAME, type="text", maxlength=200, autocomplete="off", **text),
                for_=Ids.NAME,
            ),
            labelled("Role", _select(Ids.ROLE, ROLES, "user"), for_=Ids.ROLE),
            button("Add, and make a sign-in link", Ids.ADD, kind="primary"),
        ],
        className="admin-form",
        **{"data-stays": ""},
    )


def _filters(people: Sequence[Person], actions: Mapping[str, str]) -> html.Div:
    persons = {ANY: "Everybody"} | {str(person.id): person.email for person in people}
    return html.Div(
        [
            labelled("Who", _select(Ids.PERSON, persons, ANY), for_=Ids.PERSON),
            labelled(
                "What", _select(Ids.ACTION, {ANY: "Everything", **actions}, ANY), for_=Ids.ACTION
            ),
            labelled("When", _select(Ids.PERIOD, PERIODS, ANY), for_=Ids.PERIOD),
        ],
        className="admin-form",
    )


def _person_row(person: Person) -> html.Tr:
    name = [html.Span(person.email, className="strong")]
    if person.full_name:
        name.append(html.Span(person.full_name, className="hint"))
    state = "Disabled" if person.disabled else "Enabled"
    if not person.disabled and not person.has_password:
        state = "Enabled, no password yet"
    return html.Tr(
        [
            cell("Person", html.Div(name, className="admin-who")),
            cell("Role", ROLES.get(person.role, person.role)),
            cell("State", state),
            cell("Added", moment(person.created_at)),
            html.Td(html.Div(_acts(person), className="admin-buttons")),
        ],
        className="admin-off" if person.disabled else "",
    )


def _acts(person: Person) -> list[Any]:
    """What can be done to a person; what cannot be undone asks first."""
    if person.disabled:
        return [_act("Enable", "enable", person)]
    promoting = person.role != "admin"
    turn = _act("Make admin", "admin", person) if promoting else None
    return [
        turn or _act("Make user", "user", person),
        *_asked(
            "New link",
            "link",
            person,
            f"Make a new sign-in link for {person.email}?",
            "Their password is removed and they are signed out everywhere. Their API keys go on.",
        ),
        *_asked(
            "Disable",
            "disable",
            person,
            f"Disable {person.email}?",
            "They are signed out everywhere and their API keys stop working at once, for good: "
            "machines that send with these keys are refused. Their baselines and points stay.",
        ),
    ]


def _act(text: str, action: str, person: Person, kind: str = "", **more: Any) -> html.Button:
    return html.Button(
        [text, html.Span(f" {person.email}", className="sr-only")],
        id={"type": ACT, "action": action, "user": person.id},
        className=f"button small {kind}".strip(),
        type="button",
        **more,
    )


def _asked(text: str, action: str, person: Person, question: str, what: str) -> list[Any]:
    """A button, and the dialog that asks before it acts."""
    dialog = f"admin-{action}-{person.id}"
    opener = html.Button(
        [text, html.Span(f" {person.email}", className="sr-only")],
        className="button small danger" if action == "disable" else "button small",
        type="button",
        **{"data-opens": dialog},
    )
    buttons = [
        html.Button("Cancel", className="button", type="button", **{"data-closes": ""}),
        _act(text, action, person, "danger", **{"data-closes": ""}),
    ]
    return [
        opener,
        html.Dialog(
            [html.H2(question), html.P(what), html.Div(buttons, className="dialog-buttons")],
            id=dialog,
            className="dialog",
            **{"aria-label": question},
        ),
    ]


def _log_row(line: Line) -> html.Tr:
    more = ", ".join(f"{key} {value}" for key, value in line.details.items() if value is not None)
    which = [html.Span(line.subject)] if line.subject else []
    if more:
        which.append(html.Span(more, className="hint"))
    return html.Tr(
        [
            cell("When", moment(line.at, seconds=True)),
            cell("Who", line.who),
            cell("What", line.what),
            cell("Which", html.Div(which, className="admin-who") if which else "–"),
        ]
    )


def _select(id: Ids, options: Mapping[str, str], value: str) -> dbc.Select:
    choices = [{"label": label, "value": key} for key, label in options.items()]
    return dbc.Select(id=id, options=choices, value=value, class_name="input")
