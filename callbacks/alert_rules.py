"""The rules dialog: what a baseline's rules are, and changing them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from dash import Dash
from sqlalchemy.orm import Session

from api.security import page_user
from callbacks import asked
from callbacks.denials import deny
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
from layouts.alert_rules import Ids

MOST_ID = 2**31 - 1


def register(app: Dash, services: Services) -> None:
    def look(wish: Any) -> Json:
        return looked(services, page_user(), wish)

    def act(deed: Any) -> Json:
        return acted(services, page_user(), deed)

    asked.answer(app, Ids.ASK, Ids.TOLD, look)
    asked.answer(app, Ids.WISH, Ids.WORDS, sentence)
    asked.answer(app, Ids.DEED, Ids.DONE, act)


def sentence(form: Any) -> Json:
    """What the rule in the form would do, or what is missing yet."""
    wanted = layout.wanted_of(form)
    if not str(wanted["name"] or "").strip():
        wanted["name"] = "A rule"  # it is asked for when it is saved
    try:
        checked = rules.check(wanted)
    except InvalidRequest as error:
        return {"sentence": error.message, "ok": False}
    return {
        "sentence": sentences.whole(checked),
        "ok": True,
    }


def looked(services: Services, who: Identity, wish: Any) -> Json:
    """The list of a baseline's rules, and what their forms hold."""
    try:
        baseline_id = _number(wish, "baseline_id", BaselineNotFound)
        with services.sessions() as session:
            name = baselines.get(session, who, baseline_id).name
            known = rules.list_all(session, who, baseline_id)
    except BaselineNotFound as error:
        deny(services, who, f"rules of baseline {_named(wish, 'baseline_id')}")
        return {"error": error.message}
    return {
        "name": name,
        "list": layout.rules(known),
        "forms": {str(rule["id"]): layout.form_of(rule) for rule in known},
    }


def acted(services: Services, who: Identity, deed: Any) -> Json:
    """Do what was pressed, and say in a sentence what was done or why not."""
    deed = deed if isinstance(deed, dict) else {}
    try:
        with services.sessions.begin() as session:
            said = _do(session, who, deed, services.now())
    except (BaselineNotFound, AlertRuleNotFound) as error:
        named = _named(deed, "rule_id") or _named(deed, "baseline_id")
        deny(services, who, f"alert rule {named}")
        return {"sentence": error.message, "ok": False}
    except DinsightError as error:
        return {"sentence": error.message, "ok": False}
    return {"sentence": said, "ok": True}


def _do(session: Session, who: Identity, deed: Json, now: dt.datetime) -> str:
    act, wanted = deed.get("act"), layout.wanted_of(deed.get("form"))
    if act == "save" and deed.get("rule_id") is None:
        baseline_id = _number(deed, "baseline_id", BaselineNotFound)
        return f"The rule {rules.add(session, who, baseline_id, wanted)['name']} is added."
    rule_id = _number(deed, "rule_id", AlertRuleNotFound)
    if act == "save":
        told = rules.change(session, who, rule_id, wanted, now=now)
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
