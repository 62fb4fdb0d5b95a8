"""The fit of a new version, as the job process runs it.

Nothing of it is stored before its end: rows, map and the version's state come in one transaction,
so a fit that fails leaves everything as it was, its candidates in the queue again.
"""

from __future__ import annotations

import logging

import numpy as np
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, undefer

from dinsight import baseline_rows, candidates, fitting, refitting
from dinsight.candidates import QUEUED, TAKEN, Span
from dinsight.database import Sessions
from dinsight.errors import DinsightError
from dinsight.fitting import LeaseLost
from dinsight.models import Baseline, BaselineVersion, Candidate, Job, Json

log = logging.getLogger(__name__)


def build(sessions: Sessions, job_id: int, lease: str) -> None:
    """Fit the version of this job and store it for review, or store why it cannot be done."""
    with sessions() as session:
        found = session.execute(
            select(Baseline, Job.arguments)
            .join(Job, Job.baseline_id == Baseline.id)
            .where(Job.id == job_id)
            .options(undefer(Baseline.feature_names))
        ).one_or_none()
    if found is None:
        return  # deleted or discarded while it waited
    baseline, arguments = found
    try:
        _build(sessions, baseline, arguments, job_id, lease)
    except LeaseLost:
        log.warning("baseline %s: its new version was discarded or taken over", baseline.id)
    except DinsightError as error:
        with sessions.begin() as session:
            fitting.hold(session, job_id, lease)
            fail(session, job_id, baseline.id, error.message)


def fail(session: Session, job_id: int, baseline_id: int, reason: str) -> None:
    """Store that the version could not be made, and why: its rows are in the queue again."""
    version = session.scalar(select(Job.arguments["version"]).where(Job.id == job_id))
    undo(session, baseline_id, int(str(version)))
    refitting.fail(session, job_id, baseline_id, reason)


def undo(session: Session, baseline_id: int, version: int) -> None:
    """Forget a version; its candidates are queued again."""
    session.execute(
        update(Candidate)
        .where(Candidate.baseline_id == baseline_id, Candidate.state == TAKEN)
        .where(Candidate.version == version)
        .values(state=QUEUED, version=None, decided_by=None, decided_at=None),
        execution_options=refitting.UNSEEN,
    )
    session.execute(
        delete(BaselineVersion)
        .where(BaselineVersion.baseline_id == baseline_id)
        .where(BaselineVersion.version == version)
    )


def _build(
    sessions: Sessions, baseline: Baseline, arguments: Json, job_id: int, lease: str
) -> None:
    def report(percent: int, message: str) -> None:
        with sessions.begin() as session:
            refitting.tell_progress(session, job_id, baseline.id, percent, message)

    features, version = tuple(baseline.feature_names), int(arguments["version"])
    report(1, "Reading the rows")
    with sessions() as session:
        old = baseline_rows.whole(session, baseline.id, baseline.rows, len(features))
        added, metadata = _added(session, baseline.id, version, len(features))
    if not len(old) or not len(added):
        raise LeaseLost()  # deleted meanwhile: neither is ever empty
    values = np.concatenate([old, added])
    report(fitting.PARSED, f"Fitting {len(values):,} rows of {len(features):,} features")
    made = fitting.make(values, features, str(arguments["layout"]), report)
    report(fitting.FITTED, "Storing the version")
    with sessions.begin() as session:
        fitting.hold(session, job_id, lease)
        held = select(Baseline.id).where(Baseline.id == baseline.id)
        if session.scalar(held.with_for_update(key_share=True)) is None:
            raise LeaseLost()  # deleted meanwhile
        fitting.store_rows(session, baseline.id, len(old), added, metadata)
        map_id = fitting.store_map(session, baseline.id, made)
        session.execute(
            update(BaselineVersion)
            .where(BaselineVersion.baseline_id == baseline.id)
            .where(BaselineVersion.version == version)
            .values(map_id=map_id, rows=len(values))
        )
        done = {"status": "completed", "progress": 100, "status_message": "Ready for review"}
        refitting.tell(session, baseline.id, **done)
        session.execute(delete(Job).where(Job.id == job_id))
        refitting.queue_kept(session, baseline.id)


def _added(
    session: Session, baseline_id: int, version: int, columns: int
) -> tuple[np.ndarray, list[Json]]:
    """The rows that the version adds, float32 (n, columns), and their metadata."""
    taken = session.scalars(
        select(Candidate)
        .where(Candidate.baseline_id == baseline_id, Candidate.version == version)
        .where(Candidate.state == TAKEN)
        .order_by(Candidate.id)
    ).all()
    spans = [Span(row.stream_id, row.epoch, row.first, row.last) for row in taken]
    values = np.empty((sum(span.rows for span in spans), columns), dtype=np.float32)
    metadata: list[Json] = []
    for span in spans:
        for more, row in candidates.rows_of(session, span):
            values[len(metadata)] = row
            metadata.append(more)
    return values, metadata
