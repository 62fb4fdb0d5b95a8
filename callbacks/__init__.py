"""Everything that pages do: small callbacks over the domain, the layouts and the figures."""

from __future__ import annotations

from dash import Dash

from callbacks import account, admin, displays, live, shell, signin, streaming, viewing
from dinsight.services import Services


def register(app: Dash, services: Services) -> None:
    for module in (signin, shell, account, admin, streaming, live, viewing, displays):
        module.register(app, services)
