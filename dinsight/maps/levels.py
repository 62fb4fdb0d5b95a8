"""Levels: from a stream of scores to healthy, warning and alarm, without flicker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Level(IntEnum):
    """How the machine is judged to be at a point."""

    HEALTHY = 0
    WARNING = 1
    ALARM = 2


@dataclass(frozen=True)
class LevelRule:
    """When a level is entered and left.

    `warning` and `alarm` are scores (alarm limit = 1). A level is entered at the `persistence`-th
    row in a row above its limit, and left at the first row below `hysteresis` times that limit.
    """

    warning: float
    alarm: float = 1.0
    persistence: int = 5
    hysteresis: float = 0.9


@dataclass(frozen=True)
class LevelState:
    """What `judge` remembers between batches: rows in a row above each limit, and who is on."""

    warning_run: int = 0
    alarm_run: int = 0
    warning_on: bool = False
    alarm_on: bool = False

    @property
    def level(self) -> Level:
        """The level that the last row was judged to be at."""
        return Level.ALARM if self.alarm_on else Level(int(self.warning_on))

    def to_dict(self) -> dict[str, int]:
        """As plain numbers for JSON."""
        return {name: int(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any] | None) -> LevelState:
        """The stored state; nothing stored is the start."""
        stored = stored or {}
        return cls(
            int(stored.get("warning_run", 0)),
            int(stored.get("alarm_run", 0)),
            bool(stored.get("warning_on", False)),
            bool(stored.get("alarm_on", False)),
        )


def judge(
    rule: LevelRule, state: LevelState, scores: NDArray[Any]
) -> tuple[NDArray[np.uint8], LevelState]:
    """Levels (m,) of scores (m,) in their order, and the state after the last.

    Splitting the scores anywhere and judging the parts one after the other gives the same levels.

    >>> rule = LevelRule(warning=0.8, persistence=2)
    >>> scores = np.array([0.5, 1.2, 1.3, 0.95, 0.75, 0.5])
    >>> levels, _ = judge(rule, LevelState(), scores)
    >>> [Level(level).name for level in levels]
    ['HEALTHY', 'HEALTHY', 'ALARM', 'ALARM', 'WARNING', 'HEALTHY']
    """
    values = np.asarray(scores, dtype=np.float64).tolist()
    warned, warning_run, warning_on = _latch(
        values, rule.warning, rule, state.warning_run, state.warning_on
    )
    alarmed, alarm_run, alarm_on = _latch(values, rule.alarm, rule, state.alarm_run, state.alarm_on)
    levels = np.where(alarmed, Level.ALARM, np.where(warned, Level.WARNING, Level.HEALTHY))
    return levels.astype(np.uint8), LevelState(warning_run, alarm_run, warning_on, alarm_on)


def _latch(
    scores: list[float], limit: float, rule: LevelRule, run: int, on: bool
) -> tuple[list[bool], int, bool]:
    """One level: who is in it at each row, and how it stands at the end."""
    leave = limit * rule.hysteresis
    inside = []
    for score in scores:
        run = min(run + 1, rule.persistence) if score > limit else 0
        on = score >= leave if on else run >= rule.persistence
        inside.append(on)
    return inside, run, on
