"""Everything that pages do: small callbacks over the domain, the layouts and the figures."""

from __future__ import annotations

from dash import Dash

from callbacks import (
    account,
    admin,
    baselines,
    compare,
    detection,
    displays,
    live,
    machines,
    point,
    shell,
    signin,
    streaming,
    trend,
    viewing,
)
from dinsight.services import Services

PAGES = (signin, shell, account, admin, machines, streaming)
ON_STREAMING = (
    live,
    trend,
    point,
    detection,
    viewing,
    displays,
    compare,
)  # the parts of the streaming page


def register(app: Dash, services: Services) -> None:
    for module in (*PAGES, *ON_STREAMING, baselines):
        module.register(app, services)
