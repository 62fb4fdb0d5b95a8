"""How points travel to a page: the one message that a poll answers and that a push sends."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from typing import Any

import numpy as np

from dinsight.density import Grid
from dinsight.feed import Delta

MOVING = ("streamed_points", "last_update", "rate", "score", "age")  # with every batch
DERIVED = ("last_seq", "progress_percentage")  # by the page, of others


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
    }


def pack_since(delta: Delta, now: dt.datetime, known: str) -> dict[str, Any]:
    """The same with no more of the status than what a page does not know.

    What seldom changes has a tag, which the page sends with its next question: while it is the
    same, only `MOVING` goes out, with numbers as long as a page shows them.
    """
    packed = pack(delta, now)
    status = packed["status"]
    moving = {name: _short(status[name]) for name in MOVING}
    slow = {name: value for name, value in status.items() if name not in {*MOVING, *DERIVED}}
    tag = hashlib.blake2s(repr(slow).encode(), digest_size=6).hexdigest()
    packed["status"] = moving if tag == known else slow | moving | {"tag": tag}
    return packed


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def pack_status(status: dict[str, Any], now: dt.datetime) -> dict[str, Any]:
    last = status["last_update"]
    return status | {
        "last_update": None if last is None else moment(last),
        "age": None if last is None else max(0.0, (now - last).total_seconds()),
    }


def floats(values: np.ndarray) -> str:
    return text(np.ascontiguousarray(values, "<f4").tobytes())


def pack_points(points: np.ndarray) -> dict[str, Any]:
    """Points (n, 5) with gaps in their seq: seq, x, y, score, level."""
    level = points[:, 4].astype(np.uint8)
    return {
        "seq": points[:, 0].astype(int).tolist(),
        **{name: floats(points[:, at]) for at, name in enumerate(("x", "y", "score"), 1)},
        "level": text(level.tobytes()),
    }


def pack_grid(grid: Grid) -> dict[str, Any]:
    """A grid of shares from 0 to 1; z in steps of 1/255, row by row: enough for contours."""
    z = np.rint(grid.z * 255).astype(np.uint8)
    return {"x": grid.x.tolist(), "y": grid.y.tolist(), "z": text(z.tobytes())}


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def moment(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
