"""Streams that have fallen silent: found by looking, since nothing comes that could tell.

One instance at a time looks, every few seconds. The next batch clears the alert; a stream that is
paused, stopped or complete, from which no point is expected, has it closed at the next look.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from dinsight.alerts import closing, rules
from dinsight.alerts.ledger import Ledger
from dinsight.alerts.rules import STALE
from dinsight.background import Background
from dinsight.database import Database, Sessions
from dinsight.models import Alert, AlertRule, Baseline, Stream
from dinsight.status import allowance

# Any number will do; it only has to be the same in every instance.
LOCK = 7_402_317
LOOK_SECONDS = 5.0


def look(sessions: Sessions, now: dt.datetime) -> int:
    """Raise and close what is due; how many alerts were. Nothing while another instance looks."""
    with sessions.begin() as session:
        if not session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
            return 0
        suspects = session.scalars(_suspects(now)).all()
    return sum(_settle(sessions, stream_id, now) for stream_id in suspects)


def _suspects(now: dt.datetime) -> Any:
    """Streams that a rule says are silent and that have no alert, or that have one in vain."""
    least = func.make_interval(0, 0, 0, 0, 0, 0, AlertRule.seconds)
    silent = (Stream.state == "streaming") & (Stream.last_point_at < now - least)
    active = (
        select(Alert.id)
        .where(Alert.stream_id == Stream.id, Alert.rule_id == AlertRule.id)
        .where(Alert.cleared_at.is_(None))
        .exists()
    )
    return (
        select(Stream.id)
        .join(AlertRule, (AlertRule.baseline_id == Stream.baseline_id) & AlertRule.enabled)
        .where(AlertRule.kind == STALE)
        .where(or_(silent & ~active, (Stream.state != "streaming") & active))
        .order_by(Stream.id)
    )


def _settle(sessions: Sessions, stream_id: int, now: dt.datetime) -> bool:
    """Look at one stream again, held; whether anything was raised or closed."""
    with sessions.begin() as session:
        stream = session.get(Stream, stream_id, with_for_update=True)
        rule = None if stream is None else _rule(session, stream.baseline_id)
        if stream is None or rule is None:
            return False
        if stream.state != "streaming":
            closing.of_stream(session, stream, "No point is expected.", now=now, kinds={STALE})
            return True
        ledger = Ledger(
            session, stream.id, stream.baseline_id, stream.epoch, stream.alert_state, now=now
        )
        least = rule.condition.seconds or rules.STALE_SECONDS
        allowed = allowance(stream.arrivals, stream.settings, least)
        silence = (now - (stream.last_point_at or now)).total_seconds()
        if silence <= allowed or ledger.is_active(rule):
            return False
        message = f"No point for {silence:.0f} s, where one was due within {allowed:.0f} s."
        ledger.switch(rule, True, stream.next_seq - 1, message)
        stream.alert_state = ledger.to_dict()
        return True


class StaleWatch(Background):
    """A thread that looks for silent streams as long as the server runs."""

    name, what = "silence", "looks for silent streams"
    again_seconds = LOOK_SECONDS

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    def step(self) -> float:
        look(self._database.sessions, dt.datetime.now(dt.UTC))
        return LOOK_SECONDS


def _rule(session: Session, baseline_id: int) -> rules.Rule | None:
    asked = select(Baseline.rules_revision).where(Baseline.id == baseline_id)
    revision = session.scalar(asked) or ""
    return rules.by_kind(rules.of_baseline(session, baseline_id, revision), STALE)
