"""The dialog that a stream's points are exported from, and the links to it and to the report."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from dash import html

from layouts.components import button, field, select, switch
from layouts.static_markup import Input

REPORT = "/dashboard/report"
RUN, WINDOW, EVERYTHING = "run", "window", "all"
FORMATS = {"csv": "CSV", "parquet": "Parquet", "jsonl": "JSON Lines"}
CHOICES = {RUN: "Present run", WINDOW: "Time window", EVERYTHING: "All that is kept"}


@enum.unique
class Ids(enum.StrEnum):
    OPEN = "export-open"
    FIRST = "export-first"
    DIALOG = "export-dialog"
    FORMAT = "export-format"
    WHAT = "export-what"
    WINDOW = "export-window"
    FROM = "export-from"
    TO = "export-to"
    READINGS = "export-readings"
    ABOUT = "export-about"
    LINK = "export-link"
    REPORT = "export-report"
    # the script's question and its answer
    ASK = "export-ask"
    ANSWER = "export-answer"


def opener() -> html.Div:
    """What is taken along of a stream: its points, or a page about it."""
    return html.Div(
        [
            button("Export …", Ids.OPEN, **{"data-opens": Ids.DIALOG.value}),
            html.A("Report", id=Ids.REPORT, href=REPORT, target="_blank", className="button"),
        ],
        className="take-along",
    )


def before_reset() -> html.Button:
    """Leads from the question of a reset to the export."""
    opens = {"data-opens": Ids.DIALOG.value, "data-closes": ""}
    return button("Export first …", Ids.FIRST, **opens)


def dialog() -> html.Dialog:
    return html.Dialog(
        [
            html.H2("Export"),
            html.Div(
                [select("What", Ids.WHAT, CHOICES), select("Format", Ids.FORMAT, FORMATS)],
                className="one-line",
            ),
            html.Div(
                [_moment("From", Ids.FROM), _moment("To, not included", Ids.TO)],
                id=Ids.WINDOW,
                className="one-line",
                hidden=True,
            ),
            html.Div(switch("With all readings", Ids.READINGS), className="one-line"),
            html.P(id=Ids.ABOUT, className="export-about", role="status"),
            html.Div(
                [
                    html.Button("Close", className="button", type="button", **{"data-closes": ""}),
                    html.A("Download", id=Ids.LINK, className="button primary", download=""),
                ],
                className="dialog-buttons",
            ),
        ],
        id=Ids.DIALOG,
        className="dialog dialog-wide",
        **{"aria-label": "Export"},
    )


def choices(epochs: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """What can be exported of a stream with these epochs, the newest first."""
    return [
        *({"label": words, "value": value} for value, words in CHOICES.items()),
        *({"label": _epoch_words(each), "value": str(each["epoch"])} for each in epochs),
    ]


def about(points: int, size: int) -> str:
    """How much an export is.

    >>> about(1, 900), about(41_200, 3_140_000)
    ('1 point, about 1 kB.', '41,200 points, about 3.1 MB.')
    """
    if not points:
        return "No points: the file has only its header."
    return f"{points:,} point{'s' * (points != 1)}, about {_bytes(size)}."


def address(baseline_id: int, asked: dict[str, str]) -> str:
    """Where a browser gets the file."""
    return f"/api/v1/streaming/{baseline_id}/export?{urlencode(asked)}"


def _bytes(size: int) -> str:
    for unit, least in (("GB", 10**9), ("MB", 10**6)):
        if size >= least:
            return f"{size / least:,.1f} {unit}"
    return f"{max(1, round(size / 1000)):,} kB"


def _epoch_words(epoch: dict[str, Any]) -> str:
    words = "present" if epoch["current"] else f"from {epoch['started_at']:%Y-%m-%d %H:%M} UTC"
    return f"Epoch {epoch['epoch']:,}, {words}, {epoch['points']:,} points"


def _moment(label: str, id: str) -> html.Div:
    return field(label, Input(id=id, type="datetime-local", step=1, className="input"), for_=id)
