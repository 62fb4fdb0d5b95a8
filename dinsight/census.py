"""How much there is of everything that operators watch, counted at once and cheaply."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Text, case, func, or_, select, text, type_coerce
from sqlalchemy.orm import Session

from dinsight.alerts.words import SEVERITIES
from dinsight.models import Alert, Baseline, Job, Notice, Stream

MOST_MS = 2_000  # a count that takes longer is not worth what it costs

JOBS = ("waiting", "running")
BASELINES = ("uploading", "processing", "completed", "failed")
NOTICES = ("waiting", "retrying")
STREAMS = ("not_started", "streaming", "paused", "stopped", "completed")


@dataclass(frozen=True)
class Census:
    """Counts by state, over all instances and users; open alerts by severity."""

    jobs: dict[str, int]
    baselines: dict[str, int]
    streams: dict[str, int]
    notices: dict[str, int]
    alerts: dict[str, int]


def take(session: Session) -> Census:
    """Count. The tables are small, or an index is: none of them grows with the points."""
    session.execute(text(f"SET LOCAL statement_timeout = {MOST_MS}"))
    held = case((Job.lease_until > func.now(), "running"), else_="waiting")
    tried = case((Notice.error.is_not(None), "retrying"), else_="waiting")
    open_ = or_(Alert.cleared_at.is_(None), Alert.acknowledged_at.is_(None))
    return Census(
        _counts(session, held, JOBS),
        _counts(session, type_coerce(Baseline.status, Text), BASELINES),
        _counts(session, type_coerce(Stream.state, Text), STREAMS),
        _counts(session, tried, NOTICES, Notice.delivered_at.is_(None), Notice.failed_at.is_(None)),
        _counts(session, type_coerce(Alert.severity, Text), SEVERITIES, open_),
    )


def _counts(
    session: Session,
    state: ColumnElement[str],
    states: tuple[str, ...],
    *only: ColumnElement[bool],
) -> dict[str, int]:
    named = select(state.label("state")).where(*only).subquery()
    found = session.execute(select(named.c.state, func.count()).group_by(named.c.state))
    return dict.fromkeys(states, 0) | {row[0]: row[1] for row in found}
