"""The player: a thread that plays replays into their streams, each by its due time.

An instance holds a replay by a lease that it keeps renewing; when the instance dies the lease runs
out and the next one to look takes the replay over. Rows go in by the same `ingest` as everybody's,
and the replay's new position commits with them: no kill, and no second player that believes it
still has the lease, loses a row or stores one twice.

Locks are taken in the order stream, replay, as by all who act on a stream.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from dinsight import baselines, monitor_files, news, readings
from dinsight.accounts import Identity
from dinsight.background import Background
from dinsight.database import Database, is_outage
from dinsight.errors import (
    BaselineNotReady,
    DinsightError,
    InvalidReadings,
    MapBeingRefitted,
)
from dinsight.ingest import Incoming, ingest
from dinsight.models import MonitorFile, Replay, Stream, User
from dinsight.readings import Place, Row

# What is right does not hang on it: one that is too short only makes instances take turns.
LEASE = dt.timedelta(seconds=5)
LOOK_SECONDS = 1.0
# A batch of long rows ends before its rows do: that many bytes are in memory several times over.
MOST_BATCH_BYTES = 8 * 1024 * 1024
FAILED = "The replay failed inside the server; its log says why."
DISABLED = "The account that began the replay was disabled."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """The next rows of a file; `line` is the first one's, `after` the place after the last."""

    content: bytes
    rows: int
    line: int
    after: Place


@dataclass
class Playing:
    """A replay that this instance holds, and where it is in the file.

    `due` is by this process's monotonic clock, so that a step of the clock holds nothing up.
    """

    id: int
    stream_id: int
    baseline_id: int
    stream: str
    who: Identity
    file_id: int | None
    source: str
    delay: float
    batch_size: int
    rows: int
    position: int
    place: Place
    due: float
    held: bool
    disabled: bool
    head: bytes = b""
    reader: Iterator[Row] | None = field(default=None, repr=False)
    batch: Batch | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        return f"replay-{self.id}-{self.position}"


def next_batch(rows: Iterator[Row], most: int, most_bytes: int = MOST_BATCH_BYTES) -> Batch | None:
    """At most so many rows, of at most so many bytes, but at least one; None at the end."""
    taken: list[Row] = []
    size = 0
    for row in itertools.islice(rows, most):
        taken.append(row)
        size += len(row.raw)
        if size >= most_bytes:
            break
    if not taken:
        return None
    return Batch(b"".join(row.raw for row in taken), len(taken), taken[0].line, taken[-1].after)


def fault_in_file(
    head: bytes, batch: Batch, expected: list[str], limits: readings.Limits, source: str
) -> str | None:
    """What is wrong with a batch, in the words and with the lines of the whole file.

    Blank lines stand for the rows before it: they are no rows, but they are counted as lines.
    """
    before = b"\n" * (batch.line - 1 - head.count(b"\n"))
    try:
        content = head + before + batch.content
        readings.parse(content, limits=limits, expected=expected, source=source)
    except DinsightError as error:
        return error.message
    return None


class Player(Background):
    """Plays all replays that this instance holds, one batch after the other.

    Stopped, it gives back what it holds after the batch under way.
    """

    name, what = "player", "replays"
    again_seconds = LOOK_SECONDS

    def __init__(self, database: Database, limits: readings.Limits) -> None:
        super().__init__()
        self._database = database
        self._limits = limits
        self._lease = uuid.uuid4().hex
        self._held: dict[int, Playing] = {}
        self._look_at = 0.0

    def recover(self) -> None:
        """What was read ahead is read again."""
        self._held.clear()
        self._look_at = 0.0

    def step(self) -> float:
        """Look after the replays if it is time, play the batch that is due; seconds to the next."""
        if time.monotonic() >= self._look_at:
            self._look()
            self._look_at = time.monotonic() + LOOK_SECONDS
        waiting = [each for each in self._held.values() if not each.held]
        first = min(waiting, key=lambda each: each.due, default=None)
        if first is not None and first.due <= time.monotonic():
            self._play(first)
            return 0.0
        following = self._look_at if first is None else min(first.due, self._look_at)
        return max(0.0, following - time.monotonic())

    # ---- which replays are ours ----

    def _look(self) -> None:
        """Renew the leases, take what nobody holds, and drop what has ended or is another's."""
        free = Replay.lease_until.is_(None) | (Replay.lease_until < func.now())
        ours = (
            select(Replay.id)
            .where(Replay.state == "playing", free | (Replay.lease == self._lease))
            .with_for_update(skip_locked=True)
        )
        with self._database.sessions.begin() as session:
            claimed = session.scalars(
                update(Replay)
                .where(Replay.id.in_(ours))
                .values(lease=self._lease, lease_until=func.now() + LEASE)
                .returning(Replay.id)
            ).all()
            found = list(_read(session, claimed)) if claimed else []
        self._held = {each.id: self._as_known(each) for each in found}

    def _as_known(self, found: Playing) -> Playing:
        """The replay as it is now, with what was read ahead of it and when it is due."""
        known = self._held.get(found.id)
        if known is not None and known.position == found.position:
            found.due, found.head = known.due, known.head
            found.reader, found.batch = known.reader, known.batch
        return found

    def end(self) -> None:
        """Give back what is held; a lease that cannot be given back runs out."""
        if not self._held:
            return
        with self._database.sessions.begin() as session:
            session.execute(
                update(Replay)
                .where(Replay.lease == self._lease)
                .values(lease=None, lease_until=None)
            )

    # ---- playing ----

    def _play(self, replay: Playing) -> None:
        """Play the next batch; what is wrong with the file or the stream ends the replay."""
        if replay.disabled:
            self._fail(replay, DISABLED)
            return
        replay.due = time.monotonic() + replay.delay
        try:
            batch = replay.batch = replay.batch or self._read_ahead(replay)
            self._store(replay, batch)
        except (MapBeingRefitted, BaselineNotReady):
            replay.due = time.monotonic() + LOOK_SECONDS
        except InvalidReadings as error:
            self._fail(replay, self._fault(replay) or error.message)
        except DinsightError as error:
            self._fail(replay, error.message)
        except Exception as error:
            if is_outage(error):
                raise
            log.exception("replay %s failed", replay.id)
            self._fail(replay, FAILED)

    def _read_ahead(self, replay: Playing) -> Batch:
        """The next batch of the file, which nobody can delete before its replay has ended."""
        if replay.reader is None:
            with self._database.sessions() as session:
                of_file = select(MonitorFile.head).where(MonitorFile.id == replay.file_id)
                replay.head = session.scalars(of_file).one()
            assert replay.file_id is not None  # noqa: S101 - it was just found
            sessions, start = self._database.sessions, replay.place.byte
            stream = monitor_files.Reader(sessions, replay.file_id, start)
            replay.reader = readings.rows_from(stream, self._limits, replay.place)
        batch = next_batch(replay.reader, replay.batch_size)
        assert batch is not None  # noqa: S101 - rows were counted, and the file is held by its replay
        return batch

    def _store(self, replay: Playing, batch: Batch) -> None:
        """Store a batch and the new position, both or neither."""
        content = replay.head + batch.content
        incoming = Incoming(content, replay.source, replay.stream, replay.key)
        with self._database.sessions() as session:
            answer = ingest(
                session,
                replay.who,
                replay.baseline_id,
                incoming,
                limits=self._limits,
                now=dt.datetime.now(dt.UTC),
            )
            if answer["control"] != "run":
                replay.held = True  # paused since the last look; nothing is committed
                return
            if not self._move(session, replay, batch):
                del self._held[replay.id]  # ended, or another's; nothing is committed
                return
            session.commit()
        replay.position += batch.rows
        replay.place, replay.batch = batch.after, None
        if replay.position >= replay.rows:
            del self._held[replay.id]
            log.info("replay %s is done: %s rows of %s", replay.id, replay.rows, replay.source)

    def _move(self, session: Session, replay: Playing, batch: Batch) -> bool:
        """Go on after a batch; at the end the stream is completed. False if it is not ours."""
        done = replay.position + batch.rows >= replay.rows
        moved = session.scalar(
            update(Replay)
            .where(Replay.id == replay.id, Replay.lease == self._lease)
            .where(Replay.state == "playing", Replay.position == replay.position)
            .values(
                position=replay.position + batch.rows,
                byte=batch.after.byte,
                line=batch.after.line,
                due_at=func.now() + dt.timedelta(seconds=replay.delay),
                state="done" if done else "playing",
                ended_at=func.now() if done else None,
            )
            .returning(Replay.id)
        )
        if moved is not None and done:
            finished = update(Stream).where(Stream.id == replay.stream_id)
            session.execute(finished.values(state="completed"))
        return moved is not None

    def _fault(self, replay: Playing) -> str | None:
        if replay.batch is None:
            return None
        with self._database.sessions() as session:
            expected = baselines.feature_names(session, replay.baseline_id)
        return fault_in_file(replay.head, replay.batch, expected, self._limits, replay.source)

    def _fail(self, replay: Playing, why: str) -> None:
        """End the replay, and with it the run; nothing where it is over, or another's, by now."""
        self._held.pop(replay.id, None)
        with self._database.sessions.begin() as session:
            stream = session.get(Stream, replay.stream_id, with_for_update=True)
            ours = (Replay.id == replay.id) & (Replay.lease == self._lease)
            ended = session.scalar(
                update(Replay)
                .where(ours, Replay.state == "playing")
                .values(state="failed", message=why, ended_at=func.now())
                .values(lease=None, lease_until=None)
                .returning(Replay.id)
            )
            if stream is not None and ended is not None:
                stream.state = "stopped"
                news.changed(session, stream.id)
                log.warning("replay %s failed: %s", replay.id, why)


def _read(session: Session, ids: Sequence[int]) -> Iterator[Playing]:
    """Those replays as they are, with whoever began them and whether their stream is paused."""
    seconds = func.extract("epoch", Replay.due_at - func.now())
    query = (
        select(Replay, Stream, User, seconds)
        .join(Stream, Stream.id == Replay.stream_id)
        .join(User, User.id == Replay.user_id)
        .where(Replay.id.in_(ids))
    )
    for replay, stream, user, wait in session.execute(query):
        yield Playing(
            id=replay.id,
            stream_id=stream.id,
            baseline_id=stream.baseline_id,
            stream=stream.name,
            who=Identity(user.id, user.email, user.full_name, user.role),
            file_id=replay.file_id,
            source=replay.source,
            delay=replay.delay,
            batch_size=replay.batch_size,
            rows=replay.rows,
            position=replay.position,
            place=Place(replay.byte, replay.line),
            due=time.monotonic() + max(0.0, float(wait)),
            held=stream.state == "paused",
            disabled=user.disabled_at is not None,
        )
