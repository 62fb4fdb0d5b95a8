"""What a layout is: how baseline rows and new rows find their places in the plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from dinsight.maps.exact import Floats

Progress = Callable[[int, str], None]


@dataclass(frozen=True)
class Evidence:
    """What a layout is fitted to and places by.

    `lead` (m, q) coordinates along the leading directions in scaled units, `score` (m,) distance
    in units of its alarm limit.
    """

    lead: Floats
    score: Floats


class Layout(Protocol):
    """One way to draw the map. Map units: the baseline is centred, its median distance 1."""

    name: ClassVar[str]

    def baseline(self, evidence: Evidence) -> Floats:
        """The places (n, 2) of the baseline rows that it was fitted to."""

    def place(self, evidence: Evidence) -> Floats:
        """The places (m, 2) of new rows; elementwise or exact arithmetic only (see `exact`)."""

    def arrays(self) -> dict[str, Any]:
        """What is stored of it: arrays without objects."""

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Layout:
        """The same layout back."""
