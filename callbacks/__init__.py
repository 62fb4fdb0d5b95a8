"""Everything that pages do: small callbacks over the domain, the layouts and the figures."""

from __future__ import annotations

from dash import Dash

from callbacks import account, admin, detection, live, shell, signin, streaming
from dinsight.services import Services


def register(app: Dash, services: Services) -> None:
    for module in (signin, shell, account, admin, streaming, live, detection):
        module.register(app, services)
