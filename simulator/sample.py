"""The sample machine: vibration spectra of a motor and gearbox on rolling bearings.

Every row is the amplitude spectrum (mg, Hann window, four averages) that a vibration monitor
would report once a minute: 1,024 lines, 12.5 Hz apart. It is simulated where it is cheap and
still true, in the frequency domain: tones through the Hann window's kernel, noise as complex
Gaussian lines shaped by the structure's resonances, bearing impacts as a jittered train of
impulses that rings one resonance. Formulas: Randall & Antoni, "Rolling element bearing
diagnostics - A tutorial", Mechanical Systems and Signal Processing 25 (2011), 485-520.

Load, and with it speed, changes all the time, alike in both files: that is normal operation.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulator.errors import SimulatorError, UsageError

Floats = NDArray[np.float64]
Spectra = NDArray[np.complex128]

CONDITIONS = {
    "healthy": "nothing: the machine stays as it is in the baseline",
    "bearing": "the outer race of a bearing begins to spall, slowly, until it fails",
    "imbalance": "the rotor loses its balance: the line at shaft speed grows",
    "sensor-fault": "the sensor fails, not the machine: hum, drop-outs, then a frozen value",
}
BASELINE_ROWS, MONITOR_ROWS = 800, 1000
ONSET = 0.375  # share of the monitor file that is healthy
LINES, STEP_HZ = 1024, 12.5
_MACHINE = "Store D Line A"
_START = datetime(2026, 3, 2, 6, tzinfo=UTC)
_SEED = 20260302
_AVERAGES = 4
_CHUNK = 100
_BPFO = 3.585  # outer-race impacts a revolution (6205: 9 balls, 7.94 mm on 39.04 mm, contact 0)
_GEAR_TEETH, _MAINS_HZ = 31, 50.0
_HZ: Floats = np.arange(LINES, dtype=np.float64) * STEP_HZ
FEATURES = tuple(f"freq_{hz:.2f}" for hz in _HZ)
# (Hz, damping ratio, gain) of the structure; the third rings when a rolling element hits.
_MODES = ((1130.0, 0.05, 1.6), (7850.0, 0.04, 0.8), (3420.0, 0.035, 1.0))


@dataclass(frozen=True)
class _Rows:
    """A run of rows: time of day, operating point and severities; arrays of one value a row."""

    minutes: NDArray[np.int64]
    load: Floats
    defect: Floats
    imbalance: Floats
    hum: Floats

    @property
    def speed(self) -> Floats:
        """Shaft speed in Hz: an induction motor slips by 2 % at full load."""
        return 25.0 * (1.0 - 0.02 * self.load)

    def part(self, rows: slice) -> _Rows:
        """Some of the rows."""
        return _Rows(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def _loads(rows: int, random: np.random.Generator) -> Floats:
    """Load (1 = full): plateaus of 15 to 45 minutes that the machine glides between."""
    wanted: Floats = np.concatenate(
        [
            np.full(random.integers(15, 46), random.choice([0.45, 0.7, 0.95]))
            for _ in range(rows // 15 + 1)
        ]
    )[:rows]
    load = np.empty(rows)
    now = wanted[0]
    for row in range(rows):
        now += 0.45 * (wanted[row] - now)
        load[row] = now
    return load + random.normal(0.0, 0.012, rows)


def _history(rows: int, first_minute: int, condition: str, seed: int) -> _Rows:
    """Operating points and severities of one file."""
    random = np.random.default_rng([_SEED, seed])
    load = _loads(rows, random)
    growth = np.clip((np.arange(rows) / rows - ONSET) / (1.0 - ONSET), 0.0, 1.0)
    unsteady = np.exp(random.normal(0.0, 0.1, rows))
    zero = np.zeros(rows)
    return _Rows(
        minutes=first_minute + np.arange(rows, dtype=np.int64),
        load=load,
        defect=growth**1.7 * unsteady if condition == "bearing" else zero,
        imbalance=growth**1.3 * unsteady if condition == "imbalance" else zero,
        hum=growth * unsteady if condition == "sensor-fault" else zero,
    )


def _ringing(hz: float, damping: float) -> Spectra:
    """Response of one mode, 1 at its resonance: single degree of freedom, acceleration."""
    ratio = _HZ / hz
    return np.asarray(2.0 * damping * ratio**2 / (1.0 - ratio**2 + 2j * damping * ratio))


def _add_tone(spectra: Spectra, hz: Floats, amplitude: Floats, random: np.random.Generator) -> None:
    """Add a tone to (rows, averages, lines): its main lobe and the first side lobes."""
    rows, averages, _ = spectra.shape
    nearest = np.rint(hz / STEP_HZ).astype(np.int64)
    lines = nearest[:, None] + np.arange(-4, 5)
    off = lines - hz[:, None] / STEP_HZ
    # The Hann window's kernel sinc(d) / (1 - d²), with its limit 1/2 where d = ±1.
    edge = np.abs(np.abs(off) - 1.0) < 1e-9
    kernel = np.where(edge, 0.5, np.sinc(off) / np.where(edge, 1.0, 1.0 - off**2))
    phase = random.uniform(0.0, 2.0 * np.pi, (rows, averages, 1))
    inside = (lines >= 0) & (lines < LINES)
    values = (amplitude[:, None] * kernel * inside)[:, None, :] * np.exp(
        1j * (phase - np.pi * off[:, None, :])
    )
    where = np.clip(lines, 0, LINES - 1)[:, None, :]
    np.add.at(
        spectra, (np.arange(rows)[:, None, None], np.arange(averages)[None, :, None], where), values
    )


def _tones(rows: _Rows) -> Iterator[tuple[Floats, Floats]]:
    """(Hz, mg) of everything that turns: shaft, gear mesh with sidebands, mains, bearing."""
    shaft, load, full = rows.speed, rows.load, np.ones_like(rows.load)
    for order, level in ((1, 42.0), (2, 17.0), (3, 9.0), (4, 5.0), (5, 3.0), (6, 2.0)):
        grown = 1.0 + (9.0 if order == 1 else 1.5 if order == 2 else 0.0) * rows.imbalance
        yield order * shaft, level * (0.85 + 0.2 * load) * grown
    for mesh, level in ((1, 30.0), (2, 14.0), (3, 8.0)):
        for side, share in ((0, 1.0), (-1, 0.22), (1, 0.25), (-2, 0.06), (2, 0.07)):
            yield (mesh * _GEAR_TEETH + side) * shaft, level * share * (0.3 + 0.9 * load)
    for order, level, hum in ((1, 1.2, 60.0), (2, 7.0, 30.0), (3, 0.4, 22.0), (5, 0.3, 15.0)):
        yield order * _MAINS_HZ * full, level + hum * rows.hum
    for order, level in ((1, 11.0), (2, 8.0), (3, 6.0), (4, 3.5)):
        yield order * _BPFO * shaft, level * rows.defect


def _impacts(rows: _Rows, random: np.random.Generator) -> Spectra:
    """Spectra of the outer-race impacts: impulses 0.3 % off their time, ringing one mode.

    Each impact is as strong as the load presses; the regular ones make lines BPFO apart under the
    resonance, the jitter smears them.
    """
    count, samples = len(rows.load), 2 * LINES
    period = 2.0 * LINES * STEP_HZ / (_BPFO * rows.speed)  # samples between two impacts
    most = int(samples / period.min()) + 2
    shape = (count, _AVERAGES, most)
    start = random.uniform(0.0, 1.0, (count, _AVERAGES, 1))
    slip = np.cumsum(random.normal(0.0, 0.003, shape), axis=2)
    place = ((np.arange(most) + start + slip) * period[:, None, None]).astype(np.int64)
    strength = random.normal(1.0, 0.15, shape) * (0.5 + 0.6 * rows.load)[:, None, None]
    strength = np.where((place >= 0) & (place < samples), strength, 0.0)
    train = np.zeros((count, _AVERAGES, samples))
    row, average = np.arange(count)[:, None, None], np.arange(_AVERAGES)[None, :, None]
    np.add.at(train, (row, average, np.clip(place, 0, samples - 1)), strength)
    window = np.hanning(samples + 1)[:-1]
    lines = np.fft.rfft(train * window, axis=2)[:, :, :LINES]
    return lines * _ringing(*_MODES[2][:2]) * (24.0 * rows.defect)[:, None, None]


def _noise(rows: _Rows, random: np.random.Generator) -> Spectra:
    """Broadband noise through the structure, and the sensor's own floor; the Hann window mixes
    neighbouring lines."""
    colour: Floats = 2.2 / (1.0 + _HZ / 900.0) + 0.35
    for hz, damping, gain in _MODES:
        colour = colour + 4.0 * gain * np.abs(_ringing(hz, damping))
    level = 0.55 + 0.5 * rows.load + 0.6 * rows.defect
    spread = level[:, None, None] * colour + 0.12
    pairs = random.standard_normal((len(rows.load), _AVERAGES, 2 * (LINES + 2)))
    white = pairs.view(np.complex128)
    mixed = white[:, :, 1:-1] - 0.5 * (white[:, :, :-2] + white[:, :, 2:])
    return np.asarray(0.6 * mixed * spread)


def _spectra(rows: _Rows, seed: int) -> Floats:
    """Amplitude spectra in mg, (rows, lines)."""
    parts = []
    for number, first in enumerate(range(0, len(rows.load), _CHUNK)):
        random = np.random.default_rng([_SEED, seed, number])
        part = rows.part(slice(first, first + _CHUNK))
        spectra = _noise(part, random)
        for hz, amplitude in _tones(part):
            scatter = np.exp(random.normal(0.0, 0.04, len(hz)))
            _add_tone(spectra, hz, amplitude * scatter, random)
        if part.defect.any():
            spectra += _impacts(part, random)
        gain = random.normal(1.0, 0.006, (len(part.load), 1))
        power = np.mean(spectra.real**2 + spectra.imag**2, axis=1)
        parts.append(gain * np.sqrt(power))
    return np.concatenate(parts)


def _break_sensor(spectra: Floats, random: np.random.Generator) -> None:
    """The cable lets go now and then (only the sensor's floor is left), then the value freezes."""
    rows = len(spectra)
    loose = np.arange(rows) / rows > ONSET + 0.2
    dropped = loose & (random.random(rows) < 0.3)
    floor = 0.12 * np.abs(random.normal(1.0, 0.2, (int(dropped.sum()), LINES)))
    spectra[dropped] = floor
    frozen = int(rows * 0.88)
    spectra[frozen:] = spectra[frozen - 1] * 1.6 + 2.0


def spectra(condition: str) -> tuple[Floats, Floats, Floats, Floats]:
    """(baseline mg, baseline load, monitor mg, monitor load) as numbers, for tests and notebooks.

    Shapes (800, 1024), (800,), (1000, 1024), (1000,).
    """
    baseline, monitor = _both(condition)
    return baseline[1], baseline[0].load, monitor[1], monitor[0].load


def _both(condition: str) -> tuple[tuple[_Rows, Floats], tuple[_Rows, Floats]]:
    if condition not in CONDITIONS:
        raise UsageError(f"no condition {condition}: there are {', '.join(CONDITIONS)}")
    healthy = _history(BASELINE_ROWS, 0, "healthy", 1)
    after = _history(MONITOR_ROWS, BASELINE_ROWS, condition, 2)
    baseline, monitor = _spectra(healthy, 1), _spectra(after, 2)
    if condition == "sensor-fault":
        _break_sensor(monitor, np.random.default_rng([_SEED, 3]))
    return (healthy, baseline), (after, monitor)


def _csv(rows: _Rows, values: Floats) -> bytes:
    """The file's bytes: five metadata columns, then the spectrum, six significant digits."""
    random = np.random.default_rng([_SEED, 4])
    warm = 41.0 + 14.0 * rows.load + 9.0 * rows.defect + random.normal(0.0, 0.4, len(rows.load))
    names = ["timestamp", "machine", "load_pct", "speed_rpm", "bearing_temp_c"]
    lines = [",".join([*names, *FEATURES])]
    pattern = ",".join(["%.6g"] * LINES)
    for minute, load, speed, celsius, row in zip(
        rows.minutes, rows.load, rows.speed, warm, values, strict=True
    ):
        time = f"{_START + timedelta(minutes=int(minute)):%Y-%m-%dT%H:%M:%SZ}"
        about = f"{time},{_MACHINE},{load * 100:.1f},{speed * 60:.1f},{celsius:.1f}"
        lines.append(f"{about},{pattern % tuple(row.tolist())}")
    return "\n".join([*lines, ""]).encode()


def write(folder: Path, condition: str = "bearing") -> tuple[Path, Path]:
    """Write the baseline and the monitor file into `folder`; gives their paths.

    The same condition gives the same bytes each time; a file that has them is left alone. Raises
    UsageError for an unknown condition, SimulatorError where the folder cannot be written.
    """
    places = folder / f"{_MACHINE} - Baseline.csv", folder / f"{_MACHINE} - Monitor.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place, content in zip(places, _both(condition), strict=True):
            _write_whole(place, _csv(*content))
    except OSError as error:
        raise SimulatorError(f"cannot write to {folder}: {error.strerror}") from error
    return places


def _write_whole(place: Path, content: bytes) -> None:
    """The file appears whole or not at all."""
    if place.is_file() and place.read_bytes() == content:
        return
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".sample-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)  # mkstemp gives 0600; the sample is for everybody
        os.replace(name, place)
    except BaseException:
        os.unlink(name)
        raise
