"""Densities as pictures: what lies below the points where there are more than a page draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight import cells, png
from dinsight.cells import Cells, Raster
from dinsight.density import Extent

MOST = 640  # pixels a side: the baseline and as much around it, with a pixel for each cell
STEPS = 100  # of a density, from its sparsest cell to its densest
NORMAL, ANOMALOUS = (70, 190), (170, 245)  # alpha, sparsest and densest: a single point is visible
Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Picture:
    """A PNG and the part of the plane that it covers, in map units."""

    content: bytes
    extent: Extent


def of_baseline(places: NDArray[Any], colour: Rgb) -> list[Picture]:
    """Of a map's baseline, (n, 2)."""
    counted = cells.none(cells.lattice_of(places))
    healthy = np.zeros(len(places), bool)
    return of_cells(cells.count(counted, places[:, 0], places[:, 1], healthy), colour, colour)


def of_cells(counted: Cells, normal: Rgb, anomalous: Rgb) -> list[Picture]:
    """Of points counted by cell; a cell with an anomalous point has that colour, and more of it."""
    return [
        Picture(_painted(each, normal, anomalous), each.extent)
        for each in cells.rasters(counted, MOST)
    ]


def _painted(found: Raster, normal: Rgb, anomalous: Rgb) -> bytes:
    counts = found.counts.sum(axis=2)
    peak = max(int(counts.max()), 2)
    # By logarithm: a cell with one point is to be seen beside one with thousands.
    shade = np.ceil(np.log1p(counts) / np.log1p(peak) * STEPS).astype(np.uint8)
    indices = np.where(found.counts[:, :, 1] > 0, shade + STEPS, shade)
    colours = [(0, 0, 0, 0), *_ramp(normal, *NORMAL), *_ramp(anomalous, *ANOMALOUS)]
    return png.encode(indices[::-1].astype(np.uint8), colours)


def _ramp(colour: Rgb, low: int, high: int) -> list[png.Colour]:
    return [(*colour, int(alpha)) for alpha in np.linspace(low, high, STEPS)]
