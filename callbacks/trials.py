"""Trying a rule, or a sensitivity, on history: from its dialog to a job, and what came of it.

The page asks (`trial-ask`) when the dialog opens; then each deed starts, looks at or ends a trial.
What draws is `assets/trials.js`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update
from sqlalchemy.orm import Session

from api.security import page_user
from callbacks.alert_rules import FORM_STATES
from callbacks.alert_rules import wanted as rule_of
from callbacks.channels import deny
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
from layouts.detection import choices
from layouts.trial_result import Score
from layouts.trials import SENSITIVITY, Ids

MOST_ID = 2**31 - 1
RUNS = 200  # that can be chosen from: the newest
ALARM: Json = {"kind": LEVEL, "level": "alarm", "severity": "high"}


@dataclass(frozen=True)
class Ask:
    """What the page wants: to try what of which baseline, and the trial that it has begun.

    `turn` is the page's own and is told back; `stream` and `epoch` are what it looks at.
    """

    what: str
    baseline_id: int
    act: str
    turn: int
    stream: str
    epoch: int | None
    trial: int

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
        )


def register(app: Dash, services: Services) -> None:
    def open_(asked: Any, *values: Any) -> list[Any]:
        return opened(services, page_user(), Ask.parse(asked), values)

    def act(deed: Any, run: Any, chosen: Any, *values: Any) -> list[Any]:
        return acted(services, page_user(), Ask.parse(deed), Chosen(run, chosen, values))

    app.callback(
        Output(Ids.ABOUT, "children"),
        Output(Ids.RUN, "options"),
        Output(Ids.RUN, "value"),
        Output(Ids.SENSITIVITY, "options"),
        Output(Ids.SENSITIVITY, "value"),
        Output(Ids.TOLD, "data"),
        Input(Ids.ASK, "data"),
        *FORM_STATES,
        prevent_initial_call=True,
    )(open_)
    app.callback(
        Output(Ids.RESULT, "children"),
        Output(Ids.FOLLOWED, "data"),
        Input(Ids.DEED, "data"),
        State(Ids.RUN, "value"),
        State(Ids.SENSITIVITY, "value"),
        *FORM_STATES,
        prevent_initial_call=True,
    )(act)
    for name, source in (("told", Ids.TOLD), ("followed", Ids.FOLLOWED)):
        app.clientside_callback(
            ClientsideFunction("trials", name), Input(source, "data"), prevent_initial_call=True
        )


@dataclass(frozen=True)
class Chosen:
    """What the dialogs hold: the run, the sensitivity, and the values of the rule's form."""

    run: Any
    sensitivity: Any
    form: tuple[Any, ...]


def opened(services: Services, who: Identity, ask: Ask, values: tuple[Any, ...]) -> list[Any]:
    """What is to be tried, the runs and the sensitivities to choose from; or why it cannot be."""
    nothing: list[Any] = [[], None, [], None]
    try:
        with services.sessions() as session:
            known = history.recorded(session, who, ask.baseline_id, limit=RUNS)
            rule = back_testing.checked(_rule(session, who, ask, values))
            told = {"turn": ask.turn, "what": ask.what}
            about = layout.about(ask.what, _words(rule))
            if not known:
                return [about, *nothing, {**told, "empty": layout.EMPTY}]
            options, run = layout.runs(known, (ask.stream, ask.epoch or 0))
            sensitivities, present = _sensitivities(session, who, ask)
    except BaselineNotFound as error:
        deny(services, who, f"history of baseline {ask.baseline_id}")
        return [layout.refused(error.message), *nothing, {"turn": ask.turn, "refused": True}]
    except DinsightError as error:
        return [layout.refused(error.message), *nothing, {"turn": ask.turn, "refused": True}]
    return [about, options, run, sensitivities, present, {**told, "present": present}]


def _sensitivities(session: Session, who: Identity, ask: Ask) -> tuple[list[Json], str | None]:
    if ask.what != SENSITIVITY:
        return [], None
    stands = Stands.of(session, who, ask.baseline_id, ask.stream)
    return choices(stands.reach, stands.now)


def _rule(session: Session, who: Identity, ask: Ask, values: tuple[Any, ...]) -> Json:
    """The rule of the form; for a sensitivity the one that watches the level."""
    if ask.what != SENSITIVITY:
        rule = rule_of(values)
        return {**rule, "name": str(rule["name"] or "").strip() or "A rule"}
    known = rules.list_all(session, who, ask.baseline_id)
    watching = (rule for rule in known if rule["kind"] == LEVEL and rule["enabled"])
    return next(watching, {**ALARM, "name": "Alarms"})


def _words(rule: Json) -> str:
    return f"{sentences.rule(rule)} {sentences.ending(rule)}".strip()


def acted(services: Services, who: Identity, ask: Ask, chosen: Chosen) -> list[Any]:
    """Start, look at or end a trial: what came of it, and how far it is."""
    try:
        if ask.act == "start":
            told = _start(services, who, ask, chosen)
        elif ask.act == "look":
            with services.sessions() as session:
                told = back_testing.get(session, who, ask.trial)
                if told["status"] == back_testing.COMPLETED:
                    shown = trial_result.result(told, _score(session, who, told))
                    return [shown, _followed(ask, told)]
        elif ask.act == "cancel":
            with services.sessions.begin() as session:
                back_testing.remove(session, who, ask.trial)
            return [[], {"turn": ask.turn, "status": "cancelled"}]
        else:
            return [no_update, no_update]
    except (BaselineNotFound, BackTestNotFound) as error:
        deny(services, who, f"trial {ask.trial or ask.baseline_id}")
        return [[], _failed(ask, error.message)]
    except DinsightError as error:
        return [[], _failed(ask, error.message)]
    return [[], _followed(ask, told)]


def _start(services: Services, who: Identity, ask: Ask, chosen: Chosen) -> Json:
    run = layout.run_of(chosen.run)
    if run is None:
        raise InvalidRequest("Choose a run first.")
    stream, epoch = run
    with services.sessions.begin() as session:
        rule = _rule(session, who, ask, chosen.form)
        factor = None
        if ask.what == SENSITIVITY:
            stands = Stands.of(session, who, ask.baseline_id, ask.stream)
            factor = stands.factor(chosen.sensitivity)
        wish = Wish(stream=stream, rule=rule, epoch=epoch, factor=factor)
        told = back_testing.ask(session, who, ask.baseline_id, wish)
    services.jobs.wake()
    return told


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
