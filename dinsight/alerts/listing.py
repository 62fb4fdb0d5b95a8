"""Reading alerts: lists, counts and figures of how good the alarms are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from dinsight import baselines
from dinsight.accounts import Identity
from dinsight.alerts.words import (
    ACKNOWLEDGED,
    ACTIVE,
    FALSE_ALARM,
    RESOLVED,
    SEVERITIES,
    VERDICTS,
    link,
    status,
)
from dinsight.errors import AlertNotFound
from dinsight.models import Alert, AlertEvent, AlertRule, Baseline, Json, Stream, User, floats

MOST_MARKS = 1_000  # alerts of one epoch
MEASURED = ("low_hz", "high_hz", "share", "z")  # of a driver

_UNSEEN = Alert.acknowledged_at.is_(None)
_OPEN = Alert.cleared_at.is_(None)
_acknowledger, _shelver, _judge = aliased(User), aliased(User), aliased(User)


@dataclass(frozen=True)
class Wish:
    """Which alerts: all conditions that are given hold.

    A time filter is about when an alert began. It never hides one that nobody has acknowledged.
    """

    status: str | None = None
    baseline_id: int | None = None
    stream: str | None = None
    severity: str | None = None
    alert_type: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def conditions(self) -> Iterable[ColumnElement[bool]]:
        of_status = {
            ACTIVE: _UNSEEN,
            ACKNOWLEDGED: and_(~_UNSEEN, _OPEN),
            RESOLVED: and_(~_UNSEEN, ~_OPEN),
        }
        if self.status is not None:
            yield of_status[self.status]
        for column, value in (
            (Alert.baseline_id, self.baseline_id),
            (Stream.name, self.stream),
            (Alert.severity, self.severity),
            (Alert.alert_type, self.alert_type),
        ):
            if value is not None:
                yield column == value
        times = [
            *([Alert.opened_at >= self.since] if self.since else []),
            *([Alert.opened_at <= self.until] if self.until else []),
        ]
        if times:
            yield or_(_UNSEEN, and_(*times))


@dataclass(frozen=True)
class Found:
    """A page of alerts, and how many there are in all."""

    alerts: list[Json]
    total: int


def page(
    session: Session,
    who: Identity,
    wish: Wish,
    *,
    now: dt.datetime,
    limit: int = 100,
    offset: int = 0,
) -> Found:
    """Alerts of the user's machines: those nobody has seen, those still active, those resolved.

    Among the first two the severest come first; then, as among the last, the newest.
    """
    wanted = [baselines.visible(who), *wish.conditions()]
    count = select(func.count()).select_from(Alert).join(Baseline)
    due = case((_UNSEEN | _OPEN, _rank()), else_=0)
    count = count.join(Stream, Stream.id == Alert.stream_id)  # not all of the baseline's
    order = (_UNSEEN.desc(), _OPEN.desc(), due.desc(), Alert.opened_at.desc(), Alert.id.desc())
    rows = session.execute(
        _told().where(*wanted).order_by(*order).limit(limit).offset(offset)
    ).all()
    total = session.scalars(count.where(*wanted)).one()
    return Found([describe(row, now) for row in rows], total)


def after(
    session: Session, who: Identity, wish: Wish, alert_id: int, *, now: dt.datetime, limit: int
) -> list[Json]:
    """The next alerts by their number, for whoever reads all of them."""
    wanted = [baselines.visible(who), *wish.conditions(), Alert.id > alert_id]
    rows = session.execute(_told().where(*wanted).order_by(Alert.id).limit(limit))
    return [describe(row, now) for row in rows]


def get(session: Session, who: Identity, alert_id: int, *, now: dt.datetime) -> Json:
    """One alert with everything that happened to it. Raises AlertNotFound."""
    row = session.execute(_told().where(Alert.id == alert_id, baselines.visible(who))).one_or_none()
    if row is None:
        raise AlertNotFound()
    happened = session.execute(
        select(AlertEvent, User.email)
        .outerjoin(User, User.id == AlertEvent.user_id)
        .where(AlertEvent.alert_id == alert_id)
        .order_by(AlertEvent.id)
    )
    told = [
        {
            "at": event.at,
            "kind": event.kind,
            "seq": event.seq,
            "by": email,
            "details": floats(event.details, "score"),
        }
        for event, email in happened
    ]
    return describe(row, now) | {"events": told}


def of_epoch(session: Session, stream_id: int, epoch: int, *, now: dt.datetime) -> list[Json]:
    """The newest alerts of one epoch of a stream that was found for whoever asks, oldest first."""
    rows = session.execute(
        _told()
        .where(Alert.stream_id == stream_id, Alert.epoch == epoch)
        .order_by(Alert.opened_seq.desc(), Alert.id.desc())
        .limit(MOST_MARKS)
    ).all()
    return [describe(row, now) for row in reversed(rows)]


def present(session: Session, who: Identity) -> Json:
    """How many of the user's alerts are active, and how many nobody has acknowledged."""
    found = session.execute(
        select(func.count().filter(_OPEN), func.count().filter(_UNSEEN), func.max(_rank()))
        .select_from(Alert)
        .join(Baseline)
        .where(baselines.visible(who), _OPEN | _UNSEEN)
    ).one()
    worst = None if found[2] is None else SEVERITIES[found[2]]
    return {"active": found[0], "unacknowledged": found[1], "severity": worst}


def quality(
    session: Session,
    who: Identity,
    *,
    since: dt.datetime,
    until: dt.datetime,
    baseline_id: int | None = None,
) -> Json:
    """How good the alarms of a time were: how many a day, how many flicker, how many were false.

    `false_share` is of those that somebody has judged; null where nobody has judged any. More than
    some ten alarms a day and operator are more than can be looked into (EEMUA 191).
    """
    wanted = [baselines.visible(who), Alert.opened_at >= since, Alert.opened_at < until]
    if baseline_id is not None:
        wanted.append(Alert.baseline_id == baseline_id)
    name = func.coalesce(AlertRule.name, Alert.rule["name"].astext)  # as it is called by now
    day = func.date_trunc("day", Alert.opened_at, "UTC")
    by_rule = session.execute(
        select(
            *(Alert.baseline_id, Baseline.name, Alert.rule_id, name, func.count()),
            *(func.sum(Alert.times), func.count().filter(Alert.times > 1)),
            *(func.count().filter(Alert.verdict == each) for each in VERDICTS),
            func.count().filter(_UNSEEN),
        )
        .select_from(Alert)
        .join(Baseline)
        .outerjoin(AlertRule, AlertRule.id == Alert.rule_id)
        .where(*wanted)
        .group_by(Alert.baseline_id, Baseline.name, Alert.rule_id, name)
        .order_by(func.count().desc(), Alert.baseline_id, name)
    ).all()
    by_day = session.execute(
        select(day, func.count(), func.count().filter(Alert.verdict == FALSE_ALARM))
        .select_from(Alert)
        .join(Baseline)
        .where(*wanted)
        .group_by(day)
        .order_by(day)
    ).all()
    rules = [_figures(row) for row in by_rule]
    days = max((until - since).total_seconds() / 86_400, 1.0)
    return {
        "since": since,
        "until": until,
        "alerts": sum(rule["alerts"] for rule in rules),
        "alerts_per_day": sum(rule["alerts"] for rule in rules) / days,
        "days": [{"day": at.date().isoformat(), "alerts": n, "false": f} for at, n, f in by_day],
        "rules": rules,
    }


def _figures(row: Sequence[Any]) -> Json:
    baseline_id, machine, rule_id, name, alerts, raised, chattering, real, false, normal, unseen = (
        row
    )
    judged = real + false + normal
    return {
        "baseline_id": baseline_id,
        "baseline": machine,
        "rule_id": rule_id,
        "rule": name,
        "alerts": alerts,
        "raised": int(raised),
        "chattering": chattering,
        "chattering_share": chattering / alerts,
        "real": real,
        "false_alarm": false,
        "new_normal": normal,
        "false_share": false / judged if judged else None,
        "unacknowledged": unseen,
    }


def describe(row: Any, now: dt.datetime) -> Json:
    """An alert as programs and pages read it."""
    alert, stream, machine = row[0], row.stream, row.machine
    shelved = alert.shelved_until if alert.shelved_until and alert.shelved_until > now else None
    return {
        "id": alert.id,
        "baseline_id": alert.baseline_id,
        "baseline": machine,
        "stream": stream,
        "epoch": alert.epoch,
        "alert_type": alert.alert_type,
        "title": alert.title,
        "message": alert.message,
        "severity": alert.severity,
        "status": status(alert),
        "condition": "active" if alert.cleared_at is None else "cleared",
        "score": alert.score,
        "peak": alert.peak,
        "peak_seq": alert.peak_seq,
        "drivers": [floats(band, *MEASURED) for band in alert.drivers],
        "times": alert.times,
        "opened_at": alert.opened_at,
        "opened_seq": alert.opened_seq,
        "cleared_at": alert.cleared_at,
        "cleared_seq": alert.cleared_seq,
        "acknowledged_by": row.acknowledged_by,
        "acknowledged_at": alert.acknowledged_at,
        "note": alert.note,
        "resolved_at": _later(alert.acknowledged_at, alert.cleared_at),
        "shelved_until": shelved,
        "shelved_by": row.shelved_by if shelved else None,
        "verdict": alert.verdict,
        "verdict_by": row.verdict_by,
        "verdict_at": alert.verdict_at,
        "rule": alert.rule,
        "rule_id": alert.rule_id,
        "link": link(alert.baseline_id, stream, alert.epoch, alert.opened_seq),
    }


def _later(first: dt.datetime | None, second: dt.datetime | None) -> dt.datetime | None:
    return max(first, second) if first and second else None


def _rank() -> ColumnElement[int]:
    return case({name: at for at, name in enumerate(SEVERITIES)}, value=Alert.severity, else_=0)


def _told() -> Any:
    return (
        select(
            Alert,
            Stream.name.label("stream"),
            Baseline.name.label("machine"),
            _acknowledger.email.label("acknowledged_by"),
            _shelver.email.label("shelved_by"),
            _judge.email.label("verdict_by"),
        )
        .join(Stream, Stream.id == Alert.stream_id)
        .join(Baseline, Baseline.id == Alert.baseline_id)
        .outerjoin(_acknowledger, _acknowledger.id == Alert.acknowledged_by)
        .outerjoin(_shelver, _shelver.id == Alert.shelved_by)
        .outerjoin(_judge, _judge.id == Alert.verdict_by)
    )
