"""`/streaming`: what a stream is doing, and acting on it."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, request

from api.answers import success
from api.baselines import ID
from api.bodies import Blueprint
from api.context import services, who
from api.fields import Body, Line, stream_name, whole
from api.security import signed_in
from dinsight import feed, streams
from dinsight.status import status

blueprint = Blueprint("streaming", __name__, url_prefix=f"/streaming/{ID}", description="Streams")


class Configuration(Body):
    stream = Line()
    latest_glow_count = ma.fields.Raw(allow_none=True)
    batch_size = ma.fields.Raw(allow_none=True)
    delay_seconds = ma.fields.Raw(allow_none=True)
    total_points = ma.fields.Raw(allow_none=True)
    sensitivity_factor = ma.fields.Raw(allow_none=True)
    false_alarms_per_day = ma.fields.Raw(allow_none=True)


class Control(Body):
    action = Line(required=True)
    stream = Line()


@blueprint.route("/status", methods=["GET"])
@signed_in
def get_status(baseline_id: int) -> Response:
    """State, progress, pace and level of a stream."""
    with services().sessions() as session:
        return success(status(session, who(), baseline_id, stream_name(), now=services().now()))


@blueprint.route("/latest", methods=["GET"])
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
@signed_in
def reset(baseline_id: int) -> Response:
    """Forget the points of a stream: they are archived and a new epoch begins."""
    with services().sessions.begin() as session:
        data = streams.reset(session, who(), baseline_id, stream_name(), now=services().now())
    return success(data)


@blueprint.route("/config", methods=["PUT"])
@signed_in
@blueprint.arguments(Configuration)
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
@signed_in
@blueprint.arguments(Control)
def control(body: dict[str, Any], baseline_id: int) -> Response:
    """Start, pause, resume, stop or complete a stream."""
    with services().sessions.begin() as session:
        data = streams.control(session, who(), baseline_id, stream_name(body), body["action"])
    return success(data)
