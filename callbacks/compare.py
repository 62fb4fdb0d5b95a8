"""Another stream on the map of this one: which can be chosen, and what is new of the chosen one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from dash import Dash

from api.security import page_user
from callbacks import asked
from callbacks.live import Ask
from dinsight import overlay, packing
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotReady, DinsightError, InvalidRequest, MapBeingRefitted
from dinsight.models import Json
from dinsight.overlay import Name, Overlay
from dinsight.services import Services
from layouts import compare as layout
from layouts.compare import Ids


@dataclass(frozen=True)
class CompareAsk:
    """What the page shows, and what it compares that with; `value` is as the select has it."""

    page: Ask
    shown: Name
    other: Name
    value: str

    @classmethod
    def parse(cls, data: Any) -> CompareAsk:
        """From what the page sent; raises InvalidRequest."""
        page = Ask.parse(data)
        other = Ask.parse(
            {"baseline_id": data.get("with_baseline"), "stream": data.get("with_stream")}
        )
        if page.baseline_id is None or other.baseline_id is None:
            raise InvalidRequest("A stream is compared with another: both must be named.")
        name = Name(other.baseline_id, other.stream)
        return cls(page, Name(page.baseline_id, page.stream), name, layout.value(name))


def register(app: Dash, services: Services) -> None:
    def look(data: Any) -> list[dict[str, str]]:
        return offered(services, page_user(), Ask.parse(data))

    def poll(data: Any) -> Json:
        return answer(services, page_user(), CompareAsk.parse(data))

    asked.answer(app, Ids.LOOK, Ids.OFFERED, look)
    asked.answer(app, Ids.ASK, Ids.FEED, poll)


def offered(services: Services, who: Identity, ask: Ask) -> list[dict[str, str]]:
    """What can be chosen; nothing, where there is no such stream to compare with."""
    if ask.baseline_id is None:
        return layout.options(Name(0, ""), [])
    shown = Name(ask.baseline_id, ask.stream)
    try:
        with services.sessions() as session:
            return layout.options(shown, overlay.offers(session, who, shown))
    except DinsightError:
        return layout.options(shown, [])  # the page says why


def answer(services: Services, who: Identity, ask: CompareAsk) -> Json:
    """What is new of the other stream; `kind` is ready, waiting (for a map) or refused."""
    head = {"key": ask.page.key, "with": ask.value}
    now = services.now()
    try:
        with services.sessions() as session:
            found = overlay.compare(
                session,
                who,
                ask.shown,
                ask.other,
                ask.page.after,
                limit=min(overlay.MOST, ask.page.limit),
                now=now,
            )
    except (BaselineNotReady, MapBeingRefitted) as error:
        return {**head, "kind": "waiting", "message": error.message}
    except DinsightError as error:
        return {**head, "kind": "refused", "message": error.message}
    return {**head, "kind": "ready", **packed(found)} | {"status": status(found, now)}


def packed(found: Overlay) -> Json:
    """The points as they travel: those of `packing.pack`, and where they are placed `here`."""
    here = {} if found.here is None else {"here": packing.floats(found.here)}
    return {
        "machine": found.machine,
        "epoch": found.cursor.epoch,
        "first": found.first,
        "n": len(found.x),
        "next": str(found.cursor),
        "x": packing.floats(found.x),
        "y": packing.floats(found.y),
        "score": packing.floats(found.score),
        "level": packing.text(found.level.tobytes()),
        "unplaced": found.unplaced,
        **here,
    }


def status(found: Overlay, now: dt.datetime) -> Json:
    packed_status = packing.pack_status(found.status, now)
    return {name: packed_status[name] for name in (*overlay.told(found), "age")}
