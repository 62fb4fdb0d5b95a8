"""The machines page: what has changed since the page's last answer.

The page says which card it has as of when (`known`: a tag for each stream), and is sent the others
alone: where nothing has changed, the time, so that it knows that the server is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output
from sqlalchemy.orm import Session

from api.security import page_user
from dinsight import machines, packing
from dinsight.accounts import Identity
from dinsight.errors import InvalidRequest
from dinsight.machines import Machine
from dinsight.models import Json
from dinsight.services import Services
from layouts import machines as layout
from layouts import sparkline
from layouts.machines import Ids

MOST = 500  # cards; nobody looks at more, and the worst come first
TAG_BYTES = 6


@dataclass(frozen=True)
class Ask:
    """What the page has: the version of the whole, and the tag of each card by stream."""

    version: str = ""
    known: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: Any) -> Ask:
        """From what the page sent; raises InvalidRequest."""
        if not isinstance(data, dict):
            raise InvalidRequest()
        version, known = data.get("version"), data.get("known")
        if not isinstance(version, str) or not isinstance(known, dict) or len(known) > MOST:
            raise InvalidRequest(f"version must be a text, known at most {MOST} tags by stream.")
        return cls(version, known)


def register(app: Dash, services: Services) -> None:
    def poll(data: Any) -> Json:
        return answer(services, page_user(), Ask.parse(data))

    app.callback(Output(Ids.FEED, "data"), Input(Ids.ASK, "data"), prevent_initial_call=True)(poll)
    app.clientside_callback(
        ClientsideFunction("machines", "pump"),
        Output(Ids.ASK, "data"),
        Input(Ids.TICK, "n_intervals"),
        prevent_initial_call=True,
    )
    # With an output, because only then it is called for the answer that comes with the page.
    app.clientside_callback(
        ClientsideFunction("machines", "reduce"), Output(Ids.DRAWN, "data"), Input(Ids.FEED, "data")
    )


def page(services: Services, who: Identity) -> Any:
    return layout.page(answer(services, who, Ask()) | {"anew": True})


def answer(services: Services, who: Identity, ask: Ask) -> Json:
    """What is new: the order of all cards, and those that changed. Ages are from `now` on."""
    now = services.now()
    with services.sessions() as session:
        found = machines.overview(session, who, now)
        shown = found.machines[:MOST]
        cards = {machine.id: card(machine, who) for machine in shown}
        tags = {number: tag(each) for number, each in cards.items()}
        whole = {
            "order": list(cards),
            "total": len(found.machines),
            "fits": {"fitting": found.fitting, "failed": found.failed},
        }
        version = tag([whole, list(tags.values())])
        head = {"now": packing.rfc3339(now), "version": version}
        if version == ask.version:
            return head
        changed = [number for number in cards if ask.known.get(str(number)) != tags[number]]
        trends = drawn(session, who, [machine for machine in shown if machine.id in set(changed)])
    sent = [
        cards[number] | {"tag": tags[number], "trend": trends[number]}
        for number in changed
        if number in trends  # else deleted meanwhile
    ]
    return {**head, **whole, "cards": sent}


def card(machine: Machine, who: Identity) -> Json:
    """What a card shows, but for its trend, which changes only when this does."""
    status = packing.pack_times(machine.status)
    names = (
        *("baseline_id", "status", "is_active", "streamed_points", "last_update", "rate", "epoch"),
        *("level", "level_since", "alerts"),
    )
    return {
        "id": machine.id,
        "name": machine.name,
        "stream": machine.stream,
        "owner": machine.owner if machine.owner != who.email else "",
        "urgency": machines.urgency(machine),
        "share": machines.share(status) if status["streamed_points"] else None,
        **{name: status[name] for name in names},
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
