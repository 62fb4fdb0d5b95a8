"""Another map of the same baseline rows, without a new upload.

The baseline keeps its map and its status while the job runs; a refit that fails leaves it in
force. When the new map is there every stream goes on in a new epoch: stored points never move.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from sqlalchemy import Select, Update, delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, undefer

from dinsight import baseline_rows, baselines, fitting, maps, streams
from dinsight.accounts import Identity, audit
from dinsight.database import Sessions
from dinsight.errors import BaselineNotFound, DinsightError, MapUnchanged, RefitUnderWay
from dinsight.fitting import LeaseLost, Made
from dinsight.models import (
    Baseline,
    BaselineVersion,
    Epoch,
    FittedMap,
    Job,
    Json,
    Point,
    Stream,
)

KIND = "refit"
VERSION_UNDER_WAY = "A new version of this baseline is being fitted: wait until that is done."
KEPT_UNDER_WAY = "Another version of this baseline is being fitted anew: wait until that is done."
OUTDATED = "The map was made by an earlier version of D'insight"

UNSEEN = {"synchronize_session": False}

log = logging.getLogger(__name__)


def ask(session: Session, who: Identity, baseline_id: int, layout: str) -> Json:
    """Queue a refit as another layout, and give its state.

    The one that is under way already is given again. Raises UnknownLayout, RefitUnderWay for one
    as another layout, MapUnchanged where the result would be the map that there is (a fit of the
    same rows by the same program gives the same map), BaselineNotReady and BaselineFailed.
    """
    baselines.check_layout(layout)
    baseline = baselines.get(session, who, baseline_id)
    baselines.require_fitted(baseline)
    running = under_way(baseline)
    if running is not None and "version" in running:
        raise RefitUnderWay(VERSION_UNDER_WAY)
    if running is not None and "kept" in running:
        raise RefitUnderWay(KEPT_UNDER_WAY)
    if running is None and layout == baseline.layout and _format(session, baseline) == maps.FORMAT:
        raise MapUnchanged(f"This baseline is drawn as {layout} already.")
    kept = select(Baseline.id).where(Baseline.id == baseline_id)
    if session.scalar(kept.with_for_update(key_share=True)) is None:
        raise BaselineNotFound()  # deleted meanwhile
    if not queue(session, baseline_id, layout, ""):
        session.refresh(baseline)
        running = under_way(baseline)
        if running is None or running["map"] != layout or running.keys() & {"version", "kept"}:
            raise RefitUnderWay()
        return running
    audit(session, "baseline.refit", user_id=who.id, subject=str(baseline_id), map=layout)
    session.refresh(baseline)
    return state(baseline) or {}


def queue_outdated(session: Session) -> int:
    """Queue a refit of every baseline that has a map of an earlier format; says of how many.

    First of the map in force, then of other versions: each refit queues the next (`queue_kept`).
    """
    found = session.execute(
        select(Baseline.id, Baseline.layout)
        .join(FittedMap, FittedMap.id == Baseline.map_id)
        .where(Baseline.status == "completed", FittedMap.format < maps.FORMAT)
        .order_by(Baseline.id)
        .with_for_update(of=Baseline, key_share=True)
    ).all()
    queued = sum(queue(session, row.id, row.layout, OUTDATED) for row in found)
    others = session.scalars(_kept().with_only_columns(Baseline.id).distinct()).all()
    return queued + sum(queue_kept(session, number) for number in sorted(others))


def queue_kept(session: Session, baseline_id: int, *, before: int | None = None) -> bool:
    """Queue a refit of the last version that is not in force and has a map of an earlier format.

    With `before` it is one of an earlier version than that.
    """
    mine = _kept().where(Baseline.id == baseline_id).order_by(BaselineVersion.version.desc())
    if before is not None:
        mine = mine.where(BaselineVersion.version < before)
    held = mine.limit(1).with_for_update(of=Baseline, key_share=True)
    found = session.execute(held).one_or_none()
    return found is not None and queue(
        session, baseline_id, found.layout, OUTDATED, kept=found.version
    )


def _kept() -> Select[int, str]:
    """Versions that are not in force and have a map of an earlier format, with its layout."""
    return (
        select(BaselineVersion.version, FittedMap.layout)
        .join(FittedMap, FittedMap.id == BaselineVersion.map_id)
        .join(Baseline, Baseline.id == BaselineVersion.baseline_id)
        .where(Baseline.status == "completed", FittedMap.format < maps.FORMAT)
        .where(BaselineVersion.version != Baseline.version)
    )


def state(baseline: Baseline) -> Json | None:
    """How far the last refit is or how it ended; None where there was none."""
    return baseline.refit


def refit(sessions: Sessions, job_id: int, lease: str) -> None:
    """Fit the baseline of this job anew and adopt the map, or store why it cannot be done.

    A job that names a version that is `kept` is about that one: what is in force stays.
    """
    with sessions() as session:
        found = session.execute(
            select(Baseline, Job.arguments)
            .join(Job, Job.baseline_id == Baseline.id)
            .where(Job.id == job_id)
            .options(undefer(Baseline.feature_names))
        ).one_or_none()
    if found is None:
        return  # deleted while it waited
    try:
        _refit(sessions, found[0], found[1], job_id, lease)
    except LeaseLost:
        log.warning("baseline %s was deleted, or its refit was taken over", found[0].id)
    except DinsightError as error:
        with sessions.begin() as session:
            fitting.hold(session, job_id, lease)
            fail(session, job_id, found[0].id, error.message)


def fail(session: Session, job_id: int, baseline_id: int, reason: str) -> None:
    """Store that the refit failed, and why; the map that there is stays in force.

    After one of a version that is kept, the next of those has its turn.
    """
    tell(session, baseline_id, status="failed", status_message="Failed", error_message=reason)
    gone = delete(Job).where(Job.id == job_id).returning(Job.arguments)
    kept = (session.scalar(gone) or {}).get("kept")
    if kept is not None:
        log.warning("version %s of baseline %s was not refitted: %s", kept, baseline_id, reason)
        queue_kept(session, baseline_id, before=kept)


def _refit(
    sessions: Sessions, baseline: Baseline, arguments: Json, job_id: int, lease: str
) -> None:
    def report(percent: int, message: str) -> None:
        with sessions.begin() as session:
            tell_progress(session, job_id, baseline.id, percent, message)

    features, kept = tuple(baseline.feature_names), arguments.get("kept")
    report(1, "Reading the rows")
    with sessions() as session:
        rows = baseline.rows if kept is None else _rows(session, baseline.id, kept)
        values = baseline_rows.whole(session, baseline.id, rows, len(features))
    if not len(values):
        raise LeaseLost()  # deleted meanwhile: a fitted baseline has rows
    report(fitting.PARSED, f"Fitting {len(values):,} rows of {len(features):,} features")
    made = fitting.make(values, features, str(arguments["layout"]), report)
    report(fitting.FITTED, "Storing the map")
    with sessions.begin() as session:
        fitting.hold(session, job_id, lease)
        adopt(session, baseline.id, made, dt.datetime.now(dt.UTC), kept=kept)
        tell(session, baseline.id, status="completed", progress=100, status_message="Ready")
        session.execute(delete(Job).where(Job.id == job_id))
        queue_kept(session, baseline.id, before=kept)


def _rows(session: Session, baseline_id: int, version: int) -> int:
    mine = select(BaselineVersion.rows).where(BaselineVersion.baseline_id == baseline_id)
    return session.scalar(mine.where(BaselineVersion.version == version)) or 0


def adopt(
    session: Session, baseline_id: int, made: Made, now: dt.datetime, *, kept: int | None = None
) -> None:
    """Make this the map of the baseline, from a new epoch of each of its streams on.

    With `kept` it is the map of that version, which is not in force: streams go on as they are.

    Locks in the order of `baselines.remove`: (job,) baseline, streams by id. The baseline is held
    so that no stream is made on the old map meanwhile, but alerts are, by a batch that holds its
    stream.
    """
    held = select(Baseline).where(Baseline.id == baseline_id).with_for_update(key_share=True)
    baseline = session.scalar(held.execution_options(populate_existing=True))
    if baseline is None:
        raise LeaseLost()  # deleted meanwhile
    map_id = fitting.store_map(session, baseline_id, made)
    session.execute(
        update(BaselineVersion)
        .where(BaselineVersion.baseline_id == baseline_id)
        .where(BaselineVersion.version == (kept or baseline.version))
        .values(map_id=map_id)
    )
    if kept is None:
        put_in_force(session, baseline, map_id, made.fitted, now)
    elif baseline.map_id is not None:
        mine = select(Stream.id).where(Stream.baseline_id == baseline_id).order_by(Stream.id)
        session.execute(mine.with_for_update())
        forget_maps(session, baseline_id, baseline.map_id)


def put_in_force(
    session: Session, baseline: Baseline, map_id: int, fitted: maps.Map, now: dt.datetime
) -> None:
    """Place what comes from now on, on this stored map; the baseline is held as in `adopt`."""
    baseline.map_id, baseline.layout = map_id, fitted.layout
    session.flush()
    mine = select(Stream).where(Stream.baseline_id == baseline.id).order_by(Stream.id)
    for stream in session.scalars(mine.with_for_update()).all():
        streams.carry_over(session, stream, map_id, fitted, now=now)
    session.flush()
    forget_maps(session, baseline.id, map_id)


def forget_maps(session: Session, baseline_id: int, current: int) -> None:
    """Delete the maps of a baseline that nothing needs: no version, and no epoch that has points.

    For a transaction that holds the baseline and its streams, as in `adopt`: without the locks an
    epoch that begins meanwhile would go with its map.
    """
    mine = select(Stream.id).where(Stream.baseline_id == baseline_id)
    points = select(Point.seq).where(Point.stream_id == Epoch.stream_id, Point.epoch == Epoch.epoch)
    empty = update(Epoch).where(Epoch.stream_id.in_(mine), ~points.exists())
    session.execute(empty.values(map_id=current), execution_options={"synchronize_session": False})
    needed = select(Epoch.map_id).where(Epoch.stream_id.in_(mine))
    named = select(BaselineVersion.map_id).where(
        BaselineVersion.baseline_id == baseline_id, BaselineVersion.map_id.is_not(None)
    )
    session.execute(
        delete(FittedMap)
        .where(FittedMap.baseline_id == baseline_id, FittedMap.id != current)
        .where(FittedMap.id.not_in(needed), FittedMap.id.not_in(named)),
        execution_options={"synchronize_session": False},
    )


def queue(session: Session, baseline_id: int, layout: str, reason: str = "", **of: int) -> bool:
    """Queue a refit unless the baseline is being fitted: one at a time, by a unique index.

    With `version` it is the fit of that new version (`dinsight.version_fit`), with `kept` the
    refit of that version, which is not in force.
    """
    arguments: Json = {"layout": layout, **of}
    job = upsert(Job).values(kind=KIND, baseline_id=baseline_id, arguments=arguments)
    queued = session.scalar(job.on_conflict_do_nothing().returning(Job.id)) is not None
    if queued:
        waiting: Json = {
            "map": layout,
            "status": "waiting",
            "progress": 0,
            "status_message": "Waiting to be fitted",
            "error_message": None,
            "reason": reason or None,
            **of,
        }
        session.execute(update(Baseline).where(Baseline.id == baseline_id).values(refit=waiting))
    return queued


def tell(session: Session, baseline_id: int, **change: Any) -> None:
    """Change what `state` says."""
    session.execute(_telling(baseline_id, change), execution_options=UNSEEN)


def tell_progress(
    session: Session, job_id: int, baseline_id: int, percent: int, message: str
) -> None:
    """Say how far a job is, as long as it is there: another may have begun since."""
    told = {"status": "processing", "progress": percent, "status_message": message}
    there = select(Job.id).where(Job.id == job_id).exists()
    session.execute(_telling(baseline_id, told).where(there), execution_options=UNSEEN)


def _telling(baseline_id: int, change: Json) -> Update:
    told = Baseline.refit.concat(change)
    return update(Baseline).where(Baseline.id == baseline_id).values(refit=told)


def under_way(baseline: Baseline) -> Json | None:
    refit = baseline.refit
    return refit if refit and refit["status"] in {"waiting", "processing"} else None


def _format(session: Session, baseline: Baseline) -> int | None:
    return session.scalar(select(FittedMap.format).where(FittedMap.id == baseline.map_id))
