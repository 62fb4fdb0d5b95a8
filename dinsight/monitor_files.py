"""Monitor files that are kept to be replayed: checked at the door, stored and read in pieces.

A file is kept by name for each baseline; the same name again replaces it. All files of a baseline
together are no larger than one upload may be.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from dinsight import baselines, readings
from dinsight.accounts import Identity, audit
from dinsight.baselines import File
from dinsight.copying import copy_rows, integer
from dinsight.database import Sessions
from dinsight.errors import BaselineNotFound, MonitorFileInUse, MonitorFileNotFound, TooLarge
from dinsight.models import Baseline, MonitorChunk, MonitorFile, Replay

# Any number will do; it only has to be the same in every instance.
LOCK = 7_402_120
CHUNK_BYTES = 512 * 1024
UNNAMED = "monitor.csv"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Bounds:
    """How large a file may be, and all files of a baseline together."""

    readings: readings.Limits
    megabytes: int


def keep(
    session: Session,
    who: Identity,
    baseline_id: int,
    file: File,
    bounds: Bounds,
    *,
    is_sample: bool = False,
) -> MonitorFile:
    """Check a file against the baseline and keep its bytes, in place of one of the same name.

    Raises BaselineNotFound, BaselineNotReady; InvalidReadings, with line and column, for what is
    wrong in the header or the first rows, or where rows cannot be told apart; TooLarge; and
    MonitorFileInUse where the one of the same name is being replayed.
    """
    baselines.require_fitted(baselines.get(session, who, baseline_id))
    name = baselines.printable(file.name) or UNNAMED
    expected = baselines.feature_names(session, baseline_id)
    readings.check_head(file.stream, limits=bounds.readings, expected=expected, source=name)
    file.stream.seek(0)
    first, rows = readings.measure(file.stream, limits=bounds.readings, source=name)
    file.stream.seek(0)
    head = file.stream.read(first.byte)
    size = file.stream.seek(0, io.SEEK_END)
    file.stream.seek(0)
    _hold_baseline(session, baseline_id)
    _remove_namesake(session, baseline_id, name, is_sample)
    _require_room(session, baseline_id, size, bounds.megabytes)
    kept = MonitorFile(
        baseline_id=baseline_id,
        name=name,
        is_sample=is_sample,
        rows=rows,
        size=size,
        head=head,
        head_lines=first.line,
    )
    session.add(kept)
    session.flush()
    _store(session, kept.id, file)
    return kept


def list_kept(session: Session, who: Identity, baseline_id: int) -> list[MonitorFile]:
    """Those that were uploaded for a baseline, the newest first. Raises BaselineNotFound."""
    baselines.get(session, who, baseline_id)
    of_baseline = select(MonitorFile).where(MonitorFile.baseline_id == baseline_id)
    uploaded = of_baseline.where(MonitorFile.is_sample.is_(False))
    return list(session.scalars(uploaded.order_by(MonitorFile.id.desc())))


def get(session: Session, who: Identity, baseline_id: int, file_id: int) -> MonitorFile:
    """The file, held against deletion. Raises MonitorFileNotFound also for one that is another's.

    A baseline that is another's is BaselineNotFound.
    """
    baselines.get(session, who, baseline_id)
    query = _of(who, baseline_id).where(MonitorFile.id == file_id)
    held = query.with_for_update(read=True, key_share=True, of=MonitorFile)
    found: MonitorFile | None = session.scalar(held)
    if found is None:
        raise MonitorFileNotFound()
    return found


def sample_of(session: Session, who: Identity, baseline_id: int) -> MonitorFile | None:
    """The sample, where it was kept for this baseline before; held against deletion."""
    query = _of(who, baseline_id).where(MonitorFile.is_sample)
    held = query.with_for_update(read=True, key_share=True, of=MonitorFile)
    found: MonitorFile | None = session.scalar(held)
    return found


def remove(session: Session, who: Identity, baseline_id: int, file_id: int) -> None:
    """Forget a file. Raises BaselineNotFound, MonitorFileNotFound, MonitorFileInUse."""
    baselines.get(session, who, baseline_id)
    query = _of(who, baseline_id).where(MonitorFile.id == file_id)
    found = session.scalar(query.with_for_update(of=MonitorFile))
    if found is None:
        raise MonitorFileNotFound()
    _refuse_in_use(session, found.id)
    subject = f"{baseline_id}/{found.name}"
    audit(session, "monitor-file.delete", user_id=who.id, subject=subject)
    session.execute(delete(MonitorFile).where(MonitorFile.id == found.id))


def describe(file: MonitorFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "name": file.name,
        "rows": file.rows,
        "bytes": file.size,
        "created_at": file.created_at,
    }


class Reader(io.RawIOBase):
    """A kept file from a place on, a piece of a chunk at a time, each in a session of its own.

    A file that was deleted ends early: whoever reads knows how many rows there should be.
    """

    def __init__(self, sessions: Sessions, file_id: int, start: int) -> None:
        self._sessions = sessions
        self._file_id = file_id
        self._at = start

    def readable(self) -> bool:
        return True

    def read(self, size: int = CHUNK_BYTES, /) -> bytes:
        """At most `size` bytes, and no more than are left in a chunk; none at the end."""
        chunk, start = divmod(self._at, CHUNK_BYTES)
        piece = func.substring(MonitorChunk.content, start + 1, size)
        of_file = select(piece).where(MonitorChunk.file_id == self._file_id)
        with self._sessions() as session:
            content = bytes(session.scalar(of_file.where(MonitorChunk.chunk == chunk)) or b"")
        self._at += len(content)
        return content


def _of(who: Identity, baseline_id: int) -> Any:
    return (
        select(MonitorFile)
        .join(Baseline, Baseline.id == MonitorFile.baseline_id)
        .where(Baseline.id == baseline_id, baselines.visible(who))
    )


def _hold_baseline(session: Session, baseline_id: int) -> None:
    """One file of a baseline is kept at a time, so that they are counted together.

    Of the baseline itself only its deletion waits: to store a file may take seconds.
    """
    session.execute(select(func.pg_advisory_xact_lock(LOCK, baseline_id)))
    held = select(Baseline.id).where(Baseline.id == baseline_id)
    if session.scalar(held.with_for_update(read=True, key_share=True)) is None:
        raise BaselineNotFound()  # deleted meanwhile


def _remove_namesake(session: Session, baseline_id: int, name: str, is_sample: bool) -> None:
    same = (
        select(MonitorFile.id)
        .where(MonitorFile.baseline_id == baseline_id, MonitorFile.name == name)
        .where(MonitorFile.is_sample.is_(is_sample))
    )
    file_id = session.scalar(same.with_for_update())
    if file_id is not None:
        _refuse_in_use(session, file_id)
        session.execute(delete(MonitorFile).where(MonitorFile.id == file_id))


def _refuse_in_use(session: Session, file_id: int) -> None:
    """The file is held, so that no replay of it begins meanwhile."""
    playing = select(Replay.id).where(Replay.file_id == file_id, Replay.state == "playing")
    if session.scalar(playing.limit(1)) is not None:
        raise MonitorFileInUse()


def _require_room(session: Session, baseline_id: int, size: int, megabytes: int) -> None:
    kept = select(func.coalesce(func.sum(MonitorFile.size), 0))
    used = session.scalars(kept.where(MonitorFile.baseline_id == baseline_id)).one()
    if used + size > megabytes * MIB:
        raise TooLarge(
            f"The monitor files of this baseline would take more than {megabytes:,} MiB "
            "(DINSIGHT_MAX_UPLOAD_MB): delete one that is no longer needed.",
            limit="DINSIGHT_MAX_UPLOAD_MB",
            maximum=megabytes * MIB,
        )


def _store(session: Session, file_id: int, file: File) -> None:
    columns = ("file_id", "chunk", "content")
    for chunk in itertools.count():
        content = file.stream.read(CHUNK_BYTES)
        if not content:
            return
        row = (integer(file_id), integer(chunk), content)
        copy_rows(session, MonitorChunk.__tablename__, columns, [row])
