"""Trying a rule, or a sensitivity, on history: from its dialog to a job, and what came of it.

The dialog asks when it opens what there is to choose from; then each deed starts, looks at or ends
a trial. What shows the answers is `assets/trials.js`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dash import Dash
from sqlalchemy.orm import Session

from api.security import page_user
from callbacks import asked
from callbacks.denials import deny
from callbacks.detection import Stands
from dinsight import back_testing, history, playback, trend
from dinsight.accounts import Identity
from dinsight.alerts import rules, sentences
from dinsight.alerts.words import LEVEL
from dinsight.back_testing import Wish
from dinsight.errors import BackTestNotFound, BaselineNotFound, DinsightError, InvalidRequest
from dinsight.fitting import DEFAULT_STREAM
from dinsight.mapstore import load_map
from dinsight.models import Json
from dinsight.services import Services
from layouts import trial_result
from layouts import trials as layout
from layouts.alert_rules import wanted_of
from layouts.detection import choices
from layouts.trial_result import Score
from layouts.trials import SENSITIVITY, Ids

MOST_ID = 2**31 - 1
RUNS = 200  # that can be chosen from: the newest
ALARM: Json = {"kind": LEVEL, "level": "alarm", "severity": "high"}


@dataclass(frozen=True)
class Ask:
    """What the page wants: to try what of which baseline, and the trial that it has begun.

    `turn` is the page's own and is told back; `stream` and `epoch` are what it looks at; `run`,
    `sensitivity` and `form` (of the rule) are what the dialogs hold.
    """

    what: str
    baseline_id: int
    act: str
    turn: int
    stream: str
    epoch: int | None
    trial: int
    run: Any
    sensitivity: Any
    form: Any

    @classmethod
    def parse(cls, data: Any) -> Ask:
        data = data if isinstance(data, dict) else {}

        def number(name: str) -> int:
            value = data.get(name)
            return value if type(value) is int and 0 < value <= MOST_ID else 0

        words = (str(data.get(name) or "") for name in ("what", "act", "stream"))
        what, act, stream = words
        return cls(
            what=SENSITIVITY if what == SENSITIVITY else layout.RULE,
            baseline_id=number("baseline_id"),
            act=act,
            turn=number("turn"),
            stream=stream or DEFAULT_STREAM,
            epoch=number("epoch") or None,
            trial=number("trial"),
            run=data.get("run"),
            sensitivity=data.get("sensitivity"),
            form=data.get("form"),
        )


def register(app: Dash, services: Services) -> None:
    def open_(ask: Any) -> Json:
        return opened(services, page_user(), Ask.parse(ask))

    def act(deed: Any) -> Json | None:
        return acted(services, page_user(), Ask.parse(deed))

    asked.answer(app, Ids.ASK, Ids.TOLD, open_)
    asked.answer(app, Ids.DEED, Ids.FOLLOWED, act)


def opened(services: Services, who: Identity, ask: Ask) -> Json:
    """What is to be tried, the runs and the sensitivities to choose from; or why it cannot be."""
    try:
        with services.sessions() as session:
            known = history.recorded(session, who, ask.baseline_id, limit=RUNS)
            rule = back_testing.checked(_rule(session, who, ask))
            told: Json = {"turn": ask.turn, "about": layout.about(ask.what, sentences.whole(rule))}
            if not known:
                return {**told, "empty": layout.EMPTY}
            told["runs"], told["run"] = layout.runs(known, (ask.stream, ask.epoch or 0))
            if ask.what == SENSITIVITY:
                stands = Stands.of(session, who, ask.baseline_id, ask.stream)
                told["sensitivities"], told["present"] = choices(stands.reach, stands.now)
            return told
    except BaselineNotFound as error:
        deny(services, who, f"history of baseline {ask.baseline_id}")
        return {"turn": ask.turn, "about": layout.refused(error.message), "refused": True}
    except DinsightError as error:
        return {"turn": ask.turn, "about": layout.refused(error.message), "refused": True}


def _rule(session: Session, who: Identity, ask: Ask) -> Json:
    """The rule of the form; for a sensitivity the one that watches the level."""
    if ask.what != SENSITIVITY:
        rule = wanted_of(ask.form)
        return {**rule, "name": str(rule["name"] or "").strip() or "A rule"}
    known = rules.list_all(session, who, ask.baseline_id)
    watching = (rule for rule in known if rule["kind"] == LEVEL and rule["enabled"])
    return next(watching, {**ALARM, "name": "Alarms"})


def acted(services: Services, who: Identity, ask: Ask) -> Json | None:
    """Start, look at or end a trial: what came of it, and how far it is."""
    if ask.act not in ACTS:
        return None
    try:
        return ACTS[ask.act](services, who, ask)
    except (BaselineNotFound, BackTestNotFound) as error:
        deny(services, who, f"trial {ask.trial or ask.baseline_id}")
        return _failed(ask, error.message)
    except DinsightError as error:
        return _failed(ask, error.message)


def _start(services: Services, who: Identity, ask: Ask) -> Json:
    run = layout.run_of(ask.run)
    if run is None:
        raise InvalidRequest("Choose a run first.")
    stream, epoch = run
    with services.sessions.begin() as session:
        rule = _rule(session, who, ask)
        factor = None
        if ask.what == SENSITIVITY:
            stands = Stands.of(session, who, ask.baseline_id, ask.stream)
            factor = stands.factor(ask.sensitivity)
        wish = Wish(stream=stream, rule=rule, epoch=epoch, factor=factor)
        told = back_testing.ask(session, who, ask.baseline_id, wish)
    services.jobs.wake()
    return _followed(ask, told)


def _look(services: Services, who: Identity, ask: Ask) -> Json:
    with services.sessions() as session:
        told = back_testing.get(session, who, ask.trial)
        if told["status"] != back_testing.COMPLETED:
            return _followed(ask, told)
        shown = trial_result.result(told, _score(session, who, told))
    return _followed(ask, told) | {"result": shown}


def _cancel(services: Services, who: Identity, ask: Ask) -> Json:
    with services.sessions.begin() as session:
        back_testing.remove(session, who, ask.trial)
    return {"turn": ask.turn, "status": "cancelled"}


ACTS = {"start": _start, "look": _look, "cancel": _cancel}


def _score(session: Session, who: Identity, told: Json) -> Score:
    """The run's score beside the limit that the rule looks at."""
    place = (told["baseline_id"], told["stream"], told["epoch"])
    stream, row = playback.find(session, who, *place)
    found = trend.whole(session, stream)
    limit = told["rule"]["score"] or playback.limit_at(row, found.last) or 1.0
    if told["sensitivity_factor"] is not None:
        limit = load_map(session, stream.sha256).limit_at(told["sensitivity_factor"])
    buckets = found.buckets
    first = (buckets.number * found.width + 1).tolist()
    shares = (buckets.high / limit).tolist()
    return Score(found.first, list(zip(first, buckets.at.tolist(), shares, strict=True)))


def _followed(ask: Ask, told: Json) -> Json:
    result = told["result"] or {}
    return {
        "turn": ask.turn,
        "trial": told["id"],
        "status": told["status"],
        "progress": told["progress"],
        "sentence": result.get("sentence") or told["error_message"],
    }


def _failed(ask: Ask, sentence: str) -> Json:
    return {"turn": ask.turn, "status": back_testing.FAILED, "sentence": sentence}
