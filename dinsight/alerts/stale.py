"""Streams that have fallen silent: found by looking, since nothing comes that could tell.

One instance at a time looks, every few seconds, and holds only the streams that it changes: those
that are slow, or whose silence somebody has resolved, are left alone. The next batch clears the
alert; a stream that is paused, stopped or complete, from which no point is expected, has it closed
at the next look.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from dinsight.alerts import closing, rules
from dinsight.alerts.ledger import Ledger
from dinsight.alerts.words import STALE
from dinsight.background import Background
from dinsight.database import Database, Sessions
from dinsight.models import Alert, AlertRule, Baseline, Stream
from dinsight.status import allowance

# Any number will do; it only has to be the same in every instance.
LOCK = 7_402_317
LOOK_SECONDS = 5.0
EXPECTED = ("streaming", "not_started")  # and a point came, before a refit at the latest
BREAK = dt.timedelta(seconds=4 * LOOK_SECONDS)  # between two looks: nobody was there to look


@dataclass(frozen=True)
class Look:
    """One look. Silence counts from `since` on: before, a point could not have come."""

    now: dt.datetime
    since: dt.datetime | None = None

    def silence(self, stream: Stream, rule: rules.Rule) -> str:
        """What there is to say of a silent stream; nothing of one whose pace explains it."""
        least = rule.condition.seconds or rules.STALE_SECONDS
        allowed = allowance(stream.arrivals, stream.settings, least)
        last = stream.last_point_at or self.now
        began = max(last, self.since) if self.since else last
        silence = (self.now - began).total_seconds()
        if silence <= allowed:
            return ""
        return f"No point for {silence:.0f} s, where one was due within {allowed:.0f} s."


def look(sessions: Sessions, now: dt.datetime, since: dt.datetime | None = None) -> int:
    """Raise and close what is due; how many alerts were. Nothing while another instance looks.

    Silence counts from `since` on, if that is given.
    """
    this = Look(now, since)
    with sessions.begin() as session:
        if not session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
            return 0
        suspects = []
        for stream, revision in session.execute(_suspects(now)):
            rule = _rule(session, stream.baseline_id, revision)
            if rule is not None and _is_due(session, stream, rule, this):
                suspects.append(stream.id)
    return sum(_settle(sessions, stream_id, this) for stream_id in suspects)


def _suspects(now: dt.datetime) -> Any:
    """Streams that are silent for a rule's time and have no alert, or that have one in vain."""
    least = func.make_interval(0, 0, 0, 0, 0, 0, AlertRule.seconds)
    ended = Stream.state.not_in(EXPECTED) | Stream.last_point_at.is_(None)
    silent = ~ended & (Stream.last_point_at < now - least)
    active = (
        select(Alert.id)
        .where(Alert.stream_id == Stream.id, Alert.rule_id == AlertRule.id)
        .where(Alert.cleared_at.is_(None))
        .exists()
    )
    return (
        select(Stream, Baseline.rules_revision)
        .join(Baseline, Baseline.id == Stream.baseline_id)
        .join(AlertRule, (AlertRule.baseline_id == Stream.baseline_id) & AlertRule.enabled)
        .where(AlertRule.kind == STALE)
        .where(or_(silent & ~active, ended & active))
        .order_by(Stream.id)
    )


def _settle(sessions: Sessions, stream_id: int, this: Look) -> bool:
    """Look at one stream again, held; whether anything was raised or closed."""
    with sessions.begin() as session:
        stream = session.get(Stream, stream_id, with_for_update=True)
        rule = None if stream is None else _rule(session, stream.baseline_id)
        if stream is None or rule is None or not _is_due(session, stream, rule, this):
            return False
        if not _is_expected(stream):
            said = "No point is expected."
            closing.of_stream(session, stream, said, now=this.now, kinds={STALE})
            return True
        ledger = _ledger(session, stream, this.now)
        ledger.switch(rule, True, stream.next_seq - 1, this.silence(stream, rule))
        stream.alert_state = ledger.to_dict()
        return True


def _is_due(session: Session, stream: Stream, rule: rules.Rule, this: Look) -> bool:
    """Whether there is anything to do about a suspect, as far as its row tells."""
    if not _is_expected(stream):
        return True
    if not this.silence(stream, rule):
        return False
    return _ledger(session, stream, this.now).due(rule, True)


def _is_expected(stream: Stream) -> bool:
    """Whether points are to come: some came, if only before the baseline was refitted."""
    return stream.state in EXPECTED and stream.last_point_at is not None


def _ledger(session: Session, stream: Stream, now: dt.datetime) -> Ledger:
    return Ledger(session, stream.id, stream.baseline_id, stream.epoch, stream.alert_state, now=now)


class StaleWatch(Background):
    """A thread that looks for silent streams as long as the server runs."""

    name, what = "silence", "looks for silent streams"
    again_seconds = LOOK_SECONDS

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._since: dt.datetime | None = None  # it has looked without a break
        self._last = dt.datetime.min.replace(tzinfo=dt.UTC)

    def step(self) -> float:
        self.look(dt.datetime.now(dt.UTC))
        return LOOK_SECONDS

    def look(self, now: dt.datetime) -> int:
        """Look; silence from before a break is the server's own, and is not held against anyone."""
        if self._since is None or now - self._last > BREAK:
            self._since = now
        found = look(self._database.sessions, now, self._since)
        self._last = now
        return found

    def recover(self) -> None:
        self._since = None


def _rule(session: Session, baseline_id: int, revision: str | None = None) -> rules.Rule | None:
    """The baseline's rule about silence, as of a revision of its rules or of the present one."""
    if revision is None:
        asked = select(Baseline.rules_revision).where(Baseline.id == baseline_id)
        revision = session.scalar(asked) or ""
    return rules.by_kind(rules.of_baseline(session, baseline_id, revision), STALE)
