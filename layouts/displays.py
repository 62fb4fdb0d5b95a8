"""Sharing a stream to a screen: the dialog that makes, lists and revokes displays."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import html

from dinsight.displays import ALL_STREAMS
from layouts.components import button, cell, command, field, moment, select, table
from layouts.static_markup import Input, markup


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
    # the script's question and its answer
    DEED = "displays-deed"
    TOLD = "displays-told"


THIS = "this"
SHOWS = {THIS: "this stream", ALL_STREAMS: "all streams"}


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
            html.P(id=Ids.MESSAGE, role="status", className="message", tabIndex="-1"),
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
    control = Input(
        id=Ids.NAME,
        type="text",
        maxLength=100,
        autoComplete="off",
        placeholder="hall 3, north wall",
        className="input",
    )
    return [
        field("Where the screen is", control, for_=Ids.NAME),
        select("What it shows", Ids.SHOWS, SHOWS),
        button("Make a link", Ids.MAKE, kind="primary"),
    ]


def new_link(link: str) -> str:
    """A link that was just made, as HTML; it is shown once: only its token's hash is kept."""
    return markup(
        [
            html.P(
                "This is the link. It is shown only now: open it on the screen, in a browser where "
                "nobody is signed in."
            ),
            command(link, "Copy the link"),
        ]
    )


def screens(known: Sequence[Screen]) -> str:
    """The displays of a baseline, as HTML."""
    if not known:
        return markup([html.P("No screen shows this baseline.", className="hint")])
    rows = [_row(each) for each in known]
    return markup([table(("Screen", "Stream", "Made", "Last used", ""), rows)])


def _row(screen: Screen) -> html.Tr:
    revoke = html.Button(
        ["Revoke", html.Span(f" the link of {screen.name}", className="sr-only")],
        className="button danger small",
        type="button",
        **{"data-revokes": str(screen.id)},
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
