"""The kinds of jobs, and what does each: a fit, or a refit of a fitted baseline."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import fitting, readings, refitting
from dinsight.database import Sessions
from dinsight.models import Job


def perform(sessions: Sessions, job_id: int, lease: str, limits: readings.Limits) -> None:
    """Do the job, whatever its kind; nothing where it is gone."""
    with sessions() as session:
        kind = _kind(session, job_id)
    if kind == refitting.KIND:
        refitting.refit(sessions, job_id, lease)
    elif kind is not None:
        fitting.fit(sessions, job_id, lease, limits)


def give_up(session: Session, job_id: int, lease: str, baseline_id: int, reason: str) -> None:
    """Store why the job cannot be done; raises LeaseLost if it is no longer ours."""
    fitting.hold(session, job_id, lease)
    fail = refitting.fail if _kind(session, job_id) == refitting.KIND else fitting.fail
    fail(session, job_id, baseline_id, reason)


def _kind(session: Session, job_id: int) -> str | None:
    return session.scalar(select(Job.kind).where(Job.id == job_id))
