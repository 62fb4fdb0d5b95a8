"""The push-out of every drawn layout: from a row's own place to where its score belongs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.exact import Floats, grid
from dinsight.maps.frontier import Frontier
from dinsight.maps.layouts import Evidence, robust_units
from dinsight.maps.leaning import Leaning

STEPS_A_RADIUS = 7.0  # steps of noise in which a row may cross a radius of the cloud
STRETCH = 1.0  # how much further out a row at its limit is drawn than one without a score
MOST_ROUNDS = 6  # until frontier and cloud fit each other; mostly two or three


@dataclass(frozen=True)
class Units:
    """A centre (2,) and what one unit is worth."""

    centre: Floats
    spread: float

    @classmethod
    def of(cls, places: Floats) -> Units:
        """The robust units of places (n, 2)."""
        return cls(*robust_units(places))

    def apply(self, places: Floats) -> Floats:
        """Places (m, 2) in these units."""
        return (places - self.centre) / self.spread

    def array(self) -> Floats:
        """What is stored of it."""
        return np.array([*self.centre.tolist(), self.spread])

    @classmethod
    def from_array(cls, stored: NDArray[Any]) -> Units:
        return cls(np.asarray(stored[:2]), float(stored[2]))


@dataclass(frozen=True)
class Outward:
    """Takes rows from the place that says what they are like to the one that says how bad.

    A row at its alarm limit or beyond is on the `Frontier` of its score, in its own direction
    (`Leaning`). Below the limit it is on its way there from its place among the baseline: in a
    straight line, and so slowly that noise cannot throw it across the cloud. What is left of the
    way grows with the steps of noise that are left to the limit (`Evidence.slack`), a radius of the
    cloud in seven of them, so that a row that has far to go sets out early and one that is near its
    side stays among its neighbours until late. Of 5,000 rows of Tennessee Eastman with 0.1 sigma of
    noise none moved more than .26 widths of the cloud (in six steps .30, in eight .22); when the
    turn was a fixed range of scores and the direction that of the linear view, some moved 1.8. What
    it costs is trustworthiness where healthy rows are within a few steps of their limit: .70 there
    for .73 (in six steps .73, in eight .69).

    Baseline rows are placed in the same way from where they were drawn, so that a row close to one
    of them is close to it on the map also where that one scores high.

    `drawn` are the units of the drawing, `shown` those of the map, robust ones of its cloud.
    """

    drawn: Units
    shown: Units
    leaning: Leaning
    frontier: Frontier

    @classmethod
    def fit(cls, evidence: Evidence, places: Floats) -> tuple[Outward, Floats]:
        """For baseline rows drawn at places (n, 2), in any units; with where it places them."""
        centre = robust_units(places)[0]
        drawn = Units(centre, Units.of((places - centre) * _stretch(evidence.score)).spread)
        cloud = drawn.apply(places) * _stretch(evidence.score)
        leaning = Leaning.fit(evidence.lead, drawn.apply(places))
        frontier = Frontier.fit(cloud)
        leaning = leaning.turned(evidence.lead, cloud, frontier.circle)
        as_is = Units(np.zeros(2), 1.0)
        for _ in range(MOST_ROUNDS):
            cloud = cls(drawn, as_is, leaning, frontier).place(places, evidence)
            if frontier.surrounds(cloud):
                break
            frontier = Frontier.fit(cloud)
        else:
            cloud = cls(drawn, as_is, leaning, frontier).place(places, evidence)
        shown = Units.of(cloud)
        return cls(drawn, shown, leaning, frontier), shown.apply(cloud)

    def place(self, places: Floats, evidence: Evidence) -> Floats:
        """From places (m, 2) among the drawn baseline to those on the map, (m, 2)."""
        here = self.drawn.apply(places) * _stretch(evidence.score)
        beyond = self.frontier.beyond(evidence.score)
        direction = self.leaning.direction(grid(evidence.lead), self.frontier.circle, beyond)
        goal = self.frontier.place(direction, beyond)
        way = goal - here
        radii = np.sqrt(way[:, 0] * way[:, 0] + way[:, 1] * way[:, 1]) / self.frontier.circle
        left = evidence.slack / (STEPS_A_RADIUS * np.maximum(radii, np.finfo(np.float64).tiny))
        left = np.minimum(left, 1.0)[:, None]
        return self.shown.apply(left * here + (1.0 - left) * goal)

    def arrays(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "outward_drawn": self.drawn.array(),
            "outward_shown": self.shown.array(),
            **self.leaning.arrays(),
            **self.frontier.arrays(),
        }

    @classmethod
    def from_arrays(cls, stored: dict[str, NDArray[Any]]) -> Outward:
        return cls(
            Units.from_array(stored["outward_drawn"]),
            Units.from_array(stored["outward_shown"]),
            Leaning.from_arrays(stored),
            Frontier.from_arrays(stored),
        )


def _stretch(scores: Floats) -> Floats:
    """How much further out a row is drawn for its score, up to the limit, (m, 1)."""
    return np.asarray(1.0 + STRETCH * np.minimum(scores, 1.0))[:, None]
