"""The fitted map as a whole: what is far is drawn far, and nothing but the row decides where."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from dinsight import maps
from dinsight.errors import BaselineTooSmall, UnknownLayout
from dinsight.maps import umap_layout

ROOT = Path(__file__).parents[1]
ROWS, WIDTH = 90, 160


def machine(rows: int, seed: int, width: int = WIDTH) -> np.ndarray:
    """Healthy rows of a made-up machine, wider than its baseline is long."""
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


@pytest.fixture(scope="module")
def fitted() -> maps.Map:
    return maps.fit(BASELINE)


def places(found: maps.Placement) -> np.ndarray:
    return np.stack([found.x, found.y], axis=1)


def stored(found: maps.Placement) -> bytes:
    assert {found.x.dtype, found.y.dtype, found.score.dtype} == {np.dtype(np.float32)}
    return np.stack([found.x, found.y, found.score], axis=1).tobytes()


def pick(found: maps.Placement, rows: np.ndarray) -> maps.Placement:
    return maps.Placement(found.x[rows], found.y[rows], found.score[rows])


def from_cloud(fitted: maps.Map, found: maps.Placement) -> np.ndarray:
    """Mean planar distance to the ten nearest baseline points."""
    return np.asarray(cKDTree(fitted.coordinates).query(places(found), 10)[0].mean(axis=1))


def in_parts(fitted: maps.Map, rows: np.ndarray, size: int) -> bytes:
    return b"".join(stored(fitted.place(rows[i : i + size])) for i in range(0, len(rows), size))


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
found = maps.load(open(sys.argv[1], "rb").read()).place(np.load(sys.argv[2]))
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
    ],
)
def test_other_processes_threads_and_kernels_store_the_same_and_never_import_umap(
    fitted: maps.Map, tmp_path: Path, environment: dict[str, str]
) -> None:
    rows = monitor(400)
    (tmp_path / "map").write_bytes(fitted.to_bytes())
    np.save(tmp_path / "rows.npy", rows)
    done = subprocess.run(
        [sys.executable, "-c", PLACE_ELSEWHERE, tmp_path / "map", tmp_path / "rows.npy"],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert done.stdout == stored(fitted.place(rows))
    assert done.stderr.decode() == ""


FIT_ELSEWHERE = """
import sys, numpy as np
from dinsight import maps
print(maps.sha256(maps.fit(np.load(sys.argv[1])).to_bytes()))
"""


def test_two_fits_of_a_file_in_two_processes_are_the_same_map(
    fitted: maps.Map, tmp_path: Path
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
    assert done.stdout.strip() == maps.sha256(fitted.to_bytes())


def test_a_baseline_row_sent_back_lands_on_its_own_point(fitted: maps.Map) -> None:
    found = fitted.place(BASELINE)
    assert places(found).tobytes() == fitted.coordinates.tobytes()
    assert found.score.tobytes() == fitted.scores.tobytes()


def test_minus_zero_is_zero() -> None:
    rows = machine(12, 3, width=5)
    rows[4, 2] = 0.0
    small = maps.fit(rows)
    again = rows[[4]]
    again[0, 2] = -0.0
    assert places(small.place(again)).tobytes() == small.coordinates[[4]].tobytes()


def test_duplicate_rows_share_a_place(fitted: maps.Map) -> None:
    assert fitted.coordinates[50].tolist() == fitted.coordinates[20].tolist()
    assert len(np.unique(fitted.coordinates, axis=0)) == ROWS - 1


def test_a_row_close_to_a_baseline_row_is_placed_close_to_it(fitted: maps.Map) -> None:
    noise = np.random.default_rng(4).normal(0, 1e-4, BASELINE.shape).astype(np.float32)
    noise[:, 7] = 0
    moved = places(fitted.place(BASELINE + noise)) - fitted.coordinates
    assert np.abs(moved).max() < 0.01


def test_the_map_is_centred_and_its_median_distance_is_one(fitted: maps.Map) -> None:
    different = np.delete(fitted.coordinates, 50, axis=0)
    assert np.median(different, axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert np.median(np.hypot(*different.T)) == pytest.approx(1, abs=1e-6)


def test_stronger_rows_move_outward_in_order(fitted: maps.Map) -> None:
    found = [fitted.place(BASELINE * np.float32(factor)) for factor in (1, 1.5, 3, 50, 1e6)]
    assert all((a.score < b.score).all() for a, b in itertools.pairwise(found))
    away = [from_cloud(fitted, one) for one in found]
    assert all((a < b).all() for a, b in itertools.pairwise(away))
    assert away[-1].max() < 100  # on the paper


def test_beyond_the_limit_distance_from_the_cloud_follows_the_score_alone(
    fitted: maps.Map,
) -> None:
    rows = np.repeat(machine(300, 5), 4, axis=0)
    rows[:, 7] = 3.0
    push = np.tile([2.0, 4.0, 8.0, 16.0], 300)
    shift = np.random.default_rng(6).normal(size=(300, WIDTH)).repeat(4, axis=0)
    shift[:, 7] = 0
    rows += (push[:, None] * shift).astype(np.float32)
    found = fitted.place(rows)
    beyond = found.score > 1
    assert beyond.mean() > 0.9
    order = np.argsort(found.score[beyond])
    away = from_cloud(fitted, found)[beyond][order]
    expected = np.log(found.score[beyond][order].astype(float))
    assert np.corrcoef(away, expected)[0, 1] > 0.995
    assert np.ptp(away - 2 * expected) < 0.3


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
    before = fitted.place(rows)
    rows[:, 7] = 3.03  # 1 %
    after = fitted.place(rows)
    assert (after.score > before.score + 0.5).all()
    assert (after.score > 1).all()
    assert np.median(from_cloud(fitted, after)) > 2 * np.median(from_cloud(fitted, before))


def test_healthy_rows_stay_below_the_limit_and_a_fault_does_not(fitted: maps.Map) -> None:
    healthy = machine(400, 10)
    healthy[:, 7] = 3.0
    levels, _ = maps.judge(fitted.rule, maps.LevelState(), fitted.place(healthy).score)
    assert (levels == maps.Level.ALARM).mean() <= 0.01
    broken = healthy.copy()
    broken[:, 40:60] += 4
    levels, _ = maps.judge(fitted.rule, maps.LevelState(), fitted.place(broken).score)
    assert (levels[4:] == maps.Level.ALARM).all()


@pytest.mark.parametrize("value", [3.4e38, -3.4e38, 1e38, 1e-45, -0.0, 0.0])
def test_any_finite_row_has_a_finite_place(fitted: maps.Map, value: float) -> None:
    rows = np.full((3, WIDTH), value, dtype=np.float32)
    rows[1] = BASELINE[0]
    rows[1, 11] = value
    rows[2, ::2] *= -1
    found = fitted.place(rows)
    assert np.isfinite(places(found)).all()
    assert np.isfinite(found.score).all()
    assert (found.score > 0).all()


def test_extreme_baselines_can_be_fitted() -> None:
    rows = machine(30, 11, width=6)
    rows[:, 0] *= np.float32(1e37)
    rows[:, 1] *= np.float32(1e-38)
    found = maps.fit(rows).place(np.full((1, 6), 3e38, dtype=np.float32))
    assert np.isfinite([found.x, found.y, found.score]).all()


def test_a_map_comes_back_from_its_bytes(fitted: maps.Map) -> None:
    payload = fitted.to_bytes()
    again = maps.load(payload)
    rows = monitor(50)
    assert again.to_bytes() == payload
    assert stored(again.place(rows)) == stored(fitted.place(rows))
    assert (again.layout, again.rule, again.features) == ("umap", fitted.rule, fitted.features)
    assert again.coordinates.tobytes() == fitted.coordinates.tobytes()
    assert again.scores.dtype == np.float32


def test_an_archive_with_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", format=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        maps.load((tmp_path / "evil.npz").read_bytes())


def test_an_empty_batch_has_no_places(fitted: maps.Map) -> None:
    assert fitted.place(np.empty((0, WIDTH), dtype=np.float32)).score.shape == (0,)


def test_another_number_of_columns_is_refused(fitted: maps.Map) -> None:
    with pytest.raises(ValueError, match="160 features"):
        fitted.place(np.zeros((2, WIDTH - 1), dtype=np.float32))


@pytest.mark.parametrize(("rows", "width"), [(5, 8), (5, 1), (9, 3), (60, 1), (200, 2), (16, 300)])
def test_small_baselines_work(rows: int, width: int) -> None:
    values = machine(rows, 12, width=width)
    small = maps.fit(values)
    assert np.isfinite(small.coordinates).all()
    assert np.isfinite(small.scores).all()
    assert places(small.place(values)).tobytes() == small.coordinates.tobytes()
    assert (small.place(values + np.float32(1e4)).score > 5).all()


@pytest.mark.parametrize("rows", [np.ones((1, 4)), machine(4, 1, width=4), np.ones((500, 4))])
def test_too_few_different_rows_are_refused_with_what_is_needed(rows: np.ndarray) -> None:
    with pytest.raises(BaselineTooSmall, match="at least 5 different rows"):
        maps.fit(rows.astype(np.float32))


def test_a_layout_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownLayout, match="choose one of umap"):
        maps.fit(BASELINE, layout="globe")


def test_progress_is_told_and_ends_at_a_hundred() -> None:
    told: list[tuple[int, str]] = []
    maps.fit(
        machine(20, 1, width=4), progress=lambda percent, message: told.append((percent, message))
    )
    percents = [percent for percent, _ in told]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert all(message for _, message in told)


@pytest.fixture
def few_landmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(umap_layout, "MOST_LANDMARKS", 40)
    yield


@pytest.mark.usefixtures("few_landmarks")
def test_a_long_baseline_is_drawn_by_landmarks_and_placed_between_them() -> None:
    rows = machine(300, 13, width=20)
    long = maps.fit(rows)
    assert places(long.place(rows)).tobytes() == long.coordinates.tobytes()
    assert len(np.unique(long.coordinates, axis=0)) == 300
    loaded = maps.load(long.to_bytes())
    assert stored(loaded.place(rows)) == stored(long.place(rows))
