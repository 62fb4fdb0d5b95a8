"""Which page stands at which address."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output
from flask import redirect, request
from werkzeug.wrappers import Response

from api import display_door
from api.security import page_user
from callbacks import account, admin, baselines, machines
from dinsight.machines import has_several
from dinsight.services import Services
from layouts import streaming
from layouts.baselines import PATH as BASELINES
from layouts.shell import ACCOUNT, ADMIN, MACHINES, STREAMING, Ids, not_found


def register(app: Dash, services: Services) -> None:
    def show(path: str) -> tuple[Any, str, bool]:
        return page(services, path), page_user().email, not page_user().is_admin

    def home() -> Response | None:
        return redirect(front_page(services)) if request.path == "/" else None

    app.server.before_request(home)
    display_door.admit(app.server, f"{Ids.PAGE}.children")
    app.callback(
        Output(Ids.PAGE, "children"),
        Output(Ids.WHO, "children"),
        Output(Ids.ADMIN, "hidden"),
        Input(Ids.URL, "pathname"),
    )(show)
    app.clientside_callback(ClientsideFunction("shell", "title"), Input(Ids.URL, "pathname"))


def front_page(services: Services) -> str:
    """Where the front door leads: to all machines, or to the only one that there is."""
    with services.sessions() as session:
        return MACHINES if has_several(session, page_user()) else STREAMING


def page(services: Services, path: str) -> Any:
    path = path.rstrip("/")
    if path == STREAMING:
        return streaming.page()
    if page_user().sight:
        return not_found(path)
    if path == MACHINES:
        return machines.page(services, page_user())
    if path == BASELINES:
        return baselines.page(services, page_user())
    if path == ACCOUNT:
        return account.page(services, page_user())
    if path == ADMIN and page_user().is_admin:
        return admin.page(services, page_user())
    return not_found(path)
