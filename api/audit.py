"""`/audit`: who did what, for administrators."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict

from flask import Response, request

from api.answers import success
from api.bodies import Blueprint
from api.context import services, who
from api.document import document, query
from api.fields import moment, whole
from api.schemas import AUDITED, COUNT, TEXT, WHOLE, envelope, many, maybe, record
from api.security import signed_in
from dinsight import audit_log
from dinsight.audit_log import MOST, Wish

LOG = {"entries": many(AUDITED), "limit": WHOLE, "next": maybe(WHOLE)}
USER = query("user_id", COUNT, "Only of this user")
ACTION = query("action", TEXT, "Only this, such as `sign-in.refused`")
FROM = query("from", TEXT, "Not before this time")
TO = query("to", TEXT, "Before this time")
BEFORE = query("before", COUNT, "Only what has a lower `id`: the `next` of the page before")
AT_MOST = query("limit", {**WHOLE, "minimum": 1, "default": 100}, "At most so many; 500 at most")

blueprint = Blueprint("audit", __name__, url_prefix="/audit", description="Who did what")


@blueprint.route("", methods=["GET"])
@document(envelope(record(LOG)), 403, query=[USER, ACTION, FROM, TO, BEFORE, AT_MOST])
@signed_in
def get_audit() -> Response:
    """The newest entries first, `limit` of them (100, at most 500); `before` is where to go on.

    Narrowed by `user_id`, `action` (`sign-in.refused`, say), and the times `from` and `to`, in UTC
    where they name no zone.
    """
    wish = Wish(
        user_id=_number("user_id"),
        action=request.args.get("action") or None,
        since=moment("from", request.args, dt.UTC),
        until=moment("to", request.args, dt.UTC),
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
