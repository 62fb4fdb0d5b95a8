"""A fitted machine map: rows in, places and scores out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.errors import BaselineTooSmall, UnknownLayout
from dinsight.maps.calibration import Calibration
from dinsight.maps.exact import Floats32, as_float32
from dinsight.maps.identity import Identity
from dinsight.maps.layouts import Evidence, Layout, Progress
from dinsight.maps.levels import LevelRule
from dinsight.maps.metric import Metric, Spectrum, smaller_product
from dinsight.maps.scaling import Scaling
from dinsight.maps.umap_layout import UmapLayout

FORMAT = 1
RULE = ("warning", "alarm", "persistence", "hysteresis")
LEAST_ROWS = 5
LEADING = 10  # directions that neighbours are found along
TILE = 256  # rows placed at a time: what fits in the processor's cache, and bounds memory
# The metric of a wide and long baseline is learnt from an even selection of rows.
MOST_ROWS, MOST_ROWS_WIDE = 20_000, 2_000

_FIT: dict[str, Callable[[Evidence, Calibration], Layout]] = {
    UmapLayout.name: lambda evidence, calibration: UmapLayout.fit(evidence, calibration.blend()),
}
_LOAD: dict[str, Callable[[dict[str, NDArray[Any]]], Layout]] = {
    UmapLayout.name: UmapLayout.from_arrays,
}
LAYOUTS: tuple[str, ...] = tuple(_FIT)


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
    """

    layout: str
    features: tuple[str, ...]
    coordinates: Floats32
    scores: Floats32
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
            rule=np.array([getattr(self.rule, name) for name in RULE], dtype=np.float64),
            **self.scaling.arrays(),
            **self.metric.arrays(),
            **self.calibration.arrays(),
            **self.identity.arrays(),
            **self.plane.arrays(),
        )
        return buffer.getvalue()


def fit(
    values: NDArray[Any],
    layout: str = "umap",
    *,
    features: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Map:
    """Fit a map to baseline rows (n, d), finite float32, in the order of time.

    Raises BaselineTooSmall under five different rows, UnknownLayout for a name not in LAYOUTS.
    One thread, whatever the settings, so that two fits of a file give the same map.
    """
    from threadpoolctl import threadpool_limits

    if layout not in LAYOUTS:
        raise UnknownLayout(f"There is no map {layout!r}: choose one of {', '.join(LAYOUTS)}.")
    rows = np.ascontiguousarray(values, dtype=np.float32)
    names = tuple(features) if features is not None else _numbered(rows.shape[1])
    tell = progress or (lambda percent, message: None)
    with threadpool_limits(limits=1):
        return _fit(rows, layout, names, tell)


def _fit(rows: Floats32, layout: str, features: tuple[str, ...], tell: Progress) -> Map:
    identity = Identity.of(rows)
    different = rows[identity.first]
    if len(different) < LEAST_ROWS:
        raise BaselineTooSmall(
            f"A map needs at least {LEAST_ROWS} different rows of healthy operation; "
            f"this baseline has {len(different)} (of {len(rows)} in all)."
        )
    tell(5, "Learning the units of the columns")
    scaling = Scaling.fit(different, features)
    sample = scaling.apply(different[_selection(different.shape)])[0]
    sample -= sample.mean(axis=0)
    tell(10, "Learning how the columns move together")
    product = smaller_product(sample)
    metric = Metric.fit(Spectrum.fit(sample, product), LEADING)
    tell(30, "Finding the limits on rows held back")
    calibration = Calibration.fit(sample, product)
    del sample, product
    evidence = _measure_all(scaling, metric, calibration, different)
    tell(50, "Drawing the map")
    plane = _FIT[layout](evidence, calibration)
    places = as_float32(plane.baseline(evidence))
    tell(100, "Fitted")
    return Map(
        layout=layout,
        features=features,
        coordinates=places[identity.of_row],
        scores=as_float32(evidence.score)[identity.of_row],
        rule=calibration.rule(),
        scaling=scaling,
        metric=metric,
        calibration=calibration,
        identity=identity,
        plane=plane,
    )


def measure(scaling: Scaling, metric: Metric, calibration: Calibration, rows: Floats32) -> Evidence:
    """What a layout needs to know of rows (m, d)."""
    measured = metric.measure(*scaling.apply(rows))
    return Evidence(measured.lead, measured.distance / calibration.alarm)


def _measure_all(
    scaling: Scaling, metric: Metric, calibration: Calibration, rows: Floats32
) -> Evidence:
    tiles = [
        measure(scaling, metric, calibration, rows[start : start + TILE])
        for start in range(0, len(rows), TILE)
    ]
    return Evidence(
        np.concatenate([tile.lead for tile in tiles]),
        np.concatenate([tile.score for tile in tiles]),
    )


def _selection(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The rows that the metric is learnt from: all, or an even selection."""
    rows, columns = shape
    most = MOST_ROWS if columns <= MOST_ROWS_WIDE else MOST_ROWS_WIDE
    return np.linspace(0, rows - 1, min(rows, most)).round().astype(np.int64)


def _numbered(columns: int) -> tuple[str, ...]:
    return tuple(f"column_{number}" for number in range(columns))


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
        rule=LevelRule(warning, alarm, int(persistence), hysteresis),
        scaling=Scaling.from_arrays(stored),
        metric=Metric.from_arrays(stored),
        calibration=Calibration.from_arrays(stored),
        identity=Identity.from_arrays(stored),
        plane=_LOAD[layout](stored),
    )


def sha256(payload: bytes) -> str:
    """The version of a map: the hash of its bytes, in hexadecimal."""
    return hashlib.sha256(payload).hexdigest()


def warm_up() -> None:
    """Compile what `fit` needs (numba), on a tiny data set."""
    fit(np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32))
