"""The export dialog: how much its choices come to, and where the browser gets the file."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update

from api.export import wanted
from api.security import page_user
from callbacks.live import Ask
from dinsight import exporting, history
from dinsight.accounts import Identity
from dinsight.errors import DinsightError
from dinsight.services import Services
from layouts import export as layout
from layouts.export import Ids
from layouts.streaming import Ids as StreamingIds

FIELDS = ("format", "epoch", "from", "to", "features")


def register(app: Dash, services: Services) -> None:
    def measure(data: Any) -> list[Any]:
        return measured(services, page_user(), data)

    app.clientside_callback(
        ClientsideFunction("exporting", "ask"),
        Output(Ids.ASK, "data"),
        Input(Ids.OPEN, "n_clicks"),
        Input(Ids.FIRST, "n_clicks"),
        Input(Ids.FORMAT, "value"),
        Input(Ids.WHAT, "value"),
        Input(Ids.FROM, "value"),
        Input(Ids.TO, "value"),
        Input(Ids.READINGS, "value"),
        State(StreamingIds.VIEW, "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("exporting", "report"),
        Output(Ids.REPORT, "href"),
        Input(StreamingIds.VIEW, "data"),
        prevent_initial_call=True,
    )
    app.callback(
        Output(Ids.ABOUT, "children"),
        Output(Ids.LINK, "href"),
        Output(Ids.WHAT, "options"),
        Input(Ids.ASK, "data"),
        prevent_initial_call=True,
    )(measure)


def measured(services: Services, who: Identity, data: Any) -> list[Any]:
    """How much it is, the address of the file, and what there is to choose; an error is told."""
    try:
        ask = Ask.parse(data)
        if ask.baseline_id is None:
            return ["There is no stream to export.", None, no_update]
        asked = {name: str(data[name]) for name in FIELDS if data.get(name)}
        wish = wanted(asked)
        sessions = services.sessions
        with sessions() as session:
            epochs = history.epochs(session, who, ask.baseline_id, limit=1000, offset=0)
        options = layout.choices([e for e in epochs["sessions"] if e["stream"] == ask.stream])
        chosen = exporting.select(sessions, who, ask.baseline_id, ask.stream, wish, columns=False)
        kind = asked.get("format") if asked.get("format") in exporting.FORMATS else "csv"
        size = exporting.estimated_bytes(sessions, chosen, str(kind))
    except DinsightError as error:
        return [error.message, None, no_update]
    href = layout.address(ask.baseline_id, {"stream": ask.stream, **asked})
    return [layout.about(chosen.points, size), href, options]
