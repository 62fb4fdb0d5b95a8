"""How points travel to a page: the one message that a poll answers and that a push sends."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from typing import Any

import numpy as np

from dinsight.density import Grid
from dinsight.feed import Delta
from dinsight.models import Json
from dinsight.streams import CONTROL, level_word
from dinsight.version import version

HEAD = ("epoch", "first", "n", "status")  # of a packed delta; the rest is of its points

MOVING = ("streamed_points", "last_update", "rate", "score", "age")  # with every batch
DERIVED = ("last_seq", "progress_percentage")  # by the page, of others


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
        "status": pack_status(delta.status, now),
    } | pack_flags(delta.inside)


def pack_flags(inside: np.ndarray | None) -> dict[str, Any]:
    """Base64 of a bit a point, the first the highest of the first byte; nothing without areas."""
    return {} if inside is None else {"inside": text(np.packbits(inside).tobytes())}


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


def push(message: Json, known: Json | None) -> Json:
    """A packed delta for somebody who was told the packed status `known` with the point before.

    `seq` is that of the first point. Of the status it holds what cannot be told from `known` and
    the points, and always `age`; all of it where nothing is known. A message without points says
    in `control` what the stream asks of its sender, and the epoch that it is in now.
    """
    rest = {name: value for name, value in message.items() if name not in HEAD}
    head = {"epoch": message["epoch"], "seq": message["first"], "n": message["n"]}
    status = message["status"]
    if known is not None:
        expected = foretold(known, message)
        status = {name: status[name] for name in status if not _same(expected, status, name)}
    if message["n"]:
        return {**head, **rest, "status": status}
    return {"control": CONTROL.get(message["status"]["status"], "run"), **head, "status": status}


def foretold(known: Json, message: Json) -> Json:
    """The status that a reader who knows `known` makes out from the points of a packed delta."""
    seq = message["first"] + message["n"] - 1
    told = {"epoch": message["epoch"], "streamed_points": seq, "last_seq": seq}
    if message["n"]:
        score = np.frombuffer(base64.b64decode(message["score"]), "<f4")[-1]
        level = base64.b64decode(message["level"])[-1]
        told |= {"score": float(score), "level": level_word(level)}
    return known | told


def _same(expected: Json, status: Json, name: str) -> bool:
    """Whether a reader knows this already; numbers are known as exactly as points are."""
    if name == "age" or name not in expected:
        return False
    one, other = expected[name], status[name]
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.float32(one) == np.float32(other))
    return bool(one == other)


def pack_status(status: dict[str, Any], now: dt.datetime) -> dict[str, Any]:
    last = status["last_update"]
    rate = status["rate"]
    return pack_times(status) | {
        "age": None if last is None else round(max(0.0, (now - last).total_seconds()), 3),
        "rate": rate and float(f"{rate:.4g}"),
        "version": version(),
    }


def pack_times(status: dict[str, Any]) -> dict[str, Any]:
    """The status with its times as JSON can carry them."""
    times = {name: status[name] for name in ("last_update", "level_since")}
    return status | {name: at and rfc3339(at) for name, at in times.items()}


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


def rfc3339(moment: dt.datetime) -> str:
    """The moment in UTC, to the millisecond."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
