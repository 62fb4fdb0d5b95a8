"""The notifier: a thread of every instance that sends what is due in the outbox.

An instance takes notices by a lease, sends them outside of any transaction, each in a thread of its
pool, and then notes how it went. Killed in between, its lease runs out and another instance sends
the notice again: it arrives at least once, always under the same id.

A channel is sent one notice at a time, and one user's channels never have the whole pool, so that
a slow receiver holds up nobody else's messages.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import delete, func, select, true, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from dinsight.background import Background
from dinsight.database import Database
from dinsight.models import Channel, Json, Notice, User
from dinsight.notices import mail, outbox, webhook
from dinsight.notices.addresses import Networks, parse_networks
from dinsight.notices.attempt import Attempt, Undelivered
from dinsight.notices.channels import OFF
from dinsight.notices.mail import Server
from dinsight.notices.outbox import PENDING, TEST
from dinsight.settings import Settings

THREADS = 16
THREADS_A_USER = 4
MOST_CANDIDATES = 200
GRACE_SECONDS = 2.0  # at the end, for what is under way
ANSWER_UNKNOWN = "It failed inside the server; its log says why."
GONE = "The receiver answered 410: the channel was switched off."
LEFT = "The account was disabled."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How often, how long and for how long it is tried."""

    look_seconds: float = 2.0
    attempt_seconds: float = 10.0
    lease: dt.timedelta = dt.timedelta(seconds=60)  # far longer than an attempt
    first_wait: float = 5.0
    longest_wait: float = 3_600.0
    give_up: dt.timedelta = dt.timedelta(hours=24)
    kept: dt.timedelta = dt.timedelta(days=14)
    tidy_seconds: float = 3_600.0

    def wait(self, attempts: int, luck: float) -> float:
        """Seconds until the next attempt: doubled each time, and never the same for many at once.

        >>> [Pace().wait(attempts, 0.5) for attempts in (1, 2, 3, 20)]
        [5.0, 10.0, 20.0, 3600.0]
        """
        doubled = self.first_wait * 2.0 ** min(attempts - 1, 30)
        return min(doubled, self.longest_wait) * (0.75 + 0.5 * luck)


@dataclass(frozen=True)
class Doors:
    """What messages leave through."""

    address: str = "http://localhost"
    networks: Networks = ()
    mail: Server | None = None

    @classmethod
    def of(cls, settings: Settings) -> Doors:
        networks = parse_networks(settings.webhook_networks)
        return cls(settings.address, networks, Server.of(settings))


@dataclass
class Tally:
    """What this instance has sent since its start."""

    delivered: int = 0
    attempts_failed: int = 0
    given_up: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, name: str) -> None:
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)


@dataclass(frozen=True)
class Candidate:
    """The notice of a channel that is due for longest."""

    id: str
    channel_id: int
    user_id: int


@dataclass(frozen=True)
class Due:
    """A notice that this instance holds, and where it goes."""

    id: str
    channel_id: int
    user_id: int
    kind: str
    target: str
    secret: str = field(repr=False)
    event: str
    payload: Json = field(repr=False)
    attempts: int
    age: dt.timedelta


def choose(
    candidates: Sequence[Candidate], busy: Sequence[tuple[int, int]], threads: int, a_user: int
) -> list[Candidate]:
    """Those that may be sent now, in their order; `busy` has channel and user of what is under way.

    >>> waiting = [Candidate("a", 1, 9), Candidate("b", 2, 9), Candidate("c", 3, 8)]
    >>> [each.id for each in choose(waiting, [(4, 9)], 3, 2)]
    ['a', 'c']
    """
    channels = {channel for channel, _ in busy}
    users = Counter(user for _, user in busy)
    chosen: list[Candidate] = []
    for each in candidates:
        if len(busy) + len(chosen) >= threads:
            break
        if each.channel_id not in channels and users[each.user_id] < a_user:
            chosen.append(each)
            channels.add(each.channel_id)
            users[each.user_id] += 1
    return chosen


class Notifier(Background):
    """Sends the notices that are due; stopped, it lets go of what it could not send."""

    name, what = "notifier", "notices"

    def __init__(
        self,
        database: Database,
        doors: Doors,
        tally: Tally | None = None,
        pace: Pace | None = None,
    ) -> None:
        super().__init__()
        self._database = database
        self._doors = doors
        self._tally = tally or Tally()
        self._pace = pace or Pace()
        self._lease = uuid.uuid4().hex
        self._pool = ThreadPoolExecutor(THREADS, "notice")
        self._lock = threading.Lock()
        self._under_way: dict[str, tuple[Due, Attempt | None]] = {}
        self._tidy_at = 0.0
        outbox.wake_on_write(database.engine, self)

    def step(self) -> float:
        if time.monotonic() >= self._tidy_at:
            with self._database.sessions.begin() as session:
                tidy(session, self._pace.kept)
            self._tidy_at = time.monotonic() + self._pace.tidy_seconds
        for due in self._take():
            with self._lock:
                self._under_way[due.id] = (due, None)
            self._pool.submit(self._handle, due)
        return self._pace.look_seconds

    def end(self) -> None:
        """Give what is under way a moment, cut the rest, and wait until it is noted."""
        self._pool.shutdown(wait=False)
        deadline = time.monotonic() + GRACE_SECONDS
        while self._busy() and time.monotonic() < deadline:
            time.sleep(0.02)
        with self._lock:
            attempts = [attempt for _, attempt in self._under_way.values() if attempt]
        for attempt in attempts:
            attempt.cut()
        self._pool.shutdown(wait=True)

    # ---- which notices are ours ----

    def _busy(self) -> list[tuple[int, int]]:
        with self._lock:
            return [(due.channel_id, due.user_id) for due, _ in self._under_way.values()]

    def _take(self) -> list[Due]:
        """Take what is due and nobody holds, as much as there are threads for."""
        busy = self._busy()
        if len(busy) >= THREADS:
            return []
        with self._database.sessions.begin() as session:
            found = candidates(session, [channel for channel, _ in busy])
            chosen = choose(found, busy, THREADS, THREADS_A_USER)
            return take(session, [each.id for each in chosen], self._lease, self._pace.lease)

    # ---- sending ----

    def _handle(self, due: Due) -> None:
        """Send a notice and note how it went; in a thread of the pool."""
        try:
            trouble = self._send(due)
            with self._database.sessions.begin() as session:
                self._note(session, due, trouble)
        except Exception as error:
            self._say(error)  # the lease runs out, and it is sent again
        finally:
            with self._lock:
                del self._under_way[due.id]
            self.wake()

    def _send(self, due: Due) -> Undelivered | None:
        attempt = Attempt(self._pace.attempt_seconds)
        with self._lock:
            self._under_way[due.id] = (due, attempt)
        try:
            with attempt:
                deliver(due, self._doors, attempt, dt.datetime.now(dt.UTC))
        except Undelivered as trouble:
            return trouble
        except Exception:
            log.exception("notice %s could not be sent", due.id)
            return Undelivered(ANSWER_UNKNOWN)
        return None

    def _note(self, session: Session, due: Due, trouble: Undelivered | None) -> None:
        if trouble is None:
            delivered(session, due.id)
            self._tally.count("delivered")
            log.info("notice %s delivered: %s, channel %s", due.id, due.event, due.channel_id)
            return
        if self._stopping.is_set() and trouble.again:
            give_back(session, due, self._lease)
            return
        self._tally.count("attempts_failed")
        wait = trouble.retry_after or self._pace.wait(due.attempts, random.random())  # noqa: S311
        late = due.age + dt.timedelta(seconds=wait) > self._pace.give_up
        if trouble.again and due.event != TEST and not late:
            again(session, due, self._lease, trouble, wait)
            return
        self._tally.count("given_up")
        log.warning("notice %s is given up after %s attempts", due.id, due.attempts)
        fail(session, due, trouble)


def deliver(due: Due, doors: Doors, attempt: Attempt, now: dt.datetime) -> None:
    """Send a notice by its channel; raises Undelivered."""
    payload = due.payload | {"link": doors.address + due.payload["link"]}
    if due.kind == "webhook":
        body = json.dumps(payload, ensure_ascii=False, sort_keys=True).encode()
        message = webhook.Message(due.id, due.event, body)
        webhook.send(due.target, due.secret, message, attempt, networks=doors.networks, now=now)
    elif doors.mail is None:
        raise Undelivered("This server sends no e-mail any more.")
    else:
        mail.send(doors.mail, mail.write(doors.mail, due.target, payload, now), attempt)


def candidates(session: Session, busy: Sequence[int]) -> list[Candidate]:
    """Of each channel that is not busy, the notice that is due for longest."""
    free = Notice.lease_until.is_(None) | (Notice.lease_until < func.now())
    first = (
        select(Notice.id, Notice.channel_id, Channel.user_id, Notice.due_at)
        .ext(distinct_on(Notice.channel_id))
        .join(Channel, Channel.id == Notice.channel_id)
        .join(User, User.id == Channel.user_id)
        .where(PENDING, Notice.due_at <= func.now(), free, User.disabled_at.is_(None))
        .where(Channel.enabled | (Notice.event == TEST))
        .where(Notice.channel_id.not_in(busy))
        .order_by(Notice.channel_id, Notice.due_at, Notice.created_at)
        .subquery()
    )
    query = select(first.c.id, first.c.channel_id, first.c.user_id)
    rows = session.execute(query.order_by(first.c.due_at).limit(MOST_CANDIDATES))
    return [Candidate(*row) for row in rows]


def take(session: Session, ids: Sequence[str], lease: str, length: dt.timedelta) -> list[Due]:
    """Take these notices, but for those that another instance has taken meanwhile."""
    if not ids:
        return []
    free = Notice.lease_until.is_(None) | (Notice.lease_until < func.now())
    ours = (
        select(Notice.id)
        .where(Notice.id.in_(ids), PENDING, Notice.due_at <= func.now(), free)
        .with_for_update(skip_locked=True)
    )
    taken = session.scalars(
        update(Notice)
        .where(Notice.id.in_(ours))
        .values(lease=lease, lease_until=func.now() + length, attempts=Notice.attempts + 1)
        .values(first_tried_at=func.coalesce(Notice.first_tried_at, func.now()))
        .returning(Notice.id)
    ).all()
    query = (
        select(Notice.id, Channel.id, Channel.user_id, Channel.kind, Channel.target)
        .add_columns(Channel.secret, Notice.event, Notice.payload, Notice.attempts)
        .add_columns(func.now() - Notice.first_tried_at)
        .join(Channel, Channel.id == Notice.channel_id)
        .where(Notice.id.in_(taken))
    )
    return [Due(*row) for row in session.execute(query)]


# ---- how it went ----

RELEASED = {"lease": None, "lease_until": None}


def delivered(session: Session, notice_id: str) -> None:
    """It has arrived, whoever holds it by now."""
    arrived = update(Notice).where(Notice.id == notice_id, Notice.delivered_at.is_(None))
    session.execute(arrived.values(delivered_at=func.now(), failed_at=None, error=None, **RELEASED))


def again(session: Session, due: Due, lease: str, trouble: Undelivered, wait: float) -> None:
    """It is tried again later, and if the receiver asked for that, so is all that waits for it."""
    until = func.now() + dt.timedelta(seconds=wait)
    ours = update(Notice).where(Notice.id == due.id, Notice.lease == lease, PENDING)
    session.execute(ours.values(due_at=until, error=trouble.reason, **RELEASED))
    if trouble.retry_after is not None:
        others = update(Notice).where(Notice.channel_id == due.channel_id, PENDING)
        session.execute(others.values(due_at=func.greatest(Notice.due_at, until)))


def give_back(session: Session, due: Due, lease: str) -> None:
    """It was cut short by the server's own end: the next one to look sends it."""
    ours = update(Notice).where(Notice.id == due.id, Notice.lease == lease, PENDING)
    session.execute(ours.values(due_at=func.now(), attempts=Notice.attempts - 1, **RELEASED))


def fail(session: Session, due: Due, trouble: Undelivered) -> None:
    """It is given up; a receiver that wants no more has its channel switched off."""
    lost = update(Notice).where(Notice.id == due.id, PENDING)
    session.execute(lost.values(failed_at=func.now(), error=trouble.reason, **RELEASED))
    if trouble.closed:
        session.execute(update(Channel).where(Channel.id == due.channel_id).values(enabled=False))
        outbox.drop(session, due.channel_id, GONE)


def tidy(session: Session, kept: dt.timedelta) -> None:
    """Remove what is long settled; give up what waits for disabled accounts and channels.

    A channel gives up what waits when it is switched off, but not what was being written then.
    """
    settled = func.coalesce(Notice.delivered_at, Notice.failed_at)
    session.execute(delete(Notice).where(settled < func.now() - kept))
    gone = (
        select(Channel.id)
        .join(User, User.id == Channel.user_id)
        .where(User.disabled_at.is_not(None))
    )
    off = select(Channel.id).where(~Channel.enabled)
    for channels, wanted, why in ((gone, true(), LEFT), (off, Notice.event != TEST, OFF)):
        session.execute(
            update(Notice)
            .where(PENDING, Notice.channel_id.in_(channels), wanted)
            .values(failed_at=func.now(), error=why, **RELEASED),
            execution_options={"synchronize_session": False},
        )
