"""Why a point is where it is: the bands that its score is associated with, and the baseline beside.

It is read with the map that placed the point, so that a refit changes no explanation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import baseline_rows, playback, sensitivity, streams
from dinsight.accounts import Identity
from dinsight.errors import PointNotFound, ReadingsRemoved
from dinsight.maps import Map
from dinsight.maps.explanation import Band, Explanation, hertz
from dinsight.mapstore import load_map
from dinsight.models import Epoch, FittedMap, Json, Point
from dinsight.streams import Found, level_word

MOST_FEATURES = 20
CANDIDATES = 8  # nearest along the leading directions; their readings decide
NAMED_BANDS = 3
MOST_EPOCH, MOST_SEQ = 2**31 - 1, 2**63 - 1


@dataclass(frozen=True)
class _Case:
    """A stored point, the map that placed it, its readings (d,) and their explanation."""

    stream: Found
    point: Point
    limit: float  # the alarm limit that it was judged by; today's, where that was not kept
    map: Map
    row: NDArray[np.float32]
    found: Explanation


def explain(
    session: Session,
    who: Identity,
    baseline_id: int,
    name: str,
    seq: int,
    *,
    epoch: int | None = None,
    values: bool = True,
) -> Json:
    """Everything about a point; without `values` only what does not grow with the features.

    Raises BaselineNotFound, StreamNotFound, PointNotFound, and MapOutdated for a point of an
    epoch whose map was made by an earlier version, ReadingsRemoved for one that retention took
    the readings of.
    """
    stream = streams.find(session, who, baseline_id, name)
    case = _read(session, stream, stream.epoch if epoch is None else epoch, seq)
    told = [band(each, case.map.features) for each in case.found.bands(case.map.features)]
    limit = case.limit
    return {
        "baseline_id": baseline_id,
        "stream": stream.name,
        "epoch": case.point.epoch,
        "seq": seq,
        "created_at": case.point.received_at,
        "source_file": case.point.source,
        "metadata": case.point.metadata_,
        "dinsight_x": case.point.x,
        "dinsight_y": case.point.y,
        "score": case.point.score,
        "level": level_word(case.point.level),
        "alarm_limit": limit,
        "whole": case.found.whole,
        "isolated": case.found.isolated,
        "sentence": sentence(case.point.score, limit, told),
        "bands": told,
        "contributions": _contributions(case),
        "nearest": _nearest(session, baseline_id, case, values),
        "spectrum": _spectrum(case) if values else None,
    }


def in_limits(share: float) -> str:
    """A score in units of the alarm limit, with the digits that the page shows (`words.score`).

    >>> in_limits(0.856), in_limits(1.004), in_limits(1234.5)
    ('0.86 times the alarm limit', '1.0 times the alarm limit', '1,234 times the alarm limit')
    """
    digits = 2 if share <= 1 else 1 if share < 100 else 0
    return f"{share:,.{digits}f} times the alarm limit"


def sentence(score: float, limit: float, bands: list[Json]) -> str:
    """What a person reads first; what goes together is not said to cause anything.

    >>> high = {"label": "120–124 Hz", "z": 9.0, "share": 0.6}
    >>> low = {"label": "f_3", "z": -4.0, "share": 0.2}
    >>> sentence(3.21, 1.0, [high, low])
    '3.2 times the alarm limit, associated with 120–124 Hz (higher than usual) and f_3 (lower).'
    >>> sentence(0.5, 1.0, [])
    '0.50 times the alarm limit: within healthy behaviour, and no band stands out.'
    """
    share = score / limit
    start = in_limits(share) if share < 100 else "Far beyond the alarm limit"
    if score <= limit:
        start += ": within healthy behaviour"
    if not bands:
        return f"{start}, and no band stands out."
    words = [
        f"{band['label']} ({'higher' if band['z'] > 0 else 'lower'})"
        for band in bands[:NAMED_BANDS]
    ]
    words[0] = words[0].removesuffix(")") + " than usual)"
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    joint = "; what there is, is associated with" if score <= limit else ", associated with"
    return f"{start}{joint} {listed}."


def _read(session: Session, stream: Found, epoch: int, seq: int) -> _Case:
    found = None
    if epoch <= MOST_EPOCH and seq <= MOST_SEQ:
        found = session.execute(
            select(Point, Point.features, FittedMap.sha256, Epoch)
            .join(Epoch, (Epoch.stream_id == Point.stream_id) & (Epoch.epoch == Point.epoch))
            .join(FittedMap, FittedMap.id == Epoch.map_id)
            .where(Point.stream_id == stream.id, Point.epoch == epoch, Point.seq == seq)
        ).one_or_none()
    if found is None:
        raise PointNotFound(f"Stream {stream.name!r} has no point {seq:,} in epoch {epoch:,}.")
    point, content, sha256, row_of_epoch = found
    if content is None:
        raise ReadingsRemoved(
            f"The readings of point {seq:,} were removed as DINSIGHT_RETENTION_FEATURES_DAYS says: "
            "its place, score and level remain, but they can no longer be explained."
        )
    fitted = load_map(session, sha256)
    row = np.frombuffer(content, "<f4")
    judged = playback.limit_at(row_of_epoch, seq)
    limit = sensitivity.limit_of(stream.settings) if judged is None else judged
    return _Case(stream, point, limit, fitted, row, fitted.explain(row))


def band(band: Band, features: tuple[str, ...]) -> Json:
    """A band as programs read it."""
    return {
        "label": band.label,
        "first": band.first,
        "last": band.last,
        "first_feature": features[band.first],
        "last_feature": features[band.last],
        "low_hz": band.low,
        "high_hz": band.high,
        "share": band.share,
        "z": band.z,
    }


def _contributions(case: _Case) -> list[Json]:
    """The features that contribute most, the strongest first."""
    found, typical = case.found, case.map.typical
    order = np.argsort(-found.contribution, kind="stable")[:MOST_FEATURES]
    return [
        {
            "feature": case.map.features[column],
            "index": int(column),
            "hz": hertz(case.map.features[column]),
            "share": float(found.contribution[column]),
            "z": float(found.z[column]),
            "value": float(case.row[column]),
            "expected": float(found.expected[column]),
            "median": float(typical[0, column]),
            "low": float(typical[1, column]),
            "high": float(typical[2, column]),
        }
        for column in order
    ]


def _spectrum(case: _Case) -> Json:
    """The row beside the median and the 5 and 95 % quantiles of the baseline."""
    median, low, high = np.asarray(case.map.typical, dtype=np.float32)
    return {
        "features": case.map.features,
        "values": case.row,
        "median": np.ascontiguousarray(median),
        "low": np.ascontiguousarray(low),
        "high": np.ascontiguousarray(high),
    }


def _nearest(session: Session, baseline_id: int, case: _Case, values: bool) -> Json | None:
    """The nearest baseline row in scaled units: of a few candidates, by their readings."""
    numbers = [int(row) for row in case.map.nearest(case.row, CANDIDATES)]
    found = baseline_rows.some(session, baseline_id, numbers)
    rows = [each for each in found if _is_of(case.map, each[0], each[1])]
    if not rows:
        return None  # deleted meanwhile, with the baseline or with the version that added them
    away = case.map.scaling.apply(np.stack([case.row, *(row for _, row, _ in rows)]))
    scaled = np.concatenate(away, axis=1)
    distances = np.linalg.norm(scaled[1:] - scaled[0], axis=1)
    row, readings, metadata = rows[int(np.argmin(distances))]
    told: dict[str, Any] = {
        "row": row,
        "distance": float(distances.min()),
        "dinsight_x": float(case.map.coordinates[row, 0]),
        "dinsight_y": float(case.map.coordinates[row, 1]),
        "metadata": metadata,
    }
    return told | {"values": readings} if values else told


def _is_of(fitted: Map, row: int, readings: NDArray[np.float32]) -> bool:
    """Whether a stored row is the one that the map was fitted on.

    An archived point's map may be of a version that was discarded, whose rows' numbers another
    version has now.
    """
    return bool(fitted.identity.find(readings[np.newaxis])[0] == fitted.identity.of_row[row])
