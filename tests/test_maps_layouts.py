"""What every layout keeps to: far rows are drawn far, and nothing but the row decides where."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from dinsight import maps
from dinsight.maps import umap_layout
from dinsight.maps.identity import Identity
from tests.machines import (
    BASELINE,
    ROWS,
    WIDTH,
    from_centre,
    from_cloud,
    machine,
    monitor,
    places,
    stored,
)

ROOT = Path(__file__).parents[1]
DRAWN = ("umap", "distance")  # by similarity, and pushed out by their score


@pytest.fixture(scope="module")
def every() -> dict[str, maps.Map]:
    return {layout: maps.fit(BASELINE, layout) for layout in maps.LAYOUTS}


@pytest.fixture(params=maps.LAYOUTS)
def fitted(request: pytest.FixtureRequest, every: dict[str, maps.Map]) -> maps.Map:
    return every[request.param]


@pytest.fixture(params=DRAWN)
def drawn(request: pytest.FixtureRequest, every: dict[str, maps.Map]) -> maps.Map:
    return every[request.param]


def pick(found: maps.Placement, rows: np.ndarray) -> maps.Placement:
    return maps.Placement(found.x[rows], found.y[rows], found.score[rows])


def in_parts(fitted: maps.Map, rows: np.ndarray, size: int) -> bytes:
    return b"".join(stored(fitted.place(rows[i : i + size])) for i in range(0, len(rows), size))


def test_the_layouts_are_those_of_the_design() -> None:
    assert maps.LAYOUTS == ("umap", "distance", "mspc")


@pytest.mark.parametrize("size", [1, 2, 7, 255, 256, 257, 1_000])
def test_a_row_alone_and_in_any_batch_is_stored_identically(fitted: maps.Map, size: int) -> None:
    rows = monitor(600)
    assert in_parts(fitted, rows, size) == stored(fitted.place(rows))


def test_the_order_of_a_batch_does_not_matter(fitted: maps.Map) -> None:
    rows = monitor(500)
    order = np.random.default_rng(0).permutation(500)
    assert stored(fitted.place(rows[order])) == stored(pick(fitted.place(rows), order))


PLACE_ELSEWHERE = """
import sys, numpy as np
from dinsight import maps
rows = np.load(sys.argv[1])
for path in sys.argv[2:]:
    found = maps.load(open(path, "rb").read()).place(rows)
    sys.stdout.buffer.write(np.stack([found.x, found.y, found.score], axis=1).tobytes())
loaded = sorted({"umap", "numba", "sklearn", "scipy"} & set(sys.modules))
sys.stderr.write(",".join(loaded))
"""


@pytest.mark.parametrize(
    "environment",
    [
        {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
        {"OPENBLAS_CORETYPE": "Prescott"},  # kernels of an older processor
        {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"},  # numpy's own loops, as an older one has them
    ],
)
def test_other_processes_threads_and_kernels_store_the_same_and_never_import_umap(
    every: dict[str, maps.Map], tmp_path: Path, environment: dict[str, str]
) -> None:
    rows = monitor(400)
    np.save(tmp_path / "rows.npy", rows)
    for layout, fitted in every.items():
        (tmp_path / layout).write_bytes(fitted.to_bytes())
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PLACE_ELSEWHERE, "rows.npy", *every],
        env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"".join(stored(fitted.place(rows)) for fitted in every.values())
    assert done.stderr.decode() == ""


FIT_ELSEWHERE = """
import sys, numpy as np
from dinsight import maps
for layout in maps.LAYOUTS:
    print(maps.sha256(maps.fit(np.load(sys.argv[1]), layout).to_bytes()))
"""


def test_two_fits_of_a_file_in_two_processes_are_the_same_map(
    every: dict[str, maps.Map], tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", BASELINE)
    done = subprocess.run(
        [sys.executable, "-c", FIT_ELSEWHERE, tmp_path / "rows.npy"],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.split() == [maps.sha256(fitted.to_bytes()) for fitted in every.values()]


def test_a_map_comes_back_from_its_bytes(fitted: maps.Map) -> None:
    payload = fitted.to_bytes()
    again = maps.load(payload)
    rows = monitor(50)
    assert again.to_bytes() == payload
    assert stored(again.place(rows)) == stored(fitted.place(rows))
    assert (again.layout, again.rule, again.features) == (
        fitted.layout,
        fitted.rule,
        fitted.features,
    )
    assert again.plane.guides() == fitted.plane.guides()
    assert again.coordinates.tobytes() == fitted.coordinates.tobytes()
    assert again.scores.dtype == np.float32


def test_a_baseline_row_sent_back_lands_on_its_own_point(fitted: maps.Map) -> None:
    found = fitted.place(BASELINE)
    assert places(found).tobytes() == fitted.coordinates.tobytes()
    assert found.score.tobytes() == fitted.scores.tobytes()


@pytest.mark.parametrize("layout", ["distance", "mspc"])
def test_a_baseline_row_is_placed_as_if_it_were_new(layout: str) -> None:
    """Also where the frontier does not settle, as some of the baseline are over their limit."""
    rows = machine(200, 1, width=6)
    rows[::100] += 8 * (np.arange(6) == 2)
    fitted = maps.fit(rows, layout)
    assert (fitted.scores > 1).mean() >= 0.01
    stranger = replace(fitted, identity=Identity({}, fitted.identity.of_row))
    assert stored(stranger.place(rows)) == stored(fitted.place(rows))


def test_duplicate_rows_share_a_place(fitted: maps.Map) -> None:
    assert fitted.coordinates[50].tolist() == fitted.coordinates[20].tolist()
    assert len(np.unique(fitted.coordinates, axis=0)) == ROWS - 1


def test_a_row_close_to_a_baseline_row_is_placed_close_to_it(fitted: maps.Map) -> None:
    noise = np.random.default_rng(4).normal(0, 1e-4, BASELINE.shape).astype(np.float32)
    noise[:, 7] = 0
    moved = np.abs(places(fitted.place(BASELINE + noise)) - fitted.coordinates).max(axis=1)
    assert moved.max() < 0.01


def test_noise_moves_no_row_across_the_map(fitted: maps.Map) -> None:
    """Healthy rows, rows about the limit and rows far beyond it, on every side of the cloud.

    Rows of a baseline with fewer rows than columns are known so well that noise looks like more.
    """
    spread = BASELINE.std(axis=0)
    width = 2 * np.quantile(np.hypot(*fitted.coordinates.T), 0.99)
    random = np.random.default_rng(11)
    far = random.normal(3, 9 * spread, (600, WIDTH)).astype(np.float32)
    for rows, most in ((monitor(600), 0.3), (far, 0.3), (BASELINE, 0.55)):
        before = places(fitted.place(rows))
        for _ in range(5):
            noisy = rows + 0.1 * spread * random.standard_normal(rows.shape)
            moves = places(fitted.place(noisy.astype(np.float32))) - before
            assert np.hypot(*moves.T).max() < most * width


def test_a_drawn_map_is_centred_and_its_median_distance_is_one(drawn: maps.Map) -> None:
    different = np.delete(drawn.coordinates, 50, axis=0)
    assert np.median(different, axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert np.median(np.hypot(*different.T)) == pytest.approx(1, abs=1e-6)


def test_stronger_rows_move_outward_in_order(fitted: maps.Map) -> None:
    found = [fitted.place(BASELINE * np.float32(factor)) for factor in (1, 1.5, 3, 50, 1e6)]
    assert all((a.score < b.score).all() for a, b in itertools.pairwise(found))
    for measure in (from_cloud, from_centre):
        away = [measure(fitted, one) for one in found]
        assert all((a < b).all() for a, b in itertools.pairwise(away))
        assert away[-1].max() < 100  # on the paper


def test_beyond_the_limit_distance_from_the_cloud_follows_the_score(drawn: maps.Map) -> None:
    rows = np.repeat(machine(300, 5), 4, axis=0)
    push = np.tile([2.0, 4.0, 8.0, 16.0], 300)
    shift = np.random.default_rng(6).normal(size=(300, WIDTH)).repeat(4, axis=0)
    rows += (push[:, None] * shift).astype(np.float32)
    rows[:, 7] = 3.0
    found = drawn.place(rows)
    beyond = found.score > 1
    assert beyond.mean() > 0.9
    away, score = from_cloud(drawn, found)[beyond], found.score[beyond]
    assert spearmanr(away, score).statistic > 0.95


def test_a_row_beyond_the_limit_is_outside_the_circle_of_the_baseline(drawn: maps.Map) -> None:
    found = drawn.place(monitor(600))
    edge = np.quantile(np.hypot(*drawn.coordinates.T), 0.99)
    beyond = found.score > 1
    assert 100 < beyond.sum() < 500
    assert (from_centre(drawn, found)[beyond] > edge).all()


def test_there_is_no_jump_on_the_way_out(fitted: maps.Map) -> None:
    """Across the calm scores, the blend, the limit and far beyond: small steps, small moves."""
    direction = np.zeros(WIDTH, dtype=np.float32)
    direction[30:60] = 1
    start = machine(20, 8)
    start[:, 7] = 3.0
    steps = np.linspace(0, 12, 6_001, dtype=np.float32)[:, None]
    for row in start:
        found = fitted.place(row + steps * direction)
        assert found.score[0] < 1 < found.score[-1]
        assert np.abs(np.diff(places(found), axis=0)).max() < 0.05


def test_a_constant_sensor_that_starts_to_move_is_seen(fitted: maps.Map) -> None:
    rows = machine(40, 9)
    rows[:, 7] = 3.0
    before = from_cloud(fitted, fitted.place(rows))
    rows[:, 7] = 3.03  # 1 %
    after = fitted.place(rows)
    assert (after.score > 1).all()
    assert np.median(from_cloud(fitted, after)) > 2 * np.median(before)


@pytest.mark.parametrize("value", [3.4e38, -3.4e38, 1e38, 1e-45, -0.0, 0.0])
def test_any_finite_row_has_a_finite_place(fitted: maps.Map, value: float) -> None:
    rows = np.full((3, WIDTH), value, dtype=np.float32)
    rows[1] = BASELINE[0]
    rows[1, 11] = value
    rows[2, ::2] *= -1
    found = fitted.place(rows)
    assert np.abs(places(found)).max() < 400
    assert np.isfinite(found.score).all()
    assert (found.score > 0).all()


def test_the_further_off_a_row_the_further_out_it_is_drawn_however_far(fitted: maps.Map) -> None:
    sizes = np.array([1e2, 1e8, 1e17, 1e18, 1e30, 3e38], dtype=np.float32)
    found = fitted.place(np.repeat(sizes[:, None], WIDTH, axis=1))
    assert (np.diff(from_centre(fitted, found)) > 0).all()
    assert (np.diff(from_cloud(fitted, found)) > 0).all()


@pytest.mark.parametrize("layout", maps.LAYOUTS)
def test_extreme_baselines_can_be_fitted(layout: str) -> None:
    rows = machine(30, 11, width=6)
    rows[:, 0] *= np.float32(1e37)
    rows[:, 1] *= np.float32(1e-38)
    found = maps.fit(rows, layout).place(np.full((1, 6), 3e38, dtype=np.float32))
    assert np.isfinite([found.x, found.y, found.score]).all()


@pytest.mark.parametrize("layout", maps.LAYOUTS)
@pytest.mark.parametrize(
    ("rows", "width"),
    [(5, 8), (5, 1), (9, 3), (60, 1), (200, 2), (200, 12), (16, 300), (60, 2_000)],
)
def test_small_and_wide_baselines_work(layout: str, rows: int, width: int) -> None:
    values = machine(rows, 12, width=width)
    values[:, width // 2] = 3.0 if width > 2 else values[:, width // 2]  # a constant column
    small = maps.fit(values, layout)
    own = small.place(values)
    assert np.isfinite(small.coordinates).all()
    assert np.isfinite(small.scores).all()
    assert places(own).tobytes() == small.coordinates.tobytes()
    far = small.place(values + np.float32(1e4))
    assert (far.score > 5).all()
    assert from_cloud(small, far).min() > from_cloud(small, own).max()
    near = machine(30, 13, width=width)
    assert in_parts(small, near, 1) == stored(small.place(near))


@pytest.fixture
def few_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(umap_layout, "MOST_LANDMARKS", 40)


@pytest.mark.usefixtures("few_landmarks")
@pytest.mark.parametrize("layout", DRAWN)
def test_a_long_baseline_is_drawn_by_landmarks_and_placed_between_them(layout: str) -> None:
    rows = machine(500, 13, width=20)
    long = maps.fit(rows, layout)
    assert places(long.place(rows)).tobytes() == long.coordinates.tobytes()
    assert len(np.unique(long.coordinates, axis=0)) == 500
    loaded = maps.load(long.to_bytes())
    assert stored(loaded.place(rows)) == stored(long.place(rows))
