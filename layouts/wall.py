"""The wall of machines: the choice of how the machines page shows them, and a wall screen's foot.

`?view=wall` shows each machine with its small map, `&kiosk=1` as many as a screen holds and nothing
else; `assets/wall.js` arranges both.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from dash import html

from layouts import kiosk
from layouts.shell import MACHINES

SCREEN = f"{MACHINES}?view=wall&kiosk=1"  # of a wall screen
VIEWS = {"list": "List", "wall": "Wall"}


@enum.unique
class Ids(enum.StrEnum):
    SHOWN = "wall-shown"
    BADGE = "wall-badge"
    SCREEN = "wall-screen"


def view(name: str) -> str:
    """The id of the button that chooses a view."""
    return f"machines-view-{name}"


def count(state: str) -> str:
    """The id of how many machines are in a state, at the foot of a wall screen."""
    return f"wall-{state}"


def switch() -> html.Div:
    return html.Div(
        [
            html.A("Wall screen", id=Ids.SCREEN, href=SCREEN, className="button", hidden=True),
            html.Div(
                [_choice(name, word) for name, word in VIEWS.items()],
                className="view-choice",
                role="group",
                **{"aria-label": "How machines are shown"},
            ),
        ],
        className="machines-view",
    )


def _choice(name: str, word: str) -> html.Button:
    return html.Button(
        word,
        id=view(name),
        type="button",
        className="button",
        **{"data-machines-view": name, "aria-pressed": str(name == "list").lower()},
    )


def strip(states: Mapping[str, str]) -> html.Section:
    """What stands at the foot of a wall screen: how many machines, which are shown, the time."""
    return html.Section(
        [
            html.P(
                [_count(state, word) for state, word in states.items()], className="wall-counts"
            ),
            html.P(id=Ids.SHOWN, className="wall-shown"),
            html.P(html.Span(id=Ids.BADGE, className="badge badge-wait")),
            html.P(id=kiosk.Ids.CLOCK, className="kiosk-clock"),
        ],
        className="wall-strip",
        **{"aria-label": "Wall screen"},
    )


def _count(state: str, word: str) -> html.Span:
    return html.Span(
        [html.Span("0", id=count(state)), f" {word}"], className=f"state state-{state}"
    )
