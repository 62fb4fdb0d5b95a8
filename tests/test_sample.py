"""The sample machine: the same bytes each time, and a defect that can be found."""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simulator import sample
from simulator.__main__ import main
from simulator.errors import UsageError

Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    yield sample.write(tmp_path_factory.mktemp("sample"))


spectra = functools.cache(sample.spectra)


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def distance() -> Callable[[Floats], Floats]:
    """Whitened distance from half of the baseline, fixed shrinkage; 1 holds 99 % of the others."""
    baseline = spectra("healthy")[0]
    seen, unseen = baseline[::2], baseline[1::2]
    mean, spread = seen.mean(axis=0), seen.std(axis=0)
    scaled = (seen - mean) / spread
    covariance = 0.8 * (scaled.T @ scaled) / len(scaled) + 0.2 * np.eye(scaled.shape[1])
    factor = np.linalg.cholesky(np.linalg.inv(covariance))

    def measure(values: Floats) -> Floats:
        return np.asarray(np.linalg.norm((values - mean) / spread @ factor, axis=1))

    limit = np.quantile(measure(unseen), 0.99)
    return lambda values: np.asarray(measure(values) / limit)


def cells(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def test_the_files_are_the_same_each_time_and_left_alone(
    written: tuple[Path, Path], tmp_path: Path
) -> None:
    baseline, monitor = (Path(shutil.copy2(path, tmp_path)) for path in written)
    stamp = baseline.stat().st_mtime_ns
    monitor.write_text("of another condition")
    assert sample.write(tmp_path) == (baseline, monitor)
    assert baseline.stat().st_mtime_ns == stamp
    assert [sha(baseline), sha(monitor)] == [sha(path) for path in written]
    assert sorted(tmp_path.iterdir()) == [baseline, monitor]


def test_the_files_have_the_promised_shape(written: tuple[Path, Path]) -> None:
    metadata = ["timestamp", "machine", "load_pct", "speed_rpm", "bearing_temp_c"]
    bins = [f"freq_{n * 12.5:.2f}" for n in range(1024)]
    moments = []
    for path, rows in zip(written, (800, 1000), strict=True):
        header, *body = cells(path)
        assert header == metadata + bins
        assert len(body) == rows
        values = np.array([row[5:] for row in body], dtype=float)
        assert values.shape == (rows, 1024)
        assert np.isfinite(values).all()
        assert (values > 0).all()
        assert max(len(cell) for row in body for cell in row[5:]) <= 11
        assert path.stat().st_size < 9_000_000
        moments += [row[0] for row in body]
    assert moments == sorted(set(moments))
    assert moments[0] == "2026-03-02T06:00:00Z"


def test_load_and_speed_change_alike_in_both_files(written: tuple[Path, Path]) -> None:
    for path in written:
        load, speed = np.array([row[2:4] for row in cells(path)[1:]], dtype=float).T
        for low, high in ((40, 50), (65, 75), (90, 100)):
            assert 0.15 < np.mean((load > low) & (load < high)) < 0.55
        assert np.corrcoef(load, speed)[0, 1] < -0.99
        changes = np.abs(np.diff(load)) > 5
        assert changes.sum() > 20
    _, before, _, after = spectra("healthy")
    assert before.min() - 0.02 < after.min()
    assert after.max() < before.max() + 0.02


def test_the_bearing_is_healthy_first_and_clearly_failing_at_the_end() -> None:
    away = distance()(spectra("bearing")[2])
    assert np.mean(away[:375] > 1) < 0.04
    assert (away[-100:] > 1.5).all()
    quarters = [float(np.median(part)) for part in np.split(away[375:], 5)]
    assert quarters == sorted(quarters)


def test_the_defect_shows_where_a_bearing_defect_does() -> None:
    baseline, _, monitor, _ = spectra("bearing")
    grown = np.median(monitor[-50:], axis=0) / np.median(baseline, axis=0)
    hz = np.arange(1024) * 12.5
    ringing = (hz > 3000) & (hz < 3900)
    assert np.quantile(grown[ringing], 0.8) > 4
    assert np.median(grown[hz > 9000]) < 3
    rows = monitor[-50:][:, ringing]
    lines = rows - np.apply_along_axis(np.convolve, 1, rows, np.ones(15) / 15, "same")
    alike = [float(np.mean(lines[:, 8:-lag] * lines[:, 8 + lag :])) for lag in range(4, 12)]
    spacing = 3.585 * 24.65 / 12.5  # impacts a second at mean speed, in spectral lines
    assert 4 + int(np.argmax(alike)) == round(spacing)


def test_a_healthy_machine_never_leaves() -> None:
    away = distance()(spectra("healthy")[2])
    assert np.mean(away > 1) < 0.04
    assert not np.any(np.convolve(away > 1, np.ones(5), "valid") == 5)


def test_imbalance_grows_the_line_at_shaft_speed_alone() -> None:
    baseline, _, monitor, _ = spectra("imbalance")
    grown = np.median(monitor[-50:], axis=0) / np.median(baseline, axis=0)
    assert grown[2] > 5
    assert 0.9 < np.median(grown[100:]) < 1.1
    assert (distance()(monitor)[-100:] > 1.5).all()


def test_a_failing_sensor_drops_out_and_then_freezes() -> None:
    baseline, _, monitor, _ = spectra("sensor-fault")
    dropped = np.median(monitor, axis=1) < 0.2 * np.median(baseline)
    assert not dropped[:575].any()
    assert 50 < dropped.sum() < 150
    assert (monitor[880:] == monitor[880]).all()
    assert (distance()(monitor)[880:] > 1.5).all()


def test_every_condition_has_the_same_baseline() -> None:
    first, *others = [spectra(condition)[0] for condition in sample.CONDITIONS]
    assert all(np.array_equal(first, other) for other in others)


def test_an_unknown_condition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no condition haunted: there are healthy, bearing"):
        sample.write(tmp_path, "haunted")


def test_the_command_writes_both_files_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", "--condition", "imbalance", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    for name in ("Store D Line A - Baseline.csv", "Store D Line A - Monitor.csv"):
        assert (tmp_path / "out" / name).is_file()
        assert name in said


def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["sample", "--out", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err == f"cannot write to {tmp_path / 'file'}: File exists\n"
