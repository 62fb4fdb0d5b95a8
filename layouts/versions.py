"""The page of a baseline's versions: what is proposed as normal, and what was made of it.

`assets/versions.js` asks anew while something is being fitted, and carries presses to `/api/v1`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from layouts import figures
from layouts.baselines import PATH as BASELINES
from layouts.baselines import STREAMING, counted
from layouts.components import cell, confirmation, field, moment, table
from layouts.figures import nothing
from layouts.report_card import WORDS, times
from layouts.streaming import map_word

Json = dict[str, Any]
STATES = {
    "in_force": ("In force", "ready"),
    "fitting": ("Being fitted", "busy"),
    "review": ("Under review", "care"),
    "earlier": ("Earlier", "earlier"),
}


@enum.unique
class Ids(enum.StrEnum):
    HEAD = "versions-head"
    QUEUE = "versions-queue"
    QUEUE_MAP = "versions-queue-map"
    QUEUE_PLACE = "versions-queue-place"
    LIST = "versions-list"
    COMPARISON = "versions-comparison"
    A = "versions-a"
    B = "versions-b"
    ON = "versions-on"
    COMPARE_MAP = "versions-compare-map"
    FIGURES = "versions-figures"
    NOTE = "versions-note"
    # ask -> head, queue, list, seen, told; seen, a, b, on -> figures; told -> followed
    ASK = "versions-ask"
    TOLD = "versions-told"
    SEEN = "versions-seen"
    FOLLOWED = "versions-followed"


def page() -> html.Div:
    return html.Div(
        [
            *(dcc.Store(id=id) for id in (Ids.ASK, Ids.SEEN, Ids.TOLD, Ids.FOLLOWED)),
            html.Div(html.H1("Baseline versions"), id=Ids.HEAD, className="versions-head"),
            html.Section(
                [
                    html.H2("Waiting for review"),
                    html.Div(html.P("Reading …", className="hint"), id=Ids.QUEUE),
                    html.Div(
                        _graph(Ids.QUEUE_MAP, "The baseline's map with the proposed rows"),
                        id=Ids.QUEUE_PLACE,
                        hidden=True,
                    ),
                ],
                className="card",
            ),
            html.Section(
                [html.H2("Versions"), html.Div(id=Ids.LIST)],
                className="card",
            ),
            _comparison(),
        ],
        className="versions",
    )


def _comparison() -> html.Section:
    return html.Section(
        [
            html.H2("Two versions on one map"),
            html.Div(
                [
                    field(
                        "Version", dbc.Select(id=Ids.A, options=[], class_name="input"), for_=Ids.A
                    ),
                    field(
                        "against", dbc.Select(id=Ids.B, options=[], class_name="input"), for_=Ids.B
                    ),
                    field(
                        "on the map of",
                        dbc.Select(id=Ids.ON, options=[], class_name="input"),
                        for_=Ids.ON,
                    ),
                ],
                className="versions-pair",
            ),
            _graph(Ids.COMPARE_MAP, "Two versions on one map"),
            html.Div(id=Ids.FIGURES, role="status"),
        ],
        id=Ids.COMPARISON,
        className="card",
        hidden=True,
    )


def _graph(id: str, label: str) -> html.Div:
    graph = dcc.Graph(id=id, figure=nothing(), config=figures.config(), responsive=True)
    return html.Div(graph, className="versions-map", role="group", **{"aria-label": label})


def head(listed: Json) -> list[Any]:
    query = f"?baseline_id={listed['baseline_id']}"
    return [
        html.H1(["Versions of ", listed["name"]]),
        html.P(
            f"Version {listed['version']} is in force, with {counted(listed['rows'], 'row')}.",
            className="hint",
        ),
        html.Div(
            [
                dcc.Link("Open", href=f"{STREAMING}{query}", className="button small"),
                dcc.Link("All baselines", href=BASELINES, className="button small"),
            ],
            className="versions-links",
        ),
    ]


def absent(sentence: str) -> list[Any]:
    return [
        html.H1("Baseline versions"),
        html.P(sentence),
        dcc.Link("Choose a baseline", href=BASELINES, className="button"),
    ]


def refused(sentence: str) -> html.P:
    """Why two versions cannot be compared."""
    return html.P(sentence, className="message error", role="alert")


# ---- the queue ----


def queue(listed: Json, found: Sequence[Json], warnings: Sequence[Json]) -> list[Any]:
    if not found:
        return [
            html.P(
                "No rows are proposed. Where the machine changed and is well, propose its rows "
                "from the panel of a point on the streaming page, or give an alert the verdict "
                "“new normal”."
            )
        ]
    titles = ("Take", "Rows", "When", "Score, × the limit", "Judged", "Proposed", "")
    rows = [_candidate(listed["baseline_id"], row) for row in found]
    return [
        html.P(
            f"{counted(sum(row['rows'] for row in found), 'row')} proposed as normal. Look at "
            "them on the map below; what you take is added to the baseline as a new version.",
            className="hint",
        ),
        table(titles, rows),
        findings(warnings),
        *_make(listed),
    ]


def _candidate(baseline_id: int, row: Json) -> html.Tr:
    span = f"{row['first']:,}" if row["rows"] == 1 else f"{row['first']:,} to {row['last']:,}"
    where = f"{row['stream']}, epoch {row['epoch']:,}"
    point = f"{row['epoch']}:{row['first']}"
    look = f"{STREAMING}?baseline_id={baseline_id}&stream={row['stream']}&point={point}"
    take = dbc.Checkbox(id=f"versions-take-{row['id']}", value=True, label=f"Take {span}")
    return html.Tr(
        [
            cell("Take", html.Div(take, className="versions-take")),
            cell("Rows", [html.Strong(span), html.Span(where, className="hint")]),
            cell("When", _when(row)),
            cell("Score", _scores(row)),
            cell("Judged", _judged(row)),
            cell("Proposed", _proposed(row)),
            cell(
                "",
                html.Div(
                    [
                        dcc.Link("Look", href=look, className="button small"),
                        _act("Refuse", "refuse", candidate=row["id"], of=span),
                    ],
                    className="versions-acts",
                ),
            ),
        ]
    )


def _when(row: Json) -> Any:
    return moment(row["first_at"]) if row["first_at"] else "removed"


def _scores(row: Json) -> Any:
    if row["median_score"] is None:
        return "–"
    median, peak = row["median_score"], row["peak_score"]
    return [f"{median:,.2f}", html.Span(f"up to {peak:,.2f}", className="hint")]


def _judged(row: Json) -> Any:
    words = [f"{row[name]:,} {name}" for name in ("alarm", "warning", "healthy") if row[name]]
    if row["available"] < row["rows"]:
        words.append(f"{row['rows'] - row['available']:,} without readings")
    return ", ".join(words)


def _proposed(row: Json) -> list[Any]:
    who = [f"{row['proposed_by'] or 'somebody'}, ", moment(row["proposed_at"])]
    parts = [html.Span(who)]
    if row["note"]:
        parts.append(html.Span(row["note"], className="hint versions-said"))
    return parts


def _make(listed: Json) -> list[Any]:
    """What a version is made with; or why none can be made now."""
    later = next((row for row in listed["versions"] if row["state"] in {"review", "fitting"}), None)
    if later:
        return [
            html.P(
                f"Version {later['version']} is not decided yet: adopt it or discard it before "
                "another is made.",
                className="hint",
            )
        ]
    note = dbc.Input(
        id=Ids.NOTE,
        type="text",
        maxlength=500,
        autocomplete="off",
        placeholder="why these rows are normal",
        class_name="input",
    )
    number = 1 + max(row["version"] for row in listed["versions"])
    return [
        html.Div(
            [
                field("Note", note, for_=Ids.NOTE),
                _act(f"Make version {number}", "make", kind="primary"),
            ],
            className="versions-make",
        ),
        html.P(
            "It is fitted in the background and changes nothing until you adopt it.",
            className="hint",
        ),
    ]


def findings(found: Sequence[Json]) -> Any:
    """Warnings, the report card's way."""
    return html.Ul(
        [
            html.Li(
                [
                    html.Span(
                        WORDS[each["severity"]],
                        className=f"report-word report-{each['severity']}",
                    ),
                    html.Div(
                        [html.P(each["message"]), html.P(each["action"], className="report-action")]
                    ),
                ]
            )
            for each in found
        ],
        className="report-findings",
        hidden=not found,
    )


# ---- the versions ----


def versions(listed: Json, streams: int, points: int) -> list[Any]:
    refit = listed["refit"]
    failed = refit and refit["status"] == "failed" and "version" in refit
    told = []
    if failed:
        said = (
            f"Version {refit['version']} could not be made, its rows are in the queue again: "
            f"{refit['error_message']}"
        )
        told.append(html.P(said, className="message error", role="alert"))
    last = max((row["version"] for row in listed["versions"]), default=0)
    items = [_version(row, listed, (streams, points), row["version"] == last)
             for row in listed["versions"]]  # fmt: skip
    return [*told, html.Ul(items, className="versions-list")]


def _version(row: Json, listed: Json, holds: tuple[int, int], last: bool) -> html.Li:
    word, kind = STATES[row["state"]]
    number = row["version"]
    acts: list[Any] = []
    if row["state"] in {"review", "earlier"}:
        words = "Adopt …" if row["state"] == "review" else "Go back to it …"
        acts.append(_asks(words, f"versions-adopt-{number}", f"version {number}"))
        acts.append(_adopting(row, listed, holds))
    if row["state"] in {"review", "fitting"} and last:
        words = "Discard …" if row["state"] == "review" else "Cancel …"
        acts.append(_asks(words, f"versions-discard-{number}", f"version {number}"))
        acts.append(_discarding(row))
    about = [
        html.Strong(f"Version {number}"),
        html.Span(word, className=f"baselines-state baselines-{kind}"),
        html.P(_facts(row), className="hint versions-facts"),
    ]
    if row["note"]:
        about.append(html.P(row["note"], className="versions-said"))
    if row["state"] == "fitting":
        about.append(_progress(listed["refit"] or {}))
    return html.Li(
        [html.Div(about, className="versions-about"), html.Div(acts, className="versions-acts")],
        id=f"versions-version-{number}",
    )


def _facts(row: Json) -> list[Any]:
    facts: list[Any] = [counted(row["rows"], "row")]
    if row["version"] > 1:
        facts[0] += f", {row['added']:,} of them new"
    if row["map"]:
        facts.append(f"map: {map_word(row['map'])}")
    facts.append(moment(row["created_at"]))
    if row["made_by"]:
        facts.append(f"made by {row['made_by']}")
    return [html.Span(fact) for fact in facts]


def _progress(refit: Json) -> html.Div:
    percent, message = int(refit.get("progress", 0)), str(refit.get("status_message", ""))
    return html.Div(
        [
            html.Div(
                html.Div(className="bar-fill", style={"width": f"{percent}%"}),
                className="bar",
                role="progressbar",
                **{
                    "aria-label": "The fit of the version",
                    "aria-valuemin": "0",
                    "aria-valuemax": "100",
                    "aria-valuenow": str(percent),
                },
            ),
            html.P(f"{percent} % · {message}"),
        ],
        className="versions-progress",
    )


def _adopting(row: Json, listed: Json, holds: tuple[int, int]) -> html.Dialog:
    number, (streams, points) = row["version"], holds
    text = (
        f"{counted(streams, 'stream')} of {listed['name']} will go on in a new epoch on the map of "
        f"version {number}; senders go on by themselves. What came before "
        f"({counted(points, 'point')}) is archived as it was judged. Normal areas that were drawn "
        f"on the map of version {listed['version']} apply to nothing until you go back to it, "
        "which you can at any time."
    )
    return confirmation(
        f"versions-adopt-{number}",
        f"Put version {number} in force?",
        html.P(text),
        _act(f"Adopt version {number}", "adopt", version=number, kind="primary", closes=True),
    )


def _discarding(row: Json) -> html.Dialog:
    number = row["version"]
    text = (
        f"Its map and its {counted(row['added'], 'new row')} are removed from the baseline; the "
        "proposals it was made of are in the queue again. Streams are not touched."
    )
    return confirmation(
        f"versions-discard-{number}",
        f"Discard version {number}?",
        html.P(text),
        _act(f"Discard version {number}", "discard", version=number, kind="danger", closes=True),
    )


def _asks(text: str, dialog: str, of: str) -> html.Button:
    return html.Button(
        [text, html.Span(f" {of}", className="sr-only")],
        className="button small",
        type="button",
        id=f"{dialog}-asks",
        **{"data-opens": dialog},
    )


def _act(text: str, deed: str, *, kind: str = "", of: str = "", **names: Any) -> html.Button:
    closes = {"data-closes": ""} if names.pop("closes", False) else {}
    size = "" if kind else "small"
    about = [html.Span(f" {of}", className="sr-only")] if of else []
    return html.Button(
        [text, *about],
        className=f"button {kind or size}",
        type="button",
        **{"data-review": deed, **closes},
        **{f"data-{name}": str(value) for name, value in names.items()},
    )


# ---- the comparison ----


def pair(listed: Json, a: Any, b: Any, on: Any) -> list[Any]:
    """Options and values of the three selects: by default the one in force against the last."""
    fitted = [row for row in listed["versions"] if row["state"] != "fitting"]
    options = [
        {
            "label": f"{row['version']} ({STATES[row['state']][0].lower()})",
            "value": str(row["version"]),
        }
        for row in fitted
    ]
    known = [option["value"] for option in options]
    in_force = str(listed["version"])
    a = a if a in known else in_force
    others = [value for value in known if value != a]
    b = b if b in others else next(iter(others), None)
    chosen = [option for option in options if option["value"] in {a, b}]
    on = on if on in {a, b} else in_force if in_force in {a, b} else a
    return [options, a, options, b, chosen, on]


def compared(found: Json) -> list[Any]:
    """Figures of two versions side by side, and what to be warned of."""
    a, b = found["a"], found["b"]
    titles = ("", f"Version {a['version']}", f"Version {b['version']}")
    added, recent = found["added"], found["recent"]
    facts: dict[str, list[Any]] = {
        "Rows": [f"{side['rows']:,}" for side in (a, b)],
        "Map": [map_word(side["map"]) for side in (a, b)],
        f"{_of('added row', added)} would be": _judgements(added),
        _recently(recent): _judgements(recent),
        "False alarms of a healthy machine, one row a second": [_expected(a), _expected(b)],
        "Rows that may not be healthy": [
            f"{side['report']['contamination']['count']:,}" for side in (a, b)
        ],
        "What to know": [_known(a), _known(b)],
    }
    rows = [
        html.Tr([html.Th(name, scope="row"), *map(cell, titles[1:], told)])
        for name, told in facts.items()
    ]
    return [findings(found["warnings"]), html.P(_sentence(found)), table(titles, rows)]


def _sentence(found: Json) -> str:
    recent, number = found["recent"], found["b"]["version"]
    typical = found["loosening"]["typical"]
    words = (
        "as large as before" if 0.95 < typical < 1.05 else f"{typical:.2g} times as large as before"
    )
    said = f"Under version {number} a typical change alarms when it is {words}."
    if recent["scored"]:
        said += (
            f" Of {recent['scored']:,} rows of the stream {recent['stream']}, "
            f"{recent['changed']:,} change their level, {recent['raised']:,} of them to a higher "
            "one."
        )
    return said


def _recently(recent: Json) -> str:
    if not recent["total"]:
        return f"No row with readings came in the last {counted(recent['days'], 'day')}"
    days = counted(recent["days"], "day")
    return f"{_of('row', recent)} of {recent['stream']} in the last {days} would be"


def _of(word: str, found: Json) -> str:
    """So many, or so many of how many."""
    if found["scored"] == found["total"]:
        return counted(found["total"], word)
    return f"{found['scored']:,} of {counted(found['total'], word)}"


def _judgements(found: Json) -> list[str]:
    return [_levels(found[f"levels_{side}"]) for side in "ab"]


def _levels(levels: Json) -> str:
    words = [f"{levels[name]:,} {name}" for name in ("alarm", "warning", "healthy") if levels[name]]
    return ", ".join(words) or "–"


def _expected(side: Json) -> list[Any]:
    cost = side["report"]["false_alarms_per_day"]
    span = f"{times(cost['low'])} to {times(cost['high'])}"
    return [times(cost["expected"]), html.Span(span, className="hint")]


def _known(side: Json) -> Any:
    messages = [each["message"] for each in side["report"]["findings"]]
    return html.Ul([html.Li(text) for text in messages]) if messages else "Nothing stands out"
