"""Small maps: whatever comes, a point is on the frame, and one that is beyond it says so."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dinsight import minimap
from dinsight.minimap import CELLS, OUTSIDE, SIDE, Frame

PLACES = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 40), st.just(2)),
    elements=st.floats(-1e9, 1e9, allow_nan=False, width=32),
)


@given(PLACES, PLACES)
def test_every_point_is_drawn_and_keeps_its_level(baseline: np.ndarray, points: np.ndarray) -> None:
    frame = minimap.frame_of(baseline)
    level = np.arange(len(points)) % 3
    found = minimap.spots(frame, points[:, 0], points[:, 1], level)
    assert found.shape == (len(points), 3) and found[:, :2].max() <= SIDE
    assert (found[:, 2] % OUTSIDE).tolist() == level.tolist()
    beyond = found[:, 2] >= OUTSIDE
    on_border = np.isin(found[:, :2], (0, SIDE)).any(axis=1)
    assert on_border[beyond].all()


@given(PLACES)
def test_a_ground_is_small_and_inside_its_frame(baseline: np.ndarray) -> None:
    ground = minimap.ground_of(baseline)
    assert 1 <= len(ground.spots) <= min(len(baseline), CELLS**2)
    assert ground.spots.max() < SIDE
    assert len(np.unique(ground.spots, axis=0)) == len(ground.spots)


def test_a_point_beyond_stands_where_the_way_to_it_leaves() -> None:
    frame = Frame(-1.0, -1.0, 2.0)
    found = minimap.spots(frame, np.array([0.0, 4.0]), np.array([-9.0, 2.0]), np.array([2, 1]))
    assert found.tolist() == [[100, 200, 6], [200, 50, 5]]
