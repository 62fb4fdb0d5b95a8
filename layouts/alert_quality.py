"""How good the alarms are: alerts a day, chattering, the share of false ones by rule."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from dinsight.sensitivity import few
from layouts.components import cell, field, table

Json = dict[str, Any]
EVERY = "all"
PERIODS = {"7": "Last 7 days", "30": "Last 30 days", "90": "Last 90 days"}
MANY_A_DAY = 10  # more than an operator can look into, after EEMUA 191
FALSE_SHARE, CHATTER_SHARE = 0.3, 0.2  # from which on something should be done


@enum.unique
class Ids(enum.StrEnum):
    PERIOD = "quality-period"
    MACHINE = "quality-machine"
    FIGURES = "quality-figures"
    ASK = "quality-ask"


def section(machines: Sequence[tuple[int, str]]) -> list[Any]:
    named = [{"label": "All machines", "value": EVERY}]
    named += [{"label": name, "value": str(number)} for number, name in machines]
    periods = [{"label": word, "value": days} for days, word in PERIODS.items()]
    return [
        dcc.Store(id=Ids.ASK),
        html.Div(
            [
                field(
                    "Period",
                    dbc.Select(id=Ids.PERIOD, options=periods, value="30", class_name="input"),
                    for_=Ids.PERIOD,
                ),
                field(
                    "Of",
                    dbc.Select(id=Ids.MACHINE, options=named, value=EVERY, class_name="input"),
                    for_=Ids.MACHINE,
                ),
            ],
            className="alerts-filters",
        ),
        html.Div(html.P("Reading …", className="hint"), id=Ids.FIGURES, className="quality"),
    ]


def figures(found: Json) -> list[Any]:
    if not found["alerts"]:
        return [
            html.Div(
                [
                    html.H2("No alert in this time"),
                    html.P("Once there are some, they are counted here by day and by rule."),
                ],
                className="notice",
            )
        ]
    return [
        html.Div([_number(*each) for each in _headline(found)], className="quality-numbers"),
        html.Section([html.H2("Alerts a day"), _days(found)], className="card"),
        html.Section([html.H2("By rule"), _rules(found["rules"])], className="card"),
    ]


def _number(value: str, name: str, meaning: str) -> html.Div:
    return html.Div(
        [
            html.P([html.Strong(value), " ", name]),
            html.P(meaning, className="hint"),
        ],
        className="card",
    )


def _headline(found: Json) -> list[tuple[str, str, str]]:
    rules = found["rules"]
    judged = sum(rule["real"] + rule["false_alarm"] + rule["new_normal"] for rule in rules)
    false = sum(rule["false_alarm"] for rule in rules)
    flickering = sum(rule["chattering"] for rule in rules)
    share = f"{false / judged:.0%}" if judged else "–"
    per_day = found["alerts_per_day"]
    return [
        (
            few(per_day),
            "alerts a day",
            f"More than {MANY_A_DAY} are more than a person can look into: ask for more rows or a "
            "higher score in the rule that raises most.",
        ),
        (
            f"{flickering / found['alerts']:.0%}",
            "chattering",
            "Alerts that came and went several times: let the rule see more rows, or lower its "
            "hysteresis, so that it ends later.",
        ),
        (
            share,
            "false",
            (
                f"Of the {judged:,} that somebody has judged: tighten a rule that is often wrong, "
                "and try it on history first."
            )
            if judged
            else "Nobody has judged any: give a verdict on an alert, and its share shows here.",
        ),
    ]


def _days(found: Json) -> html.Div:
    """A bar a day: how many, and how many of them were false; days without any included."""
    counted = {each["day"]: each for each in found["days"]}
    first, last = found["since"].date(), found["until"].date()
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    most = max(each["alerts"] for each in found["days"])
    bars = [_bar(day, counted.get(day.isoformat()), most) for day in days]
    return html.Div(
        [
            html.Ol(bars, className="day-bars", tabIndex="0", **{"aria-label": "Alerts a day"}),
            html.P(
                [html.Span(f"{first}"), html.Span(f"most: {most:,}"), html.Span(f"{last}")],
                className="day-ends hint",
            ),
            html.P(
                [
                    html.Span("all", className="key-all"),
                    html.Span("of them false alarms", className="key-false"),
                ],
                className="day-key hint",
            ),
        ]
    )


def _bar(day: dt.date, found: Json | None, most: int) -> html.Li:
    alerts, false = (found["alerts"], found["false"]) if found else (0, 0)
    words = f"{day}: {alerts:,} alert{'s' * (alerts != 1)}"
    words += f", {false:,} false" if false else ""
    bars = [
        html.Span(className="day-all", style={"height": f"{100 * alerts / most:.1f}%"}),
        html.Span(className="day-false", style={"height": f"{100 * false / most:.1f}%"}),
    ]
    return html.Li([*bars, html.Span(words, className="sr-only")], title=words)


def _rules(rules: Sequence[Json]) -> html.Div:
    head = ("Rule", "Machine", "Alerts", "Chattering", "Real", "False", "New normal", "What to do")
    return table(head, [_rule(rule) for rule in rules])


def _rule(rule: Json) -> html.Tr:
    share = f" ({rule['false_share']:.0%})" if rule["false_share"] else ""
    flicker = f" ({rule['chattering_share']:.0%})" if rule["chattering"] else ""
    return html.Tr(
        [
            cell("Rule", html.Strong(rule["rule"])),
            cell("Machine", rule["baseline"]),
            cell("Alerts", f"{rule['alerts']:,}"),
            cell("Chattering", f"{rule['chattering']:,}{flicker}"),
            cell("Real", f"{rule['real']:,}"),
            cell("False", f"{rule['false_alarm']:,}{share}"),
            cell("New normal", f"{rule['new_normal']:,}"),
            cell("What to do", _advice(rule)),
        ]
    )


def _advice(rule: Json) -> Any:
    words = advice(rule)
    if rule["rule_id"] is None:
        return "The rule is deleted."
    change = html.Button(
        ["Change …", html.Span(f" {rule['rule']} of {rule['baseline']}", className="sr-only")],
        type="button",
        className="button small",
        **{"data-rules": str(rule["baseline_id"]), "data-rule": str(rule["rule_id"])},
    )
    return html.Div([html.Span(words), change], className="quality-advice")


def advice(rule: Json) -> str:
    """What a rule's figures call for.

    >>> counts = {"false_share": 0.5, "chattering_share": 0.0, "unacknowledged": 0}
    >>> advice(counts)
    'Often wrong: tighten it.'
    """
    if rule["false_share"] is not None and rule["false_share"] >= FALSE_SHARE:
        return "Often wrong: tighten it."
    if rule["chattering_share"] >= CHATTER_SHARE:
        return "It flickers: let it see more rows."
    if rule["false_share"] is None:
        return "Judge its alerts."
    return "Nothing."


def refused(sentence: str) -> html.P:
    return html.P(sentence, className="message error")
