"""The panel of one point: why it is where it is, after a click on the map or the trend."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from layouts.components import field, moment
from layouts.figures import nothing
from layouts.static_markup import Input, markup

MOST_METADATA = 100  # rows of the table


@enum.unique
class Ids(enum.StrEnum):
    PANEL = "point"
    TITLE = "point-title"
    WAIT = "point-wait"
    SAID = "point-said"
    BODY = "point-body"
    TOP = "point-top"
    TIME = "point-time"
    SPECTRUM = "point-spectrum"
    SPECTRUM_PLACE = "point-spectrum-place"
    REST = "point-rest"
    ASK = "point-ask"
    ANSWER = "point-answer"
    FIRST = "point-first"
    LAST = "point-last"
    NOTE = "point-note"
    PROPOSE = "point-propose"


def section() -> html.Details:
    return html.Details(
        [
            html.Summary(
                [
                    html.Span(["Point ", html.Span(id=Ids.TITLE)]),
                    html.Span("click one on the map or the trend", className="point-hint"),
                ]
            ),
            html.Div(
                [
                    _go("Previous", "previous"),
                    _go("Next", "next"),
                    _go("Newest", "newest"),
                    _go("Worst of the last 100", "worst"),
                    _go("Close", "close"),
                ],
                className="point-buttons",
            ),
            html.P(id=Ids.WAIT, className="point-wait", role="status"),
            html.P(id=Ids.SAID, className="sr-only", role="status"),
            html.Div(
                [
                    html.Div(id=Ids.TOP),
                    html.Div(
                        dcc.Graph(
                            id=Ids.SPECTRUM,
                            figure=nothing(),
                            config={"displayModeBar": False, "responsive": True},
                            responsive=True,
                        ),
                        id=Ids.SPECTRUM_PLACE,
                        className="point-spectrum",
                    ),
                    html.Div(id=Ids.REST),
                ],
                id=Ids.BODY,
                className="point-body",
                hidden=True,
            ),
        ],
        id=Ids.PANEL,
        className="card point",
    )


def top(found: dict[str, Any]) -> str:
    """What is read first of an explanation (`dinsight.diagnosis`), as HTML: sentence and facts."""
    times = found["score"] / found["alarm_limit"]
    facts = [
        ("Score", f"{times:,.3g} × its limit"),
        ("Level", found["level"]),
        ("Time", html.Span(moment(found["created_at"], seconds=True), id=Ids.TIME)),
        ("File", found["source_file"]),
    ]
    return markup(
        [
            html.P(found["sentence"], className="point-sentence"),
            html.Dl([_fact(name, value) for name, value in facts]),
        ]
    )


def rest(found: dict[str, Any]) -> str:
    """What stands under the spectrum, as HTML: bands, the nearest baseline row, the metadata."""
    return markup(
        [
            *_bands(found["bands"]),
            *_nearest(found["nearest"]),
            *_metadata("Metadata", found["metadata"]),
            _proposal(found),
        ]
    )


def refused(sentence: str) -> str:
    """Why there is nothing to tell, as HTML."""
    return markup([html.P(sentence, className="point-sentence")])


def _proposal(found: dict[str, Any]) -> html.Details:
    """Rows to propose as normal: those of the point's episode, until others are named."""
    episode = found["episode"]
    names = {"baseline": found["baseline_id"], "stream": found["stream"], "epoch": found["epoch"]}
    more = {f"data-{name}": str(value) for name, value in names.items()}
    return html.Details(
        [
            html.Summary("Propose as new normal …"),
            html.P(
                "Where the machine changed and is well: these rows wait for review, and nothing "
                "changes until a new version of the baseline is adopted.",
                className="hint",
            ),
            html.Div(
                [
                    field("From point", _number(Ids.FIRST, episode["first"]), for_=Ids.FIRST),
                    field("to point", _number(Ids.LAST, episode["last"]), for_=Ids.LAST),
                ],
                className="point-span",
            ),
            field(
                "Note",
                Input(id=Ids.NOTE, type="text", maxLength=500, className="input"),
                for_=Ids.NOTE,
            ),
            html.Button(
                "Propose",
                id=Ids.PROPOSE,
                className="button small",
                type="button",
                **{"data-propose": ""},
                **more,
            ),
        ],
        className="point-proposal",
    )


def _number(id: str, value: int) -> Input:
    return Input(id=id, type="number", min=1, step=1, value=value, className="input")


def _go(text: str, where: str) -> html.Button:
    return html.Button(
        text, className="button small", type="button", disabled=True, **{"data-point": where}
    )


def _fact(name: str, value: Any) -> html.Div:
    return html.Div([html.Dt(name), html.Dd(value)], className="fact")


def _bands(bands: Sequence[dict[str, Any]]) -> list[Any]:
    if not bands:
        return []
    items = [
        html.Li(
            [
                html.Span(band["label"], className="band-label"),
                html.Span(f"{'▲ higher' if band['z'] > 0 else '▼ lower'}, {band['share']:.0%}"),
            ]
        )
        for band in bands
    ]
    return [
        html.H3("Bands, with their share of the score"),
        html.Ol(items, className="bands"),
    ]


def _nearest(nearest: dict[str, Any] | None) -> list[Any]:
    if nearest is None:
        return []
    title = f"Nearest baseline row: {nearest['row']:,}"
    return [
        html.H3(title),
        html.P(f"{nearest['distance']:.3g} spreads away; the square on the map.", className="hint"),
        *_metadata("Its metadata", nearest["metadata"]),
    ]


def _metadata(title: str, metadata: dict[str, Any]) -> list[Any]:
    if not metadata:
        return []
    rows = [_fact(name, str(value)) for name, value in list(metadata.items())[:MOST_METADATA]]
    left_out = len(metadata) - len(rows)
    more = [html.P(f"and {left_out:,} more", className="hint")] if left_out > 0 else []
    return [html.H3(title), html.Dl(rows), *more]
