"""The streaming page: the map, and beside it what the stream does and how it is shown."""

from __future__ import annotations

import enum

import dash_bootstrap_components as dbc
from dash import dcc, html

from layouts import detection
from layouts.components import button, fact, field
from layouts.figures import POINT_SIZE, config, nothing

INTERVAL_SECONDS, GLOW = 2.0, 10


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
    # the path of the data: want -> view; tick -> ask -> feed
    WANT = "live-want"
    VIEW = "live-view"
    TICK = "live-tick"
    ASK = "live-ask"
    FEED = "live-feed"
    CONTOUR_ASK = "live-contour-ask"
    CONTOUR = "live-contour"
    ACTED = "live-acted"


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
            _stores(),
            _view_bar(),
            _machine(),
            _stage(),
            _controls(),
            _status(),
            _view_settings(),
            detection.section(),
            _reset_dialog(),
        ],
        className="streaming",
    )


def _stores() -> html.Div:
    stores = (Ids.WANT, Ids.VIEW, Ids.ASK, Ids.FEED, Ids.CONTOUR_ASK, Ids.CONTOUR, Ids.ACTED)
    return html.Div(
        [
            *(dcc.Store(id=id) for id in stores),
            dcc.Interval(id=Ids.TICK, interval=int(INTERVAL_SECONDS * 1000)),
            html.Div(id=Ids.ANNOUNCE, className="sr-only", role="status"),
        ],
        className="stores",
    )


def _view_bar() -> html.Section:
    return html.Section(
        [
            field(
                "Baseline",
                dbc.Select(id=Ids.BASELINE, options=[], placeholder="Choose …", class_name="input"),
                for_=Ids.BASELINE,
            ),
            html.Div(
                field(
                    "Stream",
                    dbc.Select(id=Ids.STREAM, options=[], class_name="input"),
                    for_=Ids.STREAM,
                ),
                id=Ids.STREAM_FIELD,
                hidden=True,
            ),
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
        ],
        className="card status",
    )


def _view_settings() -> html.Section:
    kept = {"persistence": True, "persistence_type": "local"}
    return html.Section(
        [
            html.H2("View"),
            dbc.Switch(id=Ids.CONTOURS, label="Contours", value=True, **kept),
            field(
                "Point size",
                dcc.Slider(
                    id=Ids.SIZE,
                    min=2,
                    max=12,
                    step=1,
                    value=POINT_SIZE,
                    marks=None,
                    updatemode="drag",
                    **kept,
                ),
                for_=Ids.SIZE,
            ),
            field(
                "Ring the newest",
                dbc.Input(
                    id=Ids.GLOW,
                    type="number",
                    min=0,
                    max=1000,
                    step=1,
                    value=GLOW,
                    class_name="input short",
                ),
                for_=Ids.GLOW,
            ),
            dbc.Switch(id=Ids.AUTO, label="Refresh by itself", value=True, **kept),
            field(
                "every (s)",
                dbc.Input(
                    id=Ids.INTERVAL,
                    type="number",
                    min=0.5,
                    max=10,
                    step=0.5,
                    value=INTERVAL_SECONDS,
                    class_name="input short",
                    **kept,
                ),
                for_=Ids.INTERVAL,
            ),
            button("Refresh now", Ids.REFRESH),
        ],
        className="card view",
    )


def _reset_dialog() -> html.Dialog:
    return html.Dialog(
        [
            html.H2("Reset this stream?"),
            html.P(id=Ids.RESET_TEXT),
            html.Div(
                [
                    html.Button("Cancel", className="button", **{"data-closes": ""}),
                    button("Reset", Ids.RESET_CONFIRM, kind="danger", **{"data-closes": ""}),
                ],
                className="dialog-buttons",
            ),
        ],
        id=Ids.RESET_DIALOG,
        className="dialog",
        **{"aria-label": "Reset this stream?"},
    )
