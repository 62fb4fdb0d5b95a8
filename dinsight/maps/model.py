"""A fitted machine map: rows in, places and scores out."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps import false_alarms
from dinsight.maps.calibration import Calibration
from dinsight.maps.exact import Floats, Floats32, as_float32
from dinsight.maps.explanation import Explanation, explain
from dinsight.maps.false_alarms import Expectation
from dinsight.maps.identity import Identity
from dinsight.maps.layouts import Evidence, Layout
from dinsight.maps.levels import LevelRule
from dinsight.maps.metric import Metric
from dinsight.maps.registry import LOAD
from dinsight.maps.scaling import Scaling

FORMAT = 4
RULE = ("warning", "alarm", "persistence", "hysteresis")
TILE = 256  # rows placed at a time: what fits in the processor's cache, and bounds memory


@dataclass(frozen=True)
class Placement:
    """Where rows are and how far: `x`, `y` in map units, `score` 1 at the alarm limit; (m,)."""

    x: Floats32
    y: Floats32
    score: Floats32


@dataclass(frozen=True)
class Map:
    """A frozen map of a machine; safe to share between threads.

    `coordinates` (n, 2) and `scores` (n,) are float32, of the baseline rows in their order. A
    row's place and score depend on the row alone: not on its batch, the process or its threads.
    `typical` (3, d) is the median, the 5 % and the 95 % quantile of each feature, `extremes` (2, d)
    its least and its greatest value, `stillest` (d,) for how many rows in a row it has shown one
    value at most; `lead` (n, q) is where the baseline rows are along the leading directions.
    """

    layout: str
    features: tuple[str, ...]
    coordinates: Floats32
    scores: Floats32
    typical: Floats32
    extremes: Floats32
    stillest: NDArray[np.int32]
    lead: Floats32
    rule: LevelRule
    scaling: Scaling
    metric: Metric
    calibration: Calibration
    identity: Identity
    plane: Layout

    def place(self, rows: NDArray[Any]) -> Placement:
        """Place rows (m, d), finite float32; raises ValueError for another number of columns."""
        values = np.ascontiguousarray(rows, dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != len(self.scaling.unit):
            raise ValueError(f"expected rows of {len(self.scaling.unit)} features")
        places = np.empty((len(values), 2), dtype=np.float32)
        scores = np.empty(len(values), dtype=np.float32)
        for start in range(0, len(values), TILE):
            tile = slice(start, start + TILE)
            evidence = measure(self.scaling, self.metric, self.calibration, values[tile])
            places[tile] = as_float32(self.plane.place(evidence))
            scores[tile] = as_float32(evidence.score)
        known = self.identity.find(values)
        again = known >= 0
        own = self.identity.first[known[again]]
        places[again], scores[again] = self.coordinates[own], self.scores[own]
        return Placement(places[:, 0].copy(), places[:, 1].copy(), scores)

    def explain(self, row: NDArray[Any]) -> Explanation:
        """What is associated with the score of a row (d,), finite float32."""
        values = np.ascontiguousarray(row, dtype=np.float32).reshape(1, -1)
        moving, still = self.scaling.apply(values)
        measured = self.metric.measure(moving, still)
        whole = float(self.calibration.whole(measured)[0])
        alone = float(self.calibration.alone(measured, still).max())
        return explain(self.scaling, self.metric, values[0], (whole, alone))

    def nearest(self, row: NDArray[Any], count: int = 1) -> NDArray[np.int64]:
        """The baseline rows nearest to a row (d,) along the leading directions, nearest first."""
        values = np.ascontiguousarray(row, dtype=np.float32).reshape(1, -1)
        moving, still = self.scaling.apply(values)
        away = self.lead - self.metric.measure(moving, still).lead
        order = np.argsort(np.einsum("ij,ij->i", away, away), kind="stable")
        return order[:count].astype(np.int64)

    @property
    def unseen(self) -> Floats:
        """Scores (u,) of baseline rows, all different, in the order of time, when held out."""
        return self.calibration.unseen

    def limit_at(self, factor: float) -> float:
        """The score limit of a sensitivity factor from 0.5 to 5; 1 at 3, lower above."""
        return false_alarms.limit_at(self.unseen, factor)

    def limit_for(self, per_day: float, rows_per_second: float) -> float:
        """The score limit at which so many false alarms a day are expected."""
        return false_alarms.limit_for(self.unseen, per_day, self.rule.persistence, rows_per_second)

    def rule_at(self, score_limit: float) -> LevelRule:
        """The levels with another alarm limit; the warning limit moves with it."""
        return replace(self.rule, alarm=score_limit, warning=self.rule.warning * score_limit)

    def false_alarms(self, score_limit: float, rows_per_second: float) -> Expectation:
        """How many false alarms a day that alarm limit is expected to give."""
        return false_alarms.expected(
            self.unseen, score_limit, self.rule.persistence, rows_per_second
        )

    def to_bytes(self) -> bytes:
        """The map as an npz archive: arrays only, the same bytes for the same map."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            format=np.int64(FORMAT),
            layout=np.array(self.layout),
            features=np.array(self.features, dtype=np.str_),
            coordinates=self.coordinates,
            scores=self.scores,
            typical=self.typical,
            extremes=self.extremes,
            stillest=self.stillest,
            lead=self.lead,
            rule=np.array([getattr(self.rule, name) for name in RULE], dtype=np.float64),
            **self.scaling.arrays(),
            **self.metric.arrays(),
            **self.calibration.arrays(),
            **self.identity.arrays(),
            **self.plane.arrays(),
        )
        return buffer.getvalue()


def measure(scaling: Scaling, metric: Metric, calibration: Calibration, rows: Floats32) -> Evidence:
    """What a layout needs to know of rows (m, d)."""
    moving, still = scaling.apply(rows)
    measured = metric.measure(moving, still)
    score, slack = calibration.judge(measured, still)
    return Evidence(measured.lead, measured.squared, score, slack)


def load(payload: bytes) -> Map:
    """A map from `Map.to_bytes`; raises ValueError for another format. Never unpickles."""
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        stored = {name: archive[name] for name in archive.files}
    if int(stored["format"]) != FORMAT:
        raise ValueError(f"map format {int(stored['format'])} is not known")
    layout = str(stored["layout"])
    warning, alarm, persistence, hysteresis = stored["rule"].tolist()
    return Map(
        layout=layout,
        features=tuple(stored["features"].tolist()),
        coordinates=stored["coordinates"],
        scores=stored["scores"],
        typical=stored["typical"],
        extremes=stored["extremes"],
        stillest=stored["stillest"],
        lead=stored["lead"],
        rule=LevelRule(warning, alarm, int(persistence), hysteresis),
        scaling=Scaling.from_arrays(stored),
        metric=Metric.from_arrays(stored),
        calibration=Calibration.from_arrays(stored),
        identity=Identity.from_arrays(stored),
        plane=LOAD[layout](stored),
    )


def coordinates(payload: bytes) -> Floats32:
    """The baseline's places (n, 2) of a map's bytes, in the present format; reads nothing else."""
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        places: Floats32 = archive["coordinates"]
    return places


def sha256(payload: bytes) -> str:
    """The version of a map: the hash of its bytes, in hexadecimal."""
    return hashlib.sha256(payload).hexdigest()
