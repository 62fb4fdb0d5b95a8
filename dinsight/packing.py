"""How points travel to a page: the one message that a poll answers and that a push sends."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import numpy as np

from dinsight.density import Grid
from dinsight.feed import Delta
from dinsight.version import version


def pack(delta: Delta, now: dt.datetime) -> dict[str, Any]:
    """The delta as JSON can carry it.

    `first` is the seq of the first point; x, y and score are base64 of little-endian float32,
    level of uint8. `status.age` is the seconds since the last point by the server's clock, so that
    a page whose clock is wrong shows the right age; `status.version` is the program that answers.
    """
    return {
        "epoch": delta.epoch,
        "first": delta.first,
        "n": len(delta.x),
        "x": floats(delta.x),
        "y": floats(delta.y),
        "score": floats(delta.score),
        "level": text(delta.level.astype(np.uint8).tobytes()),
        "reset": delta.reset,
        "status": pack_status(delta.status, now),
    }


def pack_status(status: dict[str, Any], now: dt.datetime) -> dict[str, Any]:
    last = status["last_update"]
    return pack_times(status) | {
        "age": None if last is None else max(0.0, (now - last).total_seconds()),
        "version": version(),
    }


def pack_times(status: dict[str, Any]) -> dict[str, Any]:
    """The status with its times as JSON can carry them."""
    times = {name: status[name] for name in ("last_update", "level_since")}
    return status | {name: at and rfc3339(at) for name, at in times.items()}


def floats(values: np.ndarray) -> str:
    return text(np.ascontiguousarray(values, "<f4").tobytes())


def pack_grid(grid: Grid) -> dict[str, Any]:
    """A grid of shares from 0 to 1; z in steps of 1/255, row by row: enough for contours."""
    z = np.rint(grid.z * 255).astype(np.uint8)
    return {"x": grid.x.tolist(), "y": grid.y.tolist(), "z": text(z.tobytes())}


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def rfc3339(moment: dt.datetime) -> str:
    """The moment in UTC, to the millisecond."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
