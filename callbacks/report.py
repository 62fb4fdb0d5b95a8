"""The report's page: rendered whole by the server, so that it prints without a script."""

from __future__ import annotations

from dash import Dash
from flask import Response, request
from sqlalchemy.orm import Session

from api.context import services as services_of
from api.errors import status_of
from api.security import page_user
from callbacks.denials import deny
from callbacks.streaming import wanted
from dinsight import report
from dinsight.accounts import Identity
from dinsight.errors import AlertNotFound, BaselineNotFound, DinsightError, EpochNotFound
from dinsight.report import Report
from dinsight.services import Services
from layouts import report as layout
from layouts.export import REPORT

MOST_DIGITS = 18


def register(app: Dash, _: Services) -> None:
    app.server.add_url_rule(REPORT, "report", show, methods=["GET"])


def show() -> Response:
    """The report that the address asks for, or why there is none."""
    who, services = page_user(), services_of()
    try:
        with services.sessions() as session:
            baseline_id, stream = wanted(request.query_string.decode("ascii", "replace"))
            if baseline_id is None:
                raise BaselineNotFound("The address names no baseline: ?baseline_id=…")
            found = _asked(session, who, baseline_id, stream)
            return _page(layout.page(found, who.full_name or who.email, services.now()))
    except DinsightError as error:
        if isinstance(error, BaselineNotFound | AlertNotFound):
            deny(services, who, f"report {request.args.get('baseline_id', '')}"[:200])
        return _page(layout.problem(error.message), status_of(type(error)))


def _asked(session: Session, who: Identity, baseline_id: int, stream: str) -> Report:
    alert, epoch = request.args.get("alert"), request.args.get("epoch")
    if alert:
        return report.of_alert(session, who, baseline_id, _number(alert, AlertNotFound))
    number = _number(epoch, EpochNotFound) if epoch else None
    return report.of_stream(session, who, baseline_id, stream, number)


def _number(text: str, missing: type[DinsightError]) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise missing()
    return int(text)


def _page(content: str, status: int = 200) -> Response:
    answer = Response(content, status, mimetype="text/html")
    answer.headers["Cache-Control"] = "no-store"
    return answer
