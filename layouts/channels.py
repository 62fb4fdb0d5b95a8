"""The account page's section Notifications: where a user is told of alerts."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from layouts.components import button, command, confirmation, field, moment


@enum.unique
class Ids(enum.StrEnum):
    LIST = "channels-list"
    KIND = "channels-kind"
    TARGET = "channels-target"
    BASELINE = "channels-baseline"
    SEVERITY = "channels-severity"
    ADD = "channels-add"
    MESSAGE = "channels-message"
    SECRET = "channels-secret"  # noqa: S105 - an element's id
    TICK = "channels-tick"


ACT = "channels-act"
ALL = "all"  # baselines
TICK_MS = 1_500
SEVERITIES = {
    "low": "All",
    "medium": "Medium and above",
    "high": "High and above",
    "critical": "Critical only",
}
EVENTS = {
    "raised": "Alert raised",
    "severity_raised": "Alert more severe",
    "acknowledged": "Alert acknowledged",
    "cleared": "Alert cleared",
    "test": "Test",
}
VERIFY = """\
import hashlib, hmac

def is_genuine(secret: str, headers: dict[str, str], body: bytes) -> bool:
    signed = headers["X-Dinsight-Timestamp"].encode() + b"." + body
    mac = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest("v1=" + mac, headers["X-Dinsight-Signature"])"""


@dataclass(frozen=True)
class Sent:
    """The newest message of a channel: its event, how it stands, since when, and why."""

    event: str
    state: str  # waiting | delivered | failed
    at: dt.datetime
    attempts: int
    error: str | None


@dataclass(frozen=True)
class Channel:
    """A channel as the page shows it; the baseline is None for all of them."""

    id: int
    kind: str
    target: str
    baseline: str | None
    least_severity: str
    enabled: bool
    last: Sent | None


def section(
    known: Sequence[Channel], baselines: Sequence[tuple[int, str]], email: str, sends_mail: bool
) -> html.Section:
    return html.Section(
        [
            html.H2("Notifications"),
            html.P(
                "Where you are told when an alert of your machines is raised, grows more severe, "
                "is acknowledged or clears.",
                className="hint",
            ),
            html.Div(channels(known), id=Ids.LIST),
            html.Form(
                _form(baselines, email, sends_mail), className="channels-form", **{"data-stays": ""}
            ),
            html.P(id=Ids.MESSAGE, role="status", className="message"),
            html.Div(id=Ids.SECRET, className="new-key"),
            _verify(),
            dcc.Interval(id=Ids.TICK, interval=TICK_MS, disabled=not is_waiting(known)),
        ],
        className="card channels",
    )


def is_waiting(known: Sequence[Channel]) -> bool:
    """Whether the page should look again soon."""
    return any(each.last is not None and each.last.state == "waiting" for each in known)


def channels(known: Sequence[Channel]) -> Any:
    if not known:
        return html.P("Nobody is told yet: add a webhook or an e-mail address below.")
    return html.Ul([_channel(each) for each in known], className="channel-list")


def new_secret(secret: str) -> list[Any]:
    """The secret of a webhook that was just made, which the page never shows again."""
    return [
        html.P(
            "Messages are signed with this secret. It is shown only now: copy it to the receiver."
        ),
        command(secret, "Copy the secret"),
    ]


def _form(baselines: Sequence[tuple[int, str]], email: str, sends_mail: bool) -> list[Any]:
    kinds: list[dict[str, Any]] = [
        {"label": "Webhook", "value": "webhook"},
        {
            "label": "E-mail" if sends_mail else "E-mail (this server is not set up to send any)",
            "value": "email",
            "disabled": not sends_mail,
        },
    ]
    machines = [{"label": "All my baselines", "value": ALL}]
    machines += [{"label": name, "value": str(number)} for number, name in baselines]
    levels = [{"label": label, "value": value} for value, label in SEVERITIES.items()]
    target = dbc.Input(
        id=Ids.TARGET,
        type="text",
        value="",
        maxlength=2_000,
        autocomplete="off",
        placeholder="https://example.com/alerts",
        class_name="input",
    )
    mail = f" For e-mail leave it empty to use {email}." if sends_mail else ""
    return [
        field("Kind", _select(Ids.KIND, kinds, "webhook"), for_=Ids.KIND),
        field("Address", target, for_=Ids.TARGET, hint=f"A URL that takes a POST.{mail}"),
        field("Of", _select(Ids.BASELINE, machines, ALL), for_=Ids.BASELINE),
        field("Severity", _select(Ids.SEVERITY, levels, "low"), for_=Ids.SEVERITY),
        button("Add", Ids.ADD, kind="primary"),
    ]


def _select(id: Ids, options: list[dict[str, Any]], value: str) -> dbc.Select:
    return dbc.Select(id=id, options=options, value=value, class_name="input")


def _channel(channel: Channel) -> html.Li:
    kind = "Webhook" if channel.kind == "webhook" else "E-mail"
    of = channel.baseline or "All my baselines"
    facts = [kind, of, f"Severity: {SEVERITIES[channel.least_severity].lower()}"]
    return html.Li(
        [
            html.P(channel.target, className="channel-target"),
            html.P(" · ".join(facts), className="hint"),
            _last(channel),
            html.Div(_buttons(channel), className="channel-buttons"),
        ],
        className="channel" if channel.enabled else "channel off",
    )


def _last(channel: Channel) -> html.P:
    """How the newest message fared, in words and not by colour alone."""
    off = [] if channel.enabled else [html.Strong("Off"), " · "]
    last = channel.last
    if last is None:
        return html.P([*off, "Nothing was sent yet."], className="hint")
    event = EVENTS[last.event]
    if last.state == "delivered":
        said = [f"{event}: delivered ", moment(last.at, seconds=True)]
        return html.P([*off, *said], className="message success")
    if last.state == "failed":
        said = [f"{event}: failed ", moment(last.at, seconds=True), f". {last.error}"]
        return html.P([*off, *said], className="message error")
    if last.error is None:
        return html.P([*off, f"{event}: being sent …"], className="hint")
    said = [f"{event}: attempt {last.attempts} failed. {last.error} The next one is due "]
    return html.P([*off, *said, moment(last.at, seconds=True), "."], className="message error")


def _buttons(channel: Channel) -> list[Any]:
    dialog = f"channels-delete-{channel.id}"
    return [
        _act("Send a test", "test", channel),
        _act("Switch off" if channel.enabled else "Switch on", "switch", channel),
        html.Button(
            ["Delete", _whose(channel)],
            className="button small danger",
            type="button",
            **{"data-opens": dialog},
        ),
        confirmation(
            dialog,
            "Delete this channel?",
            html.P(f"{channel.target} is told of no alert any more, nor of what still waits."),
            _act("Delete", "delete", channel, "danger", **{"data-closes": ""}),
        ),
    ]


def _act(text: str, action: str, channel: Channel, kind: str = "", **more: Any) -> html.Button:
    return html.Button(
        [text, _whose(channel)],
        id={"type": ACT, "action": action, "channel": channel.id},
        className=f"button small {kind}".strip(),
        type="button",
        **more,
    )


def _whose(channel: Channel) -> html.Span:
    return html.Span(f": {channel.target}", className="sr-only")


def _verify() -> html.Details:
    return html.Details(
        [
            html.Summary("How a receiver verifies a message"),
            html.P(
                "Every request is a POST of JSON with the headers X-Dinsight-Delivery, the same "
                "however often it is sent, X-Dinsight-Event, X-Dinsight-Timestamp and "
                "X-Dinsight-Signature. In Python:"
            ),
            html.Pre(html.Code(VERIFY), tabIndex="0"),
            html.P(
                "Refuse what is not genuine, and a timestamp that is minutes old. Answer with a "
                "status of 2xx within 10 seconds; anything else is tried again for a day, and "
                "410 switches the channel off."
            ),
        ],
        className="channels-verify",
    )
