"""What came of a rule that was tried on history: a timeline of the run, and a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import html

from dinsight.alerts.words import link
from dinsight.back_trial import duration
from layouts.alert_words import local, severity, times_words
from layouts.components import cell, table
from layouts.sparkline import HEIGHT, LIMIT, height
from layouts.static_markup import markup

Json = dict[str, Any]
MOST_ROWS = 50  # of the table
HEAD = ("Start", "Duration", "Peak", "Severity", "")


@dataclass(frozen=True)
class Score:
    """The highest score of a run, piece by piece: for each the seq and the time (seconds since
    1970) that it begins at, and the score as a share of the limit that the rule looks at.
    """

    first: int
    pieces: Sequence[tuple[int, float, float]]


@dataclass(frozen=True)
class Scale:
    """Where in the timeline a point is, in per cent: by its time, or by its place in the run.

    >>> of = {"began_at": "2026-05-01T12:00:00Z", "ended_at": "2026-05-01T12:10:00Z", "rows": 5}
    >>> Scale.of(of | {"at_once": False}, 1).place(2, _seconds("2026-05-01T12:05:00Z"))
    50.0
    >>> Scale.of(of | {"at_once": True}, 1).place(2, 0.0)
    25.0
    """

    began: float
    long: float
    by_row: bool

    @classmethod
    def of(cls, result: Json, first: int) -> Scale:
        if result["at_once"]:
            return cls(first, max(1, result["rows"] - 1), True)
        began = _seconds(result["began_at"])
        return cls(began, max(1e-6, _seconds(result["ended_at"]) - began), False)

    def place(self, seq: int, at: float) -> float:
        share = ((seq if self.by_row else at) - self.began) / self.long
        return round(100 * min(1.0, max(0.0, share)), 2)


def result(trial: Json, score: Score) -> str:
    """All of it but the sentence, as HTML; nothing of a run without points."""
    found = trial["result"]
    if not found["rows"]:
        return ""
    scale = Scale.of(found, score.first)
    parts: list[Any] = [_timeline(trial, score, scale), html.P(_live(found), className="hint")]
    if found["listed"]:
        rows = [_row(trial, alert) for alert in enumerate(found["listed"][:MOST_ROWS])]
        parts.append(html.Div(table(HEAD, rows), className="trial-table"))
    if found["alerts"] > MOST_ROWS:
        more = f"The first {MOST_ROWS} of {found['alerts']:,} are listed."
        parts.append(html.P(more, className="hint"))
    return markup(parts)


def _timeline(trial: Json, score: Score, scale: Scale) -> html.Div:
    found = trial["result"]
    line = html.Div(
        [
            html.Div(className="trial-score", style={"clipPath": area(score, scale)}),
            html.Div(className="trial-limit", style={"top": f"{100 * LIMIT / HEIGHT:g}%"}),
            *(_mark(trial, alert, scale) for alert in enumerate(found["listed"])),
        ],
        className="trial-line",
        role="img",
        **{"aria-label": words(found)},
    )
    return html.Div(
        [
            line,
            html.Div(
                [_local(found["began_at"]), _local(found["ended_at"])], className="day-ends hint"
            ),
            html.P(
                [
                    html.Span("Highest score", className="trial-key-score"),
                    html.Span("Limit", className="trial-key-limit"),
                    html.Span("Alert", className="trial-key-alert"),
                ],
                className="trial-key hint",
                **{"aria-hidden": "true"},
            ),
        ]
    )


def area(score: Score, scale: Scale) -> str:
    """The outline of the score as CSS has it: the space under it, from the left to the right.

    >>> of = {"rows": 3, "at_once": True}
    >>> area(Score(1, [(1, 0.0, 0.0), (2, 1.0, 1.0)]), Scale.of(of, 1))
    'polygon(0% 100%, 0.0% 100.0%, 50.0% 100.0%, 50.0% 40.0%, 100% 40.0%, 100% 100%)'
    """
    corners, before = ["0% 100%"], None
    for seq, at, share in score.pieces:
        x, y = scale.place(seq, at), round(100 * height(share) / HEIGHT, 1)
        if before is not None:
            corners.append(f"{x}% {before}%")
        corners.append(f"{x}% {y}%")
        before = y
    last = [] if before is None else [f"100% {before}%"]
    return f"polygon({', '.join([*corners, *last, '100% 100%'])})"


def _mark(trial: Json, numbered: tuple[int, Json], scale: Scale) -> html.Span:
    number, alert = numbered
    found = trial["result"]
    left = scale.place(alert["opened_seq"], _seconds(alert["opened_at"]))
    right = 100.0
    if alert["cleared_seq"] is not None:
        right = scale.place(alert["cleared_seq"], _seconds(alert["cleared_at"]))
    return html.Span(
        className=f"trial-mark trial-mark-{trial['rule']['severity']}",
        title=f"Alert {number + 1}: {lasted(alert, found)}",
        style={"left": f"{left}%", "width": f"{max(0.0, right - left):.2f}%"},
        **{"data-trial-mark": str(number)},
    )


def words(found: Json) -> str:
    """The timeline for those who do not see it.

    >>> alert = {"opened_at": "2026-05-01T12:05:00Z"}
    >>> of = {"began_at": "2026-05-01T12:00:00Z", "ended_at": "2026-05-01T12:10:00Z"}
    >>> words(of | {"alerts": 1, "listed": [alert]})
    'Timeline from 2026-05-01 12:00 to 2026-05-01 12:10 UTC: 1 alert, at 2026-05-01 12:05'
    """
    began, ended = _clock(found["began_at"]), _clock(found["ended_at"])
    shown = [_clock(alert["opened_at"]) for alert in found["listed"][:5]]
    more = [f"{found['alerts'] - 5:,} more"] if found["alerts"] > 5 else []
    many = f"{found['alerts']:,} alert{'s' * (found['alerts'] != 1)}"
    where = f", at {', '.join([*shown, *more])}" if shown else ""
    return f"Timeline from {began} to {ended} UTC: {many}{where}"


def lasted(alert: Json, found: Json) -> str:
    """How long an alert would have lasted.

    >>> alert = {"opened_seq": 5, "opened_at": "2026-05-01T12:00:00Z"}
    >>> over = {"cleared_seq": 9, "cleared_at": "2026-05-01T12:01:30Z"}
    >>> lasted(alert | over, {"at_once": False}), lasted(alert | over, {"at_once": True})
    ('1 min 30 s', '4 rows')
    >>> lasted(alert | {"cleared_seq": None, "cleared_at": None}, {"at_once": True})
    'to the end'
    """
    if alert["cleared_seq"] is None:
        return "to the end"
    if found["at_once"]:
        rows = alert["cleared_seq"] - alert["opened_seq"]
        return f"{rows:,} row{'s' * (rows != 1)}"
    return duration(_seconds(alert["cleared_at"]) - _seconds(alert["opened_at"]))


def _row(trial: Json, numbered: tuple[int, Json]) -> html.Tr:
    number, alert = numbered
    moment = link(trial["baseline_id"], trial["stream"], trial["epoch"], alert["opened_seq"])
    times = f", {times_words(alert['times'])}" if alert["times"] > 1 else ""
    see = html.A(
        ["See it", html.Span(f": alert {number + 1}, opens in a new tab", className="sr-only")],
        href=moment,
        target="_blank",
        className="button small",
    )
    return html.Tr(
        [
            cell("Start", _local(alert["opened_at"])),
            cell("Duration", f"{lasted(alert, trial['result'])}{times}"),
            cell("Peak", f"{alert['peak']:.2f}"),
            cell("Severity", severity(trial["rule"]["severity"])),
            html.Td(see),
        ],
        **{"data-trial-row": str(number)},
    )


def _live(found: Json) -> str:
    """What those in force have raised on the same rows.

    >>> _live({"live": {"alerts": 2}}), _live({"live": {"alerts": 0}})
    ('The rules in force raised 2 alerts then.', 'The rules in force raised no alert then.')
    """
    many = found["live"]["alerts"]
    said = f"{many:,} alert{'s' * (many != 1)}" if many else "no alert"
    return f"The rules in force raised {said} then."


def _local(text: str) -> html.Time:
    return local(dt.datetime.fromisoformat(text))


def _clock(text: str) -> str:
    return f"{dt.datetime.fromisoformat(text):%Y-%m-%d %H:%M}"


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()
