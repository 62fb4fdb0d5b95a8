"""The baselines page: upload, what is there, and what can be done to it.

`assets/baselines_upload.js` paints the chosen files and the uploads, `assets/baselines.js` asks for
the list anew, carries presses to the server and, by the ids of the rows' parts, gives back the
focus that a redraw takes.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from layouts.components import button, field, moment
from layouts.streaming import map_word

PATH, STREAMING = "/dashboard/baselines", "/dashboard/streaming"
VERSIONS = "/dashboard/versions"
MIB = 1024 * 1024


@enum.unique
class Ids(enum.StrEnum):
    NEW = "baselines-new"
    DROP = "baselines-drop"
    CHOSEN = "baselines-chosen"
    NAME = "baselines-name"
    KIND = "baselines-kind"
    UPLOAD = "baselines-upload"
    PROBLEM = "baselines-problem"
    UPLOADS = "baselines-uploads"
    SAMPLE = "baselines-sample"
    LIST = "baselines-list"
    TITLE = "baselines-title"
    MESSAGE = "baselines-message"
    REPORT = "baselines-report"
    DIALOG = "baselines-dialog"
    QUESTION = "baselines-question"
    # ask -> list, seen -> followed; wish -> question; deed -> list, seen, message, said
    ASK = "baselines-ask"
    SEEN = "baselines-seen"
    FOLLOWED = "baselines-followed"
    WISH = "baselines-wish"
    DEED = "baselines-deed"
    SAID = "baselines-said"
    CARD = "baselines-card"  # the signature of the report card that is shown


# What each map shows, in the order in which they are offered.
KINDS = {
    "distance": "Rows that are alike lie close together. Good for any machine, ready in seconds.",
    "umap": "Operating modes stand apart as groups. The fit takes longest.",
    "mspc": "How far a row is from normal against how unlike it is: the process engineer's view.",
}
WHAT = (
    "A baseline is a CSV of your machine in normal operation, one row a reading. Every row that "
    "the machine sends later is placed on its map, and scored by how far it is from normal."
)
EXAMPLE = "time,f_0,f_1,f_2\n06:30:00,0.12,1.5,0.8\n06:30:02,0.13,1.4,0.7"


@dataclass(frozen=True)
class Refit:
    """The last refit: as what, how far, or why it failed.

    `version` is a new one's number, `kept` that of one that is not in force and is fitted anew.
    """

    layout: str
    under_way: bool
    progress: int
    message: str
    error: str | None
    version: int | None = None
    kept: int | None = None


@dataclass(frozen=True)
class Row:
    """A baseline as the list shows it; `owner` is empty where it is who looks."""

    id: int
    name: str
    status: str
    progress: int
    message: str
    error: str | None
    layout: str
    rows: int
    features: int
    created_at: dt.datetime
    streams: int
    points: int
    owner: str
    refit: Refit | None
    version: int = 1
    waiting: int = 0  # rows that are proposed as normal
    review: int | None = None  # a version that waits to be adopted or discarded

    @property
    def busy(self) -> bool:
        return self.fitting or (self.refit is not None and self.refit.under_way)

    @property
    def fitting(self) -> bool:
        return self.status not in {"completed", "failed"}


def page(*, listed: Any, seen: dict[str, Any], everybodys: bool, most_mb: int) -> html.Div:
    return html.Div(
        [
            html.H1("Baselines"),
            *(
                dcc.Store(id=id)
                for id in (Ids.ASK, Ids.FOLLOWED, Ids.WISH, Ids.DEED, Ids.SAID, Ids.CARD)
            ),
            dcc.Store(id=Ids.SEEN, data=seen),
            html.Div(id=Ids.REPORT),
            _new(most_mb),
            html.Section(
                [
                    html.H2(
                        "All baselines" if everybodys else "Your baselines",
                        id=Ids.TITLE,
                        tabIndex=-1,
                    ),
                    html.A("New baseline", href=f"#{Ids.NEW}", className="baselines-jump"),
                    html.P(id=Ids.MESSAGE, role="alert", className="message error"),
                    html.Div(listed, id=Ids.LIST),
                ],
                className="card baselines-all",
            ),
            html.Dialog(
                html.Div(id=Ids.QUESTION),
                id=Ids.DIALOG,
                className="dialog",
                **{"aria-labelledby": "baselines-asked"},
            ),
        ],
        className="baselines",
    )


def _new(most_mb: int) -> html.Section:
    """The form; what is chosen, what is wrong and what is under way are painted into it."""
    hint = f"One or several files with the same header, {most_mb:,} MiB together at most."
    return html.Section(
        [
            html.H2("New baseline"),
            html.Button(
                [
                    html.Span("Choose CSV files", className="baselines-choose"),
                    html.Span("or drop them here", className="hint"),
                ],
                id=Ids.DROP,
                className="baselines-drop",
                type="button",
                **{"aria-describedby": f"{Ids.DROP}-hint"},
            ),
            html.P(hint, className="hint", id=f"{Ids.DROP}-hint"),
            html.Div(id=Ids.CHOSEN, className="baselines-chosen"),
            field(
                "Name",
                dbc.Input(
                    id=Ids.NAME,
                    type="text",
                    value="",
                    maxlength=200,
                    autocomplete="off",
                    placeholder="that of the file",
                    class_name="input",
                ),
                for_=Ids.NAME,
            ),
            html.Fieldset(
                [
                    html.Legend("Map"),
                    dbc.RadioItems(id=Ids.KIND, options=_kinds(), value="distance"),
                ],
                className="baselines-kinds",
            ),
            html.P(id=Ids.PROBLEM, role="alert", className="message error"),
            button("Upload and fit", Ids.UPLOAD, kind="primary wide"),
            html.Div(id=Ids.UPLOADS, className="baselines-uploads", **{"aria-label": "Uploads"}),
        ],
        id=Ids.NEW,
        className="card",
        **{"data-most-bytes": str(most_mb * MIB)},
    )


def _kinds() -> list[dict[str, Any]]:
    return [
        {"value": kind, "label": [html.Span(map_word(kind)), html.Span(said, className="hint")]}
        for kind, said in KINDS.items()
    ]


def nothing() -> html.Div:
    """What a newcomer reads: what a baseline is, and what file it is made of."""
    return html.Div(
        [
            html.H3("No baseline yet"),
            html.P(WHAT),
            html.P("The file begins with a header, and may have columns of text as well:"),
            html.Pre(html.Code(EXAMPLE), className="baselines-example"),
            html.P(
                "Columns named f_<number> or freq_<Hz> are the readings; where there are none, "
                "every column of numbers is. More than 100 rows make a good map.",
                className="hint",
            ),
            html.P("Choose such a file under New baseline to begin. None at hand?"),
            html.Button(
                "Use the sample machine",
                id=Ids.SAMPLE,
                className="button",
                type="button",
                **{"data-deed": "sample", "data-saying": "The sample machine's rows are made …"},
            ),
        ],
        className="baselines-none",
    )


def rows(listed: Sequence[Row]) -> Any:
    if not listed:
        return nothing()
    return html.Ul([_row(row) for row in listed], id="baselines-rows", className="baselines-rows")


def _row(row: Row) -> html.Li:
    return html.Li(
        [
            html.Div(
                [
                    html.Div(id=part(row, "form"), className="baselines-rename"),
                    html.H3(row.name, id=part(row, "name")),
                    _state(row),
                    html.P(_facts(row), className="hint", id=part(row, "facts")),
                    html.Div(_news(row), id=part(row, "news"), className="baselines-news"),
                ],
                id=part(row, "about"),
                className="baselines-about",
            ),
            html.Div(_acts(row), id=part(row, "acts"), className="baselines-acts"),
        ],
        id=part(row),
        className="baselines-row",
    )


def part(row: Row, name: str = "") -> str:
    return f"baseline-{row.id}-{name}" if name else f"baseline-{row.id}"


def _state(row: Row) -> html.Span:
    """The badge: word, shape, colour."""
    word, kind = {"completed": ("Ready", "ready"), "failed": ("Failed", "failed")}.get(
        row.status, ("Being fitted", "busy")
    )
    if row.status == "completed" and row.busy:
        word, kind = "Ready, being refitted", "busy"
        if row.refit and row.refit.version:
            word = f"Ready, version {row.refit.version} being fitted"
        elif row.refit and row.refit.kept:
            word = f"Ready, version {row.refit.kept} being refitted"
    classes = f"baselines-state baselines-{kind}"
    return html.Span(word, id=part(row, "state"), className=classes)


def _facts(row: Row) -> list[Any]:
    facts: list[Any] = []
    if row.rows:
        facts.append(f"{row.rows:,} rows")
    facts += [counted(row.features, "feature"), f"map: {map_word(row.layout)}"]
    if row.status == "completed":
        facts.append(f"version {row.version}")
        facts.append(holding(row.streams, row.points))
    facts.append(moment(row.created_at))
    if row.owner:
        facts.append(f"of {row.owner}")
    return [html.Span(fact) for fact in facts]


def _news(row: Row) -> list[Any]:
    """What is going on, or went wrong."""
    if row.fitting:
        return _progress(row, f"The fit of {row.name}", row.progress, row.message)
    if row.status == "failed":
        reason = row.error or "The reason is not known."
        return [
            html.P(reason, className="message error", role="alert"),
            html.P("Correct the file and upload it again; this entry can be deleted."),
        ]
    if row.refit and row.refit.under_way:
        told = f"Refit as {map_word(row.refit.layout)}: {row.refit.message}"
        if row.refit.version:
            told = f"Version {row.refit.version}: {row.refit.message}"
        elif row.refit.kept:
            told = f"Refit of version {row.refit.kept}: {row.refit.message}"
        return _progress(row, f"The refit of {row.name}", row.refit.progress, told)
    if row.refit and row.refit.error:
        word = map_word(row.refit.layout)
        said = f"The refit as {word} failed, the map is as it was: {row.refit.error}"
        if row.refit.version:
            said = (
                f"Version {row.refit.version} could not be made, its rows are in the queue again: "
                f"{row.refit.error}"
            )
        elif row.refit.kept:
            said = f"The refit of version {row.refit.kept} failed: {row.refit.error}"
        return [html.P(said, className="message error", role="alert"), *_review(row)]
    return _review(row)


def _review(row: Row) -> list[Any]:
    """What waits for a decision, and leads to where it is made."""
    words = []
    if row.review:
        words.append(f"Version {row.review} waits to be adopted or discarded")
    if row.waiting:
        words.append(f"{counted(row.waiting, 'row')} wait{'s' * (row.waiting == 1)} for review")
    href = f"{VERSIONS}?baseline_id={row.id}"
    return [html.P(dcc.Link(text, href=href)) for text in words]


def _progress(row: Row, label: str, percent: int, message: str) -> list[Any]:
    return [
        html.Div(
            html.Div(className="bar-fill", style={"width": f"{percent}%"}),
            className="bar",
            role="progressbar",
            **{
                "aria-label": label,
                "aria-valuemin": "0",
                "aria-valuemax": "100",
                "aria-valuenow": str(percent),
                "aria-valuetext": f"{percent} %, {message}",
            },
        ),
        html.P(f"{percent} % · {message}" if message else f"{percent} %", id=part(row, "progress")),
    ]


def _acts(row: Row) -> list[Any]:
    acts: list[Any] = []
    if row.status == "completed":
        query = f"?baseline_id={row.id}"
        acts += [
            _link(row, "Open", "open", f"{STREAMING}{query}"),
            _link(row, "Report card", "card", f"{PATH}{query}"),
            _link(row, "Versions", "versions", f"{VERSIONS}{query}"),
            _rules(row),
            _act(row, "Refit …", "refit", disabled=row.busy),
        ]
    acts.append(_act(row, "Rename", "rename"))
    acts.append(_act(row, "Delete …", "delete"))
    return acts


def _rules(row: Row) -> html.Button:
    return html.Button(
        ["Rules …", _of(row)],
        id=part(row, "rules"),
        type="button",
        className="button small",
        **{"data-rules": str(row.id)},
    )


def _link(row: Row, text: str, name: str, href: str) -> dcc.Link:
    return dcc.Link([text, _of(row)], href=href, className="button small", id=part(row, name))


def _act(row: Row, text: str, action: str, **more: Any) -> html.Button:
    return html.Button(
        [text, _of(row)],
        id=part(row, action),
        className="button small",
        type="button",
        **{"data-wish": action, "data-baseline": str(row.id)},
        **more,
    )


def _of(row: Row) -> html.Span:
    return html.Span(f" {row.name}", className="sr-only")


def holding(streams: int, points: int) -> str:
    """
    >>> holding(1, 41200)
    '1 stream, 41,200 points'
    """
    return f"{counted(streams, 'stream')}, {counted(points, 'point')}"


def counted(count: int, word: str) -> str:
    """
    >>> counted(2, "stream"), counted(1, "point")
    ('2 streams', '1 point')
    """
    return f"{count:,} {word}{'' if count == 1 else 's'}"


# ---- what is asked before it is done ----


def ask_delete(row: Row) -> list[Any]:
    lost = f"its {row.rows:,} rows, the map and the report card" if row.rows else "the upload"
    also = [html.Strong(holding(row.streams, row.points)), ", "] if row.streams else []
    return [
        html.H2(f"Delete {row.name}?", id="baselines-asked"),
        html.P(["This deletes ", *also, lost, ". It cannot be undone."]),
        *_senders(row),
        _buttons(_deed(row, "Delete", "delete", kind="danger")),
    ]


def ask_refit(row: Row) -> list[Any]:
    """Each other map is a button of its own, with what it shows."""
    choices = [
        html.Div(
            [
                _deed(row, f"Refit as {map_word(kind)}", "refit", layout=kind),
                html.P(said, className="hint"),
            ],
            className="baselines-choice",
        )
        for kind, said in KINDS.items()
        if kind != row.layout
    ]
    return [
        html.H2(f"Refit {row.name} as another map?", id="baselines-asked"),
        html.P(
            f"It is drawn as {map_word(row.layout)}, and stays so until the new map is there. "
            "Then every stream goes on in a new epoch on the new map, and the points before "
            f"({row.points:,}) are archived: kept, and no longer shown. If the refit fails, the "
            "map stays as it is."
        ),
        *choices,
        _buttons(),
    ]


def refused(sentence: str) -> list[Any]:
    return [
        html.H2("This cannot be done", id="baselines-asked"),
        html.P(sentence, className="message error", role="alert"),
        _buttons(),
    ]


def _senders(row: Row) -> list[Any]:
    if not row.streams:
        return []
    return [html.P("Senders that still stream to it are refused from then on.", className="hint")]


def _deed(row: Row, text: str, action: str, *, layout: str = "", kind: str = "") -> html.Button:
    return html.Button(
        text,
        className=f"button {kind}".strip(),
        type="button",
        **{
            "data-deed": action,
            "data-baseline": str(row.id),
            "data-map": layout,
            "data-closes": "",
        },
    )


def _buttons(*more: Any) -> html.Div:
    cancel = html.Button("Cancel", className="button", type="button", **{"data-closes": ""})
    return html.Div([cancel, *more], className="dialog-buttons")
