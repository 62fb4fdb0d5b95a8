"""Trials by someone who distrusts the map: one feature shifted, and the baseline blown up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks import measures
from benchmarks.cases import Case, Floats32
from benchmarks.contenders import OurMap
from benchmarks.effort import Effort
from benchmarks.measures import Circle, Floats

AMOUNTS = (0.0, 3.0, 5.0, 10.0)  # of the feature's deviation in the baseline
FACTORS = (1.0, 1.5, 3.0, 50.0)
SEED = 12


@dataclass(frozen=True)
class Shifted:
    """One random feature of healthy rows shifted up or down by an amount: shares of the rows over
    the alarm limit, outside the 99 % circle of each layout, and with that feature named first."""

    case: str
    amount: float
    rows: int
    over: float
    outside: dict[str, float]
    named: float


def shifts(case: Case, ours: Sequence[OurMap], effort: Effort) -> list[Shifted]:
    """Shift one feature of rows, half of them from the baseline, half healthy and unseen."""
    random = np.random.default_rng(SEED)
    rows = healthy_rows(case, effort.shifted)
    spread = case.baseline.std(axis=0, dtype=np.float64)
    moving = np.flatnonzero(spread > 0.0)
    feature = random.choice(moving, len(rows))
    sign = random.choice([-1.0, 1.0], len(rows))
    found = []
    for amount in AMOUNTS:
        shifted = rows.astype(np.float64)
        shifted[np.arange(len(rows)), feature] += sign * amount * spread[feature]
        values = shifted.astype(np.float32)
        found.append(
            Shifted(
                case=case.name,
                amount=amount,
                rows=len(rows),
                over=measures.share(ours[0].place(values)[:, 2] > ours[0].fitted.rule.alarm),
                outside={
                    each.name: measures.share(
                        Circle.about(each.cloud).outside(each.place(values)[:, :2])
                    )
                    for each in ours
                },
                named=named_first(ours[0], values, feature) if amount else float("nan"),
            )
        )
    return found


def healthy_rows(case: Case, most: int) -> Floats32:
    """Half the rows from the baseline, half of them unseen, at even steps."""
    parts = [part[measures.even(len(part), most // 2)] for part in (case.baseline, case.healthy)]
    return np.concatenate(parts)


def named_first(ours: OurMap, rows: Floats32, feature: measures.Labels) -> float:
    """The share of rows whose explanation names the shifted feature first."""
    named = [int(np.argmax(ours.fitted.explain(row).contribution)) for row in rows]
    return measures.share(np.array(named) == feature)


@dataclass(frozen=True)
class BlownUp:
    """The baseline's rows times 1, 1.5, 3 and 50: medians of the distance from the cloud and of
    the radius, and the shares of rows for which these rise in that order."""

    case: str
    layout: str
    distances: tuple[float, ...]
    radii: tuple[float, ...]
    distance_rises: float
    radius_rises: float

    @property
    def in_order(self) -> bool:
        """Whether both medians rise."""
        return all(
            after > before
            for values in (self.distances, self.radii)
            for before, after in pairwise(values)
        )


def blown_up(case: Case, ours: OurMap) -> BlownUp:
    """Place multiples of the baseline's rows."""
    around = Circle.about(ours.cloud)
    places = [ours.place(case.baseline * np.float32(factor))[:, :2] for factor in FACTORS]
    distances = np.stack([measures.from_cloud(ours.cloud, part) for part in places], axis=1)
    radii = np.stack([around.radii(part) for part in places], axis=1)
    return BlownUp(
        case=case.name,
        layout=ours.name,
        distances=_medians(distances),
        radii=_medians(radii),
        distance_rises=measures.rising(distances),
        radius_rises=measures.rising(radii),
    )


def _medians(values: Floats) -> tuple[float, ...]:
    return tuple(np.median(values, axis=0).tolist())
