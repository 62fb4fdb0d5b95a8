"""`/anomaly`: two datasets against each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import marshmallow as ma
from flask import Response

from api import examples
from api.answers import dumps
from api.bodies import Blueprint
from api.context import services, who
from api.document import document
from api.fields import Body, Number
from api.schemas import envelope, ref
from api.security import signed_in
from dinsight import anomaly, sensitivity

blueprint = Blueprint("anomaly", __name__, url_prefix="/anomaly", description="Comparisons")


class Detection(Body):
    baseline_dataset_id = ma.fields.Integer(required=True, strict=True)
    comparison_dataset_id = ma.fields.Integer(required=True, strict=True)
    sensitivity_factor = Number(
        sensitivity.LEAST, sensitivity.MOST, load_default=sensitivity.DEFAULT
    )


@blueprint.route("/detect", methods=["POST"])
@document(envelope(ref("Comparison")), 400, 404, 409)
@signed_in
@blueprint.arguments(Detection, example=examples.COMPARE)
def detect(body: dict[str, Any]) -> Response:
    """Place the rows of one dataset on the map of another, and say which are anomalous.

    Both are baselines of yours; the comparison has the baseline's features, by name. A distance is
    the score times the distance of the map's alarm limit, so that a point is anomalous exactly
    where `mahalanobis_distance` is above `anomaly_threshold`. `x` and `y` are on the baseline's
    map. `sensitivity_factor` is 0.5 to 5: 3 is the limit that the map was calibrated to, and a
    higher one detects more.
    """
    with services().sessions() as session:
        found = anomaly.detect(
            session,
            who(),
            body["baseline_dataset_id"],
            body["comparison_dataset_id"],
            body["sensitivity_factor"],
        )
    return Response(_pieces(found), mimetype="application/json")


def _pieces(found: anomaly.Comparison) -> Iterator[bytes]:
    """The answer as JSON, the points in pieces, as objects would fill the memory."""
    yield b'{"success":true,"data":' + dumps(anomaly.summary(found))[:-1]
    yield b',"anomalous_points":['
    for number, piece in enumerate(anomaly.points(found)):
        yield b"," * (number > 0) + dumps(piece)[1:-1]
    yield b"]}}"
