"""Small, real input: a baseline of a made-up machine, and batches of its readings as CSV."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

PASSWORD = "correct horse battery"
ROWS, WIDTH = 120, 12
FEATURES = tuple(f"f_{number}" for number in range(WIDTH))


def healthy(rows: int, seed: int = 7) -> np.ndarray:
    """Rows of a healthy machine: a few hidden causes and noise, float32 (rows, WIDTH)."""
    mixing = np.random.default_rng(1).normal(size=(3, WIDTH))
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(rows, 3))
    return (5 + hidden @ mixing + 0.1 * random.normal(size=(rows, WIDTH))).astype(np.float32)


def failing(rows: int, seed: int = 8) -> np.ndarray:
    """Rows of the same machine with a fault that shows in two features."""
    values = healthy(rows, seed)
    values[:, [2, 9]] += 8
    return values


def csv(
    values: np.ndarray, features: Sequence[str] = FEATURES, metadata: Sequence[str] | None = None
) -> bytes:
    """The rows as a CSV file, with a column `note` for the metadata if it is given."""
    out = io.StringIO()
    out.write(",".join(["note"] * (metadata is not None) + list(features)) + "\n")
    for number, row in enumerate(values):
        cells = [f'"{metadata[number]}"'] if metadata is not None else []
        out.write(",".join(cells + [repr(float(value)) for value in row]) + "\n")
    return out.getvalue().encode()


BASELINE = healthy(ROWS)
