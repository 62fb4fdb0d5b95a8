"""The rules dialog: what a baseline's rules are, and changing them."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update
from sqlalchemy.orm import Session

from api.security import page_user
from callbacks.channels import deny
from dinsight import baselines
from dinsight.accounts import Identity
from dinsight.alerts import rules, sentences
from dinsight.errors import (
    AlertRuleNotFound,
    BaselineNotFound,
    DinsightError,
    InvalidRequest,
)
from dinsight.models import Json
from dinsight.services import Services
from layouts import alert_rules as layout
from layouts.alert_rules import FORM, Ids

MOST_ID = 2**31 - 1
FORM_STATES = [State(id, "value") for id in FORM.values()]


def register(app: Dash, services: Services) -> None:
    def look(asked: Any, *_: Any) -> list[Any]:
        return looked(services, page_user(), asked)

    def act(deed: Any, *values: Any) -> Any:
        return acted(services, page_user(), deed, values)

    app.callback(
        Output(Ids.LIST, "children"),
        Output(Ids.TOLD, "data"),
        Input(Ids.ASK, "data"),
        prevent_initial_call=True,
    )(look)
    app.callback(
        Output(Ids.FOLLOWED, "data"),
        Input(Ids.DEED, "data"),
        *FORM_STATES,
        prevent_initial_call=True,
    )(act)
    app.callback(
        Output(Ids.SENTENCE, "children"),
        Output(Ids.SENTENCE, "className"),
        *(Input(id, "value") for id in FORM.values()),
        prevent_initial_call=True,
    )(sentence)
    for name, source in (("told", Ids.TOLD), ("done", Ids.FOLLOWED)):
        app.clientside_callback(
            ClientsideFunction("alert_rules", name),
            Input(source, "data"),
            prevent_initial_call=True,
        )
    app.clientside_callback(
        ClientsideFunction("alert_rules", "shape"),
        Input(Ids.KIND, "value"),
        Input(Ids.LASTS, "value"),
        prevent_initial_call=True,
    )


def wanted(values: tuple[Any, ...]) -> Json:
    """The rule that the form's values, in the order of `FORM`, ask for."""
    return layout.wanted_of(dict(zip(FORM, values, strict=True)))


def sentence(*values: Any) -> tuple[str, str]:
    """What the rule in the form would do, or what is missing yet."""
    asked = wanted(values)
    if not str(asked["name"] or "").strip():
        asked["name"] = "A rule"  # it is asked for when it is saved
    try:
        checked = rules.check(asked)
    except InvalidRequest as error:
        return error.message, "rules-sentence message error"
    return f"{sentences.rule(checked)} {sentences.ending(checked)}".strip(), "rules-sentence"


def looked(services: Services, who: Identity, asked: Any) -> list[Any]:
    """The list of a baseline's rules, and what the script knows of them."""
    try:
        baseline_id = _number(asked, "baseline_id", BaselineNotFound)
        with services.sessions() as session:
            return _listed(session, who, baseline_id, asked)
    except BaselineNotFound as error:
        deny(services, who, f"rules of baseline {_named(asked, 'baseline_id')}")
        return ["", {"error": error.message}]


def _listed(session: Session, who: Identity, baseline_id: int, asked: Any) -> list[Any]:
    name = baselines.get(session, who, baseline_id).name
    known = rules.list_all(session, who, baseline_id)
    forms = {str(rule["id"]): layout.form_of(rule) for rule in known}
    told = {"baseline_id": baseline_id, "name": name, "forms": forms, "at": asked.get("at")}
    return [layout.rules(known), told]


def acted(services: Services, who: Identity, deed: Any, values: tuple[Any, ...]) -> Any:
    """Do what was pressed, and say in a sentence what was done or why not."""
    if not isinstance(deed, dict):
        return no_update
    try:
        with services.sessions.begin() as session:
            said = _do(services, session, who, deed, values)
    except (BaselineNotFound, AlertRuleNotFound) as error:
        named = _named(deed, "rule_id") or _named(deed, "baseline_id")
        deny(services, who, f"alert rule {named}")
        return {"sentence": error.message, "ok": False, "at": deed.get("at")}
    except DinsightError as error:
        return {"sentence": error.message, "ok": False, "at": deed.get("at")}
    return {"sentence": said, "ok": True, "at": deed.get("at")}


def _do(
    services: Services, session: Session, who: Identity, deed: Json, values: tuple[Any, ...]
) -> str:
    act, now = deed.get("act"), services.now()
    if act == "save" and deed.get("rule_id") is None:
        baseline_id = _number(deed, "baseline_id", BaselineNotFound)
        return f"The rule {rules.add(session, who, baseline_id, wanted(values))['name']} is added."
    rule_id = _number(deed, "rule_id", AlertRuleNotFound)
    if act == "save":
        told = rules.change(session, who, rule_id, wanted(values), now=now)
        return f"The rule {told['name']} is changed."
    if act in {"enable", "disable"}:
        told = rules.change(session, who, rule_id, {"enabled": act == "enable"}, now=now)
        return f"The rule {told['name']} is switched {'on' if act == 'enable' else 'off'}."
    if act == "delete":
        rules.remove(session, who, rule_id, now=now)
        return "The rule is deleted. Its alerts stay."
    raise InvalidRequest("There is no such button.")


def _number(data: Any, name: str, missing: type[DinsightError]) -> int:
    number = data.get(name) if isinstance(data, dict) else None
    if type(number) is not int or not 0 < number <= MOST_ID:
        raise missing()
    return number


def _named(data: Any, name: str) -> str:
    return str(data.get(name) or "")[:20] if isinstance(data, dict) else ""
