"""The alerts of one held stream: what its rules remember, and raising, renewing and clearing.

`Stream.alert_state` holds an entry a rule: its condition's mark (a rule that changed begins anew),
the engine's state, its latest alert, and the peak while that is active.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import news
from dinsight.alerts import counting, events
from dinsight.alerts.engine import AGAIN, CLEARED, RAISED, REJOIN_SECONDS, State
from dinsight.alerts.events import RULES, TOLD
from dinsight.alerts.rules import Rule
from dinsight.alerts.words import ANOMALY, DATA_QUALITY, OF_MACHINE
from dinsight.models import Alert, Json

GROWN = 1.01  # a peak is written once it is so much higher; when its alert ends it is exact


class Ledger:
    """Of a stream in its present epoch; the caller holds its row and stores `to_dict` in it."""

    def __init__(
        self,
        session: Session,
        stream_id: int,
        baseline_id: int,
        epoch: int,
        alert_state: Json,
        *,
        now: dt.datetime,
    ) -> None:
        self._session = session
        self._stream_id, self._baseline_id, self._epoch = stream_id, baseline_id, epoch
        self._state = alert_state
        self._entries: dict[str, Json] = dict(alert_state.get(RULES, {}))
        self._now = now
        self._changed = False

    @property
    def empty(self) -> bool:
        """Whether no rule remembers anything."""
        return not self._entries

    def entry(self, rule: Rule) -> Json:
        """What is remembered of a rule; nothing of one whose condition was another."""
        found = self._entries.get(str(rule.id))
        return found if found is not None and found.get("of") == mark(rule) else {}

    def state(self, rule: Rule) -> State:
        return State.from_dict(self.entry(rule).get("state"))

    def due(self, rule: Rule, on: bool) -> bool:
        """Whether `switch` would change anything; not where it is on, but was ended by hand."""
        state = self.entry(rule).get("state", {})
        return on != bool(state.get("active") or state.get("waiting"))

    def remember(self, rule: Rule, state: State, **more: Any) -> None:
        """Keep a rule's state, and what else is given; nothing where it is as at the start."""
        entry = {**self.entry(rule), **more, "state": state.to_dict()}
        kept = {name: value for name, value in entry.items() if value not in (None, {})}
        key = str(rule.id)
        if kept:
            self._entries[key] = kept | {"of": mark(rule)}
        else:
            self._entries.pop(key, None)

    def open(self, rule: Rule, seq: int, message: str, **more: Any) -> None:
        """Raise a new alert; `more` are its score and drivers, where it has them.

        One of the rule that is still active, which `alert_state` has lost, goes on instead.
        """
        last = self._last(rule)
        if last is not None and last.cleared_at is None:
            peak = {"peak": last.peak, "peak_seq": last.peak_seq}
            self.remember(rule, self.state(rule), alert=last.id, **peak)
            return
        alert = Alert(
            baseline_id=self._baseline_id,
            stream_id=self._stream_id,
            epoch=self._epoch,
            rule_id=rule.id,
            rule=rule.to_dict(),
            alert_type=ANOMALY if rule.kind in OF_MACHINE else DATA_QUALITY,
            title=rule.name,
            message=message,
            severity=rule.severity,
            opened_at=self._now,
            opened_seq=seq,
            changed_at=self._now,
            peak=more.get("score"),
            peak_seq=seq if "score" in more else None,
            **more,
        )
        if last is not None and last.shelved_until and last.shelved_until > self._now:
            alert.shelved_until, alert.shelved_by = last.shelved_until, last.shelved_by
        self._session.add(alert)
        self._session.flush()
        counting.raised(self._session, alert)
        self._note(alert, RAISED, seq, score=alert.score)
        self.remember(rule, self.state(rule), alert=alert.id, peak=alert.peak, peak_seq=seq)

    def renew(self, rule: Rule, seq: int, score: float | None = None, message: str = "") -> bool:
        """Raise the rule's latest alert once more, for what `message` says by now, if it is given.

        False where there is none to raise.
        """
        alert = self._latest(rule)
        if alert is None:
            return False
        alert.cleared_at = alert.cleared_seq = None
        alert.times += 1
        alert.message = message or alert.message
        self._note(alert, AGAIN, seq, score=score, message=message or None)
        self.remember(rule, self.state(rule), peak=alert.peak, peak_seq=alert.peak_seq)
        return True

    def clear(self, rule: Rule, seq: int) -> None:
        """End the rule's active alert: it is no longer met."""
        alert = self._latest(rule)
        if alert is None:
            return
        entry = self.entry(rule)
        alert.cleared_at, alert.cleared_seq = self._now, seq
        if entry.get("peak") is not None:
            alert.peak, alert.peak_seq = entry["peak"], entry["peak_seq"]
        self._note(alert, CLEARED, seq)
        self.remember(rule, self.state(rule), peak=None, peak_seq=None)

    def switch(self, rule: Rule, on: bool, seq: int, message: str = "") -> None:
        """Raise or clear a rule that is on or off by itself, with nothing to count."""
        if not self.due(rule, on):
            return
        state = self.state(rule)
        moment = self._now.timestamp()
        if on:
            again = state.ended is not None and moment - state.ended <= REJOIN_SECONDS
            self.remember(rule, State(active=True, ended=state.ended))
            if not (again and self.renew(rule, seq, message=message)):
                self.open(rule, seq, message)
        elif state.active:
            self.remember(rule, State(ended=moment))
            self.clear(rule, seq)
        else:
            self.remember(rule, State(ended=state.ended))

    def peak(self, rule: Rule, score: float, seq: int) -> None:
        """Remember the highest score while the rule is active; written when it has grown much."""
        entry = self.entry(rule)
        before = entry.get("peak")
        if before is not None and score <= before:
            return
        self.remember(rule, self.state(rule), peak=score, peak_seq=seq)
        alert = self._latest(rule)
        if alert is not None and (alert.peak is None or score > GROWN * alert.peak):
            alert.peak, alert.peak_seq = score, seq

    def count(self, rule: Rule, times: int, score: float, seq: int) -> None:
        """Add how often the rule's latest alert came and went, and the highest score meanwhile."""
        alert = self._latest(rule)
        if alert is None:
            return
        alert.times += times
        if alert.peak is None or score > alert.peak:
            alert.peak, alert.peak_seq = score, seq

    def to_dict(self) -> Json:
        """The stream's new `alert_state`."""
        if self._changed:
            news.changed(self._session, self._stream_id)
            told = events.count(self._session, self._stream_id, self._state)
            return {RULES: self._entries, TOLD: told}
        self._session.flush()
        kept = {TOLD: self._state[TOLD]} if TOLD in self._state else {}
        return kept | ({RULES: self._entries} if self._entries else {})

    def _latest(self, rule: Rule) -> Alert | None:
        number = self.entry(rule).get("alert")
        return self._session.get(Alert, number) if number is not None else None

    def _last(self, rule: Rule) -> Alert | None:
        """The rule's last alert on this stream, which also says whether it is shelved there."""
        mine = select(Alert).where(Alert.stream_id == self._stream_id, Alert.rule_id == rule.id)
        found: Alert | None = self._session.scalar(mine.order_by(Alert.id.desc()).limit(1))
        return found

    def _note(self, alert: Alert, kind: str, seq: int, **details: Any) -> None:
        told = {name: value for name, value in details.items() if value is not None}
        events.record(self._session, alert, kind, at=self._now, seq=seq, details=told)
        self._changed = True


def mark(rule: Rule) -> str:
    """A short mark of a rule's condition: another one means that it begins anew."""
    text = repr((rule.kind, rule.condition, rule.mute_in_areas))
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
