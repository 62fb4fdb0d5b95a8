"""The grids that contours are drawn on."""

from __future__ import annotations

import numpy as np

from dinsight import cells, contours, streams, tallies
from dinsight.accounts import Identity
from dinsight.density import Extent
from dinsight.ingest import Incoming, ingest
from dinsight.models import Epoch, Point
from dinsight.services import Services
from tests.factories import csv, failing, healthy


def test_baselines_densest_cell_is_one_and_cells_are_square() -> None:
    places = np.random.default_rng(0).normal(size=(500, 2)) * [3.0, 1.0]
    grid = contours.of_baseline(places)
    assert grid.z.max() == 1.0
    assert np.isclose(np.diff(grid.x)[0], np.diff(grid.y)[0])
    row, column = np.unravel_index(grid.z.argmax(), grid.z.shape)
    assert abs(grid.x[column]) < 1.5 and abs(grid.y[row]) < 1.0


def test_square_keeps_the_middle_and_the_wider_side() -> None:
    assert cells.square(Extent(0, 4, 1, 2)) == Extent(0, 4, -0.5, 3.5)


def test_streams_density_is_where_its_points_are_but_not_at_a_far_outlier(
    services: Services, user: Identity, baseline_id: int
) -> None:
    with services.sessions.begin() as session:
        found = streams.find(session, user, baseline_id, "default")
        assert contours.of_cells(tallies.of_stream(session, found).cells) is None
        rows = Incoming(csv(healthy(60)), "batch.csv")
        ingest(session, user, baseline_id, rows, limits=services.limits, now=services.now())
        session.flush()
        session.query(Point).filter(Point.seq == 7).update({"x": 1e6, "y": 1e6})
        near = session.query(Point.x).filter(Point.seq != 7).all()
        found = streams.find(session, user, baseline_id, "default")
        grid = contours.of_cells(tallies.of_stream(session, found).cells)
    assert grid is not None
    assert grid.z.max() == 1.0
    assert grid.z.shape == (len(grid.y), len(grid.x))
    assert grid.x[0] < min(x for (x,) in near)
    assert grid.x[-1] < 1e3


def test_what_is_counted_is_counted_once_and_follows_resets_and_retention(
    services: Services, user: Identity, baseline_id: int
) -> None:
    def tally() -> tallies.Tally:
        with services.sessions() as session:
            found = streams.find(session, user, baseline_id, "default")
            return tallies.of_stream(session, found)

    def send(rows: np.ndarray) -> None:
        with services.sessions.begin() as session:
            batch = Incoming(csv(rows), "batch.csv")
            ingest(session, user, baseline_id, batch, limits=services.limits, now=services.now())

    send(healthy(50))
    first = tally()
    assert first.cells.counts.sum(axis=0).tolist() == [50, 0]
    assert tally() is first  # nothing new: nothing is read

    with services.sessions.begin() as session:
        session.query(Point).update({"x": Point.x + 1})  # which would show if it were counted anew
    send(failing(30))
    second = tally()
    assert second.cells.counts.sum() == 80
    assert second.cells.counts[:, 1].sum() == len(second.anomalies) > 20
    assert set(first.cells.column) <= set(second.cells.column)
    assert second.anomalies[:, 0].tolist() == sorted(second.anomalies[:, 0])

    with services.sessions.begin() as session:
        session.query(Point).filter(Point.seq <= 10).delete()
        session.query(Epoch).update({"points_from": 11})
    assert tally().cells.total == 70

    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=services.now())
    assert (tally().cells.total, len(tally().anomalies)) == (0, 0)
