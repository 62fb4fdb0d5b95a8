"""`/alerts`: what rules have raised, what people do about it, and the rules themselves."""

from __future__ import annotations

import datetime as dt
from typing import Any

import marshmallow as ma
from flask import Response, request

from api import alert_schemas as schemas
from api import examples
from api.answers import success
from api.bodies import Blueprint
from api.context import services, who
from api.document import LIMIT, OFFSET, document, query
from api.fields import Body, Line, Number, moment, whole
from api.schemas import MOMENT, TEXT, WHOLE, envelope, one_of, record
from api.security import signed_in
from dinsight import streams
from dinsight.alerts import acting, listing, rules, words
from dinsight.errors import InvalidRequest

blueprint = Blueprint("alerts", __name__, url_prefix="/alerts", description="Alerts")
ID, RULE_ID = "<int:alert_id>", "<int:rule_id>"
MOST_ID = 2**31 - 1
QUALITY_DAYS = 30
GONE = record({"id": WHOLE, "message": TEXT})
FILTERS = {
    "status": words.STATUSES,
    "severity": words.SEVERITIES,
    "alert_type": words.TYPES,
}
OF_BASELINE = query("baseline_id", WHOLE, "Of one baseline")
SINCE = query("since", MOMENT, "That began then or later, and all that are not acknowledged")
UNTIL = query("until", MOMENT, "That began then or earlier, and all that are not acknowledged")
FROM = query("since", MOMENT, "The begin; left out, 30 days before the end")
TO = query("until", MOMENT, "The end; left out, now")
WISHES = [
    *(query(name, one_of(*which), "Only these") for name, which in FILTERS.items()),
    *(OF_BASELINE, query("stream", TEXT, "Of one stream"), SINCE, UNTIL, LIMIT, OFFSET),
]


class Message(Body):
    message = ma.fields.String(
        allow_none=True, metadata={"maxLength": acting.NOTE_LENGTH, "description": "A note"}
    )


class Shelf(Body):
    until = Line(required=True, allow_none=True, metadata=MOMENT)


class Verdict(Body):
    verdict = Line(required=True, allow_none=True, metadata={"enum": [*words.VERDICTS, None]})
    message = ma.fields.String(allow_none=True, metadata={"maxLength": acting.NOTE_LENGTH})


class RuleWish(Body):
    """What can be changed of a rule; what is left out stays, or is as usual."""

    name = Line(metadata={"minLength": 1, "maxLength": rules.NAME_LENGTH})
    level = Line(allow_none=True, metadata={"enum": [*rules.LEVELS, None]})
    score = Number(*rules.NUMBERS["score"][1:])
    needed = Number(*rules.NUMBERS["needed"][1:], whole=True)
    window = Number(*rules.NUMBERS["window"][1:], whole=True)
    seconds = Number(*rules.NUMBERS["seconds"][1:])
    hysteresis = Number(*rules.NUMBERS["hysteresis"][1:])
    severity = Line(metadata={"enum": list(words.SEVERITIES)})
    enabled = ma.fields.Boolean(truthy={True}, falsy={False})
    mute_in_areas = ma.fields.Boolean(truthy={True}, falsy={False})


class NewRule(RuleWish):
    baseline_id = ma.fields.Integer(
        required=True, strict=True, validate=ma.validate.Range(1, MOST_ID)
    )
    kind = Line(required=True, metadata={"enum": list(words.KINDS)})


@blueprint.route("", methods=["GET"])
@document(
    envelope(schemas.PAGE),
    query=WISHES,
    example=examples.success(
        {
            "alerts": [schemas.AN_ALERT],
            **{"total": 1, "page": 1, "limit": 100, "offset": 0, "active": 1, "unacknowledged": 0},
        }
    ),
)
@signed_in
def list_alerts() -> Response:
    """Alerts of your machines, paged: those that nobody has acknowledged first, the severest first.

    A filter of time never hides an alert that nobody has acknowledged.
    """
    limit, offset = whole("limit", 100, low=1, clamp=1000), whole("offset", 0)
    since, until = moment("since", request.args), moment("until", request.args)
    if since and until and since >= until:
        raise InvalidRequest("since must come before until.")
    wish = listing.Wish(
        **{name: _choice(name, among) for name, among in FILTERS.items()},
        baseline_id=_number("baseline_id"),
        stream=_stream(),
        since=since,
        until=until,
    )
    now = services().now()
    with services().sessions() as session:
        found = listing.page(session, who(), wish, now=now, limit=limit, offset=offset)
        present = listing.present(session, who())
    return success(
        {
            "alerts": found.alerts,
            "total": found.total,
            "page": offset // limit + 1,
            "limit": limit,
            "offset": offset,
            "active": present["active"],
            "unacknowledged": present["unacknowledged"],
        }
    )


@blueprint.route(f"/{ID}", methods=["GET"])
@document(
    envelope(schemas.ONE),
    404,
    example=examples.success({**schemas.AN_ALERT, "events": schemas.EVENTS}),
)
@signed_in
def get_alert(alert_id: int) -> Response:
    """One alert with everything that happened to it."""
    with services().sessions() as session:
        return success(listing.get(session, who(), _known(alert_id), now=services().now()))


def _act(act: Any, alert_id: int, *args: Any) -> Response:
    with services().sessions.begin() as session:
        done = act(session, who(), _known(alert_id), *args, now=services().now())
    return success(done)


ACTED = document(
    envelope(schemas.ONE),
    *(404, 422),
    example=examples.success({**schemas.AN_ALERT, "events": schemas.EVENTS}),
)


@blueprint.route(f"/{ID}/acknowledge", methods=["POST"])
@ACTED
@signed_in
@blueprint.arguments(Message, example={"message": "Maintenance is told."})
def acknowledge_alert(body: dict[str, Any], alert_id: int) -> Response:
    """Say that somebody has seen it, with a note if there is one to make."""
    return _act(acting.acknowledge, alert_id, body.get("message"))


@blueprint.route(f"/{ID}/resolve", methods=["POST"])
@ACTED
@signed_in
@blueprint.arguments(Message, example={"message": "The bearing was changed."})
def resolve_alert(body: dict[str, Any], alert_id: int) -> Response:
    """Acknowledge it and end it by hand: raised again only after it has been over by itself."""
    return _act(acting.resolve, alert_id, body.get("message"))


@blueprint.route(f"/{ID}/shelve", methods=["POST"])
@ACTED
@signed_in
@blueprint.arguments(Shelf, example={"until": "2026-03-02T06:00:00Z"})
def shelve_alert(body: dict[str, Any], alert_id: int) -> Response:
    """Put it aside until a moment within 30 days, with those that its rule raises on this stream.

    Nobody is told of it meanwhile, and it comes back by itself. `null` brings it back now.
    """
    return _act(acting.shelve, alert_id, body["until"])


@blueprint.route(f"/{ID}/verdict", methods=["POST"])
@ACTED
@signed_in
@blueprint.arguments(Verdict, example={"verdict": "real", "message": "Spalled outer race."})
def judge_alert(body: dict[str, Any], alert_id: int) -> Response:
    """Keep what it turned out to be.

    `new_normal` also proposes its rows for the next version of the baseline. `null` takes the
    verdict back.
    """
    return _act(acting.judge, alert_id, body["verdict"], body.get("message"))


@blueprint.route("/quality", methods=["GET"])
@document(
    envelope(schemas.FIGURES),
    404,
    query=[FROM, TO, OF_BASELINE],
    example=examples.success(
        {
            **{"since": examples.AT, "until": examples.AT, "alerts": 0, "alerts_per_day": 0.0},
            **{"days": [], "rules": []},
        }
    ),
)
@signed_in
def get_alert_quality() -> Response:
    """How good the alarms were: how many a day, how many flicker, how many were false, by rule."""
    until = moment("until", request.args) or services().now()
    since = moment("since", request.args) or until - dt.timedelta(days=QUALITY_DAYS)
    if not dt.timedelta(0) < until - since <= dt.timedelta(days=3660):
        raise InvalidRequest("since must come before until, by ten years at most.")
    with services().sessions() as session:
        figures = listing.quality(
            session, who(), since=since, until=until, baseline_id=_number("baseline_id")
        )
    return success(figures)


@blueprint.route("/rules", methods=["GET"])
@document(
    envelope(schemas.RULES),
    404,
    query=[OF_BASELINE],
    example=examples.success({"rules": [schemas.A_RULE]}),
)
@signed_in
def list_rules() -> Response:
    """The rules of a baseline, the oldest first."""
    number = _number("baseline_id")
    if number is None:
        raise InvalidRequest("baseline_id must say of which baseline.")
    with services().sessions() as session:
        return success({"rules": rules.list_all(session, who(), number)})


@blueprint.route("/rules", methods=["POST"])
@document(envelope(schemas.RULE), *(404, 422), status=201, example=examples.success(schemas.A_RULE))
@signed_in
@blueprint.arguments(NewRule, example=schemas.NEW_RULE)
def add_rule(body: dict[str, Any]) -> Response:
    """Make a rule: of kind `level` or `score` about the machine, the others about its data."""
    with services().sessions.begin() as session:
        added = rules.add(session, who(), body["baseline_id"], body)
    return success(added, 201)


@blueprint.route(f"/rules/{RULE_ID}", methods=["PUT"])
@document(envelope(schemas.RULE), *(404, 422), example=examples.success(schemas.A_RULE))
@signed_in
@blueprint.arguments(RuleWish, example={"score": 0.9})
def change_rule(body: dict[str, Any], rule_id: int) -> Response:
    """Change a rule; what is left out stays. With another condition it begins anew."""
    with services().sessions.begin() as session:
        changed = rules.change(session, who(), _known(rule_id), body, now=services().now())
    return success(changed)


@blueprint.route(f"/rules/{RULE_ID}", methods=["DELETE"])
@document(envelope(GONE), 404)
@signed_in
def delete_rule(rule_id: int) -> Response:
    """Delete a rule; the alerts that it raised stay, and are closed."""
    with services().sessions.begin() as session:
        rules.remove(session, who(), _known(rule_id), now=services().now())
    return success({"id": rule_id, "message": f"Rule {rule_id} was deleted."})


def _known(number: int) -> int:
    """A number that an object can have; others are of none."""
    return min(number, MOST_ID)


def _number(name: str) -> int | None:
    number = whole(name, 0, low=1, clamp=MOST_ID)
    return number or None


def _stream() -> str | None:
    name = request.args.get("stream") or None
    if name is not None:
        streams.check_name(name)
    return name


def _choice(name: str, among: tuple[str, ...]) -> str | None:
    value = request.args.get(name) or None
    if value is not None and value not in among:
        raise InvalidRequest(f"{name} must be one of {', '.join(among)}.")
    return value
