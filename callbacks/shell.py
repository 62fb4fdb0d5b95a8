"""Which page stands at which address."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output
from flask import redirect, request
from werkzeug.wrappers import Response

from api.security import page_user
from callbacks import account, admin, baselines
from dinsight.services import Services
from layouts import streaming
from layouts.baselines import PATH as BASELINES
from layouts.shell import ACCOUNT, ADMIN, STREAMING, Ids, not_found


def register(app: Dash, services: Services) -> None:
    def show(path: str) -> tuple[Any, str, bool]:
        return page(services, path), page_user().email, not page_user().is_admin

    def home() -> Response | None:
        return redirect(STREAMING) if request.path == "/" else None

    app.server.before_request(home)
    app.callback(
        Output(Ids.PAGE, "children"),
        Output(Ids.WHO, "children"),
        Output(Ids.ADMIN, "hidden"),
        Input(Ids.URL, "pathname"),
    )(show)
    app.clientside_callback(ClientsideFunction("shell", "title"), Input(Ids.URL, "pathname"))


def page(services: Services, path: str) -> Any:
    path = path.rstrip("/")
    if path == STREAMING:
        return streaming.page()
    if path == BASELINES:
        return baselines.page(services, page_user())
    if path == ACCOUNT:
        return account.page(services, page_user())
    if path == ADMIN and page_user().is_admin:
        return admin.page(services, page_user())
    return not_found(path)
