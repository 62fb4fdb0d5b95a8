"""The machines page: every stream at a glance, the worst first.

The cards are made and changed by `assets/machines.js`, by key, so that a reader, a focus or a
finger on one is not disturbed; here stand the places that it fills.
"""

from __future__ import annotations

import enum
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from layouts import wall
from layouts.components import button, field
from layouts.shell import BASELINES

BEAT_SECONDS = 3  # between questions of the page
STATES = {
    "failing": "Failing",
    "deteriorating": "Deteriorating",
    "healthy": "Healthy",
    "unknown": "Unknown",
}


@enum.unique
class Ids(enum.StrEnum):
    BADGE = "machines-badge"
    SUMMARY = "machines-summary"
    ALL = "machines-all"
    SEARCH = "machines-search"
    SEARCH_FIELD = "machines-search-field"
    LIST = "machines-list"
    NOTE = "machines-note"
    NONE = "machines-none"
    HINT = "machines-hint"
    FITS = "machines-fits"
    ANNOUNCE = "machines-announce"
    # the path of the data: the first answer comes with the page; later ones have no Stores
    FIRST = "machines-first"
    DRAWN = "machines-drawn"
    ASK = "machines-ask"
    FEED = "machines-feed"


def chip(state: str) -> str:
    """The id of the button that counts a state, and shows it alone."""
    return f"machines-{state}"


def page(first: dict[str, Any]) -> html.Div:
    """The page with its first answer, so that it is there with the page."""
    return html.Div(
        [
            dcc.Store(id=Ids.FIRST, data=first),
            dcc.Store(id=Ids.DRAWN),
            html.Div(id=Ids.ANNOUNCE, className="sr-only", role="status"),
            _head(),
            _summary(),
            html.P(id=Ids.NOTE, className="machines-note", role="status", hidden=True),
            _no_baseline(),
            html.Ol(id=Ids.LIST, className="machine-list", **{"data-beat": str(BEAT_SECONDS)}),
            html.Div(id=Ids.HINT),
            html.P(
                [html.Span(id=Ids.FITS), " ", dcc.Link("See the baselines", href=BASELINES)],
                id=f"{Ids.FITS}-field",
                className="machines-note",
                hidden=True,
            ),
            wall.strip(STATES),
        ],
        className="machines",
    )


def _head() -> html.Div:
    return html.Div(
        [
            html.H1("Machines"),
            html.Span("Connecting", id=Ids.BADGE, className="badge badge-wait"),
            wall.switch(),
        ],
        className="machines-head",
    )


def _summary() -> html.Section:
    return html.Section(
        [
            html.Div(
                [
                    *(_chip(state, word) for state, word in STATES.items()),
                    button("Show all", Ids.ALL, hidden=True, **{"data-machines-state": ""}),
                ],
                id=Ids.SUMMARY,
                className="machines-summary",
                hidden=True,
            ),
            html.Div(
                field(
                    "Find a machine",
                    dbc.Input(
                        id=Ids.SEARCH,
                        type="search",
                        placeholder="Name or stream",
                        autocomplete="off",
                        class_name="input",
                    ),
                    for_=Ids.SEARCH,
                ),
                id=Ids.SEARCH_FIELD,
                className="machines-search",
                hidden=True,
            ),
        ],
        className="machines-bar",
        **{"aria-label": "Which machines are shown"},
    )


def _chip(state: str, word: str) -> html.Button:
    return html.Button(
        [html.Span("0", id=f"{chip(state)}-count", className="chip-count"), f" {word}"],
        id=chip(state),
        type="button",
        className=f"chip state-{state}",
        title=f"Show only these: {word}",
        **{"data-machines-state": state, "aria-pressed": "false"},
    )


def _no_baseline() -> html.Div:
    return html.Div(
        html.Div(
            [
                html.H2("No machine yet"),
                html.P(
                    "D'insight learns what is normal from a baseline: a CSV of a healthy machine, "
                    "one row a reading; more than 100 rows make a good map."
                ),
                html.Div(
                    dcc.Link(
                        "Upload a healthy machine's CSV",
                        href=BASELINES,
                        className="button primary",
                    )
                ),
            ],
            className="notice",
        ),
        id=Ids.NONE,
        className="machines-none",
        hidden=True,
    )
