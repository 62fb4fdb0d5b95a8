"""Versions of a baseline: made of accepted rows, reviewed, then adopted or discarded.

The baseline keeps its id, so senders go on as they are. Each version's rows are the beginning of
the next one's, and a new one is made only while the last is in force: at most one is under review.
Adopting moves every stream to a new epoch on the version's map, as a refit does, and any version
can be adopted again: its map is kept.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from dinsight import baselines, candidates, readings, refitting, safeguards, version_fit
from dinsight.accounts import Identity, audit
from dinsight.candidates import TAKEN, Span
from dinsight.errors import (
    BaselineNotFound,
    InvalidRequest,
    RefitUnderWay,
    TooLarge,
    VersionInUse,
    VersionNotFound,
    VersionNotReady,
    VersionUnderReview,
)
from dinsight.maps import Map
from dinsight.mapstore import load_map, require_known
from dinsight.models import (
    Baseline,
    BaselinePoint,
    BaselineVersion,
    Candidate,
    FittedMap,
    Job,
    Json,
    Stream,
    User,
)

MOST = 50  # versions of a baseline
FITS = ("fit", refitting.KIND)  # jobs that change the map


def list_all(session: Session, who: Identity, baseline_id: int) -> Json:
    """The versions of a baseline, the newest first, and which is in force.

    Raises BaselineNotFound.
    """
    baseline = baselines.get(session, who, baseline_id)
    found = session.execute(
        select(BaselineVersion, FittedMap.layout, FittedMap.sha256, User.email)
        .outerjoin(FittedMap, FittedMap.id == BaselineVersion.map_id)
        .outerjoin(User, User.id == BaselineVersion.made_by)
        .where(BaselineVersion.baseline_id == baseline.id)
        .order_by(BaselineVersion.version)
    ).all()
    told, before = [], 0
    for row, layout, sha256, email in found:
        told.append(
            {
                "version": row.version,
                "state": state_of(row, baseline.version),
                "rows": row.rows,
                "added": row.rows - before,
                "map": layout,
                "sha256": sha256,
                "note": row.note,
                "made_by": email,
                "created_at": row.created_at,
            }
        )
        before = row.rows
    waits = candidates.waiting(session, [baseline.id]).get(baseline.id, 0)
    return {
        "baseline_id": baseline.id,
        "name": baseline.name,
        "version": baseline.version,
        "rows": baseline.rows,
        "refit": baseline.refit,
        "waiting_rows": waits,
        "versions": told[::-1],
    }


def state_of(row: BaselineVersion, in_force: int) -> str:
    """`in_force`, `fitting`, `review` for one that is later than what is in force, or `earlier`."""
    if row.version == in_force:
        return "in_force"
    if row.map_id is None:
        return "fitting"
    return "review" if row.version > in_force else "earlier"


def under_review(session: Session, baseline_ids: Iterable[int]) -> dict[int, int]:
    """The later version that waits to be decided, by baseline; those without are left out."""
    found = session.execute(
        select(BaselineVersion.baseline_id, func.max(BaselineVersion.version))
        .join(Baseline, Baseline.id == BaselineVersion.baseline_id)
        .where(BaselineVersion.baseline_id.in_(list(baseline_ids)))
        .where(BaselineVersion.version > Baseline.version, BaselineVersion.map_id.is_not(None))
        .group_by(BaselineVersion.baseline_id)
    )
    return {row[0]: row[1] for row in found}


def foresee(session: Session, who: Identity, baseline_id: int) -> list[Json]:
    """What to be warned of before all that is queued is made a version (`dinsight.safeguards`)."""
    baseline = baselines.get(session, who, baseline_id)
    queued = candidates.queue(session, who, baseline_id)
    peaks, medians = (
        [float(row[name]) for row in queued if row[name] is not None]
        for name in ("peak_score", "median_score")
    )
    rows = sum(row["rows"] for row in queued)
    return safeguards.of_rows(peaks, medians, rows, baseline.rows)


def make(
    session: Session,
    who: Identity,
    baseline_id: int,
    ids: Sequence[int] | None = None,
    *,
    note: str = "",
    layout: str | None = None,
    limits: readings.Limits,
    now: dt.datetime,
) -> Json:
    """Queue the fit of a version with these candidates' rows added; without `ids`, with all.

    `layout` is another kind of map than that in force. Raises CandidateNotFound, ReadingsRemoved,
    RefitUnderWay while the baseline is being fitted, VersionUnderReview, TooLarge, UnknownLayout,
    InvalidRequest, BaselineNotReady and BaselineFailed.
    """
    note = candidates.check_note(note)
    baseline = _keep(session, who, baseline_id)
    layout = layout or baseline.layout
    baselines.check_layout(layout)
    last = _last(session, baseline_id)
    if last.version > MOST - 1:
        raise InvalidRequest(f"A baseline has at most {MOST} versions: upload a new one.")
    if not refitting.queue(session, baseline_id, layout, version=last.version + 1):
        raise RefitUnderWay("This baseline is being fitted: wait until that is done.")
    last = _last(session, baseline_id)  # of others nobody can make one now
    if last.version != baseline.version:
        raise VersionUnderReview(
            f"Version {last.version} is later than the one in force: adopt it or discard it first."
        )
    taken = candidates.chosen(session, baseline_id, ids)
    rows = baseline.rows + sum(row.last - row.first + 1 for row in taken)
    if rows > limits.rows:
        raise TooLarge(f"{rows:,} rows: a baseline has at most {limits.rows:,}.")
    _take(session, who, taken, last.version + 1, now)
    row = BaselineVersion(
        baseline_id=baseline_id, version=last.version + 1, rows=rows, note=note, made_by=who.id
    )
    session.add(row)
    session.flush()
    session.refresh(baseline)
    numbers = [each.id for each in taken]
    _note(session, who, "version.make", row, rows=rows, candidates=numbers, note=note)
    return {"version": row.version, "rows": rows, "refit": dict(baseline.refit or {})}


def adopt(
    session: Session, who: Identity, baseline_id: int, version: int, *, now: dt.datetime
) -> Json:
    """Put a version in force, a later or an earlier one: streams go on in a new epoch on its map.

    The one that is in force already is left as it is. Raises VersionNotFound, VersionNotReady,
    RefitUnderWay, and MapOutdated for a map that this program cannot read.
    """
    baselines.get(session, who, baseline_id)
    row = _get(session, baseline_id, version)
    fitted = _load(session, row)  # before anybody has to wait for it
    baseline = _hold(session, baseline_id)
    row = _get(session, baseline_id, version)
    if version != baseline.version:
        fits = select(Job.id).where(Job.baseline_id == baseline_id, Job.kind.in_(FITS))
        if session.scalar(fits.limit(1)) is not None:
            raise RefitUnderWay("This baseline is being fitted: wait until that is done.")
        before = baseline.version
        baseline.version, baseline.rows = row.version, row.rows
        refitting.put_in_force(session, baseline, row.map_id or 0, fitted, now)
        _note(session, who, "version.adopt", row, before=before, rows=row.rows)
    return {"version": baseline.version, "rows": baseline.rows}


def discard(session: Session, who: Identity, baseline_id: int, version: int) -> None:
    """Remove the last version, its rows and its map, or end its fit; its candidates are queued.

    Points that were placed while it was in force keep their map. Raises VersionNotFound, and
    VersionInUse for one that is in force or that a later one is built on.
    """
    baselines.get(session, who, baseline_id)
    job = select(Job).where(Job.baseline_id == baseline_id).order_by(Job.id)
    jobs = list(session.scalars(job.with_for_update()))  # in the order in which a fit locks
    baseline = _hold(session, baseline_id)
    row, last = _get(session, baseline_id, version), _last(session, baseline_id)
    if version == baseline.version:
        raise VersionInUse(f"Version {version} is in force: adopt another one first.")
    if version != last.version:
        raise VersionInUse(f"Version {last.version} is built on it: discard that one first.")
    for each in jobs:
        if version in (each.arguments.get("version"), each.arguments.get("kept")):
            session.delete(each)
            baseline.refit = None
    session.flush()
    _note(session, who, "version.discard", row, rows=row.rows)
    version_fit.undo(session, baseline_id, version)
    before = _last(session, baseline_id)
    session.execute(
        delete(BaselinePoint)
        .where(BaselinePoint.baseline_id == baseline_id)
        .where(BaselinePoint.row >= before.rows),
        execution_options=refitting.UNSEEN,
    )
    streams = select(Stream.id).where(Stream.baseline_id == baseline_id).order_by(Stream.id)
    session.execute(streams.with_for_update())
    if baseline.map_id is not None:
        refitting.forget_maps(session, baseline_id, baseline.map_id)


def _keep(session: Session, who: Identity, baseline_id: int) -> Baseline:
    """The baseline as it is now, fitted, and kept from deletion and from being adopted on."""
    baselines.require_fitted(baselines.get(session, who, baseline_id))
    kept = select(Baseline).where(Baseline.id == baseline_id)
    kept = kept.with_for_update(key_share=True)
    baseline = session.scalar(kept.execution_options(populate_existing=True))
    if baseline is None:
        raise BaselineNotFound()  # deleted meanwhile
    return baseline


def _hold(session: Session, baseline_id: int) -> Baseline:
    """The baseline, held as in `refitting.adopt`: no stream or version of it is made meanwhile."""
    held = select(Baseline).where(Baseline.id == baseline_id).with_for_update(key_share=True)
    baseline = session.scalar(held.execution_options(populate_existing=True))
    if baseline is None:
        raise BaselineNotFound()  # deleted meanwhile
    return baseline


def _get(session: Session, baseline_id: int, version: int) -> BaselineVersion:
    """As it is now. Raises VersionNotFound."""
    row = session.scalar(
        select(BaselineVersion)
        .where(BaselineVersion.baseline_id == baseline_id, BaselineVersion.version == version)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise VersionNotFound()
    return row


def _last(session: Session, baseline_id: int) -> BaselineVersion:
    """The version with the most rows."""
    return session.scalars(
        select(BaselineVersion)
        .where(BaselineVersion.baseline_id == baseline_id)
        .order_by(BaselineVersion.version.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).one()


def _load(session: Session, row: BaselineVersion) -> Map:
    """The map of a version. Raises VersionNotReady, MapOutdated."""
    found = session.execute(
        select(FittedMap.id, FittedMap.sha256, FittedMap.format).where(FittedMap.id == row.map_id)
    ).one_or_none()
    if found is None:
        raise VersionNotReady()
    require_known(session, found.id, found.format)
    return load_map(session, found.sha256)


def _take(
    session: Session, who: Identity, taken: Sequence[Candidate], version: int, now: dt.datetime
) -> None:
    """Mark candidates, which are held, as this version's. Raises ReadingsRemoved."""
    ids = {row.stream_id for row in taken}
    found = session.execute(select(Stream.id, Stream.name).where(Stream.id.in_(ids)))
    names = {row.id: row.name for row in found}
    for row in taken:
        span = Span(row.stream_id, row.epoch, row.first, row.last)
        candidates.require_readings(session, span, names[row.stream_id])
        row.state, row.version = TAKEN, version
        row.decided_by, row.decided_at = who.id, now


def _note(
    session: Session, who: Identity, action: str, row: BaselineVersion, **more: object
) -> None:
    subject = f"{row.baseline_id}/{row.version}"
    audit(session, action, user_id=who.id, subject=subject, **more)
