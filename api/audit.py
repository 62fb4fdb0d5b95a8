"""`/audit`: who did what, for administrators."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict

from flask import Response, request

from api.answers import success
from api.bodies import Blueprint
from api.context import services, who
from api.fields import whole
from api.security import signed_in
from dinsight import audit_log
from dinsight.audit_log import MOST, Wish
from dinsight.errors import InvalidRequest

blueprint = Blueprint("audit", __name__, url_prefix="/audit", description="Who did what")


@blueprint.route("", methods=["GET"])
@signed_in
def get_audit() -> Response:
    """The newest entries first, `limit` of them (100, at most 500); `before` is where to go on.

    Narrowed by `user_id`, `action` (`sign-in.refused`, say), and the times `from` and `to`.
    """
    wish = Wish(
        user_id=_number("user_id"),
        action=request.args.get("action") or None,
        since=_moment("from"),
        until=_moment("to"),
        before=_number("before"),
        limit=whole("limit", 100, low=1, clamp=MOST),
    )
    with services().sessions() as session:
        entries = [asdict(entry) for entry in audit_log.read(session, who(), wish)]
    following = entries[-1]["id"] if len(entries) == wish.limit else None
    return success({"entries": entries, "limit": wish.limit, "next": following})


def _number(name: str) -> int | None:
    """A whole number of the query, None where it is left out."""
    return whole(name, 0) if request.args.get(name) else None


def _moment(name: str) -> dt.datetime | None:
    """A time of the query, in UTC where it names no zone. Raises InvalidRequest."""
    text = request.args.get(name)
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except ValueError:
        raise InvalidRequest(f"{name} must be a time such as 2026-05-01T12:00:00Z.") from None
