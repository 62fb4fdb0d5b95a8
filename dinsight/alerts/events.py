"""What happens to alerts: noted one by one, and counted where pages see it with every poll."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dinsight import news
from dinsight.alerts.engine import AGAIN, CLEARED, RAISED, REJOIN_SECONDS
from dinsight.alerts.words import SEVERITIES
from dinsight.models import Alert, AlertEvent, Json, Stream
from dinsight.notices import outbox

ENDS = {"closed": "cleared", "resolved": "cleared"}  # as those who are told of it hear it
SEEN = {"acknowledged", CLEARED}  # what was raised on the shelf needs no telling after that
# When those who are told of alerts hear that one is over by itself: once it can no longer be raised
# again, so that what flickers is told once, and nobody believes to be over what is not.
SETTLED = dt.timedelta(seconds=REJOIN_SECONDS + 30)
MOST_TIMES = 100
RULES, TOLD = "rules", "told"  # in `Stream.alert_state`


def record(
    session: Session,
    alert: Alert,
    kind: str,
    *,
    at: dt.datetime,
    seq: int | None = None,
    user_id: int | None = None,
    details: Json | None = None,
) -> None:
    """Note an event of an alert that is stored, in the transaction that brings it about.

    An alert that flickers on and on is noted `MOST_TIMES` times, and then only counted.
    """
    alert.changed_at = at
    told = ENDS.get(kind, kind)
    if kind == AGAIN:
        outbox.withdraw(session, alert, CLEARED)
        if alert.acknowledged_at is None and not outbox.has_told(session, alert, RAISED):
            told = RAISED  # it came and went on the shelf
    elif told in SEEN:
        outbox.withdraw(session, alert, RAISED)
    wait = SETTLED if kind == CLEARED else None
    outbox.write(session, alert, told, now=at, wait=wait)
    if kind in (AGAIN, CLEARED) and alert.times > MOST_TIMES:
        return
    session.add(
        AlertEvent(
            alert_id=alert.id, at=at, kind=kind, seq=seq, user_id=user_id, details=details or {}
        )
    )


def count(session: Session, stream_id: int, alert_state: Json) -> Json:
    """What a stream's status says of its alerts: how many are active, how many nobody has seen,
    and how many are either.

    `revision` grows with every change, so that a page knows when to ask for the list again. The
    stream is held; `alert_state` is what it has said so far.
    """
    session.flush()
    open_ = Alert.cleared_at.is_(None)
    unseen = Alert.acknowledged_at.is_(None)
    found = session.execute(
        select(
            Alert.severity, func.count().filter(open_), func.count().filter(unseen), func.count()
        )
        .where(Alert.stream_id == stream_id, open_ | unseen)
        .group_by(Alert.severity)
    ).all()
    return {
        "active": sum(row[1] for row in found),
        "unacknowledged": sum(row[2] for row in found),
        "open": sum(row[3] for row in found),
        "severity": max((row[0] for row in found), key=SEVERITIES.index, default=None),
        "revision": told(alert_state)["revision"] + 1,
    }


def recount(session: Session, stream: Stream) -> None:
    """Count anew what a held stream's status says, and tell of it."""
    told_now = count(session, stream.id, stream.alert_state)
    stream.alert_state = {**stream.alert_state, TOLD: told_now}
    news.changed(session, stream.id)


def told(alert_state: Json) -> Json:
    """The same as it was last counted, of a stream's row."""
    nothing: Json = {"active": 0, "unacknowledged": 0, "severity": None, "revision": 0}
    found: Json = alert_state.get(TOLD) or nothing
    # What an earlier version counted does not say how many are open: this many at least.
    return {"open": max(found["active"], found["unacknowledged"]), **found}
