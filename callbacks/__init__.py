"""Everything that pages do: small callbacks over the domain, the layouts and the figures."""

from __future__ import annotations

from dash import Dash

from callbacks import (
    account,
    admin,
    baselines,
    channels,
    detection,
    displays,
    export,
    live,
    machines,
    point,
    report,
    shell,
    signin,
    streaming,
    trend,
    versions,
    viewing,
)
from dinsight.services import Services

<<<<<<< HEAD
PAGES = (signin, shell, account, channels, admin, machines, streaming)
ON_STREAMING = (live, trend, point, detection, viewing, displays)  # the parts of the streaming page
=======
PAGES = (signin, shell, account, admin, machines, streaming)
# The parts of the streaming page, and what is opened from it.
ON_STREAMING = (live, trend, point, detection, viewing, displays, export, report)
>>>>>>> export


def register(app: Dash, services: Services) -> None:
    for module in (*PAGES, *ON_STREAMING, baselines, versions):
        module.register(app, services)
