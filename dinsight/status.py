"""What a stream is doing: its state, progress, pace and level."""

from __future__ import annotations

import datetime as dt
import itertools
import statistics
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import baselines, sensitivity
from dinsight.accounts import Identity
from dinsight.alerts import events
from dinsight.models import Baseline, FittedMap, Json
from dinsight.streams import DEFAULT_GLOW, SINCE, Found, find_if_any, level_word

QUIET_GAPS = 3
QUIET_SECONDS = 5.0


def status(
    session: Session, who: Identity, baseline_id: int, name: str, *, now: dt.datetime
) -> dict[str, Any]:
    """The state of a stream; one that nothing was sent to yet has not started."""
    row = find_if_any(session, who, baseline_id, name)
    if row is None:
        baseline = baselines.get(session, who, baseline_id)
        return _not_started(baseline, name) | judged(session, baseline.map_id, {}, [])
    return describe(row, now) | judged(session, row.map_id, row.settings, row.arrivals)


def judged(
    session: Session, map_id: int | None, settings: Json, arrivals: list[list[float]]
) -> Json:
    """How sensitive a stream is, and the false alarms to expect at its rate."""
    usual = session.scalar(
        select(FittedMap.report["false_alarms_per_day"]).where(FittedMap.id == map_id)
    )
    rows_per_second = sensitivity.rate_or_usual(arrivals, settings)
    return sensitivity.told(settings, usual, rows_per_second)


def describe(row: Found, now: dt.datetime) -> dict[str, Any]:
    streamed, total = row.next_seq - 1, row.declared_total
    active = is_active(row, now)
    return {
        "baseline_id": row.baseline_id,
        "stream": row.name,
        "status": row.state,
        "is_streaming": row.state == "streaming",
        "is_active": active,
        "stale": row.state == "streaming" and not active,
        "streamed_points": streamed,
        "total_points": total,
        "progress_percentage": min(100.0, round(100 * streamed / total, 2)) if total else None,
        "baseline_points": row.baseline_rows,
        "version": row.version,
        "last_update": row.last_point_at,
        "latest_glow_count": row.settings.get("latest_glow_count", DEFAULT_GLOW),
        "batch_size": row.settings.get("batch_size"),
        "delay_seconds": row.settings.get("delay_seconds"),
        "rate": sensitivity.rate(row.arrivals),
        "epoch": row.epoch,
        "run_epoch": row.run_epoch,
        "carried_points": row.carried,
        "map_id": row.map_id,
        "alarm_limit": sensitivity.limit_of(row.settings),
        "areas_revision": row.areas_revision,
        "last_seq": streamed,
        "level": level_word(row.level),
        "level_since": level_since(row),
        "score": row.score,
        "alerts": events.told(row.alert_state),
    }


def level_since(row: Found) -> dt.datetime | None:
    """When the level of the last point began; None where there is no point, or it is not known."""
    seconds = row.level_state.get(SINCE)
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)


def is_active(row: Found, now: dt.datetime) -> bool:
    """Whether points are coming: not ended, and the last one is no older than the pace explains."""
    if row.state != "streaming" or row.last_point_at is None:
        return False
    quiet = (now - row.last_point_at).total_seconds()
    return quiet <= allowance(row.arrivals, row.settings)


def allowance(arrivals: list[list[float]], settings: Json, least: float = QUIET_SECONDS) -> float:
    """For how many seconds the pace of a stream explains that no point comes; at least `least`."""
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(arrivals)]
    pace = max(settings.get("delay_seconds", 0.0), statistics.median(gaps) if gaps else 0.0)
    return float(max(QUIET_GAPS * pace, least))


def _not_started(baseline: Baseline, name: str) -> dict[str, Any]:
    return {
        "baseline_id": baseline.id,
        "stream": name,
        "status": "not_started",
        "is_streaming": False,
        "is_active": False,
        "stale": False,
        "streamed_points": 0,
        "total_points": None,
        "progress_percentage": None,
        "baseline_points": baseline.rows,
        "version": baseline.version,
        "last_update": None,
        "latest_glow_count": DEFAULT_GLOW,
        "batch_size": None,
        "delay_seconds": None,
        "rate": None,
        "epoch": 1,
        "run_epoch": 1,
        "carried_points": 0,
        "map_id": baseline.map_id,
        "areas_revision": baseline.areas_revision,
        "last_seq": 0,
        "level": level_word(0),
        "level_since": None,
        "score": None,
        "alerts": events.told({}),
    }
