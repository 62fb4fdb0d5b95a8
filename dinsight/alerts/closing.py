"""Ending alerts for another reason than the readings: a new epoch, a rule that changed or went.

Each needs the stream's row held, as everything that changes alerts does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight.alerts import events
from dinsight.alerts.events import RULES, TOLD
from dinsight.alerts.words import SEVERITIES, STALE
from dinsight.models import Alert, AlertRule, Stream


def of_stream(
    session: Session,
    stream: Stream,
    why: str,
    *,
    now: dt.datetime,
    kinds: Collection[str] | None = None,
    but: str | None = None,
) -> None:
    """Close a held stream's active alerts, of these kinds of rules or of all `but` one."""
    active = select(Alert).where(Alert.stream_id == stream.id, Alert.cleared_at.is_(None))
    for alert in session.scalars(active.order_by(Alert.id)).all():
        kind = alert.rule["kind"]
        if kind != but and (kinds is None or kind in kinds):
            _close(session, stream, alert, why, now)


def forget(session: Session, stream: Stream, why: str, *, now: dt.datetime) -> None:
    """Close all of a held stream's alerts: its rules begin anew, as with a new epoch."""
    of_stream(session, stream, why, now=now)
    _keep_rules(session, stream, ())


def carry_over(session: Session, stream: Stream, why: str, *, now: dt.datetime) -> None:
    """The same, but for silence, which goes on whatever map the points are placed on."""
    of_stream(session, stream, why, now=now, but=STALE)
    silence = select(AlertRule.id).where(
        AlertRule.baseline_id == stream.baseline_id, AlertRule.kind == STALE
    )
    _keep_rules(session, stream, {str(number) for number in session.scalars(silence)})


def _keep_rules(session: Session, stream: Stream, those: Collection[str]) -> None:
    """Let all rules but those begin anew."""
    known = stream.alert_state.get(RULES, {})
    kept = {key: each for key, each in known.items() if key in those}
    if stream.alert_state:
        told = {TOLD: events.count(session, stream.id, stream.alert_state)}
        stream.alert_state = ({RULES: kept} if kept else {}) | told


def of_rule(session: Session, rule_id: int, why: str, *, now: dt.datetime) -> None:
    """Close the active alerts of a rule, on every stream; the baseline is held.

    All of the baseline's streams are held, so that no batch that is under way raises another one
    by the rule as it was.
    """
    streams = _hold_streams(session, rule_id)
    for alert in _active(session, rule_id):
        _close(session, streams[alert.stream_id], alert, why, now)
    for stream in streams.values():
        _forget_rule(stream, rule_id)


def grade(session: Session, rule_id: int, severity: str, *, now: dt.datetime) -> None:
    """Give the active alerts of a rule its new severity; told of where it is a higher one."""
    streams = _hold_streams(session, rule_id)
    for alert in _active(session, rule_id):
        before, alert.severity = alert.severity, severity
        rank = SEVERITIES.index
        kind = "severity_raised" if rank(severity) > rank(before) else "severity_lowered"
        events.record(session, alert, kind, at=now, details={"severity": severity})
        events.recount(session, streams[alert.stream_id])


def _hold_streams(session: Session, rule_id: int) -> dict[int, Stream]:
    mine = (
        select(Stream)
        .join(AlertRule, AlertRule.baseline_id == Stream.baseline_id)
        .where(AlertRule.id == rule_id)
        .order_by(Stream.id)
        .with_for_update(of=Stream)
        .execution_options(populate_existing=True)
    )
    return {stream.id: stream for stream in session.scalars(mine)}


def _active(session: Session, rule_id: int) -> Sequence[Alert]:
    active = select(Alert).where(Alert.rule_id == rule_id, Alert.cleared_at.is_(None))
    return session.scalars(active.order_by(Alert.id)).all()


def _forget_rule(stream: Stream, rule_id: int | None) -> None:
    """Let a rule begin anew on a held stream, whatever it has counted or waits for."""
    known = stream.alert_state.get(RULES, {})
    if str(rule_id) in known:
        kept = {key: each for key, each in known.items() if key != str(rule_id)}
        stream.alert_state = {**stream.alert_state, RULES: kept}


def _close(session: Session, stream: Stream, alert: Alert, why: str, now: dt.datetime) -> None:
    alert.cleared_at, alert.cleared_seq = now, stream.next_seq
    events.record(session, alert, "closed", at=now, details={"reason": why})
    _forget_rule(stream, alert.rule_id)
    events.recount(session, stream)
