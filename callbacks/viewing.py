"""Pausing the view: all of it happens in the page, since the stream goes on."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input

from dinsight.services import Services
from layouts.viewing import Ids


def register(app: Dash, _: Services) -> None:
    app.clientside_callback(
        ClientsideFunction("live", "hold"),
        Input(Ids.PAUSE, "n_clicks"),
        prevent_initial_call=True,
    )
