"""The kinds of jobs, and what does each: a fit, a refit of a fitted baseline, a new version."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import back_testing, fitting, readings, refitting, version_fit
from dinsight.database import Sessions
from dinsight.models import Job

FIT, VERSION = "fit", "version"


def perform(sessions: Sessions, job_id: int, lease: str, limits: readings.Limits) -> None:
    """Do the job, whatever its kind; nothing where it is gone."""
    with sessions() as session:
        kind = _kind(session, job_id)
    if kind == refitting.KIND:
        refitting.refit(sessions, job_id, lease)
    elif kind == VERSION:
        version_fit.build(sessions, job_id, lease)
    elif kind == back_testing.KIND:
        back_testing.perform(sessions, job_id, lease)
    elif kind is not None:
        fitting.fit(sessions, job_id, lease, limits)


def give_up(session: Session, job_id: int, lease: str, baseline_id: int, reason: str) -> None:
    """Store why the job cannot be done; raises LeaseLost if it is no longer ours."""
    fitting.hold(session, job_id, lease)
    fail = {
        refitting.KIND: refitting.fail,
        VERSION: version_fit.fail,
        back_testing.KIND: back_testing.fail,
    }
    fail.get(_kind(session, job_id) or FIT, fitting.fail)(session, job_id, baseline_id, reason)


def _kind(session: Session, job_id: int) -> str | None:
    """A refit that names a version is the fit of that one."""
    row = session.execute(select(Job.kind, Job.arguments).where(Job.id == job_id)).one_or_none()
    if row is None:
        return None
    return VERSION if VERSION in row.arguments else row.kind
