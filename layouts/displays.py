"""Sharing a stream to a screen: the dialog that makes, lists and revokes displays."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from dinsight.displays import ALL_STREAMS
from layouts.components import button, cell, command, field, moment, table


@enum.unique
class Ids(enum.StrEnum):
    OPEN = "displays-open"
    DIALOG = "displays-dialog"
    WALL = "displays-wall"
    LIST = "displays-list"
    NAME = "displays-name"
    SHOWS = "displays-shows"
    MAKE = "displays-make"
    MESSAGE = "displays-message"
    LINK = "displays-link"


REVOKE = "displays-revoke"
THIS = "this"


@dataclass(frozen=True)
class Screen:
    """A display as the dialog shows it; its link is not known."""

    id: int
    name: str
    stream: str
    created_at: dt.datetime
    last_used_at: dt.datetime | None


def opener() -> html.Button:
    return button(
        "Share to a screen …", Ids.OPEN, disabled=True, **{"data-opens": Ids.DIALOG.value}
    )


def dialog() -> html.Dialog:
    return html.Dialog(
        [
            html.H2("Share to a screen"),
            html.P(
                "A wall screen opens its link once and then shows this stream, or all streams of "
                "this baseline side by side, for as long as the link is not revoked. It can look "
                "at this baseline's streams and do nothing else."
            ),
            html.P(
                html.A("Open the wall view here", id=Ids.WALL, href="?kiosk=1", className="button")
            ),
            html.Form(_form(), className="one-line", **{"data-stays": ""}),
            html.P(id=Ids.MESSAGE, role="status", className="message"),
            html.Div(id=Ids.LINK, className="new-link"),
            html.Div(id=Ids.LIST),
            html.Div(
                html.Button("Close", className="button", type="button", **{"data-closes": ""}),
                className="dialog-buttons",
            ),
        ],
        id=Ids.DIALOG,
        className="dialog dialog-wide",
        **{"aria-label": "Share to a screen"},
    )


def _form() -> list[Any]:
    control = dbc.Input(
        id=Ids.NAME,
        type="text",
        value="",
        maxlength=100,
        autocomplete="off",
        placeholder="hall 3, north wall",
        class_name="input",
    )
    options = [
        {"label": "this stream", "value": THIS},
        {"label": "all streams", "value": ALL_STREAMS},
    ]
    shows = dbc.Select(id=Ids.SHOWS, options=options, value=THIS, class_name="input")
    return [
        field("Where the screen is", control, for_=Ids.NAME),
        field("What it shows", shows, for_=Ids.SHOWS),
        button("Make a link", Ids.MAKE, kind="primary"),
    ]


def new_link(link: str) -> list[Any]:
    """A link that was just made; only its token's hash is kept, so it is never shown again."""
    return [
        html.P(
            "This is the link. It is shown only now: open it on the screen, in a browser where "
            "nobody is signed in."
        ),
        command(link, "Copy the link"),
    ]


def screens(known: Sequence[Screen]) -> Any:
    if not known:
        return html.P("No screen shows this baseline.", className="hint")
    return table(("Screen", "Stream", "Made", "Last used", ""), [_row(each) for each in known])


def _row(screen: Screen) -> html.Tr:
    revoke = html.Button(
        ["Revoke", html.Span(f" the link of {screen.name}", className="sr-only")],
        id={"type": REVOKE, "display": screen.id},
        className="button danger small",
        type="button",
    )
    return html.Tr(
        [
            cell("Screen", screen.name),
            cell("Stream", "all streams" if screen.stream == ALL_STREAMS else screen.stream),
            cell("Made", moment(screen.created_at)),
            cell("Last used", moment(screen.last_used_at) if screen.last_used_at else "never"),
            html.Td(revoke),
        ]
    )
