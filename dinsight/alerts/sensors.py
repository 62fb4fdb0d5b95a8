"""Sensor faults of a batch: looked for before an alarm is raised, and at the ends of blocks.

What a stuck or clipped sensor does to the score is no anomaly of the machine. The score, the level
and the map stay as they are: only the alert says what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import quality
from dinsight.alerts.rules import Rule, by_kind
from dinsight.alerts.words import FLAT, SATURATED
from dinsight.models import Point

if TYPE_CHECKING:
    from dinsight.alerts.raising import Batch


class Found(NamedTuple):
    """A rule about the data that is met, and what to say of it."""

    rule: Rule
    message: str


class Sensors:
    """The readings of a batch, and of the rows before it where they are needed."""

    def __init__(self, session: Session, batch: Batch, known: tuple[Rule, ...]) -> None:
        self._session, self._batch = session, batch
        rules = (by_kind(known, kind) for kind in (FLAT, SATURATED))
        self._rules = {rule.kind: rule for rule in rules if rule is not None}

    def behind(self, row: int) -> list[Found]:
        """The faults that explain the score of a row of the batch; none where they do not."""
        if not self._rules:
            return []
        rows = self._rows_to(row, quality.ROWS)
        if len(rows) < quality.LEAST_ROWS:
            return []
        faults = [
            fault for fault in quality.faults(self._batch.map, rows) if fault.kind in self._rules
        ]
        if not faults:
            return []
        limit = self._batch.alarm_limit
        latest = rows[-quality.LEAST_ROWS :]
        if all(quality.score_without(self._batch.map, row, faults) > limit for row in latest):
            return []  # an anomaly of the machine, whatever its sensors do
        return [Found(rule, message) for rule, message in self._said(faults).values() if message]

    def at_block_ends(self) -> Iterator[tuple[Rule, bool, int, str]]:
        """For each block of rows that ends in the batch: each rule, whether it is met, where."""
        if not self._rules:
            return
        first = self._batch.first
        end = -(-first // quality.ROWS) * quality.ROWS
        for seq in range(end, self._batch.last + 1, quality.ROWS):
            rows = self._rows_to(seq - first, quality.ROWS)
            if len(rows) == quality.ROWS:
                found = quality.faults(self._batch.map, rows)
                for rule, message in self._said(found).values():
                    yield rule, bool(message), seq, message

    def _said(self, faults: list[quality.Fault]) -> dict[str, Found]:
        """What there is to say by each rule; nothing where it is not met."""
        said = {}
        for kind, rule in self._rules.items():
            mine = [fault for fault in faults if fault.kind == kind]
            said[kind] = Found(rule, quality.sentence(self._batch.map, mine) if mine else "")
        return said

    def _rows_to(self, row: int, count: int) -> NDArray[np.float32]:
        """The last `count` rows up to a row of the batch; fewer where there are none before."""
        batch = self._batch
        mine = batch.values[max(0, row + 1 - count) : row + 1]
        missing = count - len(mine)
        if not missing or batch.first == 1:
            return mine
        stored = self._session.scalars(
            select(Point.features)
            .where(Point.stream_id == batch.stream_id, Point.epoch == batch.epoch)
            .where(Point.seq >= batch.first - missing, Point.seq < batch.first)
            .order_by(Point.seq)
        ).all()
        kept = [np.frombuffer(each, "<f4") for each in stored if each is not None]
        return np.concatenate([np.stack(kept), mine]) if kept else mine
