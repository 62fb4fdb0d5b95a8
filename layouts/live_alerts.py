"""The streaming page's alerts: a strip under the state, and their marks on the trend.

`assets/live_alerts.js` asks for them when the status says that they have changed, and paints both.
"""

from __future__ import annotations

import enum
from typing import Any

from dash import html

from layouts.alert_words import SEVERITIES

Json = dict[str, Any]


@enum.unique
class Ids(enum.StrEnum):
    STRIP = "live-alerts"
    MARKS = "trend-alerts"
    ASK = "live-alerts-ask"
    ANSWER = "live-alerts-answer"


def strip() -> html.Section:
    """Hidden while no alert of the stream is open."""
    return html.Section(
        html.Ul(id=Ids.STRIP),
        id="live-alerts-place",
        className="live-alerts",
        hidden=True,
        **{"aria-label": "Alerts of this stream"},
    )


def marks() -> html.Ul:
    """Over the trend: a mark for each alert of the run."""
    return html.Ul(id=Ids.MARKS, className="trend-alerts", **{"aria-label": "Alerts of this run"})


def told(alert: Json) -> Json:
    """What the page's script needs of an alert."""
    names = ("id", "epoch", "opened_seq", "cleared_seq", "severity", "status", "title", "times")
    return {
        **{name: alert[name] for name in names},
        "word": SEVERITIES[alert["severity"]],
        "condition": alert["condition"],
        "opened_at": alert["opened_at"].isoformat(),
        "cleared_at": alert["cleared_at"] and alert["cleared_at"].isoformat(),
        "shelved_until": alert["shelved_until"] and alert["shelved_until"].isoformat(),
    }
