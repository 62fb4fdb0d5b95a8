"""What a rule would have raised on rows that are past: counted as live alerts are. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dinsight.alerts.engine import AGAIN, CLEARED, Condition, Rows, State, run

MOST_LISTED = 1_000  # alerts: the first; all are counted
AT_ONCE = 0.1  # of the rows: fewer moments than that say nothing about how long things took


@dataclass
class Raised:
    """An alert as it would have been: from seq `first` to before `last`, None while it lasts.

    Times are seconds since 1970; `times` is how often it would have been raised.
    """

    first: int
    opened: float
    peak: float
    peak_seq: int
    last: int | None = None
    cleared: float | None = None
    times: int = 1

    def to_dict(self) -> dict[str, Any]:
        return {
            "opened_seq": self.first,
            "opened_at": _moment(self.opened),
            "cleared_seq": self.last,
            "cleared_at": None if self.cleared is None else _moment(self.cleared),
            "times": self.times,
            "peak": self.peak,
            "peak_seq": self.peak_seq,
        }


@dataclass
class Trial:
    """A condition run over a stream's rows, given piece by piece in their order."""

    condition: Condition
    first_seq: int = 1
    state: State = field(default_factory=State)
    raised: list[Raised] = field(default_factory=list)
    alerts: int = 0
    times: int = 0
    rows: int = 0
    rows_active: int = 0
    moments: int = 0
    began: float | None = None
    ended: float | None = None
    _latest: Raised | None = None

    def add(self, rows: Rows, first: int) -> None:
        """The rows from seq `first` on."""
        found, after = run(self.condition, self.state, rows)
        start = 0 if self.state.active else None
        for kind, row in found:
            if kind == CLEARED:
                self._stretch(rows, first, start or 0, row)
                self._clear(first + row, float(rows.at[row]))
                start = None
            else:
                self._raise(kind, rows, first, row)
                start = row
        if start is not None:
            self._stretch(rows, first, start, len(rows.at))
        self.state = after
        self.rows += len(rows.at)
        self._count_moments(rows)

    def _raise(self, kind: str, rows: Rows, first: int, row: int) -> None:
        self.times += 1
        if kind == AGAIN and self._latest is not None:
            self._latest.times += 1
            self._latest.last = self._latest.cleared = None
            return
        self.alerts += 1
        seq, score = first + row, float(rows.score[row])
        self._latest = Raised(seq, float(rows.at[row]), score, seq)
        if len(self.raised) < MOST_LISTED:
            self.raised.append(self._latest)

    def _clear(self, seq: int, at: float) -> None:
        if self._latest is not None:
            self._latest.last, self._latest.cleared = seq, at

    def _stretch(self, rows: Rows, first: int, start: int, end: int) -> None:
        """Rows during which the latest alert is active."""
        self.rows_active += end - start
        if end > start and self._latest is not None:
            row = start + int(np.argmax(rows.score[start:end]))
            if float(rows.score[row]) > self._latest.peak:
                self._latest.peak, self._latest.peak_seq = float(rows.score[row]), first + row

    def _count_moments(self, rows: Rows) -> None:
        known = self.ended
        self.moments += len(np.unique(rows.at)) - int(known is not None and known == rows.at[0])
        self.began = float(rows.at[0]) if self.began is None else self.began
        self.ended = float(rows.at[-1])

    def result(self) -> dict[str, Any]:
        """Everything as JSON; see `sentence` for the words."""
        began, ended = self.began or 0.0, self.ended or 0.0
        days = (ended - began) / 86_400
        lead = ended - self.raised[0].opened if self.raised else None
        at_once = self.moments < max(2, AT_ONCE * self.rows)
        return {
            "rows": self.rows,
            "began_at": _moment(began),
            "ended_at": _moment(ended),
            "alerts": self.alerts,
            "times": self.times,
            "share": self.rows_active / self.rows if self.rows else 0.0,
            "alerts_per_day": self.alerts / days if days > 0 and not at_once else None,
            "lead_seconds": None if at_once else lead,
            # The rows have no gap, so their number tells a seq's place from the end.
            "lead_rows": self.first_seq + self.rows - self.raised[0].first if self.raised else None,
            "at_once": at_once,
            "listed": [each.to_dict() for each in self.raised],
        }


def sentence(result: Mapping[str, Any], who: str = "This rule") -> str:
    """What came of it, as an engineer would say it.

    >>> found = {"alerts": 4, "times": 4, "rows": 1052, "lead_seconds": 11520.0, "lead_rows": 576}
    >>> sentence(found)
    'This rule would have alarmed 4 times, first 3 h 12 min before the end.'
    >>> sentence(found | {"alerts": 1, "times": 3, "lead_seconds": None})
    'This rule would have alarmed once (raised 3 times), first 576 rows before the end.'
    >>> sentence({"alerts": 0, "times": 0, "rows": 1052, "lead_seconds": None, "lead_rows": None})
    'This rule would not have alarmed in 1,052 rows.'
    >>> sentence({"alerts": 0, "rows": 0, "times": 0}, "At this sensitivity it")
    'There are no points to try it on.'
    """
    alerts, times = int(result["alerts"]), int(result["times"])
    if not result["rows"]:
        return "There are no points to try it on."
    if not alerts:
        return f"{who} would not have alarmed in {result['rows']:,} rows."
    often = "once" if alerts == 1 else f"{alerts:,} times"
    again = f" (raised {times:,} times)" if times > alerts else ""
    seconds = result["lead_seconds"]
    before = f"{result['lead_rows']:,} rows" if seconds is None else duration(seconds)
    return f"{who} would have alarmed {often}{again}, first {before} before the end."


def duration(seconds: float) -> str:
    """A time in its two largest units.

    >>> [duration(each) for each in (0.4, 75, 11520, 200_000)]
    ['0 s', '1 min 15 s', '3 h 12 min', '2 d 7 h']
    """
    rest = round(seconds)
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or parts or unit == "s":
            parts.append(f"{count} {unit}")
    shown: Sequence[str] = parts[:2]
    return " ".join(each for each in shown if not each.startswith("0 ") or len(shown) == 1)


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().replace("+00:00", "Z")
