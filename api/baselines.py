"""`/analyze` and `/dinsight`: uploading, following, reading and deleting baselines."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from flask import Response, request

from api import examples
from api.answers import success
from api.bodies import FORM, Blueprint
from api.context import services, who
from api.document import document
from api.fields import Body, Line
from api.schemas import (
    FILE,
    LAYOUT,
    SAID,
    TEXT,
    TOLD,
    WHOLE,
    envelope,
    many,
    record,
    ref,
)
from api.security import signed_in
from dinsight import baselines, refitting, report_card
from dinsight.maps import DEFAULT, LAYOUTS

blueprint = Blueprint("baselines", __name__, description="Baselines and their maps")
ID = "<int:baseline_id>"
UPLOAD = record({"files": many(FILE), "name?": TEXT, "map?": {**LAYOUT, "default": DEFAULT}})
LISTED = record({"ids": many(WHOLE), "baselines": many(ref("Baseline"))})
ASKED = record({"id": WHOLE, "message": TEXT, "refit": ref("RefitState")})


@blueprint.route("/analyze", methods=["POST"])
@document(
    envelope(SAID, TOLD),
    body={FORM: (UPLOAD, examples.UPLOAD)},
    example=examples.success(examples.RECEIVED, code=200, message=examples.RECEIVED["message"]),
)
@signed_in
def analyze() -> Response:
    """Upload a baseline: one or more CSV files with equal headers, in the field `files`.

    The header and the first rows are checked before the answer; the fit goes on in the background.
    """
    files = [
        baselines.File(file.filename or "baseline.csv", cast(BinaryIO, file.stream))
        for file in request.files.getlist("files")
    ]
    with services().sessions.begin() as session:
        baseline = baselines.create(
            session,
            who(),
            files,
            limits=services().limits,
            name=request.form.get("name", ""),
            layout=request.form.get("map") or DEFAULT,
        )
        baseline_id = baseline.id
    services().jobs.wake()
    message = f"Baseline {baseline_id} was received and is being fitted."
    return success({"id": baseline_id, "message": message}, code=200, message=message)


@blueprint.route(f"/analyze/{ID}/status", methods=["GET"])
@document(
    envelope(ref("FitStatus"), TOLD), 404, example=examples.success(examples.FIT_STATUS, code=200)
)
@signed_in
def fit_status(baseline_id: int) -> Response:
    """How far the fit of a baseline is; `refit` says the same of its last refit.

    While a baseline is refitted it stays `completed`: it has its old map until the new one is
    there, and keeps it if the refit fails.
    """
    with services().sessions() as session:
        baseline = baselines.get(session, who(), baseline_id)
        data = {
            "id": baseline.id,
            "status": baseline.status,
            "progress": baseline.progress,
            "status_message": baseline.status_message,
            "error_message": baseline.error_message,
            "map": baseline.layout,
            "refit": baseline.refit,
        }
    return success(data, code=200)


class Refit(Body):
    map = Line(required=True, metadata={"enum": list(LAYOUTS)})


@blueprint.route(f"/dinsight/{ID}/refit", methods=["POST"])
@document(envelope(ASKED, {"message": TEXT}), 404, 409, status=202)
@signed_in
@blueprint.arguments(Refit, example=examples.REFIT)
def refit(body: dict[str, Any], baseline_id: int) -> Response:
    """Fit another map to the rows that are stored; `/analyze/{id}/status` says how far it is.

    When it is done every stream goes on in a new epoch on the new map; the points before are
    archived where they are. Asking again for the same map while it is being fitted changes
    nothing; for another one it is refused (409), and so is the map that there is.
    """
    with services().sessions.begin() as session:
        state = refitting.ask(session, who(), baseline_id, body["map"])
    services().jobs.wake()
    message = f"Baseline {baseline_id} is being refitted as {state['map']}."
    return success({"id": baseline_id, "message": message, "refit": state}, 202, message=message)


@blueprint.route(f"/dinsight/{ID}/report", methods=["GET"])
@document(envelope(ref("ReportCard")), 404, 409)
@signed_in
def get_report(baseline_id: int) -> Response:
    """The report card: what the baseline's rows can promise, and what to do where that is little.

    False alarms a day are those at one row a second, and of each stream at its own rate: as
    observed, else as declared, else one row a second.
    """
    with services().sessions() as session:
        return success(report_card.read(session, who(), baseline_id))


@blueprint.route("/dinsight", methods=["GET"])
@document(envelope(LISTED), example=examples.success(examples.BASELINES))
@signed_in
def list_baselines() -> Response:
    """Your baselines, the newest first."""
    with services().sessions() as session:
        found = [baselines.describe(item) for item in baselines.list_visible(session, who())]
    return success({"ids": [item["id"] for item in found], "baselines": found})


@blueprint.route(f"/dinsight/{ID}", methods=["GET"])
@document(envelope(ref("BaselineOnMap")), 404, 409)
@signed_in
def get_baseline(baseline_id: int) -> Response:
    """A baseline on its map; the arrays are empty until the fit is completed."""
    with services().sessions() as session:
        return success(baselines.on_map(session, who(), baseline_id))


class Rename(Body):
    name = Line(required=True, metadata={"minLength": 1, "maxLength": baselines.NAME_LENGTH})


@blueprint.route(f"/dinsight/{ID}", methods=["PATCH"])
@document(envelope(ref("Baseline")), 404, example=examples.success(examples.BASELINE))
@signed_in
@blueprint.arguments(Rename, example=examples.RENAME)
def rename_baseline(body: dict[str, Any], baseline_id: int) -> Response:
    """Give a baseline another name."""
    with services().sessions.begin() as session:
        renamed = baselines.rename(session, who(), baseline_id, body["name"])
        return success(baselines.describe(renamed))


@blueprint.route(f"/dinsight/{ID}", methods=["DELETE"])
@document(envelope(SAID), 404)
@signed_in
def delete_baseline(baseline_id: int) -> Response:
    """Delete a baseline with its streams and points."""
    with services().sessions.begin() as session:
        baselines.remove(session, who(), baseline_id)
    return success({"id": baseline_id, "message": f"Baseline {baseline_id} was deleted."})
