"""Versions of a baseline: rows that are proposed as normal, reviewed, fitted, adopted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from dinsight import (
    anomaly,
    back_testing,
    baseline_rows,
    baselines,
    candidates,
    diagnosis,
    fitting,
    history,
    maps,
    mapstore,
    refitting,
    report_card,
    retention,
    safeguards,
    streams,
    version_compare,
    versions,
    work,
)
from dinsight.accounts import Identity
from dinsight.candidates import Wanted
from dinsight.errors import (
    AlreadyProposed,
    BaselineNotFound,
    BaselineTooSmall,
    CandidateNotFound,
    EpochChanged,
    InvalidRequest,
    MapBeingRefitted,
    MapOutdated,
    PointNotFound,
    QueueFull,
    ReadingsRemoved,
    RefitUnderWay,
    StreamNotFound,
    TooLarge,
    VersionInUse,
    VersionNotFound,
    VersionNotReady,
    VersionUnderReview,
)
from dinsight.ingest import Incoming, ingest
from dinsight.maps import Map
from dinsight.models import (
    Alert,
    Audit,
    Baseline,
    BaselinePoint,
    BaselineVersion,
    Candidate,
    Epoch,
    FittedMap,
    Job,
    Point,
    Stream,
)
from dinsight.readings import Limits
from dinsight.services import Services
from dinsight.status import status
from tests.factories import BASELINE, csv, failing, healthy
from tests.test_races import SECONDS, wait_until_blocked

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
LEASE = "ours"
Lab = Any


class Workshop:
    """The user's baseline, and what the tests do to it, each in a transaction of its own."""

    def __init__(self, services: Services, who: Identity, baseline_id: int) -> None:
        self.services, self.who, self.id = services, who, baseline_id

    def do(self, function: Callable[..., Any], *args: Any, who: Any = None, **more: Any) -> Any:
        with self.services.sessions.begin() as session:
            return function(session, who or self.who, self.id, *args, **more)

    def send(self, values: np.ndarray, **more: Any) -> Any:
        incoming = Incoming(csv(values), "batch.csv", **more)
        return self.do(ingest, incoming, limits=self.services.limits, now=NOW)

    def propose(self, first: int, last: int, *, epoch: int = 1, **more: Any) -> list[int]:
        wanted = Wanted(more.pop("stream", "default"), epoch, first, last)
        with self.services.sessions.begin() as session:
            found = candidates.propose(session, self.who, self.id, wanted, now=NOW, **more)
            return [row.id for row in found]

    def make(self, ids: list[int] | None = None, **more: Any) -> Any:
        more = {"limits": self.services.limits, "now": NOW} | more
        return self.do(versions.make, ids, **more)

    def fit(self) -> None:
        """Do the job that is there, as an instance that holds it would."""
        with self.services.sessions.begin() as session:
            job_id = session.scalars(select(Job.id)).one()
            session.execute(update(Job).values(lease=LEASE))
        work.perform(self.services.sessions, job_id, LEASE, self.services.limits)

    def adopt(self, version: int) -> Any:
        return self.do(versions.adopt, version, now=NOW)

    def second(self, rows: int = 30, seed: int = 8) -> np.ndarray:
        """A version 2 with these rows of the stream, fitted and under review."""
        values = failing(rows, seed)
        sent = self.send(values)
        self.propose(sent["first_seq"], sent["last_seq"], epoch=sent["epoch"])
        self.make()
        self.fit()
        return values

    @property
    def baseline(self) -> Baseline:
        with self.services.sessions() as session:
            return session.get_one(Baseline, self.id)

    @property
    def sha256(self) -> str | None:
        """Of the map in force."""
        with self.services.sessions() as session:
            return session.scalar(
                select(FittedMap.sha256).where(FittedMap.id == self.baseline.map_id)
            )

    def count(self, model: type) -> int:
        with self.services.sessions() as session:
            return session.scalar(select(func.count()).select_from(model)) or 0

    def states(self) -> dict[int, str]:
        listed = self.do(versions.list_all)["versions"]
        return {row["version"]: row["state"] for row in listed}

    def seen(self) -> dict[str, Any]:
        """All that others are told of the baseline's rows."""
        with self.services.sessions() as session:
            shown = baselines.on_map(session, self.who, self.id)
            card = report_card.read(session, self.who, self.id)
            found = anomaly.detect(session, self.who, self.id, self.id, 3.0)
            told = status(session, self.who, self.id, "default", now=NOW)
            stored = baseline_rows.whole(session, self.id, self.baseline.rows, 12)
        return {
            "places": shown["dinsight_x"].tobytes() + shown["dinsight_y"].tobytes(),
            "metadata": shown["point_metadata"],
            "version": (shown["version"], told["version"]),
            "rows": (card["rows"], told["baseline_points"], len(found.x)),
            "sha256": card["sha256"],
            "scores": found.score.tobytes(),
            "readings": stored.tobytes(),
        }


@pytest.fixture
def lab(services: Services, user: Identity, baseline_id: int) -> Workshop:
    return Workshop(services, user, baseline_id)


# ---- the queue ----


def test_proposed_rows_are_listed_with_what_they_were_judged_to_be(lab: Workshop) -> None:
    lab.send(np.concatenate([healthy(10), failing(20)]))
    lab.propose(11, 30, note="after the overhaul ")
    (row,) = lab.do(candidates.queue)
    named = (
        "stream",
        "epoch",
        "first",
        "last",
        "rows",
        "note",
        "state",
        "proposed_by",
        "available",
    )
    assert tuple(row[name] for name in named) == (
        *("default", 1, 11, 30, 20, "after the overhaul", "queued", lab.who.email, 20),
    )
    assert row["healthy"] + row["warning"] + row["alarm"] == 20
    assert row["alarm"] >= 10
    assert row["peak_score"] >= row["median_score"] > 1
    assert lab.do(versions.list_all)["waiting_rows"] == 20
    with lab.services.sessions() as session:
        noted = session.execute(select(Audit.action, Audit.user_id, Audit.details)).one()
    assert noted[:2] == ("candidate.propose", lab.who.id)
    assert noted.details == {"epoch": 1, "first": 11, "last": 30, "note": "after the overhaul"}


def test_what_is_queued_is_not_queued_again(lab: Workshop) -> None:
    lab.send(healthy(30))
    lab.propose(10, 20)
    with pytest.raises(AlreadyProposed):
        lab.propose(12, 20)
    lab.propose(5, 25)
    spans = [(row["first"], row["last"]) for row in lab.do(candidates.queue)]
    assert spans == [(10, 20), (5, 9), (21, 25)]


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9)), max_size=6),
    st.integers(1, 40),
    st.integers(0, 30),
)
def test_gaps_are_the_rows_that_are_not_known(
    known: list[tuple[int, int]], first: int, more: int
) -> None:
    spans = [(low, low + length) for low, length in known]
    taken = {seq for low, high in spans for seq in range(low, high + 1)}
    left = [
        seq
        for low, high in candidates.gaps(first, first + more, spans)
        for seq in range(low, high + 1)
    ]
    assert left == [seq for seq in range(first, first + more + 1) if seq not in taken]


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (Wanted("default", 1, 0, 3), InvalidRequest),
        (Wanted("default", 1, 5, 3), InvalidRequest),
        (Wanted("default", 2**40, 1, 3), InvalidRequest),
        (Wanted("default", 1, 1, 2**70), InvalidRequest),
        (Wanted("default", 1, 1, 31), PointNotFound),
        (Wanted("default", 2, 1, 3), PointNotFound),
        (Wanted("night", 1, 1, 3), StreamNotFound),
    ],
)
def test_rows_that_are_none_cannot_be_proposed(
    lab: Workshop, wanted: Wanted, error: type[Exception]
) -> None:
    lab.send(healthy(30))
    with pytest.raises(error):
        lab.do(candidates.propose, wanted, now=NOW)
    assert lab.count(Candidate) == 0


def test_the_queue_has_an_end(lab: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.send(healthy(30))
    monkeypatch.setattr(candidates, "MOST_ROWS", 10)
    with pytest.raises(InvalidRequest, match="at most 10"):
        lab.propose(1, 11)
    monkeypatch.setattr(candidates, "MOST_QUEUED_ROWS", 15)
    lab.propose(1, 10)
    with pytest.raises(QueueFull, match="10 rows wait"):
        lab.propose(11, 20)
    with pytest.raises(InvalidRequest, match="500 printable"):
        lab.propose(11, 12, note="x" * 501)


def test_a_refused_candidate_can_be_proposed_again(lab: Workshop) -> None:
    lab.send(healthy(10))
    (number,) = lab.propose(1, 5)
    lab.do(candidates.refuse, number, now=NOW)
    with pytest.raises(CandidateNotFound):
        lab.do(candidates.refuse, number, now=NOW)
    assert lab.do(candidates.queue) == []
    assert [row["decided_by"] for row in lab.do(candidates.queue, "refused")] == [lab.who.email]
    assert lab.propose(1, 5)


def test_readings_that_retention_took_cannot_be_proposed(lab: Workshop) -> None:
    lab.send(healthy(10))
    later = NOW + dt.timedelta(days=9)
    rules = retention.Rules(readings_age=dt.timedelta(days=1))
    lab.propose(8, 10)
    retention.sweep(lab.services.sessions, rules, later)
    lab.send(healthy(4))
    with pytest.raises(ReadingsRemoved, match=r"before 11 .*: propose those from 11 on"):
        lab.propose(5, 12)
    with pytest.raises(ReadingsRemoved, match="of these rows of stream 'default'"):
        lab.propose(1, 4)
    with pytest.raises(ReadingsRemoved):
        lab.make()
    assert (lab.count(Job), lab.states()) == (0, {1: "in_force"})
    assert lab.do(candidates.queue)[0]["available"] == 0


def test_rows_of_a_run_that_retention_took_whole_fail_with_the_reason(lab: Workshop) -> None:
    lab.send(failing(30))
    lab.propose(1, 30)
    lab.do(streams.reset, "default", now=NOW)
    rules = retention.Rules(age=dt.timedelta(days=2))
    retention.sweep(lab.services.sessions, rules, NOW + dt.timedelta(days=10))
    with pytest.raises(ReadingsRemoved, match="of these rows of stream 'default'"):
        lab.make()
    assert lab.count(Job) == 0


def test_the_history_tells_runs_and_resets_though_nothing_came_between(lab: Workshop) -> None:
    lab.send(healthy(10))
    lab.second()
    lab.adopt(2)
    lab.adopt(1)
    lab.send(healthy(3))
    lab.do(streams.reset, "default", now=NOW)
    lab.adopt(2)
    with lab.services.sessions() as session:
        told = history.epochs(session, lab.who, lab.id, limit=9, offset=0)["sessions"]
    found = {each["epoch"]: (each["run"], each["ended_by"]) for each in told}
    assert found == {
        **{1: (1, "refit"), 2: (1, "refit"), 3: (1, "reset")},
        **{4: (4, "refit"), 5: (4, None)},
    }


def test_a_rule_that_is_tried_keeps_no_version_from_being_adopted(lab: Workshop) -> None:
    lab.second()
    rule = {"kind": "score", "score": 0.9, "needed": 1, "window": 1}
    with lab.services.sessions.begin() as session:
        back_testing.ask(session, lab.who, lab.id, back_testing.Wish("default", rule))
    assert lab.adopt(2)["version"] == 2


def test_an_alert_s_rows_are_proposed_as_far_as_they_are_known(
    lab: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.send(np.concatenate([healthy(10), failing(20)]))
    with lab.services.sessions.begin() as session:
        stream_id = session.scalars(select(Stream.id)).one()
        alert = Alert(
            baseline_id=lab.id,
            stream_id=stream_id,
            epoch=1,
            rule={},
            alert_type="anomaly",
            title="Alarm",
            message="",
            severity="high",
            opened_at=NOW,
            opened_seq=11,
        )
        session.add(alert)
        session.flush()
        number = alert.id

    def propose(**change: Any) -> list[tuple[int, int, int | None]]:
        with lab.services.sessions.begin() as session:
            row = session.get_one(Alert, number)
            for name, value in change.items():
                setattr(row, name, value)
            found = candidates.propose_alert(session, lab.who, row, now=NOW)
            return [(each.first, each.last, each.alert_id) for each in found]

    assert propose(cleared_seq=20) == [(11, 20, number)]
    assert propose(cleared_seq=None) == [(21, 30, number)]  # still active: up to the newest
    assert propose() == []
    assert propose(epoch=7) == []
    assert [row["note"] for row in lab.do(candidates.queue)] == ["Alarm", "Alarm"]
    with lab.services.sessions.begin() as session:
        session.execute(delete(Candidate))
    monkeypatch.setattr(candidates, "MOST_ROWS", 6)
    assert propose(epoch=1) == [(25, 30, number)]


def test_the_episode_around_a_point_is_what_was_judged_anomalous(lab: Workshop) -> None:
    lab.send(np.concatenate([healthy(10), failing(20), healthy(10)]))
    with lab.services.sessions() as session:
        found = session.execute(select(Point.seq, Point.level).order_by(Point.seq)).all()
    anomalous = [seq for seq, level in found if level > 0]
    told = lab.do(candidates.episode, "default", (1, 20))
    assert (told["first"], told["last"]) == (anomalous[0], anomalous[-1])
    assert told["level"] == 2
    assert lab.do(candidates.episode, "default", (1, 3)) == {"first": 3, "last": 3, "level": 0}


# ---- a version ----


def test_until_it_is_adopted_a_version_changes_nothing(lab: Workshop) -> None:
    before = lab.seen()
    values = lab.second()
    after = lab.seen()
    assert after == before
    assert before["rows"] == (120, 120, 120)
    assert lab.states() == {2: "review", 1: "in_force"}
    assert lab.count(BaselinePoint) == 150
    with lab.services.sessions() as session:
        stored = session.scalars(select(BaselinePoint.features).order_by(BaselinePoint.row)).all()
    assert b"".join(stored) == BASELINE.tobytes() + values.tobytes()
    assert lab.baseline.refit["status_message"] == "Ready for review"


def test_adopting_moves_streams_to_a_new_epoch_and_the_new_rows_are_normal(lab: Workshop) -> None:
    values = lab.second()
    assert lab.adopt(2) == {"version": 2, "rows": 150}
    seen = lab.seen()
    assert (seen["version"], seen["rows"]) == ((2, 2), (150, 150, 150))
    assert seen["readings"] == BASELINE.tobytes() + values.tobytes()
    with pytest.raises(EpochChanged, match="refitted: this run goes on in epoch 2") as refused:
        lab.send(healthy(1), epoch=1)
    assert refused.value.details["reason"] == "refit"
    assert lab.send(failing(30, seed=8), epoch=2)["anomalies"] == 0
    with lab.services.sessions() as session:
        kept = session.execute(select(Point.epoch, func.count()).group_by(Point.epoch)).all()
        noted = session.scalars(select(Audit.action).order_by(Audit.id)).all()
    assert dict(map(tuple, kept)) == {1: 30, 2: 30}
    assert noted == ["candidate.propose", "version.make", "version.adopt"]
    assert lab.adopt(2) == {"version": 2, "rows": 150}  # asked once more
    assert lab.count(Epoch) == 2


def test_back_to_version_1_everything_is_as_it_was(lab: Workshop) -> None:
    rows = failing(5, seed=3)
    before, first = lab.seen(), lab.sha256
    lab.send(rows)
    lab.second()
    lab.adopt(2)
    assert lab.sha256 != first
    lab.adopt(1)
    assert (lab.sha256, lab.seen()) == (first, before)
    assert lab.states() == {2: "review", 1: "in_force"}
    lab.send(rows)
    with lab.services.sessions() as session:
        placed = session.execute(
            select(Point.x, Point.y, Point.score).order_by(Point.epoch, Point.seq)
        ).all()
    assert placed[:5] == placed[-5:]


def test_each_version_begins_with_the_rows_of_the_last(lab: Workshop) -> None:
    lab.second(20, seed=11)
    lab.adopt(2)
    lab.send(healthy(15, seed=12))
    lab.propose(1, 15, epoch=2)
    lab.make(layout="mspc", note="third")
    lab.fit()
    lab.adopt(3)
    with lab.services.sessions() as session:
        rows = session.execute(
            select(BaselineVersion.rows, FittedMap.sha256)
            .join(FittedMap, FittedMap.id == BaselineVersion.map_id)
            .order_by(BaselineVersion.version)
        ).all()
        stored = session.scalars(select(BaselinePoint.features).order_by(BaselinePoint.row)).all()
        features = tuple(session.scalars(select(Baseline.feature_names)).one())
    values = np.frombuffer(b"".join(stored), "<f4").reshape(-1, 12)
    assert [row.rows for row in rows] == [120, 140, 155]
    for (count, sha256), layout in zip(rows, ("distance", "distance", "mspc"), strict=True):
        again = fitting.make(values[:count], features, layout, lambda *_: None)
        assert fitting.maps.sha256(again.fitted.to_bytes()) == sha256
    assert lab.baseline.layout == "mspc"


def test_a_plain_refit_belongs_to_the_version_in_force(lab: Workshop) -> None:
    lab.second()
    with lab.services.sessions.begin() as session:
        refitting.ask(session, lab.who, lab.id, "mspc")
    lab.fit()
    assert (lab.baseline.layout, lab.baseline.version, lab.baseline.rows) == ("mspc", 1, 120)
    refitted = lab.sha256
    lab.adopt(2)
    assert lab.baseline.layout == "distance"
    lab.adopt(1)
    assert lab.sha256 == refitted
    assert lab.seen()["rows"] == (120, 120, 120)


def test_discarding_leaves_no_trace_but_the_queue_and_the_audit(lab: Workshop) -> None:
    before = lab.seen()
    lab.second()
    lab.do(versions.discard, 2)
    assert lab.seen() == before
    assert (lab.count(BaselinePoint), lab.count(FittedMap), lab.states()) == (
        *(120, 1),
        {1: "in_force"},
    )
    assert [row["rows"] for row in lab.do(candidates.queue)] == [30]
    with pytest.raises(VersionNotFound):
        lab.do(versions.discard, 2)
    lab.make()
    lab.fit()
    assert lab.states() == {2: "review", 1: "in_force"}


def test_what_is_in_force_or_built_on_is_not_discarded(lab: Workshop) -> None:
    with pytest.raises(VersionInUse, match="in force"):
        lab.do(versions.discard, 1)
    lab.second()
    lab.adopt(2)
    with pytest.raises(VersionInUse, match="Version 2 is built on it"):
        lab.do(versions.discard, 1)
    with pytest.raises(VersionNotFound):
        lab.adopt(3)


def test_points_of_a_discarded_version_stay_and_are_explained(lab: Workshop) -> None:
    """Their map names rows by numbers that other rows have later."""
    lab.second()
    lab.adopt(2)
    lab.send(failing(3, seed=21))
    lab.adopt(1)
    lab.do(versions.discard, 2)
    assert lab.count(FittedMap) == 2
    for candidate in lab.do(candidates.queue):
        lab.do(candidates.refuse, candidate["id"], now=NOW)
    lab.send(healthy(30, seed=40))
    lab.propose(1, 30, epoch=3)
    lab.make()
    lab.fit()
    with lab.services.sessions() as session:
        told = diagnosis.explain(session, lab.who, lab.id, "default", 2, epoch=2)
    assert told["nearest"] is None or told["nearest"]["row"] < 120


def test_a_version_waits_until_the_last_one_is_decided(lab: Workshop) -> None:
    lab.second()
    lab.send(healthy(5))
    lab.propose(31, 35)
    with pytest.raises(VersionUnderReview, match="Version 2 is later"):
        lab.make()
    assert (lab.count(Job), len(lab.do(candidates.queue))) == (0, 1)


def test_some_candidates_are_chosen_and_none_is_taken_twice(lab: Workshop) -> None:
    lab.send(healthy(30))
    one, two = lab.propose(1, 10), lab.propose(21, 30)
    with pytest.raises(CandidateNotFound):
        lab.make([*one, 999_999])
    with pytest.raises(TooLarge, match="130 rows: a baseline has at most 125"):
        lab.make(one, limits=Limits(125, 100))
    made = lab.make(one, note="the first ten")
    assert (made["version"], made["rows"], made["refit"]["version"]) == (2, 130, 2)
    assert [row["id"] for row in lab.do(candidates.queue)] == two
    assert lab.states() == {2: "fitting", 1: "in_force"}
    for attempt in (lambda: lab.make(two), lambda: lab.adopt(2)):
        with pytest.raises((RefitUnderWay, VersionNotReady)):
            attempt()
    with lab.services.sessions.begin() as session, pytest.raises(RefitUnderWay):
        refitting.ask(session, lab.who, lab.id, "distance")
    lab.fit()
    assert lab.count(BaselinePoint) == 130


def test_without_candidates_there_is_no_version(lab: Workshop) -> None:
    with pytest.raises(CandidateNotFound):
        lab.make()
    assert (lab.count(Job), lab.baseline.refit) == (0, None)


def test_a_failed_fit_leaves_everything_as_it_was(
    lab: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lab.seen()
    lab.send(failing(10))
    (number,) = lab.propose(1, 10)

    def broken(*_: Any) -> fitting.Made:
        raise BaselineTooSmall("Not enough.")

    monkeypatch.setattr(fitting, "make", broken)
    lab.make()
    lab.fit()
    assert lab.seen() == before
    assert lab.states() == {1: "in_force"}
    assert (lab.baseline.refit["status"], lab.baseline.refit["error_message"]) == (
        *("failed", "Not enough."),
    )
    assert [row["id"] for row in lab.do(candidates.queue)] == [number]
    assert (lab.count(Job), lab.count(BaselinePoint)) == (0, 120)
    lab.make()
    with lab.services.sessions.begin() as session:
        session.execute(update(Job).values(lease=LEASE))
        job_id = session.scalars(select(Job.id)).one()
        work.give_up(session, job_id, LEASE, lab.id, "It ended three times.")
    assert lab.states() == {1: "in_force"}
    assert lab.baseline.refit["error_message"] == "It ended three times."


def test_readings_that_go_while_it_waits_fail_the_fit_with_the_reason(lab: Workshop) -> None:
    lab.send(healthy(10))
    lab.propose(1, 10)
    lab.make()
    with lab.services.sessions.begin() as session:
        session.execute(update(Point).where(Point.seq < 4).values(features=None))
    lab.fit()
    assert "retention has removed the readings" in lab.baseline.refit["error_message"]
    assert lab.states() == {1: "in_force"}
    assert lab.seen()["rows"] == (120, 120, 120)


def test_a_version_can_be_discarded_while_it_is_fitted(
    lab: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.send(failing(10))
    lab.propose(1, 10)
    lab.make()
    make = fitting.make

    def discarded(*args: Any) -> fitting.Made:
        made = make(*args)
        lab.do(versions.discard, 2)
        args[3](50, "too late")
        return made

    monkeypatch.setattr(fitting, "make", discarded)
    lab.fit()
    assert (lab.states(), lab.baseline.refit) == ({1: "in_force"}, None)
    assert (lab.count(BaselinePoint), lab.count(FittedMap), lab.count(Job)) == (120, 1, 0)
    assert len(lab.do(candidates.queue)) == 1


def test_a_deletion_ends_the_fit(lab: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.send(failing(10))
    lab.propose(1, 10)
    lab.make()
    make = fitting.make

    def deleted(*args: Any) -> fitting.Made:
        made = make(*args)
        lab.do(baselines.remove)
        return made

    monkeypatch.setattr(fitting, "make", deleted)
    lab.fit()
    for model in (Baseline, BaselineVersion, BaselinePoint, Candidate, FittedMap, Job):
        assert lab.count(model) == 0, model


def test_a_baseline_goes_with_its_versions(lab: Workshop) -> None:
    lab.second()
    lab.adopt(2)
    lab.do(baselines.remove)
    for model in (Baseline, BaselineVersion, BaselinePoint, Candidate, FittedMap):
        assert lab.count(model) == 0, model


def test_another_s_baseline_has_no_versions(lab: Workshop, other: Identity) -> None:
    lab.second()
    (number,) = (row["id"] for row in lab.do(candidates.queue, "taken"))
    for function, args in (
        (versions.list_all, ()),
        (versions.foresee, ()),
        (candidates.queue, ()),
        (candidates.propose, (Wanted("default", 1, 1, 2),)),
        (candidates.refuse, (number,)),
        (versions.make, ()),
        (versions.adopt, (2,)),
        (versions.discard, (2,)),
        (version_compare.compare, ((1, 2),)),
        (candidates.episode, ("default", (1, 1))),
    ):
        names = function.__code__.co_varnames
        more = {
            name: value
            for name, value in {"now": NOW, "limits": lab.services.limits}.items()
            if name in names
        }
        with pytest.raises(BaselineNotFound):
            lab.do(function, *args, who=other, **more)
    assert lab.states() == {2: "review", 1: "in_force"}


# ---- at the same time ----


def test_of_two_makes_at_once_one_makes(lab: Workshop) -> None:
    lab.send(healthy(20))
    lab.propose(1, 20)
    with ThreadPoolExecutor(1) as pool, lab.services.sessions() as session:
        versions.make(session, lab.who, lab.id, limits=lab.services.limits, now=NOW)
        second = pool.submit(lab.make)
        wait_until_blocked(session)
        session.commit()
        with pytest.raises(RefitUnderWay):
            second.result(SECONDS)
    assert (lab.count(Job), lab.states()) == (1, {2: "fitting", 1: "in_force"})


def test_a_batch_that_meets_an_adoption_is_placed_by_the_new_version(lab: Workshop) -> None:
    lab.second()
    with ThreadPoolExecutor(1) as pool, lab.services.sessions() as session:
        versions.adopt(session, lab.who, lab.id, 2, now=NOW)
        meeting = pool.submit(lab.send, failing(4, seed=8))
        wait_until_blocked(session)
        session.commit()
        answer = meeting.result(SECONDS)
    assert (answer["epoch"], answer["last_seq"], answer["anomalies"]) == (2, 4, 0)


def test_a_proposal_that_meets_another_takes_what_is_left(lab: Workshop) -> None:
    lab.send(healthy(20))
    with ThreadPoolExecutor(1) as pool, lab.services.sessions() as session:
        candidates.propose(session, lab.who, lab.id, Wanted("default", 1, 1, 12), now=NOW)
        meeting = pool.submit(lab.propose, 8, 20)
        wait_until_blocked(session)
        session.commit()
        meeting.result(SECONDS)
    assert [(row["first"], row["last"]) for row in lab.do(candidates.queue)] == [(1, 12), (13, 20)]


# ---- comparing ----


def test_two_versions_are_compared_on_both_maps(lab: Workshop) -> None:
    lab.send(healthy(40, seed=50))
    values = lab.second(30)
    found = lab.do(version_compare.compare, (2, 1), now=NOW + dt.timedelta(days=1))
    with lab.services.sessions() as session:
        maps = [
            fitting.maps.load(payload)
            for payload in session.scalars(
                select(FittedMap.payload)
                .join(BaselineVersion, BaselineVersion.map_id == FittedMap.id)
                .order_by(BaselineVersion.version)
            )
        ]
    assert (found["a"]["version"], found["b"]["version"]) == (1, 2)
    assert (found["a"]["in_force"], found["b"]["in_force"]) == (True, False)
    assert found["common"]["total"] == 120
    assert np.array_equal(found["common"]["x_b"], maps[1].coordinates[:120, 0])
    added = found["added"]
    assert (added["row"], added["total"]) == (list(range(120, 150)), 30)
    assert np.array_equal(added["score_a"], maps[0].place(values).score)
    assert np.array_equal(added["x_b"], maps[1].coordinates[120:, 0])
    assert added["levels_a"]["alarm"] == 30
    assert added["levels_b"]["alarm"] < 5
    assert added["changed"] >= 25
    recent = found["recent"]
    assert (recent["stream"], recent["total"], recent["scored"]) == ("default", 70, 70)
    assert recent["seq"] == list(range(1, 71))
    assert found["b"]["report"]["false_alarms_per_day"]["expected"] > 0
    nothing = lab.do(version_compare.compare, (1, 2), now=NOW + dt.timedelta(days=30))["recent"]
    assert (nothing["total"], nothing["levels_a"]["healthy"]) == (0, 0)


def test_of_many_rows_an_even_choice_is_scored(
    lab: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.second(60)
    assert version_compare.affordable(16_377) == 61
    monkeypatch.setattr(version_compare, "MOST_SCORED", 20)
    found = lab.do(version_compare.compare, (1, 2), now=NOW)
    assert (found["recent"]["total"], found["recent"]["scored"]) == (60, 20)
    assert (found["recent"]["seq"][0], found["recent"]["seq"][-1]) == (1, 60)


def test_only_two_different_versions_with_maps_are_compared(lab: Workshop) -> None:
    for pair, error in (((1, 1), InvalidRequest), ((1, 2), VersionNotFound)):
        with pytest.raises(error):
            lab.do(version_compare.compare, pair, now=NOW)
    lab.send(healthy(10))
    lab.propose(1, 10)
    lab.make()
    with pytest.raises(VersionNotReady):
        lab.do(version_compare.compare, (1, 2), now=NOW)
    with pytest.raises(InvalidRequest, match="days"):
        lab.do(version_compare.compare, (1, 2), days=0, now=NOW)
    lab.fit()
    with pytest.raises(StreamNotFound):
        lab.do(version_compare.compare, (1, 2), stream="nobody", now=NOW)


# ---- safeguards ----


def test_a_map_is_as_strict_as_itself_and_a_wider_one_is_looser(fitted: Map) -> None:
    same = safeguards.loosening(fitted, fitted, BASELINE)
    assert (same.typical, same.worst) == (1.0, 1.0)
    wide = np.concatenate([BASELINE, 5 + 12 * (healthy(120, seed=3) - 5)])
    wider = fitting.maps.fit(wide.astype(np.float32), features=fitted.features)
    found = safeguards.loosening(fitted, wider, BASELINE)
    assert found.worst >= found.typical > safeguards.LOOSER
    assert [each["code"] for each in safeguards.of_limits(found)] == ["LOOSER"]
    assert safeguards.of_limits(same) == []
    back = safeguards.loosening(wider, fitted, BASELINE)
    assert back.typical < 1


def test_far_rows_and_many_rows_are_warned_of(lab: Workshop) -> None:
    far = healthy(130, seed=4)
    far[:, 3] += 5000
    lab.send(far)
    lab.propose(1, 130)
    assert [each["code"] for each in lab.do(versions.foresee)] == ["FAR", "OUTNUMBER"]


# ---- versions whose map an earlier program made ----


def outdate(lab: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an update, in a process that has loaded no map."""
    monkeypatch.setattr(mapstore, "_cache", mapstore.MapCache())
    with lab.services.sessions.begin() as session:
        session.execute(update(FittedMap).values(format=maps.FORMAT - 1))
        assert refitting.queue_outdated(session) == 1


def compare(lab: Workshop) -> Any:
    return lab.do(version_compare.compare, (1, 2), now=NOW)


def test_after_the_map_in_force_those_of_other_versions_are_fitted_anew(
    lab: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.second()
    before = compare(lab)
    outdate(lab, monkeypatch)
    lab.fit()
    assert (lab.baseline.refit or {})["kept"] == 2
    with pytest.raises(MapBeingRefitted):
        compare(lab)
    with pytest.raises(MapBeingRefitted):
        lab.adopt(2)
    with pytest.raises(RefitUnderWay, match="Another version of this baseline"):
        lab.do(refitting.ask, "distance")
    epochs = lab.count(Epoch)
    lab.fit()
    after = compare(lab)
    for side in ("a", "b"):
        assert after[side]["sha256"] == before[side]["sha256"]  # the same rows, the same program
    assert (lab.count(Job), lab.count(Epoch), lab.baseline.version) == (0, epochs, 1)
    assert lab.adopt(2)["version"] == 2


def test_a_version_may_be_discarded_while_it_is_fitted_anew(
    lab: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.second()
    outdate(lab, monkeypatch)
    lab.fit()
    lab.do(versions.discard, 2)
    assert (lab.count(Job), lab.baseline.refit, lab.states()) == (0, None, {1: "in_force"})


def test_a_failed_renewal_leaves_the_version_and_says_so(
    lab: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.second()
    outdate(lab, monkeypatch)
    lab.fit()
    with lab.services.sessions.begin() as session:
        job_id = session.scalars(select(Job.id)).one()
        refitting.fail(session, job_id, lab.id, "It broke.")
    with pytest.raises(MapOutdated, match=r"It broke\. Refit the baseline"):
        compare(lab)
    assert lab.states() == {1: "in_force", 2: "review"}
    assert lab.count(Job) == 0


def test_after_a_failed_renewal_the_next_version_has_its_turn(
    lab: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.second()
    lab.adopt(2)
    lab.second()
    outdate(lab, monkeypatch)
    lab.fit()
    assert (lab.baseline.refit or {})["kept"] == 3
    with lab.services.sessions.begin() as session:
        refitting.fail(session, session.scalars(select(Job.id)).one(), lab.id, "It broke.")
    assert (lab.baseline.refit or {})["kept"] == 1
    lab.fit()
    assert (lab.count(Job), (lab.baseline.refit or {})["status"]) == (0, "completed")
    assert lab.adopt(1)["version"] == 1


def test_a_batch_that_raises_an_alert_is_waited_for(lab: Workshop) -> None:
    lab.second()
    lab.do(streams.reset, "default", now=NOW)
    lab.send(healthy(3))
    with ThreadPoolExecutor(1) as pool, lab.services.sessions() as session:
        streams.lock(session, lab.who, lab.id, "default")
        adopting = pool.submit(lab.adopt, 2)
        wait_until_blocked(session)
        incoming = Incoming(csv(failing(20)), "batch.csv")
        ingest(session, lab.who, lab.id, incoming, limits=lab.services.limits, now=NOW)
        session.commit()
        assert adopting.result(SECONDS)["version"] == 2
