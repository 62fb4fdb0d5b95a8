"""The alerts of a batch: raised, raised again and cleared in the transaction that stores it.

The stream's row is held, so batches are judged one after another, in order and once, whichever
instance takes them. While nothing is raised nor active, nothing is read or written for it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import areas, diagnosis, quality, shapes
from dinsight.alerts import engine, rules
from dinsight.alerts.engine import AGAIN, CLEARED, Rows, State, Transition
from dinsight.alerts.events import RULES
from dinsight.alerts.ledger import Ledger
from dinsight.alerts.rules import Rule
from dinsight.alerts.sensors import Sensors
from dinsight.alerts.words import MISSING, OF_MACHINE, STALE
from dinsight.maps import Map
from dinsight.models import Baseline, Json

MOST_DRIVERS = 8
# Rows until a rule that a sensor fault has held back is looked at again. A batch of 1,000 rows in
# alarm for a stuck sensor's sake takes 0.5 s by that, and 0.2 s with 32 rows (10 features).
HELD_BACK = quality.LEAST_ROWS
MOST_WRITTEN = 10  # transitions of a rule at each end of a batch; those between are counted


@dataclass(frozen=True)
class Batch:
    """Rows that are being stored, and their stream.

    `first` is the seq of the first; `values` (m, d), `x`, `y`, `score`, `level` (m,).
    """

    baseline_id: int
    stream_id: int
    epoch: int
    first: int
    map: Map
    map_id: int
    alarm_limit: float
    rules_revision: str
    areas_revision: str
    values: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    score: NDArray[np.float32]
    level: NDArray[np.uint8]
    now: dt.datetime

    @property
    def last(self) -> int:
        return self.first + len(self.score) - 1


class RulesChanged(Exception):
    """The rules are no longer those that the batch is judged by."""


def judge(session: Session, batch: Batch, state: Json) -> Json:
    """Raise and clear what this batch does, and give the stream's new `alert_state`.

    The alerts are written to the session; nothing of it holds unless the batch is stored.
    """
    while True:
        known = rules.of_baseline(session, batch.baseline_id, batch.rules_revision)
        if not known:
            return state
        try:
            return _Judge(session, batch, state, known).run()
        except RulesChanged as changed:  # while this batch waited for its turn
            batch = replace(batch, rules_revision=str(changed))


class _Judge:
    """One batch before the rules. Nothing is written before the rules are sure to be the present
    ones: a batch reads their revision before it waits for its turn."""

    def __init__(
        self, session: Session, batch: Batch, state: Json, known: tuple[Rule, ...]
    ) -> None:
        self._session, self._batch, self._known, self._before = session, batch, known, state
        self._ledger = Ledger(
            session, batch.stream_id, batch.baseline_id, batch.epoch, state, now=batch.now
        )
        self._sensors = Sensors(session, batch, known)
        self._sure = False

    def run(self) -> Json:
        for rule in self._known:
            if rule.kind in OF_MACHINE:
                self._machine(rule)
            elif rule.kind in (STALE, MISSING):
                self._switch(rule, False, self._batch.first)
        for rule, on, seq, message in self._sensors.at_block_ends():
            self._switch(rule, on, seq, message)
        if self._ledger.empty and RULES not in self._before:
            return self._before
        return self._ledger.to_dict()

    def _switch(self, rule: Rule, on: bool, seq: int, message: str = "") -> None:
        if self._ledger.due(rule, on):
            self._confirm()
            self._ledger.switch(rule, on, seq, message)

    def _machine(self, rule: Rule) -> None:
        """Run a rule about the machine over the batch."""
        batch, before = self._batch, self._ledger.state(rule)
        held = range(self._ledger.entry(rule).get("not_before", 0) - batch.first)
        found, after, held_until = self._tried(rule, before, held)
        if not found and after == before and not before.active and held_until is None:
            return
        self._ledger.remember(rule, after, not_before=held_until)
        first, between, last = split(found)
        began = self._write(rule, first, 0 if before.active else None)
        if between:
            self._count(rule, between)
        began = self._write(rule, last, began)
        if began is not None:
            self._peak(rule, began, len(batch.score))

    def _write(self, rule: Rule, found: list[Transition], began: int | None) -> int | None:
        """Write transitions; `began` is the row from which on the alert is active, if it is."""
        for kind, row in found:
            if kind == CLEARED:
                self._peak(rule, began or 0, row)
                self._ledger.clear(rule, self._batch.first + row)
                began = None
            else:
                self._raise(rule, kind, row)
                began = row
        return began

    def _count(self, rule: Rule, found: list[Transition]) -> None:
        """Count what was raised again and cleared, time and again."""
        spans = [
            slice(again.row, over.row) for again, over in zip(found[::2], found[1::2], strict=True)
        ]
        rows = [span.start + int(np.argmax(self._batch.score[span])) for span in spans]
        row = max(rows, key=self._batch.score.__getitem__)
        score = float(self._batch.score[row])
        self._ledger.count(rule, len(spans), score, self._batch.first + row)

    def _tried(
        self, rule: Rule, before: State, held: range
    ) -> tuple[list[Transition], State, int | None]:
        """The rule's transitions less those that a faulty sensor explains, and until which seq the
        rule is not looked at again for that."""
        batch, blocked, good = self._batch, [held], set[int]()
        rows = self._rows(rule)
        while True:
            found, after = engine.run(rule.condition, before, rows, blocked)
            if found:
                self._confirm()
            raised = [row for kind, row in found if kind != CLEARED and row not in good]
            row = next((row for row in raised if self._is_of_a_sensor(row, good)), None)
            if row is None:
                last = max((each.stop for each in blocked if len(each)), default=0)
                return found, after, batch.first + last if last > len(rows.at) else None
            blocked.append(range(row, row + HELD_BACK))

    def _is_of_a_sensor(self, row: int, good: set[int]) -> bool:
        """Whether faulty sensors explain the score of a row, which raises that; notes it if not."""
        faults = self._sensors.behind(row)
        for fault in faults:
            self._switch(fault.rule, True, self._batch.first + row, fault.message)
        if not faults:
            good.add(row)
        return bool(faults)

    def _rows(self, rule: Rule) -> Rows:
        batch = self._batch
        muted = None
        if rule.mute_in_areas:
            found = areas.of_stream(self._session, batch)
            muted = shapes.inside_any(found, batch.x, batch.y) if found else None
        at = np.full(len(batch.score), batch.now.timestamp())
        return Rows(at, batch.score, batch.level, muted)

    def _raise(self, rule: Rule, kind: str, row: int) -> None:
        batch, score = self._batch, float(self._batch.score[row])
        if kind == AGAIN and self._ledger.renew(rule, batch.first + row, score):
            return
        explained = batch.map.explain(batch.values[row])
        bands = [
            diagnosis.band(band, batch.map.features) for band in explained.bands(batch.map.features)
        ]
        message = diagnosis.sentence(score, batch.alarm_limit, bands)
        drivers = bands[:MOST_DRIVERS]
        self._ledger.open(rule, batch.first + row, message, score=score, drivers=drivers)

    def _peak(self, rule: Rule, start: int, end: int) -> None:
        """The highest score of the rows from `start` to before `end`."""
        if end > start:
            row = start + int(np.argmax(self._batch.score[start:end]))
            self._ledger.peak(rule, float(self._batch.score[row]), self._batch.first + row)

    def _confirm(self) -> None:
        """Raises RulesChanged where the rules have changed since this batch read their revision."""
        if self._sure:
            return
        asked = select(Baseline.rules_revision).where(Baseline.id == self._batch.baseline_id)
        present = self._session.scalar(asked) or ""
        if present != self._batch.rules_revision:
            raise RulesChanged(present)
        self._sure = True


def split(
    found: list[Transition],
) -> tuple[list[Transition], list[Transition], list[Transition]]:
    """Transitions that are written, those that are only counted, and those that are written again.

    Those in between are pairs: raised again, and cleared.

    >>> flicker = [Transition(kind, row) for row, kind in enumerate([AGAIN, CLEARED] * 50)]
    >>> [len(part) for part in split(flicker)], split(flicker)[1][0].kind
    ([10, 80, 10], 'raised_again')
    """
    if len(found) <= 2 * MOST_WRITTEN:
        return found, [], []
    start = MOST_WRITTEN + (found[MOST_WRITTEN - 1].kind != CLEARED)
    end = start + (len(found) - MOST_WRITTEN - start) // 2 * 2
    return found[:start], found[start:end], found[end:]
