"""Whatever senders, failures, resets and refits do, in any order: each row is stored exactly once.

A state machine of Hypothesis drives the domain on a real PostgreSQL, beside a model that knows
which batches must be there. Whatever it finds it shrinks to the shortest story.
"""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from dinsight import feed, fitting, maps, refitting, report_card, streams
from dinsight.accounts import Identity
from dinsight.database import is_outage
from dinsight.errors import EpochChanged, KeyReused
from dinsight.feed import Cursor
from dinsight.ingest import Incoming, ingest
from dinsight.models import Batch, Point, Stream
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, csv, healthy
from tests.postgres_kit import ask, eventually, is_alive

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
ROWS = healthy(20_000, seed=11)

sizes = st.integers(1, 4)
any_of_them = st.integers(0, 1_000_000)  # taken modulo how many there are
moments = st.floats(0, 0.004)  # seconds; a batch takes about 0.005


@dataclass(frozen=True)
class Sent:
    """A batch as a sender made it: where its rows begin in `ROWS`, and the epoch it names."""

    first: int
    rows: int
    key: str | None
    epoch: int

    @property
    def features(self) -> list[bytes]:
        return [row.tobytes() for row in ROWS[self.first : self.first + self.rows]]


@dataclass
class Model:
    """What must be stored: the rows of each epoch in order, and the answer to each key."""

    epochs: dict[int, list[bytes]] = field(default_factory=lambda: {1: []})
    epoch: int = 1
    run_epoch: int = 1
    answers: dict[str, tuple[Sent, dict[str, Any]]] = field(default_factory=dict)

    def store(self, sent: Sent, answer: dict[str, Any]) -> None:
        rows = self.epochs[answer["epoch"]]
        assert (answer["first_seq"], answer["points_processed"]) == (len(rows) + 1, sent.rows)
        rows += sent.features
        assert answer["last_seq"] == len(rows)
        if sent.key is not None:
            self.answers[sent.key] = (sent, answer)

    def begin_epoch(self, *, same_run: bool) -> None:
        self.epoch += 1
        self.epochs[self.epoch] = []
        self.run_epoch = self.run_epoch if same_run else self.epoch


@dataclass(frozen=True)
class Machinery:
    """The domain that is tested, and how a fresh baseline is made."""

    services: Services
    who: Identity
    make_baseline: Callable[[Identity], int]
    other_maps: tuple[fitting.Made, ...]


class Senders(RuleBasedStateMachine):
    """One stream of a baseline of its own, its senders and one reader."""

    given: Machinery

    @initialize()
    def begin(self) -> None:
        self.baseline_id = self.given.make_baseline(self.given.who)
        self.model = Model()
        self.rows = itertools.count(0, 4)
        self.keys = (f"key {number}" for number in itertools.count(1))
        self.maps = itertools.cycle(self.given.other_maps)
        self.unanswered: list[Sent] = []  # their senders do not know whether they were stored
        self.seen: list[bytes] = []
        self.cursor = Cursor(1, 0)

    # ---- what happens ----

    @rule(size=sizes, keyed=st.booleans())
    def send(self, size: int, keyed: bool) -> None:
        sent = self.make(size, keyed=keyed)
        self.model.store(sent, self.commit(sent))

    # (What is there to choose from depends on races, so no rule has a precondition of it.)

    @rule(which=any_of_them)
    def send_again(self, which: int) -> None:
        """Also one of an epoch that is over: it is answered from there."""
        for sent, answer in self.pick(which):
            assert self.commit(sent) == answer

    @rule(which=any_of_them, size=sizes)
    def use_a_key_for_another_batch(self, which: int, size: int) -> None:
        for sent, _ in self.pick(which):
            with pytest.raises(KeyReused):
                self.commit(Sent(next(self.rows), size, sent.key, self.model.epoch))

    @rule(size=sizes, copies=st.integers(2, 3))
    def send_copies_at_once(self, size: int, copies: int) -> None:
        sent = self.make(size)
        with ThreadPoolExecutor(copies) as pool:
            first, *others = pool.map(self.commit, [sent] * copies)
        assert others == [first] * (copies - 1)
        self.model.store(sent, first)

    @rule(first=sizes, second=sizes, keyed=st.booleans())
    def two_senders_at_once(self, first: int, second: int, keyed: bool) -> None:
        both = [self.make(first, keyed=keyed), self.make(second)]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(self.commit, both))
        order = sorted(zip(answers, both, strict=True), key=lambda each: each[0]["first_seq"])
        for answer, sent in order:
            self.model.store(sent, answer)

    @rule(size=sizes)
    def fail_before_commit(self, size: int) -> None:
        sent = self.make(size)
        with self.given.services.sessions() as session:
            self.ingest(session, sent)
            session.rollback()
        self.unanswered.append(sent)

    @rule(size=sizes)
    def cut_after_commit(self, size: int) -> None:
        """The sender does not learn what the model knows."""
        sent = self.make(size)
        self.model.store(sent, self.commit(sent))
        self.unanswered.append(sent)

    @rule(size=sizes)
    def end_the_backend_before_commit(self, size: int) -> None:
        sent = self.make(size)
        with self.given.services.sessions() as session:
            self.ingest(session, sent)
            self.end_backend(session.scalar(text("SELECT pg_backend_pid()")))
            with pytest.raises(Exception) as failed:
                session.commit()
        assert is_outage(failed.value)
        self.unanswered.append(sent)

    @rule(size=sizes, moment=moments)
    def end_the_backend_meanwhile(self, size: int, moment: float) -> None:
        """Whether it is stored nobody knows, until it is sent again."""
        sent = self.make(size)
        killers = []
        try:
            with self.given.services.sessions.begin() as session:
                pid = session.scalar(text("SELECT pg_backend_pid()"))
                killers.append(threading.Timer(moment, self.end_backend, (pid,)))
                killers[0].start()
                self.ingest(session, sent)
        except Exception as error:
            assert is_outage(error), error
        finally:
            for killer in killers:
                killer.join()
        self.model.store(sent, self.commit(sent))

    @precondition(lambda self: self.unanswered)
    @rule(which=any_of_them)
    def send_what_was_not_answered(self, which: int) -> None:
        """In the epoch that it was sent to, as a sender does first."""
        sent = self.unanswered.pop(which % len(self.unanswered))
        if sent.key in self.model.answers:
            assert self.commit(sent) == self.model.answers[sent.key][1]
        elif sent.epoch == self.model.epoch:
            self.model.store(sent, self.commit(sent))
        else:
            self.refused(sent)

    @rule(size=sizes)
    def reset(self, size: int) -> None:
        sent = self.make(size)
        self.do_reset()
        self.model.begin_epoch(same_run=False)
        self.refused(sent)

    @rule(size=sizes)
    def refit(self, size: int) -> None:
        sent = self.make(size)
        with self.given.services.sessions.begin() as session:
            refitting.adopt(session, self.baseline_id, next(self.maps), NOW)
        self.model.begin_epoch(same_run=True)
        self.refused(sent)

    @rule(size=sizes, moment=moments)
    def reset_during_a_batch(self, size: int, moment: float) -> None:
        """Either the batch came first and is archived, or it came too late and is refused."""
        sent = self.make(size)
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(self.commit, sent)
            threading.Event().wait(moment)
            self.do_reset()
            with suppress(EpochChanged):
                self.model.store(sent, sending.result())
        self.model.begin_epoch(same_run=False)

    @rule(limit=st.integers(1, 9))
    def read_on(self, limit: int) -> None:
        """A reader gets what comes next and nothing else; in a new epoch it begins anew."""
        given = self.given
        with given.services.sessions() as session:
            page = feed.after(
                session, given.who, self.baseline_id, "default", self.cursor, limit=limit
            )
            wanted = select(Point.features).where(Point.stream_id == self.stream(session).id)
            wanted = wanted.where(Point.epoch == self.model.epoch)
            got = [
                session.scalars(wanted.where(Point.seq == point["seq"])).one()
                for point in page["points"]
            ]
        if self.cursor.epoch != self.model.epoch:
            self.seen = []
        assert len(got) == min(limit, len(self.model.epochs[self.model.epoch]) - len(self.seen))
        self.seen += got
        self.cursor = Cursor.parse(page["next"])
        assert self.cursor == Cursor(self.model.epoch, len(self.seen))

    # ---- what holds at all times ----

    @invariant()
    def stored_is_what_the_model_says(self) -> None:
        with self.given.services.sessions() as session:
            stream = self.stream(session)
            order = (Point.epoch, Point.seq)
            points = session.execute(
                select(*order, Point.features).where(Point.stream_id == stream.id).order_by(*order)
            )
            assert [tuple(point) for point in points] == [
                (epoch, seq, features)
                for epoch, rows in self.model.epochs.items()
                for seq, features in enumerate(rows, 1)
            ]
            present = self.model.epochs[self.model.epoch]
            assert (stream.epoch, stream.next_seq) == (self.model.epoch, len(present) + 1)
            carried = range(self.model.run_epoch, self.model.epoch)
            assert stream.run_epoch == self.model.run_epoch
            assert stream.carried == sum(len(self.model.epochs[epoch]) for epoch in carried)
            keys = session.scalars(select(Batch.key).where(Batch.stream_id == stream.id)).all()
            assert sorted(keys) == sorted(self.model.answers)

    @invariant()
    def the_reader_has_a_prefix(self) -> None:
        assert self.seen == self.model.epochs[self.cursor.epoch][: len(self.seen)]

    # ---- how ----

    def make(self, size: int, *, keyed: bool = True) -> Sent:
        key = next(self.keys) if keyed else None
        return Sent(next(self.rows), size, key, self.model.epoch)

    def pick(self, which: int) -> list[tuple[Sent, dict[str, Any]]]:
        """One of the batches that are stored with a key, if there is any."""
        answers = list(self.model.answers.values())
        return [answers[which % len(answers)]] if answers else []

    def ingest(self, session: Session, sent: Sent) -> dict[str, Any]:
        content = csv(ROWS[sent.first : sent.first + sent.rows])
        incoming = Incoming(content, "batch.csv", key=sent.key, epoch=sent.epoch)
        limits = self.given.services.limits
        return ingest(session, self.given.who, self.baseline_id, incoming, limits=limits, now=NOW)

    def commit(self, sent: Sent) -> dict[str, Any]:
        with self.given.services.sessions.begin() as session:
            return self.ingest(session, sent)

    def refused(self, sent: Sent) -> None:
        with pytest.raises(EpochChanged) as refusal:
            self.commit(sent)
        goes_on = self.model.run_epoch <= sent.epoch
        assert refusal.value.details["reason"] == ("refit" if goes_on else "reset")

    def do_reset(self) -> None:
        with self.given.services.sessions.begin() as session:
            streams.reset(session, self.given.who, self.baseline_id, "default", now=NOW)

    def end_backend(self, pid: int) -> None:
        """Ends it, from outside of the pool, which might give it to us; waits until it has."""
        ask(self.given.services.database.url, f"SELECT pg_terminate_backend({pid})")
        assert eventually(lambda: not is_alive(pid))

    def stream(self, session: Session) -> Stream:
        mine = select(Stream).where(Stream.baseline_id == self.baseline_id)
        return session.scalars(mine).one()


@pytest.fixture(scope="module")
def mspc() -> fitting.Made:
    """Another map of `BASELINE`, for refits."""
    fitted = maps.fit(BASELINE, layout="mspc", features=FEATURES)
    return fitting.Made(fitted, 2.0, report_card.write(fitted))


@pytest.mark.parametrize("stories", [20, pytest.param(400, marks=pytest.mark.slow)])
def test_rows_are_stored_exactly_once_in_every_story(
    services: Services,
    user: Identity,
    make_baseline: Callable[[Identity], int],
    made: fitting.Made,
    mspc: fitting.Made,
    stories: int,
) -> None:
    class Story(Senders):
        given = Machinery(services, user, make_baseline, (mspc, made))

    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=stories,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
