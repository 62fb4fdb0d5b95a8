"""The streaming page: the map, and beside it what the stream does and how it is shown."""

from __future__ import annotations

import enum

from dash import dcc, html

from layouts import (
    compare,
    detection,
    export,
    figures,
    kiosk,
    live_alerts,
    playback,
    point,
    replay,
    trend,
    viewing,
)
from layouts.components import button, confirmation, fact, field, select, switch
from layouts.figures import POINT_SIZE, config, nothing
from layouts.static_markup import Input

INTERVAL_SECONDS, GLOW = 2.0, 10
PLAIN = "plain"
COLOURS = {
    PLAIN: "red",
    figures.ORDER: "by order",
    figures.SCORE: "by score",
    figures.LEVEL: "by level",
    figures.NORMAL: "normal or not",
}


MAPS = {"umap": "UMAP", "distance": "Distances", "mspc": "T² and SPE"}


@enum.unique
class Ids(enum.StrEnum):
    # what outside checks hold on to
    MAP = "live-map"
    BADGE = "live-badge"
    STATE = "live-state"
    COUNT = "live-count"
    CONTOURS = "live-contours"
    SIZE = "live-size"
    PAUSE = "live-pause"
    RESET = "live-reset"
    # the other controls
    START = "live-start"
    RESUME = "live-resume"
    STOP = "live-stop"
    REFRESH = "live-refresh"
    AUTO = "live-auto"
    INTERVAL = "live-interval"
    GLOW = "live-glow"
    BASELINE = "live-baseline"
    STREAM = "live-stream"
    STREAM_FIELD = "live-stream-field"
    RESET_DIALOG = "live-reset-dialog"
    RESET_TEXT = "live-reset-text"
    RESET_CONFIRM = "live-reset-confirm"
    # what the reducer paints
    STAGE = "live-stage"
    EMPTY = "live-empty"
    NOTE = "live-note"
    SCORE = "live-score"
    HEARD = "live-heard"
    BAR = "live-bar"
    BAR_FIELD = "live-bar-field"
    PERCENT = "live-percent"
    RATE = "live-rate"
    LAST = "live-last"
    BASELINE_POINTS = "live-baseline-points"
    MAP_KIND = "live-map-kind"
    LEVEL = "live-level"
    FIT_BAR = "live-fit-bar"
    FIT_TEXT = "live-fit-text"
    ANNOUNCE = "live-announce"
    # what the page asks, itself, of the server: no components but what is wanted
    WANT = "live-want"
    OPEN = "live-open"
    OPENED = "live-opened"
    ASK = "live-ask"
    FEED = "live-feed"
    CONTOUR_ASK = "live-contour-ask"
    CONTOUR = "live-contour"
    DEED = "live-deed"
    ACTED = "live-acted"
    ABOUT_ASK = "live-about-ask"
    ABOUT = "live-about"
    # on the map, and how it is shown
    FIT = "live-fit"
    FOLLOW = "live-follow"
    EDGE = "live-edge"
    LABEL = "live-label"
    COLOUR = "live-colour"
    COLUMNS = "live-columns"
    COLUMNS_FIELD = "live-columns-field"


def map_word(layout: str) -> str:
    """How users read the kind of a map.

    >>> map_word("mspc")
    'T² and SPE'
    """
    return MAPS.get(layout, layout)


def page() -> html.Div:
    return html.Div(
        [
            html.H1("Streaming", className="sr-only"),
            dcc.Store(id=Ids.WANT),
            html.Div(id=Ids.ANNOUNCE, className="sr-only", role="status"),
            _view_bar(),
            _machine(),
            live_alerts.strip(),
            _stage(),
            playback.bar(),
            trend.section(),
            _controls(),
            _status(),
            point.section(),
            _view_settings(),
            detection.section(),
            replay.section(),
            _reset_dialog(),
            export.dialog(),
            viewing.section(),
            playback.section(),
            kiosk.section(),
        ],
        className="streaming",
    )


def _view_bar() -> html.Section:
    return html.Section(
        [
            select("Baseline", Ids.BASELINE, {}),
            html.Div(select("Stream", Ids.STREAM, {}), id=Ids.STREAM_FIELD, hidden=True),
            html.Div(
                html.Span("Connecting", id=Ids.BADGE, className="badge badge-wait"),
                className="badge-place",
            ),
        ],
        className="view-bar",
        **{"aria-label": "What is shown"},
    )


def _machine() -> html.Section:
    return html.Section(
        [
            html.Div(
                "Unknown",
                id=Ids.STATE,
                className="state state-unknown",
                role="status",
            ),
            html.Div(
                [
                    html.Span(id=Ids.SCORE, className="score"),
                    html.Span(id=Ids.HEARD, className="heard"),
                ],
                className="machine-facts",
            ),
        ],
        className="machine",
        **{"aria-label": "The machine"},
    )


def _stage() -> html.Section:
    return html.Section(
        [
            dcc.Graph(
                id=Ids.MAP,
                figure=nothing(),
                config=config(),
                responsive=True,
                className="map",
            ),
            html.Div(id=Ids.EDGE, className="map-edge"),
            html.Div(id=Ids.LABEL, className="map-label", role="tooltip", hidden=True),
            html.Div(
                button("Fit", Ids.FIT, title="Show the baseline and every point near it"),
                className="map-tools",
            ),
            detection.overlay(),
            html.Div(id=Ids.EMPTY, className="empty"),
            html.P(id=Ids.NOTE, className="map-note"),
        ],
        id=Ids.STAGE,
        className="stage stage-loading",
        **{"aria-label": "Map"},
    )


def _controls() -> html.Section:
    return html.Section(
        [
            html.H2("Stream"),
            html.Div(
                [
                    button("Start", Ids.START, disabled=True),
                    button("Pause", Ids.PAUSE, disabled=True),
                    button("Resume", Ids.RESUME, disabled=True),
                    button("Stop", Ids.STOP, disabled=True),
                    button(
                        "Reset …",
                        Ids.RESET,
                        kind="danger",
                        disabled=True,
                        **{"data-opens": Ids.RESET_DIALOG.value},
                    ),
                ],
                className="buttons",
            ),
            export.opener(),
        ],
        className="card controls",
    )


def _status() -> html.Section:
    return html.Section(
        [
            html.H2("Points"),
            html.P(
                [
                    html.Span("–", id=Ids.COUNT, className="count"),
                    html.Span(id=Ids.PERCENT, className="percent"),
                ],
                className="count-line",
            ),
            html.Div(
                html.Div(id=Ids.BAR, className="bar-fill"),
                id=Ids.BAR_FIELD,
                className="bar",
                hidden=True,
            ),
            html.Dl(
                [
                    fact("Last point", Ids.LAST),
                    fact("Rate", Ids.RATE),
                    fact("Level", Ids.LEVEL),
                    fact("Baseline points", Ids.BASELINE_POINTS),
                    fact("Map", Ids.MAP_KIND),
                ]
            ),
            compare.line(),
        ],
        className="card status",
    )


def _view_settings() -> html.Section:
    """How the stream is shown. `assets/live_view.js` keeps the choices, and in the address."""
    size = dcc.Slider(
        id=Ids.SIZE, min=2, max=12, step=1, value=POINT_SIZE, marks=None, updatemode="drag"
    )
    return html.Section(
        [
            html.H2("View"),
            html.Div(
                [
                    switch("Follow the newest points", Ids.FOLLOW),
                    switch("Contours", Ids.CONTOURS, checked=True),
                    select("Colour", Ids.COLOUR, COLOURS, PLAIN),
                ],
                className="view-part",
            ),
            field("Point size", size, for_=Ids.SIZE),
            html.Div(
                [
                    compare.choice(),
                    field("Ring the newest", _number(Ids.GLOW, GLOW, 0, 1000, 1), for_=Ids.GLOW),
                    html.Fieldset(
                        [
                            html.Legend("Say of a point"),
                            html.Div(id=Ids.COLUMNS, className="checks"),
                        ],
                        id=Ids.COLUMNS_FIELD,
                        className="columns",
                        hidden=True,
                    ),
                    switch("Refresh by itself", Ids.AUTO, checked=True),
                    field(
                        "every (s)",
                        _number(Ids.INTERVAL, INTERVAL_SECONDS, 0.5, 10, 0.5),
                        for_=Ids.INTERVAL,
                    ),
                    button("Refresh now", Ids.REFRESH),
                ],
                className="view-part",
            ),
        ],
        className="card view",
    )


def _number(id: str, value: float, least: float, most: float, step: float) -> Input:
    limits = {"min": least, "max": most, "step": step}
    return Input(id=id, type="number", value=value, className="input short", **limits)


def _reset_dialog() -> html.Dialog:
    return confirmation(
        Ids.RESET_DIALOG,
        "Reset this stream?",
        html.P(id=Ids.RESET_TEXT),
        button("Reset", Ids.RESET_CONFIRM, kind="danger", **{"data-closes": ""}),
        export.before_reset(),
    )
