"""The `distance` layout: distances on the map are those between rows, as far as a plane can."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from dinsight import maps
from dinsight.maps.distance_layout import DRAWN, Majorisation
from dinsight.maps.exact import grid
from dinsight.maps.smacof import between, smacof, stress
from tests.machines import machine


def flat(rows: int, seed: int = 0) -> np.ndarray:
    """Rows that lie in a plane of a wider space."""
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(random.normal(size=(6, 2)))[0].T
    return np.asarray(random.normal(size=(rows, 2)) * [2, 1] @ turn)


def test_distances_between_rows_are_those_of_scipy() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 5)) + 1e6
    np.testing.assert_allclose(between(rows), squareform(pdist(rows)), rtol=1e-12, atol=1e-12)


def test_rows_of_a_plane_are_drawn_without_stress() -> None:
    distances = between(flat(40))
    found = smacof(distances, np.random.default_rng(1).normal(size=(40, 2)), iterations=1_000)
    assert stress(distances, found) < 1e-3


def test_no_step_raises_the_stress() -> None:
    rows = np.random.default_rng(2).normal(size=(30, 6))
    distances = between(rows)
    places, last = rows[:, :2], np.inf
    for _ in range(50):
        places = smacof(distances, places, iterations=1)
        raw = ((between(places) - distances) ** 2).sum()
        assert raw <= last
        last = raw


def test_rows_that_coincide_are_no_trouble() -> None:
    rows = np.repeat(flat(5), 3, axis=0)
    assert np.isfinite(smacof(between(rows), np.zeros((15, 2)))).all()
    assert np.isfinite(smacof(between(rows), rows[:, :2])).all()


def test_a_new_row_of_the_plane_is_placed_where_its_distances_say() -> None:
    known, new = flat(60), flat(300)[60:] * 1.2
    drawn = known @ np.linalg.svd(known, full_matrices=False)[2][:2].T
    plane = np.linalg.lstsq(known, drawn, rcond=None)[0]
    found = Majorisation(known, drawn, plane).place(grid(new))
    np.testing.assert_allclose(found, new @ plane, atol=0.03)


def test_from_a_wrong_start_five_steps_come_most_of_the_way() -> None:
    known, new = flat(60), flat(300)[60:]
    drawn = known @ np.linalg.svd(known, full_matrices=False)[2][:2].T
    plane = np.linalg.lstsq(known, drawn, rcond=None)[0]
    found = Majorisation(known, drawn, 0.5 * plane).place(grid(new))
    right = new @ plane
    error = np.linalg.norm(found - right, axis=1)
    assert np.median(error) < 0.1 * np.median(np.linalg.norm(0.5 * right, axis=1))


def test_planar_distances_follow_those_between_healthy_rows() -> None:
    rows = machine(400, 1, width=12)
    assert len(rows) > DRAWN
    fitted = maps.fit(rows, "distance")
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    planar = pdist(fitted.coordinates)
    assert spearmanr(planar, pdist(scaled)).statistic > 0.65  # rows are on their way outward
    principal = scaled @ np.linalg.svd(scaled, full_matrices=False)[2][:2].T
    scale = (planar @ pdist(scaled)) / (planar @ planar)
    drawn = stress(squareform(pdist(scaled)), scale * fitted.coordinates.astype(float))
    assert drawn < stress(squareform(pdist(scaled)), principal)  # PCA only ever shortens
    assert drawn < 0.37
