"""Detection: the areas of the map and the flags of what is drawn, counts, and the sensitivity.

The page asks (`detect-ask`) when a stream opens and when the revision of the areas in its status
changes, which is how a change made elsewhere reaches it; what draws is `assets/live_detection.js`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dash import Dash
from sqlalchemy.orm import Session

from api.security import page_user
from callbacks import asked
from callbacks.denials import deny
from callbacks.live import MOST_ID, Ask
from dinsight import areas, feed, packing, sensitivity, streams, tally
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound, DinsightError, InvalidRequest
from dinsight.feed import Cursor
from dinsight.maps import Map
from dinsight.models import Json
from dinsight.services import Services
from dinsight.status import judged
from layouts import detection as layout
from layouts.detection import CALIBRATED, PRESENT, Ids


def register(app: Dash, services: Services) -> None:
    def ask(data: Any) -> dict[str, Any] | None:
        return told(services, page_user(), Ask.parse(data))

    def count(data: Any) -> dict[str, Any] | None:
        return counted(services, page_user(), Ask.parse(data))

    def wish(data: Any) -> dict[str, Any]:
        return done(services, page_user(), Ask.parse(data), data)

    def sense(data: Any) -> dict[str, Any]:
        return sensed(services, page_user(), Ask.parse(data), data.get("chosen"))

    asked.answer(app, Ids.ASK, Ids.AREAS, ask)
    asked.answer(app, Ids.TALLY_ASK, Ids.TALLY, count)
    asked.answer(app, Ids.WISH, Ids.DONE, wish)
    asked.answer(app, Ids.SENSE, Ids.SENSED, sense)


def told(services: Services, who: Identity, ask: Ask) -> dict[str, Any] | None:
    """The baseline's areas, and which of the drawn points lie inside; None where there is none."""
    if ask.baseline_id is None:
        return None
    try:
        with services.sessions() as session:
            # In this order: where an area changes in between, the page is told an old revision, and
            # asks once more.
            known = areas.list_all(session, who, ask.baseline_id).to_dict()
            row = streams.find(session, who, ask.baseline_id, ask.stream)
            after = ask.after or Cursor(row.epoch, row.next_seq - 1)
            found = feed.flags(session, row, after, limit=ask.limit)
    except DinsightError:
        return None  # the poll says why
    listed = [
        {name: area[name] for name in ("id", "name", "kind", "geometry", "map", "applied")}
        for area in known["areas"]
    ]
    flagged = {"epoch": row.epoch, "first": found.first, **packing.pack_flags(found.inside)}
    return {"key": ask.key, "revision": known["revision"], "areas": listed, **flagged}


def counted(services: Services, who: Identity, ask: Ask) -> dict[str, Any] | None:
    """How many points of the epoch are normal and anomalous, by score and by areas."""
    if ask.baseline_id is None:
        return None
    try:
        with services.sessions() as session:
            row = streams.find(session, who, ask.baseline_id, ask.stream)
            return {"key": ask.key, **tally.take(session, row).to_dict()}
    except DinsightError:
        return None  # the poll says why


def done(services: Services, who: Identity, ask: Ask, wish: dict[str, Any]) -> dict[str, Any]:
    """Do what is wished with an area, and say in a sentence what was done or why not."""
    try:
        with services.sessions.begin() as session:
            sentence = _do(services, session, who, ask, wish)
    except BaselineNotFound as error:
        deny(services, who, f"areas {ask.baseline_id}", ask.baseline_id)
        return {"key": ask.key, "done": False, "sentence": error.message}
    except DinsightError as error:
        return {"key": ask.key, "done": False, "sentence": error.message}
    return {"key": ask.key, "done": True, "sentence": sentence}


def _do(services: Services, session: Session, who: Identity, ask: Ask, wish: dict[str, Any]) -> str:
    if ask.baseline_id is None:
        raise InvalidRequest("There is no map to draw an area on.")
    action, number = wish.get("action"), wish.get("area_id")
    if action == "add":
        added = areas.add(session, who, ask.baseline_id, wish)
        return f"{added['name']} is saved."
    if not (type(number) is int and 0 < number <= MOST_ID):
        raise InvalidRequest("area_id must be a whole number.")
    if action == "rename":
        named = {"name": wish.get("name")}
        changed = areas.change(session, who, ask.baseline_id, number, named, now=services.now())
        return f"It is {changed['name']} now."
    if action == "delete":
        areas.remove(session, who, ask.baseline_id, number)
        return "The area is deleted."
    raise InvalidRequest(f"There is no action {action!r}.")


def sensed(services: Services, who: Identity, ask: Ask, chosen: Any) -> dict[str, Any]:
    """The select's options and its value, and what it means; set if chosen."""
    nothing = {"key": ask.key, "options": [], "value": "", "text": ""}
    sentence = ""
    if ask.baseline_id is None:
        return nothing
    try:
        if chosen is not None:
            with services.sessions.begin() as session:
                wish = wanted(chosen)
                streams.configure(session, who, ask.baseline_id, ask.stream, wish)
    except BaselineNotFound as error:
        deny(services, who, f"sensitivity {ask.baseline_id}", ask.baseline_id)
        return {**nothing, "text": error.message}
    except DinsightError as error:
        sentence = error.message
    try:
        with services.sessions() as session:
            stands = Stands.of(session, who, ask.baseline_id, ask.stream)
    except DinsightError:
        return nothing  # the poll says why
    offered, value = layout.choices(stands.reach, stands.now)
    return {
        **{"key": ask.key, "options": offered, "value": value},
        "text": sentence or layout.cost_text(stands.reach, stands.now),
    }


@dataclass(frozen=True)
class Stands:
    """How the sensitivity of a stream stands, and what its map can promise at its rate."""

    map: Map
    rows_per_second: float
    reach: tuple[float, float]
    now: Json

    @classmethod
    def of(cls, session: Session, who: Identity, baseline_id: int, name: str) -> Stands:
        """Raises BaselineNotFound, StreamNotFound, or what its map cannot be read for."""
        row = streams.find(session, who, baseline_id, name)
        fitted = feed.stream_map(session, row)
        now = judged(session, row.map_id, row.settings, row.arrivals)
        rate = sensitivity.rate_or_usual(row.arrivals, row.settings)
        return cls(fitted, rate, sensitivity.reach(fitted, rate), now)

    def factor(self, chosen: Any) -> float:
        """The factor of a choice of the select. Raises InvalidRequest."""
        if chosen == PRESENT:
            return float(self.now["sensitivity_factor"])
        change = sensitivity.change(wanted(chosen), self.map, self.rows_per_second)
        return float(change["sensitivity_factor"])


def wanted(chosen: Any) -> dict[str, Any]:
    """The wish that a choice of the select is. Raises InvalidRequest."""
    if chosen == CALIBRATED:
        return {"sensitivity_factor": sensitivity.DEFAULT}
    try:
        return {"false_alarms_per_day": float(chosen)}
    except (TypeError, ValueError) as error:
        raise InvalidRequest("Choose how many false alarms a day to accept.") from error
