"""In which direction a row leaves the cloud: one that noise cannot turn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats, Grid, grid

NOISE = 0.4  # four deviations of a noise of a tenth of each feature's spread
LEAN = 5.0  # times what that noise moves the view: a turn of about half a radian at worst
LEAST_LEAN, MOST_LEAN = 0.6, 3.0  # in spreads of the view
HELD = 0.5  # of the lean: how far the view may reach back
TURNS = 8


@dataclass(frozen=True)
class Leaning:
    """A direction for every row, as a continuous function without a hole.

    The direction of a linear view of the row is none where that view is zero, and turns at every
    breath close to there: a row in alarm jumped from one side of the cloud to the other with 0.1
    sigma of noise, and with no continuous map from all sides of the cloud to all sides of its
    drawing is that to be avoided. So the view (a, b), in its own spreads, is moved `lean` to one
    side, where it is kept from coming back to zero: b' = lean + b, and below lean as
    lean - h |b| / (h + |b|) with h half the lean. The half plane that is left is opened to the
    whole by doubling the angle, (2 a b', b'² - a²) over its length: opposite sides stay opposite,
    and what lies far back on the other side is found beside those who lean the same way.

    The further out a row is drawn, the less it may turn: the view shrinks with the radius.

    `plane` (q, 2) is that view of the leading directions, `lean` in its spreads, `up` (2,) the unit
    vector to the side that it leans to.

    >>> leaning = Leaning(np.eye(2), 1.0)
    >>> view = grid(np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 9.0]]))
    >>> np.round(leaning.direction(view, 1.0, np.zeros(4)), 6).tolist()
    [[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]
    """

    plane: Floats
    lean: float
    up: Floats = field(default_factory=lambda: np.array([0.0, 1.0]))

    @classmethod
    def fit(cls, lead: Floats, places: Floats) -> Leaning:
        """For baseline rows with coordinates (n, q) at places (n, 2) centred on zero."""
        plane = np.asarray(np.linalg.lstsq(lead, places, rcond=None)[0], dtype=np.float64)
        spread = np.sqrt(((lead @ plane) ** 2).mean(axis=0))
        plane /= np.maximum(spread, np.finfo(np.float64).tiny)
        moved = NOISE * float(np.sqrt((plane**2).sum(axis=0)).max())
        return cls(plane, min(max(LEAN * moved, LEAST_LEAN), MOST_LEAN))

    def turned(self, lead: Floats, cloud: Floats, radius: float) -> Leaning:
        """The same, leaning to the side from which the cloud (n, 2) has the shortest ways out."""
        ways = []
        for turn in range(TURNS):
            angle = 2.0 * np.pi * turn / TURNS
            leaning = replace(self, up=np.array([np.sin(angle), np.cos(angle)]))
            goals = radius * leaning.direction(grid(lead), radius, np.zeros(len(lead)))
            ways.append((float(np.sqrt(((goals - cloud) ** 2).sum(axis=1)).mean()), turn, leaning))
        return min(ways)[2]

    def direction(self, rows: Grid, radius: float, beyond: Floats) -> Floats:
        """Unit directions (m, 2) of rows (m, q) that are `beyond` (m,) a radius of the cloud."""
        view = rows.whole @ self._view.whole.T  # exact
        view = view * self._view.step * rows.step[:, None]
        view = view * (radius / (radius + beyond))[:, None]
        x, y = self.up
        across = view[:, 0] * y - view[:, 1] * x
        along = view[:, 0] * x + view[:, 1] * y
        held = HELD * self.lean
        back = np.maximum(-along, 0.0)
        along = self.lean + np.maximum(along, 0.0) - held * (back / (held + back))
        squared = across * across + along * along
        sideways = 2.0 * across * along / squared
        upward = (along * along - across * across) / squared
        return np.stack([sideways * y + upward * x, upward * y - sideways * x], axis=1)

    @cached_property
    def _view(self) -> Grid:
        return grid(np.ascontiguousarray(self.plane.T))

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "leaning_plane": self.plane,
            "leaning_lean": np.float64(self.lean),
            "leaning_up": self.up,
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Leaning:
        return cls(stored["leaning_plane"], float(stored["leaning_lean"]), stored["leaning_up"])
