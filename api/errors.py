"""Which status each failure of the domain answers with, and the one shape of every error."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from api.answers import failure
from api.context import services, who
from dinsight import audit_log, database, errors

RETRY_AFTER_SECONDS = 2
OF_WHOLE = "_schema"  # marshmallow's name for what is no field

STATUS: dict[type[errors.DinsightError], int] = {
    errors.InvalidRequest: 400,
    errors.InvalidReadings: 400,
    errors.UnknownLayout: 400,
    errors.BaselineTooSmall: 400,
    errors.InvalidAccount: 422,
    errors.InvalidChannel: 422,
    errors.NotSignedIn: 401,
    errors.WrongPassword: 401,
    errors.RegistrationClosed: 403,
    errors.AdminOnly: 403,
    errors.DisplaysOnlyLook: 403,
    errors.NotFound: 404,
    errors.BaselineNotReady: 409,
    errors.BaselineFailed: 409,
    errors.MapUnchanged: 409,
    errors.RefitUnderWay: 409,
    errors.BackTestsWaiting: 409,
    errors.AlreadyProposed: 409,
    errors.QueueFull: 409,
    errors.VersionUnderReview: 409,
    errors.VersionNotReady: 409,
    errors.VersionInUse: 409,
    errors.MapOutdated: 409,
    errors.ReplayUnderWay: 409,
    errors.MonitorFileInUse: 409,
    errors.EpochChanged: 409,
    errors.MapRefitted: 409,
    errors.EmailTaken: 409,
    errors.LastAdmin: 409,
    errors.TooManyChannels: 409,
    errors.LinkUsed: 410,
    errors.ReadingsRemoved: 410,
    errors.TooLarge: 413,
    errors.KeyReused: 422,
    errors.TooManyRequests: 429,
    errors.DatabaseUnavailable: 503,
    errors.MapBeingRefitted: 503,
}

# Those that are somebody's: who asks for another's meets the same answer as for none.
OBJECTS = (
    errors.AlertNotFound,
    errors.AlertRuleNotFound,
    errors.AreaNotFound,
    errors.BackTestNotFound,
    errors.BaselineNotFound,
    errors.CandidateNotFound,
    errors.ChannelNotFound,
    errors.DisplayNotFound,
    errors.KeyNotFound,
    errors.MonitorFileNotFound,
    errors.UserNotFound,
)

log = logging.getLogger(__name__)


def status_of(kind: type[errors.DinsightError]) -> int:
    """The status of the nearest ancestor that has one."""
    for ancestor in kind.__mro__:
        if ancestor in STATUS:
            return STATUS[ancestor]
    return 500


def register(server: Flask) -> None:
    server.register_error_handler(errors.DinsightError, domain_error)
    for kind in OBJECTS:
        server.register_error_handler(kind, denied)
    server.register_error_handler(HTTPException, http_error)
    server.register_error_handler(SQLAlchemyError, database_error)
    server.register_error_handler(Exception, unexpected)


def domain_error(error: errors.DinsightError) -> Response:
    status = status_of(type(error))
    answer = failure(status, error.code(), error.message, error.details)
    if wait := retry_after(error):
        answer.headers["Retry-After"] = str(wait)
    return answer


def retry_after(error: errors.DinsightError) -> int | None:
    """Seconds after which the same may go well; None where waiting does not help."""
    if isinstance(error, errors.TooManyRequests):
        return int(error.details["retry_after"])
    return RETRY_AFTER_SECONDS if status_of(type(error)) == 503 else None


def denied(error: errors.DinsightError) -> Response:
    """The answer, and a note of who asked for what."""
    baseline_id = (request.view_args or {}).get("baseline_id")
    subject = f"{request.method} {request.path}"[:200]
    try:
        with services().sessions.begin() as session:
            audit_log.deny(session, who(), subject, baseline_id, services().now())
    except SQLAlchemyError as trouble:
        return database_error(trouble)
    return domain_error(error)


def http_error(error: HTTPException) -> Response:
    status = error.code or 500
    code = HTTPStatus(status).name
    data: dict[str, Any] = getattr(error, "data", None) or {}
    details = data.get("messages") or data.get("errors")
    message = _field_message(details) if details else error.description or code
    answer = failure(status, code, message, details)
    for name, value in error.get_headers():
        if name not in {"Content-Type"}:
            answer.headers[name] = value
    return answer


def database_error(error: SQLAlchemyError) -> Response:
    if database.is_outage(error):
        log.warning("%s", database.unavailable(error).message)
        return domain_error(errors.DatabaseUnavailable())
    if isinstance(error, DBAPIError):
        error.hide_parameters = True
    return unexpected(error)


def unexpected(error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return failure(500, "INTERNAL_ERROR", "The server met an error; its log says which.")


def _field_message(details: Any) -> str:
    """A sentence out of marshmallow's nested messages, such as `email: Not a valid address.`"""
    while isinstance(details, dict) and details:
        key, value = next(iter(details.items()))
        if isinstance(value, list) and value:
            return str(value[0]) if key == OF_WHOLE else f"{key}: {value[0]}"
        details = value
    return str(details)
