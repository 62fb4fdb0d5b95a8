"""The dialog with a baseline's rules: the list with switches, and the form of one rule.

It stands in the frame of every page. A button with `data-rules` opens it: for the baseline of that
number, or with an empty one for that of the page. What the form holds is read by its `FORM`; the
place `Ids.TRIAL` is for what tries a rule out before it goes live.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from dinsight.alerts import sentences
from dinsight.alerts.rules import NAME_LENGTH, NUMBERS
from dinsight.alerts.words import OF_MACHINE, STALE
from layouts import trials
from layouts.alert_words import SEVERITIES, severity
from layouts.components import button, confirmation, field

Json = dict[str, Any]
KINDS = {
    "level": "Level: the machine is at warning or alarm",
    "score": "Score: above a limit of your own",
    "stale": "Data: no point comes",
    "flat": "Data: a sensor stands still",
    "saturated": "Data: a sensor is at its limit",
    "missing": "Data: readings are missing",
}
LEVELS = {"alarm": "Alarm", "warning": "Warning or alarm"}
LASTS = {"rows": "for so many rows", "seconds": "for so many seconds"}
DEFAULTS: Json = {
    "name": "",
    "kind": "score",
    "level": "alarm",
    "score": 1.2,
    "lasts": "rows",
    "needed": 3,
    "window": 5,
    "seconds": 60,
    "hysteresis": 0.9,
    "severity": "high",
    "mute_in_areas": False,
}


@enum.unique
class Ids(enum.StrEnum):
    DIALOG = "rules-dialog"
    TITLE = "rules-title"
    BASELINE = "rules-baseline"
    LIST = "rules-list"
    NEW = "rules-new"
    FORM = "rules-form"
    FORM_TITLE = "rules-form-title"
    NAME = "rules-name"
    KIND = "rules-kind"
    LEVEL = "rules-level"
    SCORE = "rules-score"
    LASTS = "rules-lasts"
    NEEDED = "rules-needed"
    WINDOW = "rules-window"
    SECONDS = "rules-seconds"
    HYSTERESIS = "rules-hysteresis"
    SEVERITY = "rules-severity"
    MUTE = "rules-mute"
    SENTENCE = "rules-sentence"
    TRIAL = "rules-trial"  # the place of "Try on history"
    CANCEL = "rules-cancel"
    SAVE = "rules-save"
    MESSAGE = "rules-message"
    DELETE_DIALOG = "rules-delete-dialog"
    DELETE_TEXT = "rules-delete-text"
    DELETE_CONFIRM = "rules-delete-confirm"
    # ask, deed -> list, told; form -> sentence; told -> followed
    ASK = "rules-ask"
    DEED = "rules-deed"
    TOLD = "rules-told"
    FOLLOWED = "rules-followed"
    SHAPED = "rules-shaped"


# The form's values in this order: what `callbacks.alert_rules.wanted` makes a rule of.
FORM: Mapping[str, Ids] = {
    "name": Ids.NAME,
    "kind": Ids.KIND,
    "level": Ids.LEVEL,
    "score": Ids.SCORE,
    "lasts": Ids.LASTS,
    "needed": Ids.NEEDED,
    "window": Ids.WINDOW,
    "seconds": Ids.SECONDS,
    "hysteresis": Ids.HYSTERESIS,
    "severity": Ids.SEVERITY,
    "mute_in_areas": Ids.MUTE,
}


def dialog() -> html.Div:
    stores = (Ids.ASK, Ids.DEED, Ids.TOLD, Ids.FOLLOWED, Ids.SHAPED)
    return html.Div(
        [
            *(dcc.Store(id=id) for id in stores),
            html.Dialog(
                [
                    html.Div(
                        [
                            html.H2("Rules", id=Ids.TITLE, tabIndex="-1"),
                            html.Button(
                                "Close",
                                type="button",
                                className="button small",
                                **{"data-closes": ""},
                            ),
                        ],
                        className="alert-dialog-head",
                    ),
                    html.P(
                        "They look at every row that comes, and raise at most one open alert each "
                        "for a stream. A change holds from the next row on.",
                        className="hint",
                    ),
                    html.Div(id=Ids.LIST),
                    html.P(id=Ids.MESSAGE, role="status", className="message"),
                    button("Add a rule", Ids.NEW),
                    _form(),
                ],
                id=Ids.DIALOG,
                className="dialog dialog-wide rules-dialog",
                **{"aria-labelledby": Ids.TITLE.value},
            ),
            confirmation(
                Ids.DELETE_DIALOG,
                "Delete this rule?",
                html.P(id=Ids.DELETE_TEXT),
                button("Delete", Ids.DELETE_CONFIRM, kind="danger", **{"data-closes": ""}),
            ),
        ]
    )


def _form() -> html.Form:
    return html.Form(
        [
            html.H3("Add a rule", id=Ids.FORM_TITLE),
            html.Div([_name(), _select("Kind", Ids.KIND, KINDS)], className="rules-line"),
            html.Div(
                [
                    _part(_select("Level", Ids.LEVEL, LEVELS), "level"),
                    _part(
                        _number("Score above", Ids.SCORE, "× the alarm limit, which is 1"), "score"
                    ),
                    _select("Severity", Ids.SEVERITY, SEVERITIES),
                ],
                className="rules-line",
            ),
            html.Div(
                [
                    _part(_select("It lasts", Ids.LASTS, LASTS), "level score"),
                    _part(_number("Rows that meet it", Ids.NEEDED), "rows"),
                    _part(_number("of the last", Ids.WINDOW, "rows"), "rows"),
                    _part(_number("Seconds", Ids.SECONDS), "seconds stale"),
                ],
                className="rules-line",
            ),
            _part(_finer(), "level score"),
            html.P(id=Ids.SENTENCE, role="status", className="rules-sentence"),
            html.Div(trials.opener(trials.RULE), id=Ids.TRIAL),
            html.Div(
                [button("Cancel", Ids.CANCEL), button("Save", Ids.SAVE, kind="primary")],
                className="dialog-buttons",
            ),
        ],
        id=Ids.FORM,
        className="rules-form",
        hidden=True,
        **{"data-stays": ""},
    )


def _finer() -> html.Details:
    hint = "It is over once the score stays below so much of it. 0.9 keeps it from flickering."
    return html.Details(
        [
            html.Summary("Finer"),
            html.Div(
                [
                    _part(_number("Hysteresis", Ids.HYSTERESIS, hint), "score"),
                    dbc.Switch(id=Ids.MUTE, label="Leave out rows in normal areas", value=False),
                ],
                className="rules-line",
            ),
        ]
    )


def _part(content: Any, of: str) -> html.Div:
    """What only some rules have: those kinds, or those that last for rows or seconds."""
    return html.Div(content, className="rules-part", **{"data-rule-part": of})


def _name() -> html.Div:
    name = dbc.Input(
        id=Ids.NAME,
        type="text",
        value="",
        maxlength=NAME_LENGTH,
        autocomplete="off",
        class_name="input",
    )
    return field("Name: the alert's title", name, for_=Ids.NAME)


def _select(label: str, id: Ids, words: Mapping[str, str]) -> html.Div:
    options = [{"label": word, "value": value} for value, word in words.items()]
    name = next(key for key, each in FORM.items() if each == id)
    return field(
        label,
        dbc.Select(id=id, options=options, value=DEFAULTS[name], class_name="input"),
        for_=id,
    )


def _number(label: str, id: Ids, hint: str = "") -> html.Div:
    name = next(key for key, each in FORM.items() if each == id)
    kind, low, high = NUMBERS[name]
    step = "1" if kind is int else "any"
    control = dbc.Input(
        id=id, type="number", value=DEFAULTS[name], min=low, max=high, step=step, class_name="input"
    )
    return field(label, control, for_=id, hint=hint)


def rules(known: Sequence[Json]) -> Any:
    """The rules of a baseline."""
    if not known:
        return html.P("No rule watches this machine: nothing that happens raises an alert.")
    return html.Ul([_rule(rule) for rule in known], className="rules-rows")


def _rule(rule: Json) -> html.Li:
    return html.Li(
        [
            html.Button(
                html.Span(rule["name"], className="sr-only"),
                id=f"rule-switch-{rule['id']}",
                type="button",
                role="switch",
                className="switch",
                title="Switch it off" if rule["enabled"] else "Switch it on",
                **{
                    "aria-checked": str(rule["enabled"]).lower(),
                    "data-rule-act": "disable" if rule["enabled"] else "enable",
                    "data-rule-id": str(rule["id"]),
                },
            ),
            html.Div(
                [
                    html.P(
                        [
                            html.Strong(rule["name"]),
                            severity(rule["severity"]),
                            *([] if rule["enabled"] else [html.Span("Off", className="hint")]),
                        ],
                        className="alert-top",
                    ),
                    html.P(
                        f"{sentences.rule(rule)} {sentences.ending(rule)}".strip(), className="hint"
                    ),
                ]
            ),
            html.Div(
                [_act(rule, "Change", "change"), _act(rule, "Delete …", "delete")],
                className="alert-buttons",
            ),
        ],
        id=f"rule-{rule['id']}",
    )


def _act(rule: Json, word: str, act: str) -> html.Button:
    return html.Button(
        [word, html.Span(f": {rule['name']}", className="sr-only")],
        id=f"rule-{act}-{rule['id']}",
        type="button",
        className="button small",
        **{"data-rule-act": act, "data-rule-id": str(rule["id"])},
    )


def form_of(rule: Json) -> Json:
    """What the form holds for a rule."""
    held = {name: rule[name] for name in FORM if name != "lasts" and rule[name] is not None}
    by_time = rule["kind"] in OF_MACHINE and rule["seconds"] is not None
    return {**DEFAULTS, **held, "lasts": "seconds" if by_time else "rows"}


def wanted_of(form: Mapping[str, Any]) -> Json:
    """The rule that a form asks for, as `dinsight.alerts.rules.check` takes it.

    >>> wanted_of({**DEFAULTS, "lasts": "seconds"})["seconds"]
    60
    """
    asked = {name: form.get(name) for name in FORM if name != "lasts"}
    by_time = form.get("lasts") == "seconds"
    if asked["kind"] in OF_MACHINE:
        asked |= {"needed": None, "window": None} if by_time else {"seconds": None}
    elif asked["kind"] != STALE:
        asked["seconds"] = None
    return {**asked, "mute_in_areas": bool(asked["mute_in_areas"])}
