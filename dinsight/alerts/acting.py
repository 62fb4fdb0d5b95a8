"""What people do about alerts: acknowledge, resolve, shelve, judge. Each act holds the stream."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from dinsight import baselines, candidates
from dinsight.accounts import Identity
from dinsight.alerts import events, listing
from dinsight.alerts.engine import RAISED, State
from dinsight.alerts.events import RULES
from dinsight.alerts.words import ANOMALY, NEW_NORMAL, VERDICTS
from dinsight.errors import AlertNotFound, InvalidRequest
from dinsight.models import Alert, Baseline, Json, Stream
from dinsight.notices import outbox

NOTE_LENGTH = 1_000
LONGEST_SHELF = dt.timedelta(days=30)


def acknowledge(
    session: Session, who: Identity, alert_id: int, message: Any = None, *, now: dt.datetime
) -> Json:
    """Say that somebody has seen it, with a note; doing so again adds a note, if there is one.

    Raises AlertNotFound and InvalidRequest.
    """
    note = check_note(message)
    stream, alert = _hold(session, who, alert_id)
    if alert.acknowledged_at is None or note:
        _acknowledge(session, who, alert, note, now)
    return _done(session, who, stream, alert, now)


def resolve(
    session: Session, who: Identity, alert_id: int, message: Any = None, *, now: dt.datetime
) -> Json:
    """Acknowledge it and, if it is still active, end it by hand.

    Its rule then raises another alert only after it has once been over by itself.
    """
    note = check_note(message)
    stream, alert = _hold(session, who, alert_id)
    if alert.acknowledged_at is None or note:
        _acknowledge(session, who, alert, note, now)
    if alert.cleared_at is None:
        alert.cleared_at, alert.cleared_seq = now, stream.next_seq
        events.record(session, alert, "resolved", at=now, user_id=who.id)
        _wait(stream, alert)
    return _done(session, who, stream, alert, now)


def shelve(session: Session, who: Identity, alert_id: int, until: Any, *, now: dt.datetime) -> Json:
    """Put it aside, with what its rule has active and raises on this stream, until a moment.

    It is told of to nobody and comes back by itself; null brings all of these back now. Raises
    AlertNotFound and InvalidRequest for a moment that has passed or is more than 30 days ahead.
    """
    moment = None if until is None else _moment(until, now)
    stream, alert = _hold(session, who, alert_id)
    told = {"until": moment.isoformat()} if moment else {}
    for each in _of_its_shelf(session, alert, now):
        if moment != each.shelved_until:
            each.shelved_until, each.shelved_by = moment, who.id if moment else None
            kind = "shelved" if moment else "unshelved"
            events.record(session, each, kind, at=now, user_id=who.id, details=told)
            outbox.move(session, each, RAISED, moment - now if moment else dt.timedelta())
    return _done(session, who, stream, alert, now)


def judge(
    session: Session,
    who: Identity,
    alert_id: int,
    verdict: Any,
    message: Any = None,
    *,
    now: dt.datetime,
) -> Json:
    """Keep what it turned out to be: `real`, `false_alarm` or `new_normal`; null takes it back.

    Rows that are the new normal are proposed for the baseline's next version
    (`dinsight.candidates`), and are so no longer when they turn out to be something else. Raises
    AlertNotFound, InvalidRequest, and QueueFull for more rows than may wait.
    """
    if verdict is not None and verdict not in VERDICTS:
        raise InvalidRequest(f"verdict must be one of {', '.join(VERDICTS)}, or null.")
    note = check_note(message)
    stream, alert = _hold(session, who, alert_id)
    if verdict != alert.verdict or note:
        if alert.verdict == NEW_NORMAL and verdict != NEW_NORMAL:
            candidates.take_back(session, who, alert, now=now)
        alert.verdict = verdict
        alert.verdict_at, alert.verdict_by = (now, who.id) if verdict else (None, None)
        told = {"verdict": verdict} | ({"note": note} if note else {})
        events.record(session, alert, "judged", at=now, user_id=who.id, details=told)
        if verdict == NEW_NORMAL and alert.alert_type == ANOMALY:
            candidates.propose_alert(session, who, alert, now=now)
    return _done(session, who, stream, alert, now)


def check_note(message: Any) -> str:
    """A note as it is kept; raises InvalidRequest."""
    if message is None:
        return ""
    if not isinstance(message, str) or len(message) > NOTE_LENGTH or "\0" in message:
        raise InvalidRequest(f"message must be a text of at most {NOTE_LENGTH:,} characters.")
    return message.strip()


def _acknowledge(
    session: Session, who: Identity, alert: Alert, note: str, now: dt.datetime
) -> None:
    if alert.acknowledged_at is None:
        alert.acknowledged_at, alert.acknowledged_by = now, who.id
    if note:
        alert.note = note
    told = {"note": note} if note else {}
    events.record(session, alert, "acknowledged", at=now, user_id=who.id, details=told)


def _wait(stream: Stream, alert: Alert) -> None:
    """Let the rule wait until it is over: it has been ended by hand."""
    found = dict(stream.alert_state.get(RULES, {}))
    entry = found.get(str(alert.rule_id))
    if entry is not None and entry.get("alert") == alert.id:
        state = State.from_dict(entry.get("state")).to_dict()
        state |= {"active": False, "waiting": True}
        found[str(alert.rule_id)] = {"of": entry["of"], "state": State(**state).to_dict()}
        stream.alert_state = {**stream.alert_state, RULES: found}


def _of_its_shelf(session: Session, alert: Alert, now: dt.datetime) -> list[Alert]:
    """An alert and those of the same rule and stream that are active or shelved, and the last one,
    which says for the next that is raised."""
    if alert.rule_id is None:
        return [alert]
    same = (Alert.stream_id == alert.stream_id, Alert.rule_id == alert.rule_id)
    last = select(func.max(Alert.id)).where(*same).scalar_subquery()
    on = or_(Alert.cleared_at.is_(None), Alert.shelved_until > now, Alert.id.in_([alert.id, last]))
    return list(session.scalars(select(Alert).where(*same, on).order_by(Alert.id)))


def _hold(session: Session, who: Identity, alert_id: int) -> tuple[Stream, Alert]:
    """The alert and its stream, held for this transaction."""
    stream_id = session.scalar(
        select(Alert.stream_id)
        .join(Baseline, Baseline.id == Alert.baseline_id)
        .where(Alert.id == alert_id, baselines.visible(who))
    )
    stream = None
    if stream_id is not None:
        stream = session.get(Stream, stream_id, with_for_update=True, populate_existing=True)
    alert = session.get(Alert, alert_id, populate_existing=True)
    if stream is None or alert is None:
        raise AlertNotFound()
    return stream, alert


def _done(session: Session, who: Identity, stream: Stream, alert: Alert, now: dt.datetime) -> Json:
    events.recount(session, stream)
    session.flush()
    return listing.get(session, who, alert.id, now=now)


def _moment(value: Any, now: dt.datetime) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
    except (TypeError, ValueError):
        raise InvalidRequest("until must be a moment such as 2026-11-30T06:00:00Z.") from None
    if not now < moment <= now + LONGEST_SHELF:
        raise InvalidRequest("until must be a moment within the next 30 days.")
    return moment
