"""The score trend: its past on request; what comes after is added by `assets/live_trend.js`."""

from __future__ import annotations

from typing import Any

from dash import Dash

from api import display_door
from api.security import page_user
from callbacks import asked
from callbacks.live import Ask
from dinsight import sensitivity, streams, trend
from dinsight.accounts import Identity
from dinsight.errors import DinsightError
from dinsight.mapstore import load_map
from dinsight.services import Services
from layouts.trend import Ids


def register(app: Dash, services: Services) -> None:
    def look(data: Any) -> dict[str, Any] | None:
        return looked(services, page_user(), Ask.parse(data))

    display_door.admit(app.server, f"{Ids.ANSWER}.data")
    asked.answer(app, Ids.ASK, Ids.ANSWER, look)


def looked(services: Services, who: Identity, ask: Ask) -> dict[str, Any] | None:
    """The trend of the stream's present epoch; None where there is nothing to draw.

    `warning` is the warning limit in units of the alarm limit; `more` says that the history is
    longer than what was read.
    """
    if ask.baseline_id is None:
        return None
    try:
        with services.sessions() as session:
            stream = streams.find(session, who, ask.baseline_id, ask.stream)
            rule = load_map(session, stream.sha256).rule
            found = trend.of_stream(session, stream)
            times = trend.recent_times(session, stream, found.last)
    except DinsightError:
        return None  # the poll says why
    return {
        "key": ask.key,
        "epoch": stream.epoch,
        "more": found.last < stream.next_seq - 1,
        "warning": rule.warning,
        "limit": sensitivity.limit_of(stream.settings),
        "times": times,
        **trend.pack(found),
    }
