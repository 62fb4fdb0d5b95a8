"""`/machines`: every stream at a glance, the worst first."""

from __future__ import annotations

from flask import Response

from api import examples
from api.answers import success
from api.bodies import Blueprint
from api.context import services, who
from api.document import LIMIT, OFFSET, document, query
from api.fields import switch, whole
from api.schemas import (
    COUNT,
    FLAG,
    LEVEL,
    MOMENT,
    NUMBER,
    STATE,
    TEXT,
    WHOLE,
    about,
    envelope,
    many,
    maybe,
    one_of,
    record,
)
from api.security import signed_in
from dinsight import machines

blueprint = Blueprint("machines", __name__, description="Machines at a glance")
TREND = query(
    "trend", {"type": "integer", "enum": [0, 1], "default": 1}, "0 leaves the newest scores out"
)
MACHINE = record(
    {
        "baseline_id": WHOLE,
        "name": about(TEXT, "That of the baseline"),
        "stream": TEXT,
        "owner": about(maybe(TEXT), "Whose it is; for administrators, who see everybody's"),
        "state": about(
            one_of(*machines.STATES), "The level in words; unknown where no point is recent"
        ),
        "status": STATE,
        "is_active": FLAG,
        "stale": FLAG,
        "streamed_points": COUNT,
        "total_points": maybe(WHOLE),
        "last_update": maybe(MOMENT),
        "rate": about(maybe(NUMBER), "Points a second, as observed"),
        "epoch": WHOLE,
        "level": LEVEL,
        "level_since": about(maybe(MOMENT), "When the level began; null where it is not known"),
        "score": maybe(NUMBER),
        "alarm_limit": NUMBER,
        "trend?": about(many(NUMBER), "The newest scores, at most 100, the oldest first"),
    }
)
MACHINES = record(
    {
        "machines": many(MACHINE),
        "summary": record(dict.fromkeys(machines.STATES, COUNT)),
        "total": COUNT,
        "limit": WHOLE,
        "offset": COUNT,
        "next": about(maybe(WHOLE), "The next `offset`, null at the end"),
    }
)


@blueprint.route("/machines", methods=["GET"])
@document(
    envelope(MACHINES), query=[LIMIT, OFFSET, TREND], example=examples.success(examples.MACHINES)
)
@signed_in
def list_machines() -> Response:
    """Every stream of every baseline that you may see, the worst first, paged.

    Failing, deteriorating, unknown but last seen bad, silent though points should come, healthy, at
    rest, never started; within a state the highest score first. `summary` counts all of them.
    """
    limit, offset = whole("limit", 100, low=1, clamp=1000), whole("offset", 0)
    with_trend = switch("trend")
    with services().sessions() as session:
        found = machines.overview(session, who(), services().now()).machines
        page = found[offset : offset + limit]
        ids = [machine.id for machine in page] if with_trend else []
        trends = machines.trends(session, who(), ids)
    listed = [
        machines.told(machine, who()) | ({"trend": trends[machine.id]} if with_trend else {})
        for machine in page
        if machine.id in trends or not with_trend  # else deleted meanwhile
    ]
    end = offset + len(page)
    return success(
        {
            "machines": listed,
            "summary": machines.summary(found),
            "total": len(found),
            "limit": limit,
            "offset": offset,
            "next": end if end < len(found) else None,
        }
    )
