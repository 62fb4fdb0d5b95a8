"""How alerts are said on pages: severity, state, since when, and the names of the choices."""

from __future__ import annotations

import datetime as dt
from typing import Any

from dash import html

from layouts.components import moment

Json = dict[str, Any]
SEVERITIES = {"critical": "Critical", "high": "High", "medium": "Medium", "low": "Low"}
STATES = {
    "active": "Not acknowledged",
    "acknowledged": "Acknowledged, active",
    "resolved": "Resolved",
}
KINDS = {"anomaly": "Anomaly", "data_quality": "Data quality"}
TIMES = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days", "90": "Last 90 days"}
VERDICTS = {"real": "Real", "false_alarm": "False alarm", "new_normal": "New normal"}


def severity(level: str) -> html.Span:
    """Word, shape and colour."""
    return html.Span(SEVERITIES[level], className=f"severity severity-{level}")


def state_words(alert: Json) -> str:
    """Both halves of an alert's state.

    >>> state_words({"condition": "cleared", "acknowledged_at": None})
    'Cleared, not acknowledged'
    """
    condition = alert["condition"].capitalize()
    return f"{condition}, {'not ' * (alert['acknowledged_at'] is None)}acknowledged"


def state(alert: Json) -> html.Span:
    return html.Span(state_words(alert), className=f"alert-state alert-is-{alert['status']}")


def since(alert: Json) -> html.Span:
    """From when to when, and for how long; the script says the latter, and local times."""
    began, ended = alert["opened_at"], alert["cleared_at"]
    span = html.Span(
        className="alert-span",
        **{"data-from": began.isoformat(), "data-to": ended.isoformat() if ended else ""},
    )
    if ended is None:
        return html.Span(["since ", local(began), " ", span])
    return html.Span([local(began), " to ", local(ended), " ", span])


def local(at: dt.datetime) -> html.Time:
    """A moment, which the script says in the reader's zone."""
    shown = moment(at)
    shown.className = "local-time"
    return shown


def times_words(times: int) -> str:
    """How often it came.

    >>> times_words(1), times_words(4)
    ('', 'came 4 times')
    """
    return f"came {times:,} times" if times > 1 else ""
