"""`/dinsight/{id}/displays`: the wall screens that may look at a baseline's streams."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Response, request

from api import display_door, examples
from api.answers import success
from api.baselines import ID
from api.bodies import Blueprint
from api.context import services, who
from api.document import STREAM, document
from api.fields import Body, Line, stream_name
from api.schemas import DISPLAY, TEXT, WHOLE, envelope, many, record
from api.security import signed_in
from dinsight import displays
from dinsight.models import Display

blueprint = Blueprint(
    "displays", __name__, url_prefix=f"/dinsight/{ID}/displays", description="Wall screens"
)


STREAM_OR_ALL = rf"{STREAM['schema']['pattern']}|^\*$"


class NewDisplay(Body):
    name = Line(required=True, metadata={"minLength": 1, "maxLength": displays.NAME_LENGTH})
    stream = Line(allow_none=True, metadata={**STREAM["schema"], "pattern": STREAM_OR_ALL})


@blueprint.route("", methods=["GET"])
@document(envelope(record({"displays": many(record(DISPLAY))})), 404)
@signed_in
def list_displays(baseline_id: int) -> Response:
    """The screens that may look at a baseline, without their links."""
    with services().sessions() as session:
        known = [describe(each) for each in displays.list_all(session, who(), baseline_id)]
    return success({"displays": known})


@blueprint.route("", methods=["POST"])
@document(
    envelope(record({**DISPLAY, "link": TEXT})),
    404,
    status=201,
    example=examples.success({**examples.DISPLAY, "link": examples.DISPLAY_LINK}),
)
@signed_in
@blueprint.arguments(NewDisplay, example=examples.NEW_DISPLAY)
def make_display(body: dict[str, Any], baseline_id: int) -> Response:
    """A link that signs a screen in to look at the baseline's streams, and at nothing else.

    It opens on `stream`, or for `*` on the wall of all of them. It works until it is revoked; this
    answer is the only one that shows it.
    """
    wanted = body.get("stream")
    stream = wanted if wanted == displays.ALL_STREAMS else stream_name(body)
    with services().sessions.begin() as session:
        display, token = displays.make(
            session, who(), baseline_id, name=body["name"], stream=stream
        )
        data = describe(display) | {"link": link(token)}
    return success(data, 201)


@blueprint.route("/<int:display_id>", methods=["DELETE"])
@document(envelope(record({"id": WHOLE})), 404)
@signed_in
def revoke_display(baseline_id: int, display_id: int) -> Response:
    """Revoke a screen's link: its next request is refused."""
    with services().sessions.begin() as session:
        displays.revoke(session, who(), baseline_id, display_id, now=services().now())
    return success({"id": display_id})


def link(token: str) -> str:
    """Where a screen is signed in with this token."""
    return f"{request.host_url.rstrip('/')}{display_door.PATH}?token={quote(token)}"


def describe(display: Display) -> dict[str, Any]:
    return {
        "id": display.id,
        "name": display.name,
        "stream": display.stream,
        "created_at": display.created_at,
        "last_used_at": display.last_used_at,
    }
