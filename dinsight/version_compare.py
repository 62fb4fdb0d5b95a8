"""Two versions of a baseline against each other, before one of them is put in force.

What a version adds, and what a stream sent lately, is placed and scored by both maps: by so many
rows, evenly chosen, that it takes well under a second whatever their width. Levels are those of
the single row, without the persistence that a stream's level has.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dinsight import baseline_rows, baselines, safeguards, sensitivity
from dinsight.accounts import Identity
from dinsight.candidates import QUEUED
from dinsight.errors import InvalidRequest, StreamNotFound, VersionNotFound, VersionNotReady
from dinsight.maps import Map
from dinsight.mapstore import load_map, require_known
from dinsight.models import (
    Baseline,
    BaselineVersion,
    Candidate,
    Epoch,
    FittedMap,
    Json,
    Point,
    Stream,
)

MOST_DRAWN = 1_000  # rows of the baseline
MOST_SCORED = 500  # rows that both maps score: of those added, and of the stream
MOST_CELLS = 1_000_000  # readings of either
DEFAULT_DAYS, MOST_DAYS = 7, 366
LEVELS = ("healthy", "warning", "alarm")

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Side:
    """A version, its map and report card, and the score that warns and alarms on it."""

    row: BaselineVersion
    layout: str
    sha256: str
    report: Json
    map: Map
    limit: float

    def levels(self, scores: Rows) -> NDArray[np.int64]:
        """Of single rows by their scores (m,): 0 healthy, 1 warning, 2 alarm."""
        rule = self.map.rule_at(self.limit)
        return (scores > rule.warning).astype(np.int64) + (scores > rule.alarm)


def compare(
    session: Session,
    who: Identity,
    baseline_id: int,
    versions: tuple[int, int],
    *,
    stream: str | None = None,
    days: int = DEFAULT_DAYS,
    now: dt.datetime,
) -> Json:
    """The older of two versions against the newer: places, levels, report cards, warnings.

    Of the pair 0 stands for the version in force and for the last one. `stream` is the one whose
    rows of the last days are scored; by default that which sent last.
    Raises BaselineNotFound, StreamNotFound, VersionNotFound, VersionNotReady, MapOutdated and
    InvalidRequest.
    """
    if not 1 <= days <= MOST_DAYS:
        raise InvalidRequest(f"days must be a whole number from 1 to {MOST_DAYS}.")
    baseline = baselines.get(session, who, baseline_id)
    pair = _pair(session, baseline, versions)
    found = _stream(session, baseline, stream)
    factor = sensitivity.factor_of(found.settings if found else {})
    a, b = (_side(session, baseline, each, factor) for each in pair)
    numbers, added = _added(session, baseline, a, b)
    recent, total = _recent(session, found, now - dt.timedelta(days=days), b)
    loosened = safeguards.loosening(a.map, b.map, _common(session, baseline, a))
    scores = a.map.place(added).score if len(added) else np.empty(0, dtype=np.float32)
    warned = safeguards.of_rows(
        [float(scores.max(initial=0.0))],
        [float(np.median(scores)) if len(scores) else 0.0],
        b.row.rows - a.row.rows,
        a.row.rows,
    )
    return {
        "baseline_id": baseline.id,
        "name": baseline.name,
        "version": baseline.version,
        "a": _told(a, baseline),
        "b": _told(b, baseline),
        "common": _places(a, b),
        "added": _scored(a, b, added, total=b.row.rows - a.row.rows) | {"row": numbers},
        "recent": {
            **_scored(a, b, recent.values, total=total),
            **{"stream": found.name if found else None, "days": days},
            **{"epoch": recent.epochs, "seq": recent.seqs},
        },
        "loosening": {"typical": loosened.typical, "worst": loosened.worst},
        "warnings": [*warned, *safeguards.of_limits(loosened)],
    }


def _pair(session: Session, baseline: Baseline, versions: tuple[int, int]) -> list[int]:
    """The older and the newer of two different versions; raises InvalidRequest."""
    mine = select(func.max(BaselineVersion.version))
    last = session.scalar(mine.where(BaselineVersion.baseline_id == baseline.id))
    pair = sorted((versions[0] or baseline.version, versions[1] or last or baseline.version))
    if pair[0] == pair[1]:
        raise InvalidRequest("a and b must be two different versions.")
    return pair


def _side(session: Session, baseline: Baseline, version: int, factor: float) -> Side:
    found = session.execute(
        select(BaselineVersion, FittedMap, FittedMap.report)
        .outerjoin(FittedMap, FittedMap.id == BaselineVersion.map_id)
        .where(BaselineVersion.baseline_id == baseline.id, BaselineVersion.version == version)
    ).one_or_none()
    if found is None:
        raise VersionNotFound(f"This baseline has no version {version}.")
    row, stored, report = found
    if stored is None:
        raise VersionNotReady(f"Version {version} is still being fitted.")
    require_known(session, stored.id, stored.format)
    fitted = load_map(session, stored.sha256)
    limit = fitted.limit_at(factor)
    return Side(row, stored.layout, stored.sha256, report, fitted, limit)


def _told(side: Side, baseline: Baseline) -> Json:
    return {
        "version": side.row.version,
        "in_force": side.row.version == baseline.version,
        "rows": side.row.rows,
        "map": side.layout,
        "sha256": side.sha256,
        "alarm_limit": side.limit,
        "report": {
            name: side.report[name]
            for name in ("duplicates", "dead_columns", "drift", "contamination")
        }
        | {name: side.report[name] for name in ("false_alarms_per_day", "findings")},
    }


def _places(a: Side, b: Side) -> Json:
    """Rows that both were fitted on, on both maps."""
    rows = even(0, a.row.rows, MOST_DRAWN)
    on_a, on_b = a.map.coordinates[rows], b.map.coordinates[rows]
    return {
        "row": rows.tolist(),
        "total": a.row.rows,
        **_columns("a", on_a[:, 0], on_a[:, 1]),
        **_columns("b", on_b[:, 0], on_b[:, 1]),
    }


def _scored(a: Side, b: Side, values: Rows, *, total: int) -> Json:
    """Rows on both maps, with their scores and levels, and how many are at which level."""
    of_a, of_b = a.map.place(values), b.map.place(values)
    level_a, level_b = a.levels(of_a.score), b.levels(of_b.score)
    return {
        "total": total,
        "scored": len(values),
        **_columns("a", of_a.x, of_a.y),
        **_columns("b", of_b.x, of_b.y),
        **{"score_a": of_a.score.tolist(), "score_b": of_b.score.tolist()},
        **{"levels_a": counts(level_a), "levels_b": counts(level_b)},
        "changed": int(np.count_nonzero(level_a != level_b)),
        "raised": int(np.count_nonzero(level_b > level_a)),
    }


def counts(levels: NDArray[np.int64]) -> dict[str, int]:
    """
    >>> counts(np.array([0, 0, 2]))
    {'healthy': 2, 'warning': 0, 'alarm': 1}
    """
    return dict(zip(LEVELS, np.bincount(levels, minlength=3).tolist(), strict=True))


def even(first: int, end: int, most: int) -> NDArray[np.int64]:
    """At most so many of the numbers from `first` to before `end`, evenly chosen.

    >>> even(10, 20, 4).tolist(), even(3, 5, 10).tolist()
    ([10, 13, 16, 19], [3, 4])
    """
    count = min(most, end - first)
    return np.linspace(first, end - 1, count).round().astype(np.int64)


def affordable(columns: int) -> int:
    """How many rows of so many features are scored."""
    return max(20, min(MOST_SCORED, MOST_CELLS // max(1, columns)))


def _columns(side: str, x: Any, y: Any) -> Json:
    return {f"x_{side}": x.tolist(), f"y_{side}": y.tolist()}


def _common(session: Session, baseline: Baseline, a: Side) -> Rows:
    rows = even(0, a.row.rows, safeguards.PROBES)
    return _stacked([row for _, row, _ in baseline_rows.some(session, baseline.id, rows.tolist())])


def _added(session: Session, baseline: Baseline, a: Side, b: Side) -> tuple[list[int], Rows]:
    """Numbers and readings of rows that only the newer has."""
    numbers = even(a.row.rows, b.row.rows, affordable(baseline.feature_count)).tolist()
    found = baseline_rows.some(session, baseline.id, numbers)
    width = baseline.feature_count
    return [row for row, _, _ in found], _stacked([row for _, row, _ in found], width)


@dataclass(frozen=True)
class _Recent:
    epochs: list[int]
    seqs: list[int]
    values: Rows


def _stream(session: Session, baseline: Baseline, name: str | None) -> Stream | None:
    """The stream of this name, or the one that sent last."""
    mine = select(Stream).where(Stream.baseline_id == baseline.id)
    if name is not None:
        found = session.scalar(mine.where(Stream.name == name))
        if found is None:
            raise StreamNotFound(f"Baseline {baseline.id} has no stream {name!r}.")
        return found
    last = (
        select(func.max(Epoch.epoch)).where(Epoch.stream_id == Stream.id).correlate(Stream)
    ).scalar_subquery()
    order = (Stream.last_point_at.desc().nulls_last(), last.desc(), Stream.id)
    return session.scalar(mine.order_by(*order).limit(1))


def _recent(
    session: Session, stream: Stream | None, since: dt.datetime, b: Side
) -> tuple[_Recent, int]:
    """Rows of the stream since then that still have readings, evenly chosen; and of how many.

    `received_at` rises with seq, so where an epoch's rows begin is found by a few looks.
    """
    width = len(b.map.features)
    if stream is None:
        return _Recent([], [], _stacked([], width)), 0
    spans = _spans(session, stream, since)
    total = sum(last - first + 1 for _, first, last in spans)
    wanted = even(0, total, affordable(width)) if total else np.empty(0, dtype=np.int64)
    epochs, seqs, rows, before = [], [], [], 0
    for epoch, first, last in spans:
        count = last - first + 1
        here = wanted[(wanted >= before) & (wanted < before + count)] - before + first
        before += count
        for seq, values in _readings(session, stream.id, epoch, here.tolist()):
            epochs.append(epoch)
            seqs.append(seq)
            rows.append(values)
    return _Recent(epochs, seqs, _stacked(rows, width)), total


def _spans(session: Session, stream: Stream, since: dt.datetime) -> list[tuple[int, int, int]]:
    """Epoch, first and last seq of the stream's rows since then, the oldest epoch first."""
    epochs = session.scalars(
        select(Epoch)
        .where(Epoch.stream_id == stream.id)
        .where(Epoch.ended_at.is_(None) | (Epoch.ended_at >= since))
        .order_by(Epoch.epoch)
    )
    spans = []
    for epoch in epochs:
        here = (Point.stream_id == stream.id, Point.epoch == epoch.epoch)
        last = session.scalar(select(Point.seq).where(*here).order_by(Point.seq.desc()).limit(1))
        first = max(epoch.points_from, epoch.readings_from)
        if last is not None and first <= last:
            first = _since(session, here, since, (first, last))
            if first <= last:
                spans.append((epoch.epoch, first, last))
    return spans


def _since(
    session: Session, here: Sequence[Any], since: dt.datetime, bounds: tuple[int, int]
) -> int:
    """The first seq that is not older; the one after the last where all are. By halving."""
    low, high = bounds[0], bounds[1] + 1
    while low < high:
        middle = (low + high) // 2
        at = session.scalar(select(Point.received_at).where(*here, Point.seq == middle))
        if at is not None and at >= since:
            high = middle
        else:
            low = middle + 1
    return low


def _stacked(rows: Sequence[Rows], width: int = 0) -> Rows:
    return np.stack(rows) if rows else np.empty((0, width), dtype=np.float32)


@dataclass(frozen=True)
class Queued:
    """Where queued rows lie on the map in force: an even choice of each candidate's."""

    map: Map
    x: Rows
    y: Rows
    score: Rows
    about: list[tuple[int, int]]  # of each row the candidate and its seq


def queued(session: Session, who: Identity, baseline_id: int) -> Queued:
    """Queued rows on the map in force; those of another epoch's map are placed anew.

    Raises BaselineNotFound, BaselineNotReady, BaselineFailed, MapOutdated.
    """
    baseline = baselines.get(session, who, baseline_id)
    fitted = baselines.fitted_map(session, baseline)
    mine = select(Candidate).where(Candidate.baseline_id == baseline_id)
    rows = session.scalars(mine.where(Candidate.state == QUEUED).order_by(Candidate.id)).all()
    total = sum(row.last - row.first + 1 for row in rows)
    wanted = even(0, total, affordable(baseline.feature_count)) if total else np.empty(0, int)
    about, values, before = [], [], 0
    for row in rows:
        count = row.last - row.first + 1
        here = wanted[(wanted >= before) & (wanted < before + count)] - before + row.first
        before += count
        for seq, content in _readings(session, row.stream_id, row.epoch, here.tolist()):
            about.append((row.id, seq))
            values.append(content)
    placed = fitted.place(_stacked(values, baseline.feature_count))
    return Queued(fitted, placed.x, placed.y, placed.score, about)


def _readings(
    session: Session, stream_id: int, epoch: int, seqs: Sequence[int]
) -> list[tuple[int, Rows]]:
    """Of these rows, those that still have their readings: seq and float32 (d,)."""
    found = session.execute(
        select(Point.seq, Point.features)
        .where(Point.stream_id == stream_id, Point.epoch == epoch, Point.seq.in_(seqs))
        .where(Point.features.is_not(None))
        .order_by(Point.seq)
    )
    return [(seq, np.frombuffer(content or b"", "<f4")) for seq, content in found]
