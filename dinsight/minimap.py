"""The small map of a machine: its baseline as a quiet ground, and its newest points.

Places are whole numbers from 0 to `SIDE` on a square frame around the baseline, x to the right and
y down, as a screen counts. Pure: places in, small numbers out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dinsight.cells import square
from dinsight.density import extent_of

SIDE = 200  # steps across the frame: half a pixel of a tile, and one byte
CELLS = 40  # of the ground, across the frame: at most so many squared
ROOM = 1.5  # of the baseline's square, so that a point that begins to leave is seen to
NEWEST = 30  # points of a machine
OUTSIDE = 4  # added to the level of a point that lies beyond the frame

Bytes = NDArray[np.uint8]


class Frame(NamedTuple):
    """The low corner and the side of the square that a small map shows, in map units."""

    x: float
    y: float
    side: float


@dataclass(frozen=True)
class Ground:
    """A baseline as a small map shows it: `spots` (n, 2) on its frame, the middle of each cell."""

    frame: Frame
    spots: Bytes


def frame_of(places: NDArray[Any]) -> Frame:
    """The frame of a baseline's places (n, 2), on which a few far rows have no say.

    >>> cloud = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.5], [1.0, 0.2], [1e6, 0.0]])
    >>> frame = frame_of(cloud)
    >>> frame.x < 0.0 and 2.0 < frame.x + frame.side < 5.0
    True
    """
    extent = square(extent_of(places[:, 0], places[:, 1]), ROOM)
    return Frame(extent.x_low, extent.y_low, extent.x_high - extent.x_low)


def ground_of(places: NDArray[Any]) -> Ground:
    """The ground of a baseline's places (n, 2): one spot for each cell that holds some of them.

    >>> ground_of(np.array([[0.0, 0.0], [0.001, 0.0], [1.0, 1.0]])).spots.tolist()
    [[157, 42], [42, 157]]
    """
    frame = frame_of(places)
    at = on_frame(frame, places[:, 0], places[:, 1])
    cells = np.floor(at[np.all((at >= 0) & (at < SIDE), axis=1)] * CELLS / SIDE)
    kept = np.unique(cells[:, ::-1], axis=0)[:, ::-1]  # row by row
    return Ground(frame, ((kept + 0.5) * SIDE / CELLS).astype(np.uint8))


def spots(frame: Frame, x: NDArray[Any], y: NDArray[Any], level: NDArray[Any]) -> Bytes:
    """Points (n,) on a frame: x, y and level of each, (n, 3), in the order given.

    One beyond the frame stands on its border, towards where it is, and has `OUTSIDE` added to its
    level: nothing that left is hidden.

    >>> frame = Frame(0.0, 0.0, 2.0)
    >>> spots(frame, np.array([1.0, 9.0]), np.array([2.0, 1.0]), np.array([0, 2])).tolist()
    [[100, 0, 0], [200, 100, 6]]
    """
    at = on_frame(frame, x, y)
    beyond = np.any((at < 0) | (at > SIDE), axis=1)
    kind = np.asarray(level, np.uint8) + np.where(beyond, OUTSIDE, 0).astype(np.uint8)
    return np.column_stack([np.rint(_on_border(at, beyond)).astype(np.uint8), kind])


def on_frame(frame: Frame, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Places (n,) in steps of the frame, (n, 2), wherever they are."""
    across = (np.asarray(x, np.float64) - frame.x) / frame.side
    up = (np.asarray(y, np.float64) - frame.y) / frame.side
    return np.asarray(np.column_stack([across, 1.0 - up]) * SIDE)


def _on_border(at: NDArray[np.float64], beyond: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The places, those beyond the frame brought to its border on the way to its middle."""
    middle = SIDE / 2
    away = at - middle
    reach = np.maximum(np.abs(away).max(axis=1, initial=0.0), middle)
    inward = away * (middle / reach)[:, None]
    return np.where(beyond[:, None], middle + inward, at)
