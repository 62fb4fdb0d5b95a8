"""`/analyze` and `/dinsight`: uploading, following, reading and deleting baselines."""

from __future__ import annotations

from typing import BinaryIO, cast

from flask import Response, request

from api.answers import success
from api.bodies import Blueprint
from api.context import services, who
from api.security import signed_in
from dinsight import baselines
from dinsight.maps import LAYOUTS

blueprint = Blueprint("baselines", __name__, description="Baselines and their maps")
ID = "<int:baseline_id>"


@blueprint.route("/analyze", methods=["POST"])
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
            layout=request.form.get("map") or LAYOUTS[0],
        )
        baseline_id = baseline.id
    services().jobs.wake()
    message = f"Baseline {baseline_id} was received and is being fitted."
    return success({"id": baseline_id, "message": message}, code=200, message=message)


@blueprint.route(f"/analyze/{ID}/status", methods=["GET"])
@signed_in
def fit_status(baseline_id: int) -> Response:
    """How far the fit of a baseline is."""
    with services().sessions() as session:
        baseline = baselines.get(session, who(), baseline_id)
        data = {
            "id": baseline.id,
            "status": baseline.status,
            "progress": baseline.progress,
            "status_message": baseline.status_message,
            "error_message": baseline.error_message,
        }
    return success(data, code=200)


@blueprint.route("/dinsight", methods=["GET"])
@signed_in
def list_baselines() -> Response:
    """Your baselines, the newest first."""
    with services().sessions() as session:
        found = [baselines.describe(item) for item in baselines.list_visible(session, who())]
    return success({"ids": [item["id"] for item in found], "baselines": found})


@blueprint.route(f"/dinsight/{ID}", methods=["GET"])
@signed_in
def get_baseline(baseline_id: int) -> Response:
    """A baseline on its map; the arrays are empty until the fit is completed."""
    with services().sessions() as session:
        return success(baselines.on_map(session, who(), baseline_id))


@blueprint.route(f"/dinsight/{ID}", methods=["DELETE"])
@signed_in
def delete_baseline(baseline_id: int) -> Response:
    """Delete a baseline with its streams and points."""
    with services().sessions.begin() as session:
        baselines.remove(session, who(), baseline_id)
    return success({"id": baseline_id, "message": f"Baseline {baseline_id} was deleted."})
