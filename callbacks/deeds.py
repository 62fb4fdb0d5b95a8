"""Alerts on every page: how many are open, and what people do about them."""

from __future__ import annotations

from typing import Any

from dash import Dash
from sqlalchemy.orm import Session

from api import display_door
from api.security import page_user
from callbacks import asked
from callbacks.denials import deny
from dinsight.accounts import Identity
from dinsight.alerts import acting, listing
from dinsight.errors import AlertNotFound, DinsightError, InvalidRequest
from dinsight.models import Json
from dinsight.services import Services
from layouts.shell import Ids

MOST_AT_ONCE = 500
MOST_ALERT_ID = 2**53
SAID = {
    "acknowledge": "Acknowledged.",
    "resolve": "Resolved.",
    "shelve": "Shelved.",
    "unshelve": "Taken from the shelf.",
    "verdict": "Kept.",
}


def register(app: Dash, services: Services) -> None:
    def look(_: Any) -> Json:
        with services.sessions() as session:
            return listing.present(session, page_user())

    def act(deed: Any) -> Json:
        return acted(services, page_user(), deed)

    display_door.admit(app.server, f"{Ids.ALERTS}.data")
    asked.answer(app, Ids.ALERTS_ASK, Ids.ALERTS, look)
    asked.answer(app, Ids.ALERTS_DEED, Ids.ALERTS_DONE, act)


def acted(services: Services, who: Identity, deed: Any) -> Json:
    """Do it to each of the alerts, and say in a sentence what was done or why not.

    Each in a transaction of its own: what was done stays done where another one has gone.
    """
    deed = deed if isinstance(deed, dict) else {}
    done, problem = 0, ""
    for number in _ids(deed.get("ids")):
        try:
            with services.sessions.begin() as session:
                _do(services, session, who, deed, number)
            done += 1
        except DinsightError as error:
            problem = error.message
            if isinstance(error, AlertNotFound):
                deny(services, who, f"alert {str(number)[:20]}")
    act = str(deed.get("act"))
    return {
        "sentence": _sentence(act, deed, done, problem),
        "ok": not problem,
    }


def _do(services: Services, session: Session, who: Identity, deed: Json, number: int) -> None:
    act, now = deed.get("act"), services.now()
    if type(number) is not int or not 0 < number < MOST_ALERT_ID:
        raise AlertNotFound()
    if act == "acknowledge":
        acting.acknowledge(session, who, number, deed.get("note"), now=now)
    elif act == "resolve":
        acting.resolve(session, who, number, deed.get("note"), now=now)
    elif act == "shelve":
        acting.shelve(session, who, number, deed.get("until") or "", now=now)
    elif act == "unshelve":
        acting.shelve(session, who, number, None, now=now)
    elif act == "verdict":
        acting.judge(session, who, number, deed.get("verdict"), deed.get("note"), now=now)
    else:
        raise InvalidRequest("There is no such button.")


def _ids(given: Any) -> list[Any]:
    return given[:MOST_AT_ONCE] if isinstance(given, list) else []


def _sentence(act: str, deed: Json, done: int, problem: str) -> str:
    if problem and not done:
        return problem
    said = SAID.get(act, "Nothing was done.") if done else "Nothing was done: no alert is chosen."
    if act == "verdict" and done:
        if deed.get("verdict") == "new_normal":
            said = "New normal: the rows of an anomaly wait for review."
        elif deed.get("verdict") is None:
            said = "The verdict is taken back."
    if done > 1:
        said = f"{done:,} alerts: {said[0].lower()}{said[1:]}"
    return f"{said} {problem}".strip()
