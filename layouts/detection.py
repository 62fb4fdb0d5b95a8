"""The Detection panel: what counts as normal, the areas on the map, how sensitive alarms are."""

from __future__ import annotations

import enum
from typing import Any

from dash import html

from dinsight.areas import NAME_LENGTH
from dinsight.models import Json
from dinsight.sensitivity import CHOICES, DEFAULT, few
from layouts import trials
from layouts.components import button, confirmation, field, pace, radios, select
from layouts.static_markup import Input

CALIBRATED, PRESENT = "calibrated", "present"
NEAR = 0.1  # of a choice: what a stream has now may differ from it by its rate alone
MODES = {"score": "By score", "areas": "By normal areas"}
SHAPES = {"rectangle": "Rectangle", "ellipse": "Ellipse", "lasso": "Lasso"}
HOLDS = "It holds for new points; stored ones keep their levels."


@enum.unique
class Ids(enum.StrEnum):
    PANEL = "detect-panel"
    OVERLAY = "detect-overlay"
    MODE = "detect-mode"
    COUNTS = "detect-counts"
    NORMAL = "detect-normal"
    ANOMALOUS = "detect-anomalous"
    ABOUT = "detect-about"
    AREAS_FIELD = "detect-areas-field"
    RECTANGLE = "detect-rectangle"
    ELLIPSE = "detect-ellipse"
    LASSO = "detect-lasso"
    LIST = "detect-list"
    EDITOR = "detect-editor"
    EDITOR_HINT = "detect-editor-hint"
    CORNERS = "detect-corners"
    ROUND = "detect-round"
    X0 = "detect-x0"
    X1 = "detect-x1"
    Y0 = "detect-y0"
    Y1 = "detect-y1"
    X = "detect-x"
    Y = "detect-y"
    RX = "detect-rx"
    RY = "detect-ry"
    ANGLE = "detect-angle"
    NAME = "detect-name"
    SAVE = "detect-save"
    CANCEL = "detect-cancel"
    DELETE_DIALOG = "detect-delete-dialog"
    DELETE_TEXT = "detect-delete-text"
    DELETE_CONFIRM = "detect-delete-confirm"
    SENSITIVITY = "detect-sensitivity"
    COST = "detect-cost"
    # the script's questions and their answers
    ASK = "detect-ask"
    AREAS = "detect-areas"
    TALLY_ASK = "detect-tally-ask"
    TALLY = "detect-tally"
    WISH = "detect-wish"
    DONE = "detect-done"
    SENSE = "detect-sense"
    SENSED = "detect-sensed"


NUMBERS = {
    Ids.X0: "Left",
    Ids.X1: "Right",
    Ids.Y0: "Bottom",
    Ids.Y1: "Top",
    Ids.X: "Centre, across",
    Ids.Y: "Centre, up",
    Ids.RX: "Half width",
    Ids.RY: "Half height",
    Ids.ANGLE: "Turned by (°)",
}


def section() -> html.Details:
    return html.Details(
        [
            html.Summary(html.H2("Detection")),
            _mode(),
            _areas(),
            _sensitivity(),
            button("Alert rules …", "detect-rules", **{"data-rules": ""}),
            _delete_dialog(),
        ],
        id=Ids.PANEL,
        open=True,
        className="card detection",
    )


def overlay() -> html.Div:
    """Where an area is drawn until it is saved: over the plot, which redraws itself as it likes."""
    return html.Div(id=Ids.OVERLAY, className="draw-overlay")


def _mode() -> html.Div:
    return html.Div(
        [
            html.Div(
                radios(Ids.MODE, MODES, "score"),
                role="group",
                **{"aria-label": "What tells normal points from anomalous ones"},
            ),
            html.P(
                [
                    html.Span("– normal", id=Ids.NORMAL, className="key key-normal"),
                    html.Span("– anomalous", id=Ids.ANOMALOUS, className="key key-anomalous"),
                ],
                id=Ids.COUNTS,
                className="counts",
            ),
            html.P(id=Ids.ABOUT, className="hint"),
        ]
    )


def _areas() -> html.Div:
    draw = {"rectangle": Ids.RECTANGLE, "ellipse": Ids.ELLIPSE, "lasso": Ids.LASSO}
    buttons = [
        button(SHAPES[kind], id, **{"aria-pressed": "false", "data-draws": kind})
        for kind, id in draw.items()
    ]
    return html.Div(
        [
            html.H3("Add a normal area"),
            html.Div(buttons, className="draw-buttons"),
            _editor(),
            html.Div(id=Ids.LIST, className="area-list"),
        ],
        id=Ids.AREAS_FIELD,
    )


def _editor() -> html.Div:
    corners, round_ = list(NUMBERS)[:4], list(NUMBERS)[4:]
    name = Input(id=Ids.NAME, type="text", maxLength=NAME_LENGTH, className="input")
    return html.Div(
        [
            html.P(id=Ids.EDITOR_HINT, className="hint", role="status"),
            html.Div([_number(id) for id in corners], id=Ids.CORNERS, className="numbers"),
            html.Div([_number(id) for id in round_], id=Ids.ROUND, className="numbers"),
            field("Name", name, for_=Ids.NAME),
            html.Div(
                [
                    button("Cancel", Ids.CANCEL),
                    button("Save", Ids.SAVE, kind="primary", disabled=True),
                ],
                className="editor-buttons",
            ),
        ],
        id=Ids.EDITOR,
        className="area-editor",
        hidden=True,
    )


def _number(id: Ids) -> html.Div:
    return field(NUMBERS[id], Input(id=id, type="number", step="any", className="input"), for_=id)


def _sensitivity() -> html.Div:
    return html.Div(
        [
            select("False alarms to accept", Ids.SENSITIVITY, {}, disabled=True),
            html.P(id=Ids.COST, className="hint", role="status"),
            trials.opener(trials.SENSITIVITY),
        ],
        className="sensitivity",
    )


def _delete_dialog() -> html.Dialog:
    return confirmation(
        Ids.DELETE_DIALOG,
        "Delete this area?",
        html.P(id=Ids.DELETE_TEXT),
        button("Delete", Ids.DELETE_CONFIRM, kind="danger", **{"data-closes": ""}),
    )


def choices(reach: tuple[float, float], told: Json) -> tuple[list[dict[str, Any]], str]:
    """The options of the select, and which of them a stream has now.

    `reach` are the fewest and the most false alarms a day that its map can promise, `told` is its
    sensitivity as a status says it. What is none of the choices is an option of its own.
    """
    options = [_option(per_day, reach) for per_day in CHOICES]
    options.append({"label": "As calibrated", "value": CALIBRATED})
    if told["sensitivity_factor"] == DEFAULT:
        return options, CALIBRATED
    cost = told["false_alarms_per_day"]
    for per_day in CHOICES:
        if cost and abs(cost["expected"] - per_day) <= NEAR * per_day:
            return options, f"{per_day:g}"
    words = f"About {few(cost['expected'])} a day" if cost else "As set"
    return [*options, {"label": words, "value": PRESENT}], PRESENT


def cost_text(reach: tuple[float, float], told: Json) -> str:
    """What the sensitivity of a stream means, and what its baseline can promise.

    >>> cost = {"expected": 0.512, "low": 0.1, "high": 1.42, "rows_per_second": 2.0}
    >>> cost_text((0.1, 4), {"alarm_limit": 1.125, "false_alarms_per_day": cost})[:75]
    'Alarms above 1.12 times the calibrated limit. A healthy machine then alarms'
    """
    limit = f"{told['alarm_limit']:.3g}"
    said = f"Alarms above {'' if limit == '1' else f'{limit} times '}the calibrated limit."
    if cost := told["false_alarms_per_day"]:
        expected, low, high = (few(cost[name]) for name in ("expected", "low", "high"))
        said += (
            f" A healthy machine then alarms about {expected} times a day ({low} to {high}) "
            f"at {pace(cost['rows_per_second'])}. This baseline can promise from "
            f"{few(reach[0])} to {few(reach[1])}."
        )
    return f"{said} {HOLDS}"


def _option(per_day: float, reach: tuple[float, float]) -> dict[str, Any]:
    fewest, most = reach
    good = fewest <= per_day <= most
    words = f"{per_day:g} a day" if good else f"{per_day:g} a day: not with this baseline"
    return {"label": words, "value": f"{per_day:g}", "disabled": not good}
