"""Made-up machines for tests of the map."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from dinsight import maps

ROWS, WIDTH = 90, 160


def machine(rows: int, seed: int, width: int = WIDTH) -> np.ndarray:
    """Healthy rows of a made-up machine, by default wider than its baseline is long."""
    mixing = np.random.default_rng(99).normal(size=(4, width))
    random = np.random.default_rng(seed)
    values = 20 + random.normal(size=(rows, 4)) @ mixing + random.normal(size=(rows, width))
    return values.astype(np.float32)


BASELINE = machine(ROWS, 1)
BASELINE[:, 7] = 3.0  # a constant sensor
BASELINE[50] = BASELINE[20]  # a duplicate row


def monitor(rows: int, seed: int = 2) -> np.ndarray:
    """Unseen rows of all kinds: healthy, shifted a little, shifted a lot."""
    random = np.random.default_rng(seed)
    values = machine(rows, seed)
    values[:, 7] = 3.0
    values[:, :20] += (random.choice([0, 0.5, 2, 50], rows)[:, None]).astype(np.float32)
    return values


def places(found: maps.Placement) -> np.ndarray:
    return np.stack([found.x, found.y], axis=1)


def stored(found: maps.Placement) -> bytes:
    assert {found.x.dtype, found.y.dtype, found.score.dtype} == {np.dtype(np.float32)}
    return np.stack([found.x, found.y, found.score], axis=1).tobytes()


def from_cloud(fitted: maps.Map, found: maps.Placement) -> np.ndarray:
    """Mean planar distance to the ten nearest baseline points, or to all where they are fewer."""
    near = np.arange(1, min(10, len(fitted.coordinates)) + 1)
    return np.asarray(cKDTree(fitted.coordinates).query(places(found), near)[0].mean(axis=1))


def from_centre(fitted: maps.Map, found: maps.Placement) -> np.ndarray:
    """Planar distance from the median baseline point."""
    return np.asarray(np.hypot(*(places(found) - np.median(fitted.coordinates, axis=0)).T))
