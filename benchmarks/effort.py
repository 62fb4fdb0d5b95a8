"""How much is measured: the whole run, or a quick look."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Effort:
    """`alone` rows placed one at a time, `rows` that get `draws` of noise, `shifted` rows that get
    a fault of one feature, `repeats` of what is timed in milliseconds."""

    alone: int
    rows: int
    draws: int
    shifted: int
    repeats: int

    def lighter(self) -> Effort:
        """For cases derived from others: fewer rows alone, which are exact or not on any case;
        as much noise, because a worst of fewer draws would look better."""
        return replace(self, alone=min(self.alone, 200))


FULL = Effort(alone=1_000, rows=1_000, draws=5, shifted=200, repeats=200)
QUICK = Effort(alone=150, rows=150, draws=2, shifted=50, repeats=30)
