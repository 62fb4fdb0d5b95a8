"""`/back-tests`: rules tried on history."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from api import examples
from api.alerts import GONE, MOST_ID, RuleWish
from api.answers import success
from api.baselines import ID
from api.bodies import Blueprint
from api.context import services, who
from api.document import STREAM, document
from api.fields import Body, Line, Number, stream_name
from api.schemas import (
    COUNT,
    FLAG,
    FREE,
    MOMENT,
    NUMBER,
    SHARE,
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
from dinsight import back_testing
from dinsight.alerts import words
from dinsight.back_testing import Wish

blueprint = Blueprint("back_tests", __name__, description="Rules tried on history")
OF_STREAMS, NUMBERED = f"/streaming/{ID}/back-tests", "/back-tests/<int:back_test_id>"
RESULT = record(
    {
        "sentence": TEXT,
        "rows": COUNT,
        "began_at": MOMENT,
        "ended_at": MOMENT,
        "alerts": about(COUNT, "All; at most 1,000 are listed"),
        "times": about(COUNT, "How often the rule would have been raised: what flickers is one"),
        "share": about(SHARE, "Of the rows, during which an alert would have been active"),
        "alerts_per_day": maybe(NUMBER),
        "lead_seconds": about(maybe(NUMBER), "From the first alert to the end"),
        "lead_rows": maybe(COUNT),
        "at_once": about(FLAG, "The rows came together: their times say nothing, count in rows"),
        "listed": many(
            record(
                {
                    "opened_seq": COUNT,
                    "opened_at": MOMENT,
                    "cleared_seq": maybe(COUNT),
                    "cleared_at": maybe(MOMENT),
                    "times": COUNT,
                    "peak": NUMBER,
                    "peak_seq": COUNT,
                }
            )
        ),
        "live": about(
            record({"alerts": COUNT, "times": COUNT, "first_seq": maybe(COUNT)}),
            "What the rules in force raised on the same rows",
        ),
    }
)
BACK_TEST = record(
    {
        "id": WHOLE,
        "baseline_id": WHOLE,
        "stream": TEXT,
        "epoch": WHOLE,
        "rule": FREE,
        "sensitivity_factor": about(maybe(NUMBER), "Null: the levels as they were judged"),
        "status": one_of("waiting", "processing", "completed", "failed"),
        "progress": {"type": "integer", "minimum": 0, "maximum": 100},
        "result": maybe(RESULT),
        "error_message": maybe(TEXT),
        "created_at": MOMENT,
    }
)
RULE = {"name": "Climbs", "kind": "score", "score": 0.8, "needed": 3, "window": 5}
ASKED = {"stream": "default", "epoch": 2, "rule": RULE}
EXAMPLE = {
    "id": 5,
    "baseline_id": 3,
    "stream": "default",
    "epoch": 2,
    "rule": RULE,
    "sensitivity_factor": None,
    "status": "waiting",
    "progress": 0,
    "result": None,
    "error_message": None,
    "created_at": examples.AT,
}


class TriedRule(RuleWish):
    kind = Line(required=True, metadata={"enum": list(words.KINDS)})


class NewTrial(Body):
    stream = Line(allow_none=True, metadata=STREAM["schema"])
    epoch = ma.fields.Integer(strict=True, allow_none=True, validate=ma.validate.Range(1, MOST_ID))
    rule = ma.fields.Nested(TriedRule, required=True)
    sensitivity_factor = Number(0.5, 5)


@blueprint.route(OF_STREAMS, methods=["POST"])
@document(envelope(BACK_TEST), *(404, 409, 422), status=202, example=examples.success(EXAMPLE))
@signed_in
@blueprint.arguments(NewTrial, example=ASKED)
def try_rule(body: dict[str, Any], baseline_id: int) -> Response:
    """Try a rule on an epoch of a stream, the present one by default; a job does it.

    `rule` is that of `POST /alerts/rules`, of kind `level` or `score`. With `sensitivity_factor`
    the levels are judged anew. The same question while it waits is asked once.
    """
    wish = Wish(
        stream=stream_name(body),
        rule=body["rule"],
        epoch=body.get("epoch"),
        factor=body.get("sensitivity_factor"),
    )
    with services().sessions.begin() as session:
        asked = back_testing.ask(session, who(), baseline_id, wish)
    services().jobs.wake()
    return success(asked, 202)


@blueprint.route(OF_STREAMS, methods=["GET"])
@document(
    envelope(record({"back_tests": many(BACK_TEST)})),
    404,
    example=examples.success({"back_tests": [EXAMPLE]}),
)
@signed_in
def list_back_tests(baseline_id: int) -> Response:
    """The trials on a baseline's streams, the newest first; the newest 50 are kept."""
    with services().sessions() as session:
        known = back_testing.list_all(session, who(), baseline_id)
    return success({"back_tests": known})


@blueprint.route(NUMBERED, methods=["GET"])
@document(envelope(BACK_TEST), 404, example=examples.success(EXAMPLE))
@signed_in
def get_back_test(back_test_id: int) -> Response:
    """How far a trial is, or what came of it."""
    with services().sessions() as session:
        return success(back_testing.get(session, who(), min(back_test_id, MOST_ID)))


@blueprint.route(NUMBERED, methods=["DELETE"])
@document(envelope(GONE), 404)
@signed_in
def delete_back_test(back_test_id: int) -> Response:
    """Delete a trial, and end it if it has not ended."""
    with services().sessions.begin() as session:
        back_testing.remove(session, who(), min(back_test_id, MOST_ID))
    return success({"id": back_test_id, "message": f"Trial {back_test_id} was deleted."})
