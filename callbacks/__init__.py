"""Everything that pages do: small callbacks over the domain, the layouts and the figures."""

from __future__ import annotations

from dash import Dash

from callbacks import (
    account,
    admin,
    alert_rules,
    alerts,
    baselines,
    channels,
    compare,
    deeds,
    detection,
    displays,
    export,
    live,
    live_alerts,
    machines,
    point,
    report,
    shell,
    signin,
    streaming,
    trend,
    trials,
    versions,
)
from dinsight.services import Services

PAGES = (signin, shell, account, channels, admin, machines, streaming)
OF_ALERTS = (deeds, alerts, alert_rules, live_alerts, trials)
# The parts of the streaming page, and what is opened from it.
ON_STREAMING = (live, trend, point, detection, displays, compare, export, report)


def register(app: Dash, services: Services) -> None:
    for module in (*PAGES, *ON_STREAMING, *OF_ALERTS, baselines, versions):
        module.register(app, services)
