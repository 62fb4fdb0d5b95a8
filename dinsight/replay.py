"""Replays: the server plays a monitor file into a stream, as a sender would. `Player` does it.

A replay is a run of its stream: it begins a new epoch and declares its rows as the total. Pause
holds it, and Stop, a reset or the end of the file ends it. One is played into a stream at a time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import baselines, monitor_files, streams
from dinsight.accounts import Identity
from dinsight.errors import ColumnsMissing, InvalidRequest, ReplayUnderWay
from dinsight.models import MonitorFile, Replay
from dinsight.monitor_files import Bounds

DELAY, LONGEST_DELAY = 0.5, 86_400
BATCH_SIZE, LARGEST_BATCH = 1, 1_000
NONE: dict[str, Any] = {
    **{"id": None, "status": "none", "source": None, "message": None},
    **{"position": 0, "rows": 0, "delay": None, "batch_size": None},
    **{"started_at": None, "ended_at": None},
}


@dataclass(frozen=True)
class Sample:
    """The sample machine: its baseline and monitor file, which are made when they are first wanted.

    Its columns are known before, so that none is made for a baseline that it does not fit.
    """

    features: tuple[str, ...]
    make: Callable[[], tuple[Path, Path]]

    def fits(self, features: list[str]) -> bool:
        return set(features) <= set(self.features)


@dataclass(frozen=True)
class Pace:
    """Seconds between the starts of two batches, and the rows of a batch."""

    delay: float = DELAY
    batch_size: int = BATCH_SIZE

    @classmethod
    def of(cls, delay: Any, batch_size: Any) -> Pace:
        """What was asked for; left out (None), the default. Raises InvalidRequest."""
        delay = DELAY if delay is None else delay
        size = BATCH_SIZE if batch_size is None else batch_size
        if not _is_number(delay) or not 0 <= delay <= LONGEST_DELAY:
            raise InvalidRequest(f"delay must be a number of seconds from 0 to {LONGEST_DELAY:,}.")
        if not _is_number(size) or not 1 <= size <= LARGEST_BATCH or size != int(size):
            raise InvalidRequest(f"batch_size must be a whole number from 1 to {LARGEST_BATCH:,}.")
        return cls(float(delay), int(size))


def start(
    session: Session,
    who: Identity,
    baseline_id: int,
    name: str,
    *,
    file: MonitorFile,
    pace: Pace,
    now: dt.datetime,
) -> dict[str, Any]:
    """Begin to play a kept file, in a new epoch of the stream. Raises ReplayUnderWay.

    What the stream had so far is archived, as by a reset.
    """
    stream = streams.lock(session, who, baseline_id, name)
    if _is_playing(session, stream.id):
        raise ReplayUnderWay()
    streams.reset(session, who, baseline_id, name, now=now)
    wanted = {
        "total_points": file.rows,
        "batch_size": pace.batch_size,
        "delay_seconds": pace.delay,
    }
    streams.configure(session, who, baseline_id, name, wanted)
    begun = Replay(
        stream_id=stream.id,
        user_id=who.id,
        file_id=file.id,
        source=file.name,
        delay=pace.delay,
        batch_size=pace.batch_size,
        rows=file.rows,
        byte=len(file.head),
        line=file.head_lines,
    )
    session.add(begun)
    session.flush()
    session.refresh(begun)
    return _describe(begun, stream.state, name)


def sample(
    session: Session, who: Identity, baseline_id: int, known: Sample | None, bounds: Bounds
) -> MonitorFile:
    """The sample machine's file, kept for this baseline. Raises ColumnsMissing, InvalidRequest."""
    baselines.require_fitted(baselines.get(session, who, baseline_id))
    if known is None:
        raise InvalidRequest("This server has no sample machine: replay a file of your own.")
    if kept := monitor_files.sample_of(session, who, baseline_id):
        return kept
    if not known.fits(baselines.feature_names(session, baseline_id)):
        raise ColumnsMissing(
            "This baseline is not the sample machine's: its columns are other ones. "
            "Replay a file of this machine."
        )
    _, path = known.make()
    with path.open("rb") as stream:
        file = baselines.File(path.name, stream)
        return monitor_files.keep(session, who, baseline_id, file, bounds, is_sample=True)


def state(session: Session, who: Identity, baseline_id: int, name: str) -> dict[str, Any]:
    """The stream's replay, or its last one; `status` is `none` where there was none.

    Raises BaselineNotFound.
    """
    stream = streams.find_if_any(session, who, baseline_id, name)
    if stream is None:
        baselines.get(session, who, baseline_id)
        return NONE | {"stream": name}
    of_stream = select(Replay).where(Replay.stream_id == stream.id)
    replay = session.scalar(of_stream.order_by(Replay.id.desc()).limit(1))
    if replay is None:
        return NONE | {"stream": name}
    return _describe(replay, stream.state, name)


def stop(session: Session, who: Identity, baseline_id: int, name: str) -> dict[str, Any]:
    """End the replay by stopping its stream; where nothing is played, nothing changes."""
    found = streams.find_if_any(session, who, baseline_id, name)
    if found is not None:
        streams.hold(session, found.id)
        if _is_playing(session, found.id):
            streams.control(session, who, baseline_id, name, "stop")
    return state(session, who, baseline_id, name)


def require_free(session: Session, who: Identity, baseline_id: int, name: str) -> None:
    """Raises ReplayUnderWay, before a file is stored for nothing."""
    found = streams.find_if_any(session, who, baseline_id, name)
    if found is not None and _is_playing(session, found.id):
        raise ReplayUnderWay()


def _is_playing(session: Session, stream_id: int) -> bool:
    playing = select(Replay.id).where(Replay.stream_id == stream_id, Replay.state == "playing")
    return session.scalar(playing) is not None


def _describe(replay: Replay, stream_state: str, name: str) -> dict[str, Any]:
    held = replay.state == "playing" and stream_state == "paused"
    return {
        "id": replay.id,
        "status": "held" if held else replay.state,
        "stream": name,
        "source": replay.source,
        "position": replay.position,
        "rows": replay.rows,
        "delay": replay.delay,
        "batch_size": replay.batch_size,
        "message": replay.message,
        "started_at": replay.created_at,
        "ended_at": replay.ended_at,
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
