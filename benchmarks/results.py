"""Everything that one run measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.alarms import Alarms, OneRow
from benchmarks.apart import Wide
from benchmarks.pictures import Picture
from benchmarks.speed import FitTime, RowTime
from benchmarks.tennessee import Missed
from benchmarks.trials import BlownUp, Shifted


@dataclass
class Results:
    """Filled topic by topic; what was not measured stays empty."""

    layouts: tuple[str, ...]
    pictures: list[Picture] = field(default_factory=list)
    alarms: list[Alarms] = field(default_factory=list)
    one_row: list[OneRow] = field(default_factory=list)
    shifted: list[Shifted] = field(default_factory=list)
    blown_up: list[BlownUp] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    fits: dict[str, dict[str, float]] = field(default_factory=dict)
    rows: list[RowTime] = field(default_factory=list)
    reference_rows: list[RowTime] = field(default_factory=list)
    fit_times: list[FitTime] = field(default_factory=list)
    wide: list[Wide] = field(default_factory=list)

    def picture(self, case: str, contender: str) -> Picture:
        """The picture that a contender made of a case."""
        return next(
            each for each in self.pictures if (each.case, each.contender) == (case, contender)
        )
