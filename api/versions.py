"""`/dinsight/{id}/candidates` and `/versions`: new normal rows, and what is made of them."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, request

from api import examples
from api.answers import success
from api.baselines import ID
from api.bodies import Blueprint
from api.context import services, who
from api.document import STREAM, STREAM_NAME, document, query
from api.fields import Body, Line, Number, stream_name, whole
from api.schemas import LAYOUT, TEXT, WHOLE, envelope, many, record
from api.security import signed_in
from api.version_schemas import (
    CANDIDATES,
    COMPARED,
    GONE,
    IN_FORCE,
    MADE,
    MADE_EXAMPLE,
    MAKE,
    PROPOSAL,
    PROPOSED,
    QUEUED,
    STATE,
    VERSIONS,
)
from dinsight import candidates, version_compare, versions
from dinsight.candidates import MOST_QUEUED, NOTE_LENGTH, Wanted
from dinsight.errors import InvalidRequest

blueprint = Blueprint(
    "versions", __name__, url_prefix=f"/dinsight/{ID}", description="Versions of a baseline"
)
NOTE: dict[str, Any] = {"maxLength": NOTE_LENGTH}
OF_STATE = query("state", {**STATE, "default": "queued"}, "Those in this state")
A = query("a", WHOLE, "A version; left out, the one in force")
B = query("b", WHOLE, "Another; left out, the last")
DAYS = query(
    "days",
    {"type": "integer", "minimum": 1, "maximum": version_compare.MOST_DAYS, "default": 7},
    "Rows of so many last days are scored",
)


class Proposal(Body):
    stream = Line(allow_none=True, metadata=STREAM_NAME)
    epoch = Number(1, whole=True, required=True)
    first = Number(1, whole=True, required=True)
    last = Number(1, whole=True, required=True)
    note = ma.fields.String(metadata=NOTE)


class NewVersion(Body):
    candidates = ma.fields.List(
        ma.fields.Integer(strict=True), validate=ma.validate.Length(1, MOST_QUEUED)
    )
    note = ma.fields.String(metadata=NOTE)
    map = Line(allow_none=True, metadata=LAYOUT)


@blueprint.route("/candidates", methods=["GET"])
@document(envelope(CANDIDATES), 404, query=[OF_STATE])
@signed_in
def list_candidates(baseline_id: int) -> Response:
    """Rows that were proposed as normal, the oldest first, with what they were judged to be.

    A level is the stored one. `warnings` speak of all that is queued.
    """
    state = request.args.get("state") or candidates.QUEUED
    with services().sessions() as session:
        found = candidates.queue(session, who(), baseline_id, state)
        warned = versions.foresee(session, who(), baseline_id)
    return success({"baseline_id": baseline_id, "candidates": found, "warnings": warned})


@blueprint.route("/candidates", methods=["POST"])
@document(
    envelope(record({"candidates": many(PROPOSED)})),
    *(404, 409, 410),
    status=201,
    example=examples.success({"candidates": [QUEUED]}),
)
@signed_in
@blueprint.arguments(Proposal, example=PROPOSAL)
def propose(body: dict[str, Any], baseline_id: int) -> Response:
    """Propose rows of a stream, `first` to `last` of any kept epoch, as normal.

    Rows that are queued, or part of a version, already are left out: each stretch of the others is
    a candidate. 410 where retention has removed their readings.
    """
    numbers = [_whole(body, name) for name in ("epoch", "first", "last")]
    wanted = Wanted(stream_name(body), *numbers)
    with services().sessions.begin() as session:
        note, now = body.get("note", ""), services().now()
        found = candidates.propose(session, who(), baseline_id, wanted, note=note, now=now)
        told = [candidates.describe(row) for row in found]
    return success({"candidates": told}, 201)


@blueprint.route("/candidates/<int:candidate_id>", methods=["DELETE"])
@document(envelope(record({"id": WHOLE, "message": TEXT})), 404)
@signed_in
def refuse(baseline_id: int, candidate_id: int) -> Response:
    """Refuse rows that are queued; they can be proposed again."""
    with services().sessions.begin() as session:
        candidates.refuse(session, who(), baseline_id, candidate_id, now=services().now())
    return success({"id": candidate_id, "message": "The rows are refused."})


@blueprint.route("/versions", methods=["GET"])
@document(envelope(VERSIONS), 404)
@signed_in
def list_versions(baseline_id: int) -> Response:
    """The versions of a baseline, the newest first; `refit` says how far the last fit is."""
    with services().sessions() as session:
        return success(versions.list_all(session, who(), baseline_id))


@blueprint.route("/versions", methods=["POST"])
@document(envelope(MADE), *(404, 409, 410), status=202, example=examples.success(MADE_EXAMPLE))
@signed_in
@blueprint.arguments(NewVersion, example=MAKE)
def make_version(body: dict[str, Any], baseline_id: int) -> Response:
    """Fit a version with the rows of these candidates added; without `candidates`, of all queued.

    It is not in force when it is ready: compare it, then adopt or discard it. Where the fit fails
    everything is as it was, the candidates queued.
    """
    with services().sessions.begin() as session:
        made = versions.make(
            session,
            who(),
            baseline_id,
            body.get("candidates"),
            note=body.get("note", ""),
            layout=body.get("map"),
            limits=services().limits,
            now=services().now(),
        )
    services().jobs.wake()
    return success(made, 202)


@blueprint.route("/versions/<int:version>/adopt", methods=["POST"])
@document(envelope(IN_FORCE), 404, 409)
@signed_in
def adopt_version(baseline_id: int, version: int) -> Response:
    """Put a version in force, a later or an earlier one.

    Every stream goes on in a new epoch on its map; what came before is archived as it was judged.
    """
    with services().sessions.begin() as session:
        done = versions.adopt(session, who(), baseline_id, version, now=services().now())
    return success(done | {"message": f"Version {version} is in force."})


@blueprint.route("/versions/<int:version>", methods=["DELETE"])
@document(envelope(GONE), 404, 409)
@signed_in
def discard_version(baseline_id: int, version: int) -> Response:
    """Remove the last version, its rows and its map, or end its fit; its candidates are queued."""
    with services().sessions.begin() as session:
        versions.discard(session, who(), baseline_id, version)
    return success({"version": version, "message": f"Version {version} is discarded."})


@blueprint.route("/versions/compare", methods=["GET"])
@document(envelope(COMPARED), 404, 409, query=[A, B, STREAM, DAYS])
@signed_in
def compare_versions(baseline_id: int) -> Response:
    """Two versions on both maps: the rows of both, those added, and what a stream sent lately.

    In the answer `a` is the older. Without `stream` it is the one that sent last. Levels are those
    of the single row.
    """
    pair = whole("a", 0), whole("b", 0)
    stream = request.args.get("stream") and stream_name()
    with services().sessions() as session:
        found = version_compare.compare(
            session,
            who(),
            baseline_id,
            pair,
            stream=stream or None,
            days=whole("days", version_compare.DEFAULT_DAYS),
            now=services().now(),
        )
    return success(found)


def _whole(body: dict[str, Any], name: str) -> int:
    number = body.get(name)
    if type(number) is not int:
        raise InvalidRequest(f"{name} must be a whole number.")
    return number
