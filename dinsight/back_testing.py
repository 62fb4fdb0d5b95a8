"""Trying a rule, or another sensitivity, on an epoch that is past or under way: by a job.

Scores are those that were stored. With a sensitivity the levels are judged anew from them, on the
map of that epoch; without one they are those that were judged then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from dinsight import (
    areas,
    back_trial,
    baselines,
    fitting,
    packed_rows,
    playback,
    sensitivity,
    shapes,
)
from dinsight.accounts import Identity
from dinsight.alerts import rules
from dinsight.alerts.engine import Condition, Rows
from dinsight.alerts.words import OF_MACHINE
from dinsight.back_trial import Trial
from dinsight.database import Sessions
from dinsight.errors import (
    BackTestNotFound,
    BackTestsWaiting,
    BaselineNotFound,
    DinsightError,
    InvalidRequest,
)
from dinsight.maps import Map
from dinsight.maps.levels import LevelState, judge
from dinsight.mapstore import load_map
from dinsight.models import (
    Alert,
    BackTest,
    Baseline,
    FittedMap,
    Job,
    Json,
    Stream,
    User,
    floats,
)
from dinsight.packed_rows import Stretch

KIND = "back_test"
MOST_WAITING = 5  # of a user
KEPT = 50  # of a baseline: the newest
PIECE = 100_000  # points read at a time
RULE, SENSITIVITY = "This rule", "At this sensitivity the rule"  # what would have alarmed
WAITING, PROCESSING, COMPLETED, FAILED = "waiting", "processing", "completed", "failed"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """What to try on what: `rule` as `rules.check` takes it, `epoch` None for the present one.

    `factor` is a sensitivity from 0.5 to 5 to judge the levels by.
    """

    stream: str
    rule: Mapping[str, Any]
    epoch: int | None = None
    factor: float | None = None


@dataclass(frozen=True)
class _Case:
    """An epoch that a rule is tried on, from seq `first` up to before `stop`."""

    stream_id: int
    epoch: int
    first: int
    stop: int
    map: Map
    condition: Condition
    factor: float | None
    areas: areas.Areas


def ask(session: Session, who: Identity, baseline_id: int, wish: Wish) -> Json:
    """Queue a trial and give its state; the same that waits already is given again.

    Raises InvalidRequest for a rule that cannot be tried, BaselineNotFound, StreamNotFound,
    EpochNotFound, and BackTestsWaiting where too many of the user's wait.
    """
    rule = checked(wish.rule)
    if wish.factor is not None:
        rule["factor"] = sensitivity.check(wish.factor)
    stream, epoch = playback.find(session, who, baseline_id, wish.stream, wish.epoch)
    kept = select(Baseline.id).where(Baseline.id == baseline_id)
    if session.scalar(kept.with_for_update(read=True, key_share=True)) is None:
        raise BaselineNotFound()  # deleted meanwhile
    mine = select(BackTest).where(
        BackTest.asked_by == who.id, BackTest.status.in_((WAITING, PROCESSING))
    )
    waiting = session.scalars(mine).all()
    for row in waiting:
        if (row.stream_id, row.epoch, row.rule) == (stream.id, epoch.epoch, rule):
            return describe(row, stream.name)
    if len(waiting) >= MOST_WAITING:
        raise BackTestsWaiting(f"{len(waiting)} of your trials wait already: let one end first.")
    row = BackTest(
        baseline_id=baseline_id,
        stream_id=stream.id,
        epoch=epoch.epoch,
        asked_by=who.id,
        rule=rule,
    )
    session.add(row)
    session.flush()
    session.execute(
        insert(Job).values(kind=KIND, baseline_id=baseline_id, arguments={KIND: row.id})
    )
    _forget_oldest(session, baseline_id)
    session.refresh(row)
    return describe(row, stream.name)


def checked(wanted: Mapping[str, Any]) -> Json:
    """The rule as it is tried; raises InvalidRequest for one about the data."""
    if wanted.get("kind") not in OF_MACHINE:
        raise InvalidRequest(
            "Only rules about the level or the score can be tried on history: what the others "
            "look at, batches that were refused or did not come, is not kept."
        )
    return rules.check({"name": "A trial", **wanted})


def get(session: Session, who: Identity, number: int) -> Json:
    """Raises BackTestNotFound."""
    row, stream = _find(session, who, number)
    return describe(row, stream)


def list_all(session: Session, who: Identity, baseline_id: int) -> list[Json]:
    """The trials on a baseline's streams, the newest first. Raises BaselineNotFound."""
    baseline = baselines.get(session, who, baseline_id)
    found = session.execute(
        select(BackTest, Stream.name)
        .join(Stream, Stream.id == BackTest.stream_id)
        .where(BackTest.baseline_id == baseline.id)
        .order_by(BackTest.id.desc())
    )
    return [describe(row, stream) for row, stream in found]


def remove(session: Session, who: Identity, number: int) -> None:
    """Delete a trial, and end it if it has not ended. Raises BackTestNotFound."""
    row, _ = _find(session, who, number)
    session.execute(delete(Job).where(Job.kind == KIND, Job.arguments[KIND].as_integer() == row.id))
    session.delete(row)
    session.flush()


def describe(row: BackTest, stream: str) -> Json:
    """A trial as programs and pages read it."""
    rule = {name: value for name, value in row.rule.items() if name != "factor"}
    level = rule.get("level")
    return {
        "id": row.id,
        "baseline_id": row.baseline_id,
        "stream": stream,
        "epoch": row.epoch,
        "rule": rule | {"level": rules.LEVELS[level - 1] if level else None},
        "sensitivity_factor": row.rule.get("factor"),
        "status": row.status,
        "progress": row.progress,
        "result": None if row.result is None else _result(row.result),
        "error_message": row.error_message,
        "created_at": row.created_at,
    }


def _result(stored: Json) -> Json:
    return stored | {"listed": [floats(each, "peak") for each in stored["listed"]]}


def perform(sessions: Sessions, job_id: int, lease: str) -> None:
    """Try the rule of this job and store what came of it, or why it could not be tried."""
    with sessions() as session:
        number = _number(session, job_id)
        row = None if number is None else session.get(BackTest, number)
    if row is None:
        return  # deleted while it waited
    try:
        with sessions() as session:
            case = _case(session, row)
        result = _try(sessions, row.id, case, lambda session: fitting.hold(session, job_id, lease))
        with sessions.begin() as session:
            fitting.hold(session, job_id, lease)
            live = _live(session, case)
            said = back_trial.sentence(result, RULE if case.factor is None else SENSITIVITY)
            told = {**result, "live": live, "sentence": said}
            _tell(session, row.id, status=COMPLETED, progress=100, result=told)
            session.execute(delete(Job).where(Job.id == job_id))
    except fitting.LeaseLost:
        log.warning("trial %s was deleted, or taken over", row.id)
    except DinsightError as error:
        with sessions.begin() as session:
            fitting.hold(session, job_id, lease)
            fail(session, job_id, row.baseline_id, error.message)


def fail(session: Session, job_id: int, baseline_id: int, reason: str) -> None:
    """Store that the trial failed, and why."""
    number = _number(session, job_id)
    if number is not None:
        _tell(session, number, status=FAILED, error_message=reason)
    session.execute(delete(Job).where(Job.id == job_id))


def _try(sessions: Sessions, number: int, case: _Case, hold: Callable[[Session], None]) -> Json:
    """The result. `hold` raises LeaseLost once the job is another's or deleted: then it ends."""
    trial = Trial(case.condition, first_seq=case.first)
    before = LevelState()
    stretch = Stretch(case.stream_id, case.epoch, case.first, case.stop)
    for piece in packed_rows.pieces(sessions, stretch, PIECE):
        level = piece.level
        if case.factor is not None:
            rule = case.map.rule_at(case.map.limit_at(case.factor))
            level, before = judge(rule, before, piece.score)
        muted = shapes.inside_any(case.areas, piece.x, piece.y) if case.areas else None
        trial.add(Rows(piece.at, piece.score, level, muted), piece.first)
        done = 100 * (piece.first + len(piece.at) - case.first) // max(1, case.stop - case.first)
        with sessions.begin() as session:
            hold(session)
            _tell(session, number, status=PROCESSING, progress=min(99, done))
    return trial.result()


def _case(session: Session, row: BackTest) -> _Case:
    """What the trial needs, as it is now. Raises EpochNotFound, MapOutdated."""
    stream = session.get_one(Stream, row.stream_id)
    user = session.get_one(User, row.asked_by)
    who = Identity(user.id, user.email, user.full_name, user.role)
    found, epoch = playback.find(session, who, row.baseline_id, stream.name, row.epoch)
    rule = {name: value for name, value in row.rule.items() if name in rules.NUMBERS}
    sha256 = session.scalars(select(FittedMap.sha256).where(FittedMap.id == epoch.map_id)).one()
    return _Case(
        stream_id=stream.id,
        epoch=row.epoch,
        first=epoch.points_from,
        stop=found.next_seq,
        map=load_map(session, sha256),
        condition=Condition(level=row.rule.get("level"), **rule),
        factor=row.rule.get("factor"),
        areas=areas.of_stream(session, found) if row.rule.get("mute_in_areas") else (),
    )


def _live(session: Session, case: _Case) -> Json:
    """What the rules that were in force have raised in the same epoch."""
    found = session.execute(
        select(func.count(), func.sum(Alert.times), func.min(Alert.opened_seq))
        .where(Alert.stream_id == case.stream_id, Alert.epoch == case.epoch)
        .where(Alert.alert_type == "anomaly")
    ).one()
    return {"alerts": found[0], "times": int(found[1] or 0), "first_seq": found[2]}


def _tell(session: Session, number: int, **change: Any) -> None:
    session.execute(update(BackTest).where(BackTest.id == number).values(**change))


def _number(session: Session, job_id: int) -> int | None:
    """The trial of a job."""
    found = session.scalar(select(Job.arguments[KIND].as_integer()).where(Job.id == job_id))
    return None if found is None else int(found)


def _find(session: Session, who: Identity, number: int) -> tuple[BackTest, str]:
    found = session.execute(
        select(BackTest, Stream.name)
        .join(Stream, Stream.id == BackTest.stream_id)
        .join(Baseline, Baseline.id == BackTest.baseline_id)
        .where(BackTest.id == number, baselines.visible(who))
    ).one_or_none()
    if found is None:
        raise BackTestNotFound()
    return found[0], found[1]


def _forget_oldest(session: Session, baseline_id: int) -> None:
    """Keep the newest trials of a baseline; those that wait are the newest."""
    kept = (
        select(BackTest.id)
        .where(BackTest.baseline_id == baseline_id)
        .order_by(BackTest.id.desc())
        .limit(KEPT)
    )
    session.execute(
        delete(BackTest).where(
            BackTest.baseline_id == baseline_id,
            BackTest.id.not_in(kept),
            BackTest.status.in_((COMPLETED, FAILED)),
        ),
        execution_options={"synchronize_session": False},
    )
