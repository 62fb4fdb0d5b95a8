"""How points travel to a page: the one message that a poll answers and that a push sends."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import numpy as np

from dinsight.density import Grid
from dinsight.feed import Delta


def pack(delta: Delta, now: dt.datetime) -> dict[str, Any]:
    """The delta as JSON can carry it.

    `first` is the seq of the first point; x, y and score are base64 of little-endian float32,
    level of uint8. `status.age` is the seconds since the last point by the server's clock, so that
    a page whose clock is wrong shows the right age.
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
    } | pack_flags(delta.inside)


def pack_flags(inside: np.ndarray | None) -> dict[str, Any]:
    """Base64 of a bit a point, the first the highest of the first byte; nothing without areas."""
    return {} if inside is None else {"inside": text(np.packbits(inside).tobytes())}


def pack_status(status: dict[str, Any], now: dt.datetime) -> dict[str, Any]:
    last = status["last_update"]
    return status | {
        "last_update": None if last is None else _rfc3339(last),
        "age": None if last is None else max(0.0, (now - last).total_seconds()),
    }


def floats(values: np.ndarray) -> str:
    return text(np.ascontiguousarray(values, "<f4").tobytes())


def pack_grid(grid: Grid) -> dict[str, Any]:
    """A grid of shares from 0 to 1; z in steps of 1/255, row by row: enough for contours."""
    z = np.rint(grid.z * 255).astype(np.uint8)
    return {"x": grid.x.tolist(), "y": grid.y.tolist(), "z": text(z.tobytes())}


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _rfc3339(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
