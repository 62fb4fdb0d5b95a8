"""The export dialog: how much its choices come to, and where the browser gets the file."""

from __future__ import annotations

from typing import Any

from dash import Dash

from api.export import wanted
from api.security import page_user
from callbacks import asked
from callbacks.live import Ask
from dinsight import exporting, history
from dinsight.accounts import Identity
from dinsight.errors import DinsightError
from dinsight.services import Services
from layouts import export as layout
from layouts.export import Ids

FIELDS = ("format", "epoch", "from", "to", "features")


def register(app: Dash, services: Services) -> None:
    def measure(data: Any) -> dict[str, Any]:
        return measured(services, page_user(), data)

    asked.answer(app, Ids.ASK, Ids.ANSWER, measure)


def measured(services: Services, who: Identity, data: Any) -> dict[str, Any]:
    """How much it is, the address of the file, and what there is to choose; or what is wrong."""
    try:
        ask = Ask.parse(data)
        if ask.baseline_id is None:
            return {"about": "There is no stream to export."}
        wishes = {name: str(data[name]) for name in FIELDS if data.get(name)}
        wish = wanted(wishes)
        sessions = services.sessions
        with sessions() as session:
            epochs = history.epochs(session, who, ask.baseline_id, limit=1000, offset=0)
        choices = layout.choices([e for e in epochs["sessions"] if e["stream"] == ask.stream])
        chosen = exporting.select(sessions, who, ask.baseline_id, ask.stream, wish, columns=False)
        kind = wishes.get("format") if wishes.get("format") in exporting.FORMATS else "csv"
        size = exporting.estimated_bytes(sessions, chosen, str(kind))
    except DinsightError as error:
        return {"about": error.message}
    return {
        "about": layout.about(chosen.points, size),
        "href": layout.address(ask.baseline_id, {"stream": ask.stream, **wishes}),
        "choices": choices,
    }
