"""The report card of a baseline, in words for people: `dinsight.report_card` in, a panel out."""

from __future__ import annotations

import datetime as dt
from typing import Any

from dash import dcc, html

from layouts.components import moment, pace
from layouts.streaming import map_word

PATH = "/dashboard/baselines"
TITLE = "baselines-report-title"
# Of the worst finding: the word, the class of its badge, and what it comes to.
VERDICTS = {
    "problem": ("Look at it first", "failed", "Something in it is probably not normal operation."),
    "warning": ("Usable, with care", "care", "It works; what limits it stands below."),
    "info": ("Good", "ready", "Nothing has to be done."),
}
WORDS = {"problem": "Problem", "warning": "Warning", "info": "Note"}

YEAR, HARDLY_EVER = 365, 99 * 365  # days

Card = dict[str, Any]


def panel(card: Card) -> html.Section:
    worst = card["findings"][0]["severity"] if card["findings"] else "info"
    word, kind, comes_to = VERDICTS[worst]
    return _panel(
        card["name"],
        html.P(
            [
                html.Span(word, className=f"baselines-state baselines-{kind}"),
                html.Span(comes_to),
            ],
            className="report-verdict",
        ),
        html.Div(
            [
                html.Div([html.H3("What it promises"), *_promises(card)]),
                html.Div([html.H3("What it is made of"), _facts(card)]),
            ],
            className="report-columns",
        ),
        html.H3("What to know"),
        _findings(card["findings"]),
        _steadiness(card["drift"]["blocks"]),
    )


def absent(name: str, sentence: str) -> html.Section:
    """Why there is no card: not fitted yet, failed, or no such baseline."""
    return _panel(name, html.P(sentence))


def times(per_day: float) -> str:
    """How often something happens, as people say it.

    >>> times(2.34), times(0.98), times(0.02), times(0.001), times(0.0)
    ('2.3 a day', 'once a day', 'once in 50 days', 'once in 2.7 years', 'hardly ever')
    """
    if per_day * HARDLY_EVER <= 1.0:
        return "hardly ever"
    if per_day >= 1.05:
        return f"{per_day:,.1f} a day" if per_day < 10 else f"{per_day:,.0f} a day"
    days = round(1.0 / per_day)
    if days > YEAR:
        return f"once in {days / YEAR:.2g} years"
    return "once a day" if days <= 1 else f"once in {days} days"


def _panel(name: str, *parts: Any) -> html.Section:
    return html.Section(
        [
            html.Div(
                [
                    html.H2(f"Report card: {name}", id=TITLE, tabIndex=-1),
                    dcc.Link("Close", href=PATH, className="button small"),
                ],
                className="report-head",
            ),
            *parts,
        ],
        className="card report",
        **{"aria-labelledby": TITLE},
    )


def _promises(card: Card) -> list[Any]:
    """False alarms, of the baseline in general and of each stream whose rate or setting differs."""
    usual = card["false_alarms_per_day"]
    lines = [_promise("A healthy machine", usual)]
    for stream in card["streams"]:
        expected = stream["false_alarms_per_day"]
        if expected not in (None, usual):
            lines.append(_promise(f"The stream {stream['stream']}", expected))
    return [
        html.P("False alarms to expect, and the range in which they are with 90\u00a0% certainty:"),
        html.Dl(lines),
    ]


def _promise(what: str, expected: Card) -> html.Div:
    """How often, and the 90 % interval of that."""
    return html.Div(
        [
            html.Dt(f"{what}, {pace(expected['rows_per_second'])}"),
            html.Dd(
                [
                    html.Span(times(expected["expected"]), className="strong"),
                    html.Span(
                        f"{times(expected['low'])} to {times(expected['high'])}", className="hint"
                    ),
                ]
            ),
        ],
        className="fact",
    )


def _facts(card: Card) -> html.Dl:
    different = card["rows"] - card["duplicates"]["count"]
    facts: dict[str, Any] = {
        "Rows": f"{card['rows']:,}",
        "Rows that count, all different": f"{different:,}",
        "Features": f"{card['features']:,}",
        "Features that do not move": f"{card['dead_columns']['count']:,}",
        "Rows that may not be healthy": f"{card['contamination']['count']:,}",
        "Map": map_word(card["map"]),
        "Fitted": _fitted(card["fitted_at"], card["fit_seconds"]),
    }
    return html.Dl(
        [
            html.Div([html.Dt(name), html.Dd(value)], className="fact")
            for name, value in facts.items()
        ]
    )


def _fitted(at: dt.datetime, seconds: float) -> list[Any]:
    return [moment(at), f", in {seconds:,.1f}\u00a0s"]


def _findings(findings: list[dict[str, str]]) -> Any:
    if not findings:
        return html.P("Nothing stands out: enough different rows, steady, and no dead columns.")
    return html.Ul([_finding(finding) for finding in findings], className="report-findings")


def _finding(finding: dict[str, str]) -> html.Li:
    severity = finding["severity"]
    return html.Li(
        [
            html.Span(WORDS[severity], className=f"report-word report-{severity}"),
            html.Div(
                [
                    html.P(finding["message"]),
                    html.P(finding["action"], className="report-action"),
                ]
            ),
        ]
    )


def _steadiness(blocks: list[Card]) -> html.Details:
    """How each part of the recording scores when the map has not seen it."""
    body = [
        html.Tr(
            [
                html.Td(f"{block['first_row']:,} to {block['last_row']:,}"),
                html.Td(f"{block['median_score']:.2f}"),
                html.Td(f"{block['over_limit']:.1%}"),
            ]
        )
        for block in blocks
    ]
    head = ("Rows", "Median score", "Over the limit")
    return html.Details(
        [
            html.Summary("How steady the recording was"),
            html.P(
                "The recording in parts, in the order of time, each scored as if it were new. "
                "Parts that score alike are a steady machine.",
                className="hint",
            ),
            html.Table(
                [
                    html.Thead(html.Tr([html.Th(text, scope="col") for text in head])),
                    html.Tbody(body),
                ]
            ),
        ],
        className="report-steadiness",
    )
