"""The score trend under the map: its plot, drawn by `assets/live_trend_plot.js`, and episodes."""

from __future__ import annotations

import enum

from dash import html

from layouts import live_alerts
from layouts.components import choice

SPANS = {"all": "All points", "1000": "Last 1,000", "100": "Last 100"}
AXES = {"point": "By point", "time": "By time"}


@enum.unique
class Ids(enum.StrEnum):
    PLOT = "trend-plot"
    ABOUT = "trend-about"
    SPAN = "trend-span"
    AXIS = "trend-axis"
    EPISODES = "trend-episodes"
    EPISODES_TITLE = "trend-episodes-title"
    ASK = "trend-ask"
    ANSWER = "trend-answer"


def section() -> html.Section:
    return html.Section(
        [
            html.Div(
                [
                    html.H2("Score"),
                    html.P(id=Ids.ABOUT, className="trend-about"),
                    _choice(Ids.SPAN, SPANS, "How much of the trend is shown"),
                    _choice(Ids.AXIS, AXES, "What the trend is drawn over"),
                ],
                className="trend-head",
            ),
            # A slider to those who cannot see it: one point after the other, with its words.
            html.Div(
                html.Canvas(),
                id=Ids.PLOT,
                className="trend-plot",
                role="slider",
                tabIndex=0,
                **{
                    "aria-label": "Score of the points",
                    "aria-valuetext": "no point yet",
                    "aria-valuenow": 0,
                },
            ),
            live_alerts.marks(),
            html.Details(
                [
                    html.Summary(id=Ids.EPISODES_TITLE),
                    html.Ul(id=Ids.EPISODES),
                ],
                className="episodes",
            ),
        ],
        className="trend",
        **{"aria-label": "Score trend"},
    )


def _choice(id: Ids, words: dict[str, str], label: str) -> html.Div:
    return html.Div(
        [html.Label(label, htmlFor=id, className="sr-only"), choice(id, words)],
        className="trend-choice",
    )
