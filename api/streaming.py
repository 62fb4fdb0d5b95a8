"""`/streaming`: what a stream is doing, and acting on it."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api import examples
from api.answers import success
from api.baselines import ID
from api.bodies import Blueprint
from api.context import services, who
from api.document import LIMIT, OFFSET, STREAM, document, query
from api.fields import MOST, Body, Line, Number, stream_name, whole
from api.schemas import CONFIGURED, CONTROLLED, RESET, TEXT, envelope, ref
from api.security import signed_in
from dinsight import feed, history, sensitivity, streams
from dinsight.status import status

blueprint = Blueprint("streaming", __name__, url_prefix=f"/streaming/{ID}", description="Streams")
AFTER = query("after", TEXT, "A cursor `epoch:seq`: what came after it, the oldest first")


class Configuration(Body):
    stream = Line(allow_none=True, metadata=STREAM["schema"])
    latest_glow_count = Number(*streams.SETTINGS["latest_glow_count"][1:], whole=True)
    batch_size = Number(*streams.SETTINGS["batch_size"][1:], whole=True)
    delay_seconds = Number(*streams.SETTINGS["delay_seconds"][1:])
    total_points = Number(0, MOST - 1, whole=True)
    sensitivity_factor = Number(sensitivity.LEAST, sensitivity.MOST)
    false_alarms_per_day = Number(0)


class Control(Body):
    action = Line(required=True, metadata={"enum": list(streams.ACTIONS)})
    stream = Line(allow_none=True, metadata=STREAM["schema"])


@blueprint.route("/status", methods=["GET"])
@document(envelope(ref("StreamStatus")), 404, query=[STREAM])
@signed_in
def get_status(baseline_id: int) -> Response:
    """State, progress, pace and level of a stream."""
    with services().sessions() as session:
        return success(status(session, who(), baseline_id, stream_name(), now=services().now()))


@blueprint.route("/latest", methods=["GET"])
@document(
    envelope(ref("Page")),
    404,
    query=[LIMIT, OFFSET, AFTER, STREAM],
    example=examples.success(examples.PAGE),
)
@signed_in
def get_latest(baseline_id: int) -> Response:
    """The newest points, paged; or, with `after=epoch:seq`, what came after that cursor."""
    limit = whole("limit", 100, low=1, clamp=1000)
    after = request.args.get("after")
    with services().sessions() as session:
        if after:
            cursor = feed.Cursor.parse(after)
            return success(
                feed.after(session, who(), baseline_id, stream_name(), cursor, limit=limit)
            )
        offset = whole("offset", 0)
        return success(
            feed.latest(session, who(), baseline_id, stream_name(), limit=limit, offset=offset)
        )


@blueprint.route("/reset", methods=["DELETE"])
@document(envelope(RESET), 404, 409, query=[STREAM], example=examples.success(examples.RESET))
@signed_in
def reset(baseline_id: int) -> Response:
    """Forget the points of a stream: they are archived and a new epoch begins."""
    with services().sessions.begin() as session:
        data = streams.reset(session, who(), baseline_id, stream_name(), now=services().now())
    return success(data)


@blueprint.route("/config", methods=["PUT"])
@document(envelope(CONFIGURED), 404, 409)
@signed_in
@blueprint.arguments(Configuration, example=examples.CONFIGURATION)
def configure(body: dict[str, Any], baseline_id: int) -> Response:
    """Declare the total, the pace and the number of points that glow; set the sensitivity.

    The sensitivity is `sensitivity_factor`, 0.5 to 5 (3 is the limit that the map was calibrated
    to, a higher one detects more), or `false_alarms_per_day`, which is turned into a factor at the
    stream's rate. It holds for new points; stored ones keep their levels.
    """
    with services().sessions.begin() as session:
        data = streams.configure(session, who(), baseline_id, stream_name(body), body)
    return success(data)


@blueprint.route("/control", methods=["POST"])
@document(envelope(CONTROLLED), 404, 409)
@signed_in
@blueprint.arguments(Control, example=examples.CONTROL)
def control(body: dict[str, Any], baseline_id: int) -> Response:
    """Start, pause, resume, stop or complete a stream."""
    with services().sessions.begin() as session:
        data = streams.control(session, who(), baseline_id, stream_name(body), body["action"])
    return success(data)


@blueprint.route("/sessions", methods=["GET"])
@document(
    envelope(ref("Sessions")),
    404,
    query=[LIMIT, OFFSET],
    example=examples.success(examples.SESSIONS),
)
@signed_in
def list_sessions(baseline_id: int) -> Response:
    """The epochs of all streams of a baseline, present and past, the newest first."""
    limit, offset = whole("limit", 100, low=1, clamp=1000), whole("offset", 0)
    with services().sessions() as session:
        return success(history.epochs(session, who(), baseline_id, limit=limit, offset=offset))
