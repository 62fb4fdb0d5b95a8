"""`/dinsight/{id}/areas`: the normal areas of a baseline."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from api import examples
from api.answers import success
from api.baselines import ID
from api.bodies import Blueprint
from api.context import services, who
from api.document import document
from api.fields import Body, Line
from api.schemas import AREAS, GEOMETRY, TEXT, WHOLE, envelope, record, ref
from api.security import signed_in
from dinsight import areas, shapes

blueprint = Blueprint(
    "areas", __name__, url_prefix=f"/dinsight/{ID}/areas", description="Normal areas on a map"
)
GONE = record({"id": WHOLE, "message": TEXT})
NAMED: dict[str, Any] = {"minLength": 1, "maxLength": areas.NAME_LENGTH}
KIND: dict[str, Any] = {"enum": list(shapes.KINDS)}


class NewArea(Body):
    name = Line(required=True, metadata=NAMED)
    kind = Line(required=True, metadata=KIND)
    geometry = ma.fields.Dict(required=True, metadata=GEOMETRY)
    map_id = ma.fields.Integer(strict=True, allow_none=True)


class AreaChange(Body):
    name = Line(metadata=NAMED)
    kind = Line(metadata=KIND)
    geometry = ma.fields.Dict(metadata=GEOMETRY)


@blueprint.route("", methods=["GET"])
@document(
    envelope(AREAS),
    404,
    example=examples.success({"map_id": 9, "revision": "9f3ac2d1", "areas": [examples.AREA]}),
)
@signed_in
def list_areas(baseline_id: int) -> Response:
    """The normal areas of a baseline, the oldest first; those of an earlier map do not apply."""
    with services().sessions() as session:
        return success(areas.list_all(session, who(), baseline_id).to_dict())


@blueprint.route("", methods=["POST"])
@document(envelope(ref("Area")), 404, 409, status=201, example=examples.success(examples.AREA))
@signed_in
@blueprint.arguments(NewArea, example=examples.NEW_AREA)
def add_area(body: dict[str, Any], baseline_id: int) -> Response:
    """Keep a normal area: a rectangle, an ellipse (`angle` in degrees) or a lasso.

    Inside any area a point is normal: areas colour and count points, and raise and mute no alarm.
    `map_id`, if given, is the map that it was drawn on: 409 if the baseline was refitted since. Of
    a lasso, 3 to 500 vertices, those are kept that its outline needs.
    """
    with services().sessions.begin() as session:
        added = areas.add(session, who(), baseline_id, body)
    return success(added, 201)


@blueprint.route("/<int:area_id>", methods=["PUT"])
@document(envelope(ref("Area")), 404, 409, example=examples.success(examples.AREA))
@signed_in
@blueprint.arguments(AreaChange, example=examples.NEW_AREA)
def change_area(body: dict[str, Any], baseline_id: int, area_id: int) -> Response:
    """Give an area another name, or another `kind` and `geometry`; what is left out stays."""
    with services().sessions.begin() as session:
        changed = areas.change(session, who(), baseline_id, area_id, body, now=services().now())
    return success(changed)


@blueprint.route("/<int:area_id>", methods=["DELETE"])
@document(envelope(GONE), 404)
@signed_in
def delete_area(baseline_id: int, area_id: int) -> Response:
    """Delete an area."""
    with services().sessions.begin() as session:
        areas.remove(session, who(), baseline_id, area_id)
    return success({"id": area_id, "message": f"Area {area_id} was deleted."})
