"""`/healthz` and `/readyz`: outside the API, for those who keep the server running."""

from __future__ import annotations

from flask import Blueprint, Response

from api.answers import plain
from api.context import services
from api.errors import RETRY_AFTER_SECONDS
from dinsight.database import is_current, is_outage

blueprint = Blueprint("health", __name__)


@blueprint.route("/healthz")
def healthz() -> Response:
    """Whether the process answers."""
    return plain({"status": "ok"})


@blueprint.route("/readyz")
def readyz() -> Response:
    """Whether the database answers and its schema is the right one."""
    try:
        with services().database.engine.connect() as connection:
            if is_current(connection):
                return plain({"status": "ready"})
            reason = "the schema is not up to date"
    except Exception as error:
        if not is_outage(error):
            raise
        reason = "the database cannot be reached"
    answer = plain({"status": "unavailable", "reason": reason}, 503)
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer
