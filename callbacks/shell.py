"""Which page stands at which address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output
from flask import redirect, request
from werkzeug.wrappers import Response

from api import display_door
from api.security import page_user
from callbacks import account, admin, alerts, baselines, machines, versions
from dinsight.accounts import Identity
from dinsight.machines import has_several
from dinsight.services import Services
from layouts import streaming
from layouts.baselines import PATH as BASELINES
from layouts.shell import ACCOUNT, ADMIN, ALERTS, MACHINES, STREAMING, VERSIONS, Ids, not_found
from layouts.static_markup import fold, named_by

FOR_DISPLAYS = {MACHINES}  # those of these that a wall screen opens as well
OF_PEOPLE: dict[str, Callable[[Services, Identity], Any]] = {
    MACHINES: machines.page,
    BASELINES: baselines.page,
    VERSIONS: versions.page,
    ALERTS: alerts.page,
    ACCOUNT: account.page,
}


def register(app: Dash, services: Services) -> None:
    def show(path: str) -> tuple[Any, str, bool]:
        content = fold(page(services, path), named_by(app.callback_map))
        return content, page_user().email, not page_user().is_admin

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
    path, who = path.rstrip("/"), page_user()
    if path == STREAMING:
        return streaming.page()
    if path in OF_PEOPLE and (who.sight is None or path in FOR_DISPLAYS):
        return OF_PEOPLE[path](services, who)
    if path == ADMIN and who.is_admin:
        return admin.page(services, who)
    return not_found(path)
