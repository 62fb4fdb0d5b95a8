"""The account page's section Notifications: add, test, switch and delete channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update
from sqlalchemy.orm import Session

from api.security import page_user
from callbacks.denials import deny
from dinsight import baselines
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound, ChannelNotFound, DinsightError, InvalidRequest
from dinsight.notices import channels
from dinsight.notices.channels import Known, Rules, Wanted
from dinsight.services import Services
from layouts import channels as layout
from layouts.channels import ACT, Channel, Ids, Sent
from layouts.components import FAILURE, SUCCESS

# What happened, how it looks, the secret that was made, the field, in the order of the outputs.
Done = tuple[Any, Any, Any, Any]


@dataclass(frozen=True)
class Filled:
    """The form as it was filled in."""

    kind: str
    target: str
    baseline: str
    severity: str


def register(app: Dash, services: Services) -> None:
    def act(*given: Any) -> tuple[Any, ...]:
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return (no_update,) * 6
        pressed = ctx.triggered_id
        if pressed == Ids.TICK:
            return redraw(services, page_user(), (no_update,) * 4)
        if isinstance(pressed, dict):
            return pressed_on(services, page_user(), pressed)
        return add(services, page_user(), Filled(*(str(each or "") for each in given[4:])))

    app.callback(
        Output(Ids.LIST, "children"),
        Output(Ids.TICK, "disabled"),
        Output(Ids.MESSAGE, "children"),
        Output(Ids.MESSAGE, "className"),
        Output(Ids.SECRET, "children"),
        Output(Ids.TARGET, "value"),
        Input({"type": ACT, "action": ALL, "channel": ALL}, "n_clicks"),
        Input(Ids.ADD, "n_clicks"),
        Input(Ids.TARGET, "n_submit"),
        Input(Ids.TICK, "n_intervals"),
        State(Ids.KIND, "value"),
        State(Ids.TARGET, "value"),
        State(Ids.BASELINE, "value"),
        State(Ids.SEVERITY, "value"),
        prevent_initial_call=True,
    )(act)


def section(services: Services, session: Session, who: Identity) -> Any:
    named = [(each.id, each.name) for each in baselines.list_visible(session, who)]
    sends_mail = Rules.of(services.settings).email
    return layout.section(_known(session, who), named, who.email, sends_mail)


def redraw(services: Services, who: Identity, done: Done) -> tuple[Any, ...]:
    """The list anew, whether to look again soon, and what happened."""
    with services.sessions() as session:
        known = _known(session, who)
    return layout.channels(known), not layout.is_waiting(known), *done


def add(services: Services, who: Identity, filled: Filled) -> tuple[Any, ...]:
    """Add a channel; an error leaves what was typed."""
    try:
        number = None if filled.baseline == layout.ALL else whole(filled.baseline)
        wanted = Wanted(filled.kind, filled.target, number, filled.severity)
        with services.sessions.begin() as session:
            made = channels.add(session, who, wanted, Rules.of(services.settings))
            secret = layout.new_secret(made.secret) if made.secret else None
    except BaselineNotFound as error:
        deny(services, who, f"channels of baseline {filled.baseline}")
        return (no_update, no_update, error.message, FAILURE, None, no_update)
    except DinsightError as error:
        return (no_update, no_update, error.message, FAILURE, None, no_update)
    said = "The channel is added: send a test to see whether messages arrive."
    return redraw(services, who, (said, SUCCESS, secret, ""))


def pressed_on(services: Services, who: Identity, pressed: dict[str, Any]) -> tuple[Any, ...]:
    """A button of a channel; the list is drawn anew even where it is gone by now."""
    try:
        number, action = whole(pressed.get("channel")), str(pressed.get("action"))
        with services.sessions.begin() as session:
            said = _do(services, session, who, action, number)
        shown = no_update if action == "test" else None  # a new secret stays through its test
        done: Done = (said, SUCCESS, shown, no_update)
    except ChannelNotFound as error:
        deny(services, who, f"channel {pressed.get('channel')}")
        done = (error.message, FAILURE, None, no_update)
    except DinsightError as error:
        done = (error.message, FAILURE, no_update, no_update)
    return redraw(services, who, done)


def _do(services: Services, session: Session, who: Identity, action: str, number: int) -> str:
    if action == "test":
        channels.test(session, who, number, now=services.now())
        return "A test message is on its way."
    if action == "switch":
        enabled = not channels.get(session, who, number).channel.enabled
        channels.change(session, who, number, {"enabled": enabled})
        return "The channel is switched on." if enabled else "The channel is switched off."
    if action == "delete":
        channels.delete(session, who, number)
        return "The channel is deleted."
    raise InvalidRequest("There is no such button.")


def whole(value: Any) -> int:
    """A number that the page names; raises InvalidRequest."""
    text = str(value)
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise InvalidRequest("A channel or baseline is named by its number.")
    return int(text)


def _known(session: Session, who: Identity) -> list[Channel]:
    return [_shown(each) for each in channels.list_all(session, who)]


def _shown(known: Known) -> Channel:
    channel, last = known.channel, known.last
    sent = None
    if last is not None:
        settled = last.delivered_at or last.failed_at or last.due_at
        state = channels.state_of(last)
        sent = Sent(last.event, state, settled, last.attempts, last.error)
    return Channel(
        channel.id,
        channel.kind,
        channel.target,
        known.baseline,
        channel.least_severity,
        channel.enabled,
        sent,
    )
