"""The machines page: what has changed since the page's last answer.

The page says which card it has as of when (`known`: a tag for each stream), and is sent the others
alone: where nothing has changed, the time, so that it knows that the server is there.

A wall asks in the same way, and is also sent a small map of each machine that changed; the ground
of a map, which never changes, only until the page says that it has it (`grounds`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output
from sqlalchemy.orm import Session

from api import display_door
from api.security import page_user
from callbacks import asked
from dinsight import machines, packing, wall
from dinsight.accounts import Identity
from dinsight.errors import InvalidRequest
from dinsight.machines import Machine
from dinsight.models import Json
from dinsight.services import Services
from dinsight.version import version
from dinsight.wall import SmallMap
from layouts import machines as layout
from layouts import sparkline
from layouts.machines import Ids

MOST = 500  # cards; nobody looks at more, and the worst come first
MOST_GROUNDS = 4 * MOST  # a page that is open for weeks has seen maps that are no more
TAG_BYTES = 6


@dataclass(frozen=True)
class Ask:
    """What the page has: the version of the whole, the tag of each card by stream, and grounds.

    `wall` is whether it shows small maps.
    """

    version: str = ""
    known: Mapping[str, str] = field(default_factory=dict)
    wall: bool = False
    grounds: frozenset[int] = frozenset()  # by the id of their map

    @classmethod
    def parse(cls, data: Any) -> Ask:
        """From what the page sent; raises InvalidRequest."""
        if not isinstance(data, dict):
            raise InvalidRequest()
        version, known = data.get("version"), data.get("known")
        if not isinstance(version, str) or not isinstance(known, dict) or len(known) > MOST:
            raise InvalidRequest(f"version must be a text, known at most {MOST} tags by stream.")
        grounds = data.get("grounds") or []
        if not isinstance(grounds, list) or len(grounds) > MOST_GROUNDS:
            raise InvalidRequest(f"grounds must be a list of at most {MOST_GROUNDS} maps.")
        whole = frozenset(number for number in grounds if type(number) is int)
        return cls(version, known, data.get("wall") is True, whole)


def register(app: Dash, services: Services) -> None:
    def poll(data: Any) -> Json:
        return answer(services, page_user(), Ask.parse(data))

    display_door.admit(app.server, f"{Ids.FEED}.data")
    asked.answer(app, Ids.ASK, Ids.FEED, poll)
    # With an output, because only then it is called for the answer that comes with the page.
    app.clientside_callback(
        ClientsideFunction("machines", "first"),
        Output(Ids.DRAWN, "data"),
        Input(Ids.FIRST, "data"),
    )


def page(services: Services, who: Identity) -> Any:
    return layout.page(answer(services, who, Ask()) | {"anew": True})


def answer(services: Services, who: Identity, ask: Ask) -> Json:
    """What is new: the order of all cards, and those that changed. Ages are from `now` on."""
    now = services.now()
    program = {"program": version()} if ask.wall else {}
    with services.sessions() as session:
        found = machines.overview(session, who, now)
        shown = found.machines[:MOST]
        cards = {machine.id: card(machine, who, with_map=ask.wall) for machine in shown}
        tags = {number: tag(each) for number, each in cards.items()}
        whole = {
            "order": list(cards),
            "total": len(found.machines),
            "fits": {"fitting": found.fitting, "failed": found.failed},
        }
        head = {"now": packing.rfc3339(now), "version": tag([whole, list(tags.values())])}
        if head["version"] == ask.version:
            return head | program
        changed = [number for number in cards if ask.known.get(str(number)) != tags[number]]
        trends = drawn(session, who, [machine for machine in shown if machine.id in set(changed)])
        maps = wall.small_maps(session, who, changed) if ask.wall else {}
    sent = [
        cards[number] | {"tag": tags[number], "trend": trends[number]}
        for number in changed
        if number in trends  # else deleted meanwhile
    ]
    if ask.wall:
        sent = [each | mapped(maps.get(each["id"])) for each in sent]
        whole["grounds"] = grounds(maps.values(), ask.grounds)
    return {**head, **program, **whole, "cards": sent}


def mapped(found: SmallMap | None) -> Json:
    """The small map of a card; one that is not made yet makes the page ask for the card again."""
    if found is None:
        return {"tag": "", "map": None}
    spots = None if found.spots is None else packing.text(found.spots.tobytes())
    return {"map": {"id": found.map_id, "spots": spots, "note": found.note}}


def grounds(maps: Iterable[SmallMap], known: frozenset[int]) -> dict[int, str]:
    """The grounds that the page does not have, each once: base64 of x and y of each spot."""
    return {
        each.map_id: packing.text(each.ground.spots.tobytes())
        for each in maps
        if each.ground is not None and each.map_id not in known
    }


def card(machine: Machine, who: Identity, *, with_map: bool) -> Json:
    """What a card shows, but for its trend and small map, which change only when this does."""
    status = packing.pack_times(machine.status)
    more = {"map_id": status["map_id"]} if with_map else {}
    names = (
        *("baseline_id", "status", "is_active", "streamed_points", "last_update", "rate", "epoch"),
        *("level", "level_since", "alerts"),
    )
    return {
        "id": machine.id,
        "name": machine.name,
        "stream": machine.stream,
        "owner": machine.owner if who.is_admin and machine.owner != who.email else "",
        "urgency": machines.urgency(machine),
        "share": machines.share(status) if status["streamed_points"] else None,
        **{name: status[name] for name in names},
        **more,
    }


def drawn(session: Session, who: Identity, shown: list[Machine]) -> dict[int, Json]:
    """The sparkline of each machine, and what it shows in words."""
    limits = {machine.id: machine.status["alarm_limit"] for machine in shown}
    found = machines.trends(session, who, list(limits))
    shares = {number: [score / limits[number] for score in found[number]] for number in found}
    return {
        number: {"path": sparkline.path(each), "words": sparkline.words(each)}
        for number, each in shares.items()
    }


def tag(content: Any) -> str:
    """The same for the same content, and for no other."""
    return hashlib.blake2b(repr(content).encode(), digest_size=TAG_BYTES).hexdigest()
