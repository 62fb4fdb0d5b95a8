"""The dialog about one alert: what is known, what can be done, what happened."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import dash_bootstrap_components as dbc
from dash import dcc, html

from dinsight.alerts import sentences
from dinsight.alerts.events import MOST_TIMES
from layouts.alert_words import (
    KINDS,
    SEVERITIES,
    VERDICTS,
    local,
    severity,
    since,
    state,
    times_words,
)
from layouts.components import button, field
from layouts.export import REPORT

Json = dict[str, Any]
VERSIONS = "/dashboard/versions"
SHELVES = {
    "1": "1 hour",
    "8": "8 hours",
    "tomorrow": "Until tomorrow, 06:00",
    "168": "7 days",
    "other": "Until …",
}
HAPPENED = {
    "raised": "Raised",
    "raised_again": "Came again",
    "severity_raised": "Grew more severe",
    "severity_lowered": "Grew less severe",
    "cleared": "Cleared",
    "closed": "Closed",
    "acknowledged": "Acknowledged",
    "resolved": "Resolved",
    "shelved": "Shelved",
    "unshelved": "Taken from the shelf",
    "judged": "Verdict",
}


@enum.unique
class Ids(enum.StrEnum):
    DIALOG = "alert-dialog"
    TITLE = "alert-dialog-title"
    BODY = "alert-body"
    NOTE = "alert-note"
    ACKNOWLEDGE = "alert-acknowledge"
    RESOLVE = "alert-resolve"
    SHELVE = "alert-shelve"
    UNTIL = "alert-until"
    UNTIL_FIELD = "alert-until-field"
    SHELVE_DO = "alert-shelve-do"
    UNSHELVE = "alert-unshelve"
    REAL = "alert-real"
    FALSE_ALARM = "alert-false-alarm"
    NEW_NORMAL = "alert-new-normal"
    EVENTS = "alert-events"
    ACTS = "alert-acts"
    # ask -> body, events, told
    ASK = "alert-ask"
    TOLD = "alert-told"
    FOLLOWED = "alert-followed"


def dialog() -> html.Dialog:
    stores = (Ids.ASK, Ids.TOLD, Ids.FOLLOWED)
    return html.Dialog(
        [
            *(dcc.Store(id=id) for id in stores),
            html.Div(
                [
                    html.H2("Alert", id=Ids.TITLE, tabIndex="-1"),
                    html.Button(
                        "Close", type="button", className="button small", **{"data-closes": ""}
                    ),
                ],
                className="alert-dialog-head",
            ),
            html.Div(id=Ids.BODY, className="alert-body"),
            html.Div(
                [_note(), _shelf(), _verdict()], id=Ids.ACTS, className="alert-deeds", hidden=True
            ),
            html.Div(id=Ids.EVENTS),
        ],
        id=Ids.DIALOG,
        className="dialog dialog-wide alert-dialog",
        **{"aria-labelledby": Ids.TITLE.value},
    )


def _note() -> html.Section:
    note = html.Textarea(id=Ids.NOTE, maxLength=1_000, rows=2, className="input note")
    return html.Section(
        [
            field("Note: what you saw or did", note, for_=Ids.NOTE),
            html.Div(
                [
                    button("Acknowledge", Ids.ACKNOWLEDGE, kind="primary small"),
                    button("Resolve", Ids.RESOLVE, kind="small"),
                ],
                className="alert-buttons",
            ),
            html.P(
                "Resolve also ends it by hand: its rule raises another one only after it has been "
                "over by itself.",
                className="hint",
            ),
        ],
        **{"aria-label": "Acknowledge"},
    )


def _shelf() -> html.Section:
    options = [{"label": word, "value": value} for value, word in SHELVES.items()]
    until = dbc.Input(id=Ids.UNTIL, type="datetime-local", class_name="input")
    return html.Section(
        [
            html.Div(
                [
                    field(
                        "Put it aside for",
                        dbc.Select(id=Ids.SHELVE, options=options, value="8", class_name="input"),
                        for_=Ids.SHELVE,
                    ),
                    html.Div(
                        field("Until, your time", until, for_=Ids.UNTIL),
                        id=Ids.UNTIL_FIELD,
                        hidden=True,
                    ),
                    button("Shelve", Ids.SHELVE_DO, kind="small"),
                    button("Take from the shelf", Ids.UNSHELVE, kind="small", hidden=True),
                ],
                className="alert-shelf",
            ),
            html.P(
                "On the shelf it stays listed, and nobody is told of it, nor of what its rule "
                "raises on this stream. It comes back by itself.",
                className="hint",
            ),
        ],
        **{"aria-label": "Shelve"},
    )


def _verdict() -> html.Section:
    ids = {"real": Ids.REAL, "false_alarm": Ids.FALSE_ALARM, "new_normal": Ids.NEW_NORMAL}
    choices = [
        button(word, ids[value], kind="small", **{"data-verdict": value, "aria-pressed": "false"})
        for value, word in VERDICTS.items()
    ]
    return html.Section(
        [
            html.Div("What it turned out to be", className="alert-label", id="alert-verdict-label"),
            html.Div(
                choices,
                className="alert-buttons",
                role="group",
                **{"aria-labelledby": "alert-verdict-label"},
            ),
            html.P(
                "New normal proposes the alert's rows for the next version of the baseline, where "
                "somebody reviews them. Press the chosen one again to take a verdict back.",
                className="hint",
            ),
        ],
        **{"aria-label": "Verdict"},
    )


def body(alert: Json) -> list[Any]:
    """What is known of it."""
    stream = "" if alert["stream"] == "default" else f", stream {alert['stream']}"
    facts = [
        ("Machine", f"{alert['baseline']}{stream}"),
        ("Kind", KINDS[alert["alert_type"]]),
        ("When", since(alert)),
        ("How often", times_words(alert["times"]) or "once"),
        ("Score", _scores(alert)),
        ("Drivers", _drivers(alert["drivers"])),
        ("Rule", sentences.rule(alert["rule"])),
        *_deeds(alert),
    ]
    return [
        html.P(
            [severity(alert["severity"]), state(alert)],
            className="alert-top",
        ),
        html.P(alert["message"]),
        html.Dl([_fact(name, value) for name, value in facts if value]),
        html.Div(_links(alert), className="alert-buttons"),
    ]


def _fact(name: str, value: Any) -> html.Div:
    return html.Div([html.Dt(name), html.Dd(value)], className="fact")


def _scores(alert: Json) -> str:
    if alert["peak"] is None:
        return ""
    peak = f"{alert['peak']:.2f} at its peak (point {alert['peak_seq']:,})"
    return f"{alert['score']:.2f} as it was raised, {peak}"


def _drivers(bands: Sequence[Json]) -> Any:
    if not bands:
        return ""
    words = (
        f"{band['label']} ({'higher' if band['z'] > 0 else 'lower'}, {band['share']:.0%})"
        for band in bands
    )
    return html.Ul([html.Li(word) for word in words], className="alert-drivers")


def _deeds(alert: Json) -> list[tuple[str, Any]]:
    deeds: list[tuple[str, Any]] = []
    if alert["acknowledged_at"]:
        who = alert["acknowledged_by"] or "somebody who is gone"
        note = f": “{alert['note']}”" if alert["note"] else ""
        deeds.append(("Acknowledged", [f"by {who}, ", local(alert["acknowledged_at"]), note]))
    if alert["shelved_until"]:
        deeds.append(
            ("Shelved", ["until ", local(alert["shelved_until"]), _by(alert["shelved_by"])])
        )
    if alert["verdict"]:
        deeds.append(("Verdict", [VERDICTS[alert["verdict"]], _by(alert["verdict_by"])]))
    return deeds


def deeds(alert: Json) -> list[Any]:
    """The same in one line."""
    return [html.Span([name, " ", *content]) for name, content in _deeds(alert)]


def _by(who: str | None) -> str:
    return f", by {who}" if who else ""


def _links(alert: Json) -> list[Any]:
    asked = urlencode({"baseline_id": alert["baseline_id"], "alert": alert["id"]})
    links: list[Any] = [
        dcc.Link("See the moment", href=alert["link"], className="button small"),
        html.A("Report", href=f"{REPORT}?{asked}", target="_blank", className="button small"),
        html.Button(
            "Rules …",
            type="button",
            className="button small",
            id="alert-rules",
            **{"data-rules": str(alert["baseline_id"])},
        ),
    ]
    if alert["verdict"] == "new_normal":
        review = f"{VERSIONS}?baseline_id={alert['baseline_id']}"
        links.append(dcc.Link("Review the new normal", href=review, className="button small"))
    return links


def events(alert: Json) -> list[Any]:
    """What happened to it, the newest last."""
    return [
        html.H3("What happened"),
        html.Ol([_event(event) for event in alert["events"]], className="alert-timeline"),
        *_uncounted(alert["times"]),
    ]


def _uncounted(times: int) -> list[Any]:
    if times <= MOST_TIMES:
        return []
    return [
        html.P(f"It came {times:,} times; the first {MOST_TIMES} are listed.", className="hint")
    ]


def _event(event: Json) -> html.Li:
    return html.Li(
        [
            local(event["at"]),
            html.Span(
                [
                    html.Strong(HAPPENED.get(event["kind"], event["kind"])),
                    _by(event["by"]),
                    *_details(event),
                ]
            ),
        ]
    )


def _details(event: Json) -> list[Any]:
    told = event["details"]
    parts: list[Any] = []
    if event["kind"] == "judged":
        parts.append(f": {VERDICTS[told['verdict']] if told.get('verdict') else 'taken back'}")
    if told.get("until"):
        parts.append([" until ", _moment(told["until"])])
    if told.get("note"):
        parts.append(f": “{told['note']}”")
    if told.get("reason"):
        parts.append(f": {told['reason']}")
    if told.get("severity") in SEVERITIES:
        parts.append(f": {SEVERITIES[told['severity']]}")
    if told.get("score") is not None:
        parts.append(f", score {told['score']:.2f}")
    if event["seq"]:
        parts.append(f", at point {event['seq']:,}")
    return [html.Span(part) for part in parts]


def _moment(text: str) -> html.Time:
    return html.Time(text, dateTime=text, className="local-time")


def absent(sentence: str) -> html.P:
    return html.P(sentence, className="message error")
