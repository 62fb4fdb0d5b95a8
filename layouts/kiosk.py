"""What only a wall screen shows (`?kiosk=1`): the machine's name, count, age and the clock, large.

Its state, score, badge and map are those of the page; `assets/kiosk.css` arranges them.
"""

from __future__ import annotations

import enum

from dash import html


@enum.unique
class Ids(enum.StrEnum):
    NAME = "kiosk-name"
    COUNT = "kiosk-count"
    AGE = "kiosk-age"
    CLOCK = "kiosk-clock"


def section() -> html.Section:
    return html.Section(
        [
            html.P(id=Ids.NAME, className="kiosk-name"),
            html.Div(
                [html.P(id=Ids.COUNT), html.P(id=Ids.AGE)],
                className="kiosk-facts",
            ),
            html.P(id=Ids.CLOCK, className="kiosk-clock"),
        ],
        className="kiosk",
        **{"aria-label": "Wall screen"},
    )
