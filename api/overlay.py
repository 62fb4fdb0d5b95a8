"""`/streaming/{id}/compare`: another stream on the map of this one."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api import examples
from api.answers import success
from api.baselines import ID
from api.bodies import Blueprint
from api.context import services, who
from api.document import STREAM, STREAM_NAME, document, query
from api.fields import stream_name, whole
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
from dinsight import overlay
from dinsight.feed import Cursor
from dinsight.overlay import Name, Overlay
from dinsight.streams import level_word

MOST_ID = 2**31 - 1
blueprint = Blueprint(
    "overlay", __name__, url_prefix=f"/streaming/{ID}", description="Two streams on one map"
)
WITH_BASELINE = query(
    "with_baseline", WHOLE, "The baseline of the other stream; left out, the same baseline"
)
WITH_STREAM = query("with_stream", STREAM_NAME, "The other stream")
AFTER = query("after", TEXT, "A cursor `epoch:seq`, as `next` gave it: what came after it")
LIMIT = query(
    "limit",
    {"type": "integer", "minimum": 1, "default": overlay.MOST},
    f"At most so many points, the newest; more than {overlay.MOST} is taken as {overlay.MOST}",
)
COMPARED = record(
    {
        "seq": WHOLE,
        "dinsight_x": about(NUMBER, "On the map of the stream that is shown"),
        "dinsight_y": NUMBER,
        "score": about(NUMBER, "As its own baseline judged it"),
        "level": LEVEL,
        "score_here": about(
            maybe(NUMBER), "Against the map that is shown; null where that is its own"
        ),
    }
)
OVERLAY = record(
    {
        "baseline_id": WHOLE,
        "stream": TEXT,
        "name": about(TEXT, "That of the other stream's baseline"),
        "map": about(
            one_of("same", "placed"),
            "`same`: the points are as stored; `placed`: their readings are placed on this map",
        ),
        "status": STATE,
        "is_active": FLAG,
        "streamed_points": COUNT,
        "last_update": maybe(MOMENT),
        "level": LEVEL,
        "level_since": maybe(MOMENT),
        "score": maybe(NUMBER),
        "alarm_limit": NUMBER,
        "epoch": about(WHOLE, "Another than the cursor's: the points before are past"),
        "points": many(COMPARED),
        "unplaced": about(COUNT, "Points whose readings retention removed"),
        "next": about(TEXT, "The cursor to read on from"),
    }
)


@blueprint.route("/compare", methods=["GET"])
@document(
    envelope(OVERLAY),
    404,
    409,
    query=[STREAM, WITH_BASELINE, WITH_STREAM, AFTER, LIMIT],
    example=examples.success(examples.OVERLAY),
)
@signed_in
def compare(baseline_id: int) -> Response:
    """The newest points of another stream of yours, on the map of this one.

    It is of the same baseline, or of one that has all features of this one by name. Of the same
    map, the points are as they are stored; else their readings are placed on this map. With
    `after` only what is new comes.
    """
    shown = Name(baseline_id, stream_name())
    number = whole("with_baseline", baseline_id, low=1, clamp=MOST_ID)
    other = Name(number, stream_name(field="with_stream"))
    after = request.args.get("after")
    cursor = Cursor.parse(after) if after else None
    limit = whole("limit", overlay.MOST, low=1, clamp=overlay.MOST)
    now = services().now()
    with services().sessions() as session:
        found = overlay.compare(session, who(), shown, other, cursor, limit=limit, now=now)
    return success(answered(other, found))


def answered(other: Name, found: Overlay) -> dict[str, Any]:
    return {
        "baseline_id": other.baseline_id,
        "stream": other.stream,
        "name": found.machine,
        "map": "same" if found.here is None else "placed",
        **overlay.told(found),
        "points": [_point(found, at) for at in range(len(found.x))],
        "unplaced": found.unplaced,
        "next": str(found.cursor),
    }


def _point(found: Overlay, at: int) -> dict[str, Any]:
    return {
        "seq": found.first + at,
        "dinsight_x": float(found.x[at]),
        "dinsight_y": float(found.y[at]),
        "score": float(found.score[at]),
        "level": level_word(int(found.level[at])),
        "score_here": None if found.here is None else float(found.here[at]),
    }
