"""The alerts of the stream that the streaming page shows: those that are open, and the run's."""

from __future__ import annotations

from typing import Any

from dash import Dash

from api import display_door
from api.security import page_user
from callbacks import asked
from callbacks.live import Ask
from dinsight import streams
from dinsight.accounts import Identity
from dinsight.alerts import listing
from dinsight.alerts.listing import Wish
from dinsight.alerts.words import ACKNOWLEDGED, ACTIVE
from dinsight.errors import DinsightError
from dinsight.models import Json
from dinsight.services import Services
from layouts import live_alerts as layout
from layouts.live_alerts import Ids

SHOWN = 5  # of each state in the strip


def register(app: Dash, services: Services) -> None:
    def look(data: Any) -> Json | None:
        return looked(services, page_user(), Ask.parse(data))

    display_door.admit(app.server, f"{Ids.ANSWER}.data")
    asked.answer(app, Ids.ASK, Ids.ANSWER, look)


def looked(services: Services, who: Identity, ask: Ask) -> Json | None:
    """Alerts for the strip, of any run; and those of the present run, for the trend."""
    if ask.baseline_id is None:
        return None
    now = services.now()
    try:
        with services.sessions() as session:
            stream = streams.find(session, who, ask.baseline_id, ask.stream)
            of_run = listing.of_epoch(session, stream.id, stream.epoch, now=now)
            open_: list[Json] = []
            total = 0
            for status in (ACTIVE, ACKNOWLEDGED):
                wish = Wish(status=status, baseline_id=ask.baseline_id, stream=ask.stream)
                found = listing.page(session, who, wish, now=now, limit=SHOWN)
                open_ += found.alerts
                total += found.total
    except DinsightError:
        return None  # the poll says why
    return {
        "key": ask.key,
        "epoch": stream.epoch,
        "open": [layout.told(alert) for alert in open_],
        "total": total,
        "run": [layout.told(alert) for alert in of_run],
    }
