"""The dialog with a baseline's rules: the list with switches, and the form of one rule.

It stands in the document of every page, outside of Dash. A button with `data-rules` opens it: for
the baseline of that number, or with an empty one for that of the page. The names of the form's
fields are those of `DEFAULTS`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dinsight.alerts import sentences
from dinsight.alerts.rules import NAME_LENGTH, NUMBERS
from dinsight.alerts.words import OF_MACHINE, STALE
from layouts import trials
from layouts.alert_words import SEVERITIES, severity
from layouts.components import button, confirmation, field, select, switch
from layouts.static_markup import Input, markup

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
# What the form of a new rule holds.
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
    LIST = "rules-list"
    NEW = "rules-new"
    FORM = "rules-form"
    FORM_TITLE = "rules-form-title"
    SENTENCE = "rules-sentence"
    CANCEL = "rules-cancel"
    SAVE = "rules-save"
    MESSAGE = "rules-message"
    DELETE_DIALOG = "rules-delete-dialog"
    DELETE_TEXT = "rules-delete-text"
    DELETE_CONFIRM = "rules-delete-confirm"
    # the script's questions and their answers
    ASK = "rules-ask"
    TOLD = "rules-told"
    WISH = "rules-wish"
    WORDS = "rules-words"
    DEED = "rules-deed"
    DONE = "rules-done"


def dialogs() -> list[html.Dialog]:
    return [
        html.Dialog(
            [
                html.Div(
                    [
                        html.H2("Rules", id=Ids.TITLE, tabIndex="-1"),
                        html.Button(
                            "Close", type="button", className="button small", **{"data-closes": ""}
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


def _form() -> html.Form:
    return html.Form(
        [
            html.H3("Add a rule", id=Ids.FORM_TITLE),
            html.Div([_name(), _select("Kind", "kind", KINDS)], className="rules-line"),
            html.Div(
                [
                    _part(_select("Level", "level", LEVELS), "level"),
                    _part(
                        _number("Score above", "score", "× the alarm limit, which is 1"), "score"
                    ),
                    _select("Severity", "severity", SEVERITIES),
                ],
                className="rules-line",
            ),
            html.Div(
                [
                    _part(_select("It lasts", "lasts", LASTS), "level score"),
                    _part(_number("Rows that meet it", "needed"), "rows"),
                    _part(_number("of the last", "window", "rows"), "rows"),
                    _part(_number("Seconds", "seconds"), "seconds stale"),
                ],
                className="rules-line",
            ),
            _part(_finer(), "level score"),
            html.P(id=Ids.SENTENCE, role="status", className="rules-sentence"),
            html.Div(trials.opener(trials.RULE)),
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
                    _part(_number("Hysteresis", "hysteresis", hint), "score"),
                    switch(
                        "Leave out rows in normal areas",
                        _id("mute_in_areas"),
                        name="mute_in_areas",
                        checked=DEFAULTS["mute_in_areas"],
                    ),
                ],
                className="rules-line",
            ),
        ]
    )


def _part(content: Any, of: str) -> html.Div:
    """What only some rules have: those kinds, or those that last for rows or seconds."""
    return html.Div(content, className="rules-part", **{"data-rule-part": of})


def _id(name: str) -> str:
    return f"rules-{name}"


def _name() -> html.Div:
    name = Input(
        id=_id("name"),
        name="name",
        type="text",
        value=DEFAULTS["name"],
        maxLength=NAME_LENGTH,
        autoComplete="off",
        className="input",
    )
    return field("Name: the alert's title", name, for_=_id("name"))


def _select(label: str, name: str, words: Mapping[str, str]) -> html.Div:
    return select(label, _id(name), words, DEFAULTS[name], name=name)


def _number(label: str, name: str, hint: str = "") -> html.Div:
    kind, low, high = NUMBERS[name]
    number = Input(
        id=_id(name),
        name=name,
        type="number",
        value=DEFAULTS[name],
        min=low,
        max=high,
        step="1" if kind is int else "any",
        className="input",
    )
    return field(label, number, for_=_id(name), hint=hint)


def rules(known: Sequence[Json]) -> str:
    """The rules of a baseline, as HTML."""
    if not known:
        nothing = "No rule watches this machine: nothing that happens raises an alert."
        return markup([html.P(nothing)])
    return markup([html.Ul([_rule(rule) for rule in known], className="rules-rows")])


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
                    html.P(sentences.whole(rule), className="hint"),
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
    held = {name: rule[name] for name in DEFAULTS if name != "lasts" and rule[name] is not None}
    by_time = rule["kind"] in OF_MACHINE and rule["seconds"] is not None
    return {**DEFAULTS, **held, "lasts": "seconds" if by_time else "rows"}


def wanted_of(form: Any) -> Json:
    """The rule that a form asks for, as `dinsight.alerts.rules.check` takes it.

    >>> wanted_of({**DEFAULTS, "lasts": "seconds"})["seconds"]
    60
    """
    form = form if isinstance(form, dict) else {}
    asked = {name: form.get(name) for name in DEFAULTS if name != "lasts"}
    by_time = form.get("lasts") == "seconds"
    if asked["kind"] in OF_MACHINE:
        asked |= {"needed": None, "window": None} if by_time else {"seconds": None}
    elif asked["kind"] != STALE:
        asked["seconds"] = None
    return {**asked, "mute_in_areas": bool(asked["mute_in_areas"])}
