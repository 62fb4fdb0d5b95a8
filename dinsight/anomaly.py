"""Two datasets against each other: the rows of one baseline on the map of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from dinsight import baseline_rows, baselines, sensitivity
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound, ColumnsMissing
from dinsight.maps import Map
from dinsight.models import Json
from dinsight.readings.header import find_columns

POINTS_A_PIECE = 2_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Where the compared rows are on the baseline's map and how far: x, y, distance, each (m,).

    A distance is the score times the distance that is the map's alarm limit, so that a row is
    anomalous exactly where its distance is above `threshold`.
    """

    map: Map
    factor: float
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    score: NDArray[np.float32]

    @property
    def unit(self) -> float:
        """The distance that a score of 1 stands for."""
        return float(self.map.calibration.alarm)

    @property
    def distance(self) -> Floats:
        return self.score.astype(np.float64) * self.unit

    @property
    def threshold(self) -> float:
        return self.map.limit_at(self.factor) * self.unit

    @property
    def anomalous(self) -> NDArray[np.bool_]:
        return self.distance > self.threshold


def detect(
    session: Session, who: Identity, baseline_id: int, comparison_id: int, factor: Any
) -> Comparison:
    """Place the rows of one of the user's baselines on the map of another, by feature name.

    Raises InvalidRequest for the factor, BaselineNotFound, BaselineNotReady or BaselineFailed for
    either, and ColumnsMissing, naming the features, where the two do not match.
    """
    factor = sensitivity.check(factor)
    fitted = baselines.fitted_map(session, baselines.get(session, who, baseline_id))
    compared = baselines.get(session, who, comparison_id)
    baselines.require_fitted(compared)
    names = baselines.feature_names(session, compared.id)
    columns = matched(names, fitted.features, compared.id)
    pieces = baseline_rows.pieces(session, compared.id, compared.rows, len(names))
    placed = [fitted.place(piece[:, columns]) for piece in pieces]
    if not placed:
        raise BaselineNotFound()  # deleted meanwhile
    columns_of = ([getattr(each, name) for each in placed] for name in ("x", "y", "score"))
    return Comparison(fitted, factor, *map(np.concatenate, columns_of))


def matched(names: list[str], wanted: Sequence[str], number: int) -> NDArray[np.intp]:
    """Where the wanted features stand among a baseline's names; raises ColumnsMissing."""
    try:
        return np.array(find_columns(names, wanted), dtype=np.intp)
    except ColumnsMissing as error:
        details = {name: value for name, value in error.details.items() if name != "line"}
        message = f"Baseline {number} cannot be compared: {error.message}"
        raise ColumnsMissing(message, **details) from error


def summary(found: Comparison) -> Json:
    """Everything about the comparison but its points."""
    anomalous = int(np.count_nonzero(found.anomalous))
    total = len(found.score)
    own = found.map.coordinates.astype(np.float64).mean(axis=0)
    others = np.array([found.x.mean(dtype=np.float64), found.y.mean(dtype=np.float64)])
    return {
        "total_points": total,
        "anomaly_count": anomalous,
        "anomaly_percentage": 100.0 * anomalous / total,
        "anomaly_threshold": found.threshold,
        "sensitivity_factor": found.factor,
        "sensitivity_level": sensitivity.word(found.factor),
        "baseline_centroid": {"x": own[0], "y": own[1]},
        "comparison_centroid": {"x": others[0], "y": others[1]},
        "centroid_distance": float(np.hypot(*(others - own))),
        "statistics": statistics(found),
    }


def statistics(found: Comparison) -> Json:
    """Distances of the compared rows, and of the baseline's own when they were held out.

    `expected_anomaly_percentage` is what healthy rows give at this threshold: more than that is
    what the comparison found.
    """
    unseen = np.asarray(found.map.unseen, dtype=np.float64) * found.unit
    return {
        "baseline": _described(unseen),
        "comparison": _described(found.distance),
        "expected_anomaly_percentage": 100.0 * float(np.mean(unseen > found.threshold)),
        "median_ratio": float(np.median(found.distance) / np.median(unseen)),
        "alarm_distance": found.unit,
    }


def points(found: Comparison) -> Iterator[Sequence[Json]]:
    """All points in order, in pieces."""
    distance, anomalous = found.distance, found.anomalous
    for start in range(0, len(found.score), POINTS_A_PIECE):
        end = min(start + POINTS_A_PIECE, len(found.score))
        yield [
            {
                "index": i,
                "x": float(found.x[i]),
                "y": float(found.y[i]),
                "mahalanobis_distance": float(distance[i]),
                "score": float(found.score[i]),
                "is_anomaly": bool(anomalous[i]),
            }
            for i in range(start, end)
        ]


def _described(distances: Floats) -> Json:
    low, middle, high = np.quantile(distances, [0.05, 0.5, 0.95]).tolist()
    return {
        "count": len(distances),
        "mean": float(distances.mean()),
        "std": float(distances.std()),
        "min": float(distances.min()),
        "p5": low,
        "median": middle,
        "p95": high,
        "max": float(distances.max()),
    }
