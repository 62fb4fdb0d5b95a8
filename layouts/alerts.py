"""The alerts page: the list with its filters, and the place of the figures of alarm quality.

`assets/alerts_page.js` asks for the list anew, keeps the filters in the address and paints what
only time changes; `layouts/alert_detail.py` has the dialog about one alert.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from layouts import alert_detail, alert_quality
from layouts.alert_words import (
    KINDS,
    SEVERITIES,
    STATES,
    TIMES,
    VERDICTS,
    severity,
    since,
    state,
    times_words,
)
from layouts.components import button, field

Json = dict[str, Any]
PAGE_ROWS, MOST_ROWS = 50, 500  # shown at first and with each "Show more"; at most
EVERY = "all"  # a filter that is not set
FREE = "custom"  # a time that is neither: from and to can be chosen


@enum.unique
class Ids(enum.StrEnum):
    LIST = "alerts-list"
    FIGURES = "alerts-figures"
    TAB_LIST = "alerts-tab-list"
    TAB_QUALITY = "alerts-tab-quality"
    NOTE = "alerts-note"
    STATUS = "alerts-status"
    MACHINE = "alerts-machine"
    SEVERITY = "alerts-severity"
    KIND = "alerts-kind"
    TIME = "alerts-time"
    SINCE = "alerts-since"
    UNTIL = "alerts-until"
    PERIOD = "alerts-period"
    PERIOD_NOTE = "alerts-period-note"
    RULES = "alerts-rules"
    CSV = "alerts-csv"
    JSONL = "alerts-jsonl"
    CHOSEN = "alerts-chosen"
    ACKNOWLEDGE = "alerts-acknowledge"
    ALL = "alerts-all"
    MANY = "alerts-many"
    MANY_TEXT = "alerts-many-text"
    MANY_NOTE = "alerts-many-note"
    MANY_CONFIRM = "alerts-many-confirm"
    MORE = "alerts-more"
    # ask -> list, told; filters -> filtered
    ASK = "alerts-ask"
    TOLD = "alerts-told"
    FOLLOWED = "alerts-followed"
    FILTERED = "alerts-filtered"


def page(machines: Sequence[tuple[int, str]]) -> html.Div:
    """The page without its alerts, for the machines that can be chosen."""
    return html.Div(
        [
            *(dcc.Store(id=id) for id in (Ids.ASK, Ids.TOLD, Ids.FOLLOWED, Ids.FILTERED)),
            _head(),
            _tabs(),
            html.Div(
                [_filters(machines), _bulk(), html.Div(id=Ids.LIST, className="alerts-groups")],
                id="alerts-panel-list",
                role="tabpanel",
                className="alerts-panel",
                **{"aria-labelledby": Ids.TAB_LIST.value},
            ),
            html.Div(
                alert_quality.section(machines),
                id="alerts-panel-quality",
                role="tabpanel",
                className="alerts-panel",
                hidden=True,
                **{"aria-labelledby": Ids.TAB_QUALITY.value},
            ),
            _many(),
            alert_detail.dialog(),
        ],
        className="alerts",
    )


def _head() -> html.Div:
    return html.Div(
        [
            html.H1("Alerts"),
            html.Span("Reading …", id=Ids.NOTE, className="hint", role="status"),
            html.Div(
                button("Rules …", Ids.RULES, **{"data-rules": ""}), className="alerts-head-end"
            ),
        ],
        className="alerts-head",
    )


def _tabs() -> html.Div:
    tabs = (
        (Ids.TAB_LIST, "Alerts", "alerts-panel-list", ""),
        (Ids.TAB_QUALITY, "Alarm quality", "alerts-panel-quality", "quality"),
    )
    return html.Div(
        [
            html.Button(
                word,
                id=id,
                type="button",
                role="tab",
                className="alerts-tab",
                tabIndex="-1" if view else "0",
                **{
                    "aria-selected": "false" if view else "true",
                    "aria-controls": panel,
                    "data-alerts-view": view,
                },
            )
            for id, word, panel, view in tabs
        ],
        className="alerts-tabs",
        role="tablist",
        **{"aria-label": "What is shown"},
    )


def _filters(machines: Sequence[tuple[int, str]]) -> html.Div:
    named = {str(number): name for number, name in machines}
    return html.Div(
        [
            _select("State", Ids.STATUS, {EVERY: "All", **STATES}),
            _select("Machine", Ids.MACHINE, {EVERY: "All machines", **named}),
            _select("Severity", Ids.SEVERITY, {EVERY: "All", **SEVERITIES}),
            _select("Kind", Ids.KIND, {EVERY: "All", **KINDS}),
            _select("Began", Ids.TIME, {EVERY: "At any time", **TIMES, FREE: "Custom …"}),
            _period(),
            html.Div(
                [
                    html.A("CSV", id=Ids.CSV, className="button small", download=""),
                    html.A("JSON Lines", id=Ids.JSONL, className="button small", download=""),
                ],
                className="alerts-export",
                role="group",
                **{"aria-label": "Export what is shown"},
            ),
        ],
        className="alerts-filters",
    )


def _period() -> html.Div:
    return html.Div(
        [
            *(
                field(word, dbc.Input(id=id, type="datetime-local", class_name="input"), for_=id)
                for word, id in (("From", Ids.SINCE), ("To", Ids.UNTIL))
            ),
            html.P(id=Ids.PERIOD_NOTE, className="hint", role="status"),
        ],
        id=Ids.PERIOD,
        className="alerts-period",
        role="group",
        hidden=True,
        **{"aria-label": "Began between"},
    )


def _select(label: str, id: str, words: Mapping[str, str]) -> html.Div:
    options = [{"label": word, "value": value} for value, word in words.items()]
    select = dbc.Select(id=id, options=options, value=EVERY, class_name="input")
    return field(label, select, for_=id)


def _bulk() -> html.Div:
    return html.Div(
        [
            html.Span("", id=Ids.CHOSEN, className="hint", role="status"),
            button("Acknowledge chosen …", Ids.ACKNOWLEDGE, kind="small", hidden=True),
            button("Acknowledge all shown …", Ids.ALL, kind="small"),
        ],
        id="alerts-bulk",
        className="alerts-bulk",
        hidden=True,
    )


def _many() -> html.Dialog:
    return html.Dialog(
        [
            html.H2("Acknowledge these alerts?"),
            html.P(id=Ids.MANY_TEXT),
            field(
                "Note, if you like",
                html.Textarea(id=Ids.MANY_NOTE, maxLength=1_000, rows=2, className="input note"),
                for_=Ids.MANY_NOTE,
            ),
            html.Div(
                [
                    html.Button("Cancel", className="button", type="button", **{"data-closes": ""}),
                    button("Acknowledge", Ids.MANY_CONFIRM, kind="primary", **{"data-closes": ""}),
                ],
                className="dialog-buttons",
            ),
        ],
        id=Ids.MANY,
        className="dialog",
        **{"aria-label": "Acknowledge these alerts?"},
    )


def groups(alerts: Sequence[Json], total: int, *, timed: bool) -> list[Any]:
    """The alerts under three headings; `timed` is whether a filter of time is set."""
    headed = {
        "active": "Not acknowledged",
        "acknowledged": "Acknowledged and still active",
        "resolved": "Resolved",
    }
    found: list[Any] = []
    for status, title in headed.items():
        mine = [alert for alert in alerts if alert["status"] == status]
        if mine:
            found.append(_group(status, title, mine, timed))
    if len(alerts) < total:
        found.append(_more(len(alerts), total))
    return found


def _group(status: str, title: str, alerts: Sequence[Json], timed: bool) -> html.Section:
    always = "They are listed whatever time is chosen, until somebody acknowledges them."
    heading = f"alerts-of-{status}"
    return html.Section(
        [
            html.H2([title, html.Span(f" {len(alerts):,}", className="group-count")], id=heading),
            *([html.P(always, className="hint")] if timed and status == "active" else []),
            html.Ul([row(alert) for alert in alerts], className="alert-list"),
        ],
        **{"aria-labelledby": heading},
    )


def _more(shown: int, total: int) -> html.P:
    if shown >= MOST_ROWS:
        return html.P(
            f"Showing {shown:,} of {total:,}: choose a machine or a time to see others.",
            className="hint",
        )
    more = button("Show more", Ids.MORE, kind="small")
    return html.P([f"Showing {shown:,} of {total:,}. ", more], className="alerts-more")


def row(alert: Json) -> html.Li:
    return html.Li(
        [
            _choice(alert) if alert["status"] == "active" else html.Div(className="alert-take"),
            html.Div(
                [_title(alert), _facts(alert), html.P(alert["message"]), *_said(alert)],
                className="alert-about",
            ),
            html.Div(_acts(alert), className="alert-acts"),
        ],
        className=f"alert alert-{alert['severity']}",
        id=f"alert-{alert['id']}",
        **{"data-alert": str(alert["id"]), "data-status": alert["status"]},
    )


def _choice(alert: Json) -> html.Div:
    words = f"Choose {alert['title']} of {alert['baseline']}"
    box = dbc.Checkbox(id=f"alert-take-{alert['id']}", value=False, label=words)
    return html.Div(box, className="alert-take")


def _title(alert: Json) -> html.Div:
    return html.Div(
        [
            severity(alert["severity"]),
            html.H3(
                html.Button(
                    alert["title"],
                    id=f"alert-open-{alert['id']}",
                    type="button",
                    className="alert-title",
                    **{"data-alert-open": str(alert["id"])},
                )
            ),
            state(alert),
        ],
        className="alert-top",
    )


def _facts(alert: Json) -> html.P:
    stream = "" if alert["stream"] == "default" else f", {alert['stream']}"
    parts: list[Any] = [
        html.Strong([alert["baseline"], stream]),
        since(alert),
        f"peak score {alert['peak']:.2f}" if alert["peak"] is not None else "",
        times_words(alert["times"]),
    ]
    return html.P(_dotted(parts), className="alert-facts")


def _said(alert: Json) -> list[Any]:
    """What people have done about it."""
    parts = alert_detail.deeds(alert)
    return [html.P(_dotted(parts), className="alert-facts")] if parts else []


def _dotted(parts: Sequence[Any]) -> list[Any]:
    shown = [html.Span(part) if isinstance(part, str) else part for part in parts if part]
    dots: list[Any] = []
    for at, part in enumerate(shown):
        dots += [html.Span(" · ", **{"aria-hidden": "true"})] if at else []
        dots.append(part)
    return dots


def _acts(alert: Json) -> list[Any]:
    acts = []
    if alert["status"] == "active":
        acts.append(_opens(alert, "Acknowledge …", "note"))
    acts.append(_opens(alert, "Shelve …" if not alert["shelved_until"] else "Shelved …", "shelve"))
    word = VERDICTS[alert["verdict"]] if alert["verdict"] else "Verdict …"
    acts.append(_opens(alert, word, "verdict"))
    look = dcc.Link(
        ["See the moment", _of(alert)],
        href=alert["link"],
        className="button small",
        id=_id(alert, "link"),
    )
    return [*acts, look]


def _opens(alert: Json, word: str, part: str) -> html.Button:
    return html.Button(
        [word, _of(alert)],
        id=_id(alert, part),
        type="button",
        className="button small",
        **{"data-alert-open": str(alert["id"]), "data-alert-part": part},
    )


def _id(alert: Json, part: str) -> str:
    return f"alert-{part}-{alert['id']}"


def _of(alert: Json) -> html.Span:
    return html.Span(f": {alert['title']}, {alert['baseline']}", className="sr-only")


def nothing(*, filtered: bool, machines: int) -> html.Div:
    """There is no alert like that, or none at all."""
    if filtered:
        content = [
            html.H2("No alert is like that"),
            html.P("Nothing is hidden by another reason than the filters above."),
            html.Div(html.Button("Show all", type="button", className="button", id="alerts-clear")),
        ]
    elif machines:
        many = "1 machine" if machines == 1 else f"{machines:,} machines"
        content = [
            html.H2("No alerts"),
            html.P(
                f"Rules watch {many}. What they raise is listed here until somebody has "
                "acknowledged it."
            ),
        ]
    else:
        content = [
            html.H2("No alerts"),
            html.P("No machine is watched: a baseline has rules as soon as it is there."),
            html.Div(
                dcc.Link("Go to the baselines", href="/dashboard/baselines", className="button")
            ),
        ]
    return html.Div(content, className="notice")


def head_words(present: Json, machines: int) -> str:
    """What is open, in a sentence.

    >>> head_words({"active": 1, "unacknowledged": 0}, 3)
    '1 is active, all are acknowledged.'
    >>> head_words({"active": 2, "unacknowledged": 3}, 3)
    '3 are not acknowledged, 2 are active.'
    """
    active, unseen = present["active"], present["unacknowledged"]
    if not active and not unseen:
        return f"Nothing is open. Rules watch {machines:,} machine{'s' * (machines != 1)}."
    said = f"{active:,} {'is' if active == 1 else 'are'} active"
    if not unseen:
        return f"{said}, all are acknowledged."
    return f"{unseen:,} {'is' if unseen == 1 else 'are'} not acknowledged, {said}."


def told(present: Json, signature: str, now: dt.datetime) -> Json:
    """What the page's script knows: what is open, and what it need not be sent again."""
    return {**present, "signature": signature, "at": now.isoformat()}
