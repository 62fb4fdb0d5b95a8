"""`/channels`: where a user is told of alerts, and what was sent there."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from api import examples
from api.answers import success
from api.bodies import Blueprint
from api.context import services, who
from api.document import document, query
from api.fields import Body, Line, whole
from api.schemas import CHANNEL, SEVERITY, TEXT, WHOLE, about, envelope, many, maybe, record, ref
from api.security import signed_in
from dinsight.models import Notice
from dinsight.notices import channels
from dinsight.notices.channels import Known, Rules, Wanted
from dinsight.notices.webhook import URL_LENGTH

blueprint = Blueprint(
    "channels", __name__, url_prefix="/channels", description="Notifications of alerts"
)
ID = "<int:channel_id>"
MOST_ID = 2**31 - 1
LIMIT = query(
    "limit",
    {"type": "integer", "minimum": 1, "default": 50},
    "At most so many; more than 200 is taken as 200",
)
SECRET = about(maybe(TEXT), "What its messages are signed with; null for e-mail")
MADE = record({**CHANNEL["properties"], "secret": SECRET})


def _baseline() -> ma.fields.Integer:
    valid = ma.validate.Range(1, MOST_ID, error="There is no such baseline.")
    return ma.fields.Integer(strict=True, allow_none=True, validate=valid)


class NewChannel(Body):
    kind = Line(required=True, metadata={"enum": list(channels.KINDS)})
    target = Line(
        load_default="",
        metadata={
            "maxLength": URL_LENGTH,
            "description": "A URL, or an e-mail address: left out, your own",
        },
    )
    baseline_id = _baseline()
    least_severity = Line(load_default="low", metadata=SEVERITY)
    enabled = ma.fields.Boolean(load_default=True, truthy={True}, falsy={False})


class ChannelChange(Body):
    baseline_id = _baseline()
    least_severity = Line(metadata=SEVERITY)
    enabled = ma.fields.Boolean(truthy={True}, falsy={False})


@blueprint.route("", methods=["GET"])
@document(
    envelope(record({"channels": many(ref("Channel"))})),
    example=examples.success({"channels": [examples.CHANNEL]}),
)
@signed_in
def list_channels() -> Response:
    """Your channels, each with its newest notice."""
    with services().sessions() as session:
        known = [describe(each) for each in channels.list_all(session, who())]
    return success({"channels": known})


@blueprint.route("", methods=["POST"])
@document(
    envelope(MADE),
    *(404, 409, 422),
    status=201,
    example=examples.success({**examples.CHANNEL, "last": None, "secret": "dw_…"}),
)
@signed_in
@blueprint.arguments(NewChannel, example=examples.NEW_CHANNEL)
def make_channel(body: dict[str, Any]) -> Response:
    """Be told of alerts by a webhook or by e-mail, at most 20 channels.

    A webhook's `secret` is in this answer alone. Its URL may not lead to a private address, and an
    e-mail goes to your own address only, unless the server's settings allow others.
    """
    with services().sessions.begin() as session:
        rules = Rules.of(services().settings)
        made = channels.add(session, who(), Wanted(**body), rules)
        data = describe(channels.get(session, who(), made.id)) | {"secret": made.secret or None}
    return success(data, 201)


@blueprint.route(f"/{ID}", methods=["PUT"])
@document(envelope(ref("Channel")), 404, 422, example=examples.success(examples.CHANNEL))
@signed_in
@blueprint.arguments(ChannelChange, example={"enabled": False})
def change_channel(body: dict[str, Any], channel_id: int) -> Response:
    """Change what a channel is told of, or switch it off, which gives up what waits for it.

    What is left out stays as it is.
    """
    with services().sessions.begin() as session:
        return success(describe(channels.change(session, who(), channel_id, body)))


@blueprint.route(f"/{ID}", methods=["DELETE"])
@document(envelope(record({"id": WHOLE})), 404)
@signed_in
def delete_channel(channel_id: int) -> Response:
    """Delete a channel, with its notices."""
    with services().sessions.begin() as session:
        channels.delete(session, who(), channel_id)
    return success({"id": channel_id})


@blueprint.route(f"/{ID}/test", methods=["POST"])
@document(envelope(ref("Notice")), 404, status=202, example=examples.success(examples.NOTICE))
@signed_in
def test_channel(channel_id: int) -> Response:
    """Send a test message, once; `GET /channels/{channel_id}/notices` tells how it went.

    At most ten an hour (429).
    """
    with services().sessions.begin() as session:
        notice = channels.test(session, who(), channel_id, now=services().now())
        return success(describe_notice(notice), 202)


@blueprint.route(f"/{ID}/notices", methods=["GET"])
@document(
    envelope(record({"notices": many(ref("Notice"))})),
    404,
    query=[LIMIT],
    example=examples.success({"notices": [examples.NOTICE]}),
)
@signed_in
def list_notices(channel_id: int) -> Response:
    """A channel's newest notices; those that are settled go after 14 days."""
    limit = whole("limit", 50, low=1, clamp=200)
    with services().sessions() as session:
        found = channels.notices(session, who(), channel_id, limit=limit)
        return success({"notices": [describe_notice(each) for each in found]})


def describe(known: Known) -> dict[str, Any]:
    channel = known.channel
    return {
        "id": channel.id,
        "kind": channel.kind,
        "target": channel.target,
        "baseline_id": channel.baseline_id,
        "baseline": known.baseline,
        "least_severity": channel.least_severity,
        "enabled": channel.enabled,
        "created_at": channel.created_at,
        "last": known.last and describe_notice(known.last),
    }


def describe_notice(notice: Notice) -> dict[str, Any]:
    state = channels.state_of(notice)
    return {
        "id": notice.id,
        "event": notice.event,
        "alert_id": notice.alert_id,
        "state": state,
        "attempts": notice.attempts,
        "error": notice.error,
        "created_at": notice.created_at,
        "next_attempt_at": notice.due_at if state == "waiting" else None,
        "delivered_at": notice.delivered_at,
        "failed_at": notice.failed_at,
    }
