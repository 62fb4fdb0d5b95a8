"""The outbox: a notice for each channel that is to be told of an alert's event.

Notices are rows of the transaction in which the event happens: both are stored or neither, so that
no crash loses a message, and what was rolled back is never told.
"""

from __future__ import annotations

import datetime as dt
import uuid
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Engine, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session

from dinsight.alerts import words
from dinsight.alerts.engine import CLEARED, RAISED
from dinsight.alerts.words import SEVERITIES
from dinsight.background import Background
from dinsight.database import once_committed
from dinsight.models import Alert, Baseline, Channel, Json, Notice, Stream, User

# What is worth a message. That an alert is raised once more, shelved or judged is not.
EVENTS = frozenset({RAISED, "severity_raised", "acknowledged", CLEARED})
TEST = "test"
TEST_MESSAGE = "This is a test: alerts of your machines will arrive here."
WRITTEN = "dinsight.notices"  # in a session's `info`

PENDING = Notice.delivered_at.is_(None) & Notice.failed_at.is_(None)


def write(
    session: Session,
    alert: Alert,
    event: str,
    *,
    now: dt.datetime,
    wait: dt.timedelta | None = None,
) -> int:
    """Put a notice of this event into the session's transaction for each channel that wants it.

    It is sent after `wait`, or at once; until then it can be withdrawn. Says how many. A shelved
    alert tells nobody, but that it was raised once its shelf ends; nor does an event that is not
    one of `EVENTS`.
    """
    shelved = alert.shelved_until is not None and alert.shelved_until > now
    if event not in EVENTS or (shelved and event != RAISED):
        return 0
    if shelved and alert.shelved_until is not None:
        wait = alert.shelved_until - now
    session.flush()  # so that a new alert has its id
    rows = session.execute(_listening(alert)).all()
    for channel_id, baseline, stream in rows:
        what = {"event": event, **describe(alert, baseline, stream)}
        _put(session, channel_id, now, what, wait)
    return len(rows)


def withdraw(session: Session, alert: Alert, event: str) -> None:
    """Take back the notices of an alert's event that are not yet due."""
    mine = (Notice.alert_id == alert.id, Notice.event == event, Notice.attempts == 0)
    session.execute(delete(Notice).where(*mine, PENDING, Notice.due_at > func.now()))


def move(session: Session, alert: Alert, event: str, wait: dt.timedelta) -> None:
    """Let the notices of an alert's event that are not yet due be sent after `wait` from now."""
    mine = (Notice.alert_id == alert.id, Notice.event == event, Notice.attempts == 0)
    waiting = update(Notice).where(*mine, PENDING, Notice.due_at > func.now())
    session.execute(waiting.values(due_at=func.now() + wait))
    session.info[WRITTEN] = True


def has_told(session: Session, alert: Alert, event: str) -> bool:
    """Whether there is a notice of this event, sent or waiting."""
    told = select(Notice.id).where(Notice.alert_id == alert.id, Notice.event == event)
    return session.scalar(told.limit(1)) is not None


def write_test(session: Session, channel: Channel, *, now: dt.datetime) -> str:
    """Put a test message for one channel into the transaction; its id."""
    what = {"event": TEST, "message": TEST_MESSAGE, "link": "/account"}
    return _put(session, channel.id, now, what)


def drop(session: Session, channel_id: int, why: str) -> None:
    """Give up what still waits for this channel."""
    waiting = update(Notice).where(Notice.channel_id == channel_id, PENDING)
    session.execute(waiting.values(failed_at=func.now(), error=why, lease=None, lease_until=None))


def describe(alert: Alert, baseline: str, stream: str) -> Json:
    """An alert as its messages tell it.

    Its link is without the server's address, which is put before it when it is sent.
    """
    return {
        "alert": {
            "id": alert.id,
            "type": alert.alert_type,
            "title": alert.title,
            "message": alert.message,
            "severity": alert.severity,
            "status": words.status(alert),
            "score": alert.score,
            "peak": alert.peak,
            "opened_at": stamp(alert.opened_at),
            "cleared_at": stamp(alert.cleared_at),
            "acknowledged_at": stamp(alert.acknowledged_at),
            "note": alert.note,
            "baseline": {"id": alert.baseline_id, "name": baseline},
            "stream": stream,
            "epoch": alert.epoch,
            "seq": alert.opened_seq,
        },
        "link": words.link(alert.baseline_id, stream, alert.epoch, alert.opened_seq),
    }


def stamp(at: dt.datetime | None) -> str | None:
    """A time as the API says it: RFC 3339, in UTC with `Z`."""
    return None if at is None else at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _listening(alert: Alert) -> Select[int, str, str]:
    """The channels to be told, with the names of the alert's baseline and stream.

    They are the owner's; an administrator's only if it names this very baseline.
    """
    named = Channel.baseline_id == Baseline.id
    owners = (Channel.user_id == Baseline.owner_id) & (Channel.baseline_id.is_(None) | named)
    wanted = SEVERITIES[: SEVERITIES.index(alert.severity) + 1]
    return (
        select(Channel.id, Baseline.name, Stream.name)
        .select_from(Channel)
        .join(User, User.id == Channel.user_id)
        .join(Baseline, Baseline.id == alert.baseline_id)
        .join(Stream, Stream.id == alert.stream_id)
        .where(Channel.enabled, User.disabled_at.is_(None))
        .where(Channel.least_severity.in_(wanted), owners | (named & (User.role == "admin")))
        .order_by(Channel.id)
    )


def _put(
    session: Session,
    channel_id: int,
    now: dt.datetime,
    what: Json,
    wait: dt.timedelta | None = None,
) -> str:
    notice_id = uuid.uuid4().hex
    payload: Json = {"id": notice_id, "sent_at": stamp(now), **what}
    session.execute(
        insert(Notice).values(
            id=notice_id,
            channel_id=channel_id,
            alert_id=what.get("alert", {}).get("id"),
            event=what["event"],
            payload=payload,
            due_at=func.now() + (wait or dt.timedelta()),
        )
    )
    session.info[WRITTEN] = True
    return notice_id


# ---- waking this process's notifiers ----

_listeners: WeakKeyDictionary[Engine, WeakSet[Background]] = WeakKeyDictionary()


def wake_on_write(engine: Engine, background: Background) -> None:
    """Wake this thread whenever this process has committed a notice to this database."""
    _listeners.setdefault(engine, WeakSet()).add(background)


@once_committed(WRITTEN)
def _wake(engine: Engine, _: bool) -> None:
    for each in list(_listeners.get(engine, ())):
        each.wake()
