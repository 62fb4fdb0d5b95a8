"""The grids that contours are drawn on."""

from __future__ import annotations

import numpy as np

from dinsight import contours, streams
from dinsight.accounts import Identity
from dinsight.density import Extent
from dinsight.ingest import Incoming, ingest
from dinsight.models import Point
from dinsight.services import Services
from tests.factories import csv, healthy


def test_baselines_densest_cell_is_one_and_cells_are_square() -> None:
    places = np.random.default_rng(0).normal(size=(500, 2)) * [3.0, 1.0]
    grid = contours.of_baseline(places)
    assert grid.z.max() == 1.0
    assert np.isclose(np.diff(grid.x)[0], np.diff(grid.y)[0])
    row, column = np.unravel_index(grid.z.argmax(), grid.z.shape)
    assert abs(grid.x[column]) < 1.5 and abs(grid.y[row]) < 1.0


def test_square_keeps_the_middle_and_the_wider_side() -> None:
    assert contours.square(Extent(0, 4, 1, 2)) == Extent(0, 4, -0.5, 3.5)


def test_streams_density_is_where_its_points_are_but_not_at_a_far_outlier(
    services: Services, user: Identity, baseline_id: int
) -> None:
    with services.sessions.begin() as session:
        found = streams.find(session, user, baseline_id, "default")
        assert contours.of_stream(session, found) is None
        rows = Incoming(csv(healthy(60)), "batch.csv")
        ingest(session, user, baseline_id, rows, limits=services.limits, now=services.now())
        session.flush()
        session.query(Point).filter(Point.seq == 7).update({"x": 1e6, "y": 1e6})
        near = session.query(Point.x).filter(Point.seq != 7).all()
        grid = contours.of_stream(session, found)
    assert grid is not None
    assert grid.z.max() == 1.0
    assert grid.z.shape == (len(grid.y), len(grid.x))
    assert grid.x[0] < min(x for (x,) in near)
