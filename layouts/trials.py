"""The dialog that a rule, or a sensitivity, is tried on history in before it goes live.

It stands in the document of every page, outside of Dash; a button with `data-trial` opens it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from dash import html

from layouts.components import button, select
from layouts.static_markup import markup

Json = dict[str, Any]
RULE, SENSITIVITY = "rule", "sensitivity"  # what is tried
EMPTY = "No points are stored yet: there is nothing to try it on. Send some first."


@enum.unique
class Ids(enum.StrEnum):
    DIALOG = "trial-dialog"
    TITLE = "trial-title"
    ABOUT = "trial-about"
    CHOICES = "trial-choices"
    RUN = "trial-run"
    SENSITIVITY = "trial-sensitivity"
    SENSITIVITY_FIELD = "trial-sensitivity-field"
    START = "trial-start"
    CANCEL = "trial-cancel"
    BAR = "trial-bar"
    FILL = "trial-fill"
    MESSAGE = "trial-message"
    RESULT = "trial-result"
    USE = "trial-use"
    # the script's questions and their answers
    ASK = "trial-ask"
    TOLD = "trial-told"
    DEED = "trial-deed"
    FOLLOWED = "trial-followed"


def opener(what: str) -> html.Button:
    return button("Try on history …", f"trial-{what}-open", kind="small", **{"data-trial": what})


def dialog() -> html.Dialog:
    return html.Dialog(
        [
            _head(),
            html.Div(id=Ids.ABOUT, className="trial-about"),
            _choices(),
            _progress(),
            html.P(id=Ids.MESSAGE, role="status", className="message", tabIndex="-1"),
            html.Div(id=Ids.RESULT, className="trial-result"),
            html.Div(
                button("Use this rule", Ids.USE, kind="primary", hidden=True),
                className="trial-foot",
            ),
        ],
        id=Ids.DIALOG,
        className="dialog dialog-wide rules-dialog trial-dialog",
        **{"aria-labelledby": Ids.TITLE.value},
    )


def _head() -> html.Div:
    close = html.Button("Close", type="button", className="button small", **{"data-closes": ""})
    title = html.H2("Try on history", id=Ids.TITLE, tabIndex="-1")
    return html.Div([title, close], className="alert-dialog-head")


def _choices() -> html.Div:
    return html.Div(
        [
            html.Div(
                select("False alarms to accept", Ids.SENSITIVITY, {}),
                id=Ids.SENSITIVITY_FIELD,
                hidden=True,
            ),
            select("Stream and run", Ids.RUN, {}),
            button("Try", Ids.START, kind="primary"),
            button("Cancel", Ids.CANCEL, hidden=True),
        ],
        id=Ids.CHOICES,
        className="trial-choices",
        hidden=True,
    )


def _progress() -> html.Div:
    return html.Div(
        html.Div(id=Ids.FILL, className="bar-fill"),
        id=Ids.BAR,
        className="bar trial-bar",
        role="progressbar",
        hidden=True,
        **{"aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100"},
    )


def runs(known: Sequence[Json], looked_at: tuple[str, int]) -> tuple[list[Json], str]:
    """The runs to choose from, and which of them is chosen at first.

    `known` are those with points, the newest first. It is the one that is looked at, else the
    newest of those with the most points.

    >>> import datetime as dt
    >>> at = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
    >>> of = {"stream": "night", "current": False, "first_point_at": at, "last_point_at": at}
    >>> known = [of | {"epoch": 2, "points": 3}, of | {"epoch": 1, "points": 9}]
    >>> options, chosen = runs(known, ("night", 0))
    >>> options[1]["label"], chosen
    ('night, run 1: 9 points, 2026-05-01 12:00 to 12:00 UTC', '1:night')
    >>> runs(known, ("night", 2))[1]
    '2:night'
    """
    offered = [{"label": _run_words(run), "value": run_value(run)} for run in known]
    most = max(known, key=lambda run: int(run["points"]))
    same = (run for run in known if (run["stream"], run["epoch"]) == looked_at)
    return offered, run_value(next(same, most))


def run_value(run: Json) -> str:
    return f"{run['epoch']}:{run['stream']}"


def run_of(value: Any) -> tuple[str, int] | None:
    """The stream and the epoch of a choice; None where it is none.

    >>> run_of("2:night: late"), run_of("night"), run_of(None)
    (('night: late', 2), None, None)
    """
    epoch, _, stream = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (epoch.isascii() and epoch.isdigit()) or not stream:
        return None
    return stream, int(epoch)


def _run_words(run: Json) -> str:
    began, ended = run["first_point_at"], run["last_point_at"]
    until = f"{ended:%H:%M}" if began.date() == ended.date() else f"{ended:%Y-%m-%d %H:%M}"
    present = " (present)" if run["current"] else ""
    many = f"{run['points']:,} point{'s' * (run['points'] != 1)}"
    when = f"{began:%Y-%m-%d %H:%M} to {until} UTC"
    return f"{run['stream']}, run {run['epoch']:,}{present}: {many}, {when}"


def about(what: str, words: str) -> str:
    """What is tried in words, as HTML."""
    lead = "Judged anew, as if it had been set so then. " if what == SENSITIVITY else ""
    return markup([html.P(f"{lead}{words}", className="rules-sentence")])


def refused(sentence: str) -> str:
    """What is to be corrected first, as HTML."""
    return markup([html.P(sentence, className="message error")])
