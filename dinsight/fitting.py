"""The fit of a baseline, as the job process runs it: stored bytes in, stored map out."""

from __future__ import annotations

import io
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session, undefer

from dinsight import copying, maps, readings, report_card, sensitivity
from dinsight.alerts import rules as alert_rules
from dinsight.database import Sessions
from dinsight.errors import DinsightError
from dinsight.models import (
    Baseline,
    BaselinePoint,
    BaselineVersion,
    Epoch,
    FittedMap,
    Job,
    Json,
    Stream,
    Upload,
)

DEFAULT_STREAM = "default"
ROWS_A_COPY = 500
PARSED, FITTED = 15, 90  # per cent of the bar; the fit itself is most of it

Progress = Callable[[int, str], None]
log = logging.getLogger(__name__)


class LeaseLost(DinsightError):
    """This job is no longer ours: another instance has it, or its baseline was deleted."""


@dataclass(frozen=True)
class Rows:
    """All rows of a baseline: features by name, float32 (n, d), and a dict a row."""

    features: tuple[str, ...]
    values: np.ndarray
    metadata: list[dict[str, str]]


@dataclass(frozen=True)
class Made:
    """A map, the seconds that its fit took, and its report card (`dinsight.report_card`)."""

    fitted: maps.Map
    seconds: float
    report: Json


def fit(sessions: Sessions, job_id: int, lease: str, limits: readings.Limits) -> None:
    """Fit the baseline of this job and store its map, or store why it cannot be fitted."""
    with sessions() as session:
        baseline = session.scalar(
            select(Baseline)
            .join(Job, Job.baseline_id == Baseline.id)
            .where(Job.id == job_id)
            .options(undefer(Baseline.feature_names))
        )
    if baseline is None:
        return  # deleted while it waited
    try:
        _fit(sessions, baseline, job_id, lease, limits)
    except LeaseLost:
        log.warning("baseline %s was deleted, or its fit was taken over", baseline.id)


def _fit(
    sessions: Sessions, baseline: Baseline, job_id: int, lease: str, limits: readings.Limits
) -> None:
    baseline_id, features = baseline.id, baseline.feature_names
    report = _reporter(sessions, baseline_id)
    try:
        report(1, "Reading the rows")
        with sessions() as session:
            rows = read_rows(session, baseline_id, tuple(features), limits)
        report(PARSED, f"Fitting {len(rows.values):,} rows of {len(rows.features):,} features")
        made = make(rows.values, rows.features, baseline.layout, report)
        report(FITTED, "Storing the map")
        with sessions.begin() as session:
            hold(session, job_id, lease)
            store(session, baseline_id, rows, made)
            _finish(session, job_id, baseline_id, status="completed", message="Ready")
    except LeaseLost:
        raise
    except DinsightError as error:
        with sessions.begin() as session:
            hold(session, job_id, lease)
            fail(session, job_id, baseline_id, error.message)


def make(values: np.ndarray, features: tuple[str, ...], layout: str, report: Progress) -> Made:
    """Fit a map to rows (n, d) and write its report card; raises as `maps.fit` does."""
    started = time.perf_counter()
    fitted = maps.fit(
        values,
        layout=layout,
        features=features,
        progress=lambda percent, message: report(
            PARSED + percent * (FITTED - PARSED) // 100, message
        ),
    )
    seconds = time.perf_counter() - started
    report(FITTED, "Writing the report card")
    return Made(fitted, seconds, report_card.write(fitted))


def read_rows(
    session: Session, baseline_id: int, features: tuple[str, ...], limits: readings.Limits
) -> Rows:
    """Every row of the stored files, in order, by the features that the upload was taken with."""
    values: list[np.ndarray] = []
    metadata: list[dict[str, str]] = []
    for _, pieces in itertools.groupby(_uploads(session, baseline_id), key=lambda row: row.file):
        first = next(pieces)
        stream = ChunkStream(row.content for row in itertools.chain([first], pieces))
        for part in readings.scan(stream, limits=limits, expected=features, source=first.name):
            values.append(part.values)
            metadata += part.metadata
    if not values:
        raise LeaseLost()  # deleted with its baseline: a file without rows is refused above
    return Rows(features, np.concatenate(values), metadata)


class ChunkStream(io.RawIOBase):
    """A readable stream over an iterator of byte strings."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def hold(session: Session, job_id: int, lease: str) -> None:
    """Lock the job for this transaction; raises LeaseLost if it is no longer ours."""
    held = session.scalar(
        select(Job.id).where(Job.id == job_id, Job.lease == lease).with_for_update()
    )
    if held is None:
        raise LeaseLost()


def fail(session: Session, job_id: int, baseline_id: int, reason: str) -> None:
    """Store that the baseline cannot be fitted, and why."""
    _finish(session, job_id, baseline_id, status="failed", message="Failed", error=reason)


def _uploads(session: Session, baseline_id: int) -> Iterator[Upload]:
    return iter(
        session.scalars(
            select(Upload)
            .where(Upload.baseline_id == baseline_id)
            .order_by(Upload.file, Upload.chunk)
            .execution_options(yield_per=1)
        )
    )


def _reporter(sessions: Sessions, baseline_id: int) -> Progress:
    def report(percent: int, message: str) -> None:
        with sessions.begin() as session:
            session.execute(
                update(Baseline)
                .where(Baseline.id == baseline_id, Baseline.status == "processing")
                .values(progress=percent, status_message=message)
            )

    return report


def store(session: Session, baseline_id: int, rows: Rows, made: Made) -> None:
    """Store the rows and the map, as version 1, and the default stream; the status is left."""
    session.execute(delete(BaselinePoint).where(BaselinePoint.baseline_id == baseline_id))
    store_rows(session, baseline_id, 0, rows.values, rows.metadata)
    map_id = store_map(session, baseline_id, made)
    baseline = session.get_one(Baseline, baseline_id)
    baseline.map_id = map_id
    baseline.rows = len(rows.values)
    baseline.feature_count = len(rows.features)
    baseline.feature_names = list(rows.features)
    first = BaselineVersion(
        baseline_id=baseline_id,
        version=1,
        rows=len(rows.values),
        map_id=map_id,
        made_by=baseline.owner_id,
    )
    session.add(first)
    stream = Stream(baseline_id=baseline_id, name=DEFAULT_STREAM, map_id=map_id)
    session.add(stream)
    session.flush()
    alert_rules.add_defaults(session, baseline_id)
    limits = [[1, sensitivity.limit_of({})]]
    session.add(Epoch(stream_id=stream.id, epoch=1, map_id=map_id, limits=limits))


def store_rows(
    session: Session,
    baseline_id: int,
    first: int,
    values: np.ndarray,
    metadata: Sequence[dict[str, Any]],
) -> None:
    """Store rows (n, d) of a baseline, the numbers from `first` on; by COPY."""
    number = copying.integer(baseline_id)
    for start in range(0, len(values), ROWS_A_COPY):
        part = values[start : start + ROWS_A_COPY]
        copying.copy_rows(
            session,
            "baseline_points",
            ("baseline_id", "row", "metadata", "features"),
            (
                (
                    number,
                    copying.integer(first + start + i),
                    copying.jsonb(metadata[start + i]),
                    copying.floats(row),
                )
                for i, row in enumerate(part)
            ),
        )


def store_map(session: Session, baseline_id: int, made: Made) -> int:
    """Store a map of the baseline, and give its id."""
    payload = made.fitted.to_bytes()
    return session.execute(
        insert(FittedMap)
        .values(
            baseline_id=baseline_id,
            layout=made.fitted.layout,
            sha256=maps.sha256(payload),
            payload=payload,
            format=maps.FORMAT,
            report=made.report,
            fit_seconds=made.seconds,
        )
        .returning(FittedMap.id)
    ).scalar_one()


def _finish(
    session: Session,
    job_id: int,
    baseline_id: int,
    *,
    status: str,
    message: str,
    error: str | None = None,
) -> None:
    session.execute(
        update(Baseline)
        .where(Baseline.id == baseline_id)
        .values(
            status=status,
            status_message=message,
            error_message=error,
            progress=100 if status == "completed" else Baseline.progress,
        )
    )
    session.execute(delete(Upload).where(Upload.baseline_id == baseline_id))
    session.execute(delete(Job).where(Job.id == job_id))
