"""The way out of the cloud: which direction, how far, and how soon a row sets out."""

from __future__ import annotations

import numpy as np
import pytest

from dinsight import maps
from dinsight.maps.exact import grid
from dinsight.maps.leaning import LEAST_LEAN, Leaning
from dinsight.maps.model import measure
from tests.machines import BASELINE, monitor

LEANING = Leaning(np.eye(2), 1.0)


def directions(leaning: Leaning, view: np.ndarray, beyond: float = 0.0) -> np.ndarray:
    return leaning.direction(grid(view), 2.0, np.full(len(view), beyond))


def test_directions_turn_slowly_everywhere_also_where_the_view_is_zero() -> None:
    """At most two radians for each spread of the view, in a circle around any place."""
    random = np.random.default_rng(1)
    view = np.concatenate([random.normal(0, 0.01, (500, 2)), random.normal(0, 3, (2_000, 2))])
    angle = random.uniform(0, 2 * np.pi, len(view))
    step = 0.01
    moved = view + step * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    turn = np.linalg.norm(directions(LEANING, moved) - directions(LEANING, view), axis=1)
    assert turn.max() < 4 * step / LEANING.lean


def test_they_are_unit_vectors_even_very_far_out() -> None:
    view = np.array([[0.0, 0.0], [1e40, -1e40], [0.0, -1e40], [-3.0, 1e-9]])
    assert np.linalg.norm(directions(LEANING, view), axis=1) == pytest.approx(np.ones(4))


def test_opposite_sides_stay_opposite() -> None:
    found = directions(LEANING, np.array([[2.0, 0.0], [-2.0, 0.0], [1.0, -2.0], [-1.0, -2.0]]))
    assert (found[::2, 0] > 0.7).all()
    assert (found[1::2, 0] < -0.7).all()


def test_the_further_out_the_less_a_row_turns() -> None:
    view = np.array([[0.0, 0.0], [0.3, 0.0]])
    near, far = (directions(LEANING, view, beyond)[1, 0] for beyond in (0.0, 8.0))
    assert near > 3 * far > 0


def test_it_leans_to_the_side_where_the_cloud_has_the_shortest_ways_out() -> None:
    random = np.random.default_rng(2)
    lead = random.normal(size=(400, 3))
    lead[:, 1] += 0.5 * lead[:, 0] ** 2  # few rows are below
    cloud = lead[:, :2] - np.median(lead[:, :2], axis=0)
    leaning = Leaning.fit(lead, cloud).turned(lead, cloud, 3.0)
    goals = 3.0 * leaning.direction(grid(lead), 3.0, np.zeros(400))
    upside_down = Leaning(leaning.plane, leaning.lean, -leaning.up)
    others = 3.0 * upside_down.direction(grid(lead), 3.0, np.zeros(400))
    assert (
        np.linalg.norm(goals - cloud, axis=1).mean() < np.linalg.norm(others - cloud, axis=1).mean()
    )


def test_columns_that_move_together_need_less_lean_than_independent_ones() -> None:
    random = np.random.default_rng(3)
    cloud = random.normal(size=(200, 2))
    together, alone = (Leaning.fit(times * cloud, cloud).lean for times in (8.0, 1.0))
    assert LEAST_LEAN == together < alone


@pytest.fixture(scope="module")
def fitted() -> maps.Map:
    return maps.fit(BASELINE, "distance")


def test_slack_is_what_is_left_to_the_limit(fitted: maps.Map) -> None:
    rows = monitor(600)
    evidence = measure(fitted.scaling, fitted.metric, fitted.calibration, rows)
    assert ((evidence.slack == 0.0) == (evidence.score >= 1.0)).all()
    assert np.median(evidence.slack[evidence.score < 0.9]) > 3


def test_a_step_of_slack_is_about_what_noise_uses_up(fitted: maps.Map) -> None:
    rows = monitor(600)
    rows = rows[fitted.place(rows).score < 1]
    noise = 0.1 * BASELINE.std(axis=0) * np.random.default_rng(5).standard_normal(rows.shape)
    before, after = (
        measure(fitted.scaling, fitted.metric, fitted.calibration, some.astype(np.float32))
        for some in (rows, rows + noise)
    )
    used = np.abs(after.slack - before.slack)
    assert 0.2 < np.median(used) < 3
    assert np.quantile(used, 0.99) < 8
