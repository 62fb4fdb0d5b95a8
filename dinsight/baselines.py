"""Baselines: upload, listing, status, deletion. The fit itself is in `dinsight.fitting`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from sqlalchemy import Boolean, ColumnElement, Integer, bindparam, delete, select, true, update
from sqlalchemy.orm import Session

from dinsight import maps, news, readings
from dinsight.accounts import Identity, audit
from dinsight.copying import copy_rows, integer
from dinsight.errors import (
    BaselineFailed,
    BaselineNotFound,
    BaselineNotReady,
    InvalidReadings,
    InvalidRequest,
    UnknownLayout,
)
from dinsight.mapstore import load_map
from dinsight.models import Baseline, BaselinePoint, FittedMap, Job, Stream, Upload

CHUNK_BYTES = 4 * 1024 * 1024
NAME_LENGTH = 200


@dataclass(frozen=True)
class File:
    """An uploaded file: its name, and its bytes from the start."""

    name: str
    stream: BinaryIO


# The condition under which somebody may see a baseline: their own, or all for an admin; a display,
# which is nobody's id, the one that it was made for.
VISIBLE = (
    (Baseline.owner_id == bindparam("who_id"))
    | bindparam("who_is_admin", type_=Boolean)
    | (Baseline.id == bindparam("who_looks_at", type_=Integer))
)


def seen_by(who: Identity) -> dict[str, Any]:
    """The parameters of `VISIBLE`, for a query that is made once."""
    looks_at = who.sight.baseline_id if who.sight else None
    return {"who_id": who.id, "who_is_admin": who.is_admin, "who_looks_at": looks_at}


def visible(who: Identity) -> ColumnElement[bool]:
    """The condition under which `who` may see a baseline: that of `VISIBLE`."""
    if who.sight:
        return Baseline.id == who.sight.baseline_id
    return true() if who.is_admin else Baseline.owner_id == who.id


def create(
    session: Session,
    who: Identity,
    files: Sequence[File],
    *,
    limits: readings.Limits,
    name: str = "",
    layout: str = maps.DEFAULT,
) -> Baseline:
    """Check the files' heads, keep their bytes and queue the fit.

    Raises InvalidReadings, with line and column, for what is wrong in a header or in the first
    rows (what is wrong further down is found by the fit), UnknownLayout, and InvalidRequest for a
    name that cannot be used.
    """
    check_layout(layout)
    if not files:
        raise InvalidReadings("No file was sent: send one or more CSV files in the field `files`.")
    files = [File(printable(file.name) or "baseline.csv", file.stream) for file in files]
    columns = check_heads(files, limits)
    baseline = Baseline(
        owner_id=who.id,
        name=check_name(name or files[0].name.removesuffix(".csv").strip() or "Baseline"),
        status="processing",
        status_message="Waiting to be fitted",
        layout=layout,
        feature_count=len(columns.features),
        feature_names=list(columns.features),
    )
    session.add(baseline)
    session.flush()
    for number, file in enumerate(files):
        _store(session, baseline.id, number, file)
    session.add(Job(kind="fit", baseline_id=baseline.id))
    session.flush()
    return baseline


def check_layout(layout: str) -> None:
    """Raises UnknownLayout, naming those that there are."""
    if layout not in maps.LAYOUTS:
        raise UnknownLayout(f"There is no map {layout!r}: choose one of {', '.join(maps.LAYOUTS)}.")


def check_heads(files: Sequence[File], limits: readings.Limits) -> readings.Columns:
    """The columns of the first file; every other must hold the same (InvalidReadings)."""
    found: list[readings.Columns] = []
    for file in files:
        found.append(readings.check_head(file.stream, limits=limits, source=file.name))
        file.stream.seek(0)
        if set(found[-1].features) != set(found[0].features):
            raise InvalidReadings(
                f"{file.name} has other feature columns than {files[0].name}: "
                "the files of one baseline need equal headers."
            )
    return found[0]


def printable(name: str) -> str:
    """A file's name as it can be stored and shown: whoever sends it may not know what it holds."""
    return "".join(filter(str.isprintable, name))[:NAME_LENGTH]


def check_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(f"A baseline's name has 1 to {NAME_LENGTH} printable characters.")
    return name


def rename(session: Session, who: Identity, baseline_id: int, name: str) -> Baseline:
    """Raises BaselineNotFound, and InvalidRequest for a name that cannot be used."""
    name = check_name(name)
    renamed = update(Baseline).where(Baseline.id == baseline_id, visible(who)).values(name=name)
    baseline: Baseline | None = session.scalar(renamed.returning(Baseline))
    if baseline is None:
        raise BaselineNotFound()
    return baseline


def list_visible(session: Session, who: Identity) -> list[Baseline]:
    """The newest first."""
    return list(session.scalars(select(Baseline).where(visible(who)).order_by(Baseline.id.desc())))


def newest(session: Session, who: Identity) -> Baseline | None:
    """The newest that is fitted; else the newest of all."""
    known = list_visible(session, who)
    fitted = [baseline for baseline in known if baseline.status == "completed"]
    return next(iter(fitted or known), None)


def get(session: Session, who: Identity, baseline_id: int) -> Baseline:
    """Raises BaselineNotFound also for a baseline that is another's."""
    baseline = session.scalar(select(Baseline).where(Baseline.id == baseline_id, visible(who)))
    if baseline is None:
        raise BaselineNotFound()
    return baseline


def require_fitted(baseline: Baseline) -> None:
    """Raises BaselineNotReady or BaselineFailed."""
    if baseline.status == "failed":
        raise BaselineFailed(f"This baseline could not be fitted: {baseline.error_message}")
    if baseline.status != "completed":
        raise BaselineNotReady()


def progress(baseline: Baseline) -> tuple[int, str]:
    """Per cent and words of the fit that is waited for: the first, or that of a better map."""
    if baseline.status == "completed" and baseline.refit:
        return int(baseline.refit["progress"]), str(baseline.refit["status_message"])
    return baseline.progress, baseline.status_message


def feature_names(session: Session, baseline_id: int) -> list[str]:
    """Raises BaselineNotFound."""
    names = session.scalar(select(Baseline.feature_names).where(Baseline.id == baseline_id))
    if names is None:
        raise BaselineNotFound()
    return names


def fitted_map(session: Session, baseline: Baseline) -> maps.Map:
    """The baseline's current map."""
    require_fitted(baseline)
    sha256 = session.scalar(select(FittedMap.sha256).where(FittedMap.id == baseline.map_id))
    if sha256 is None:
        raise BaselineNotFound()  # deleted meanwhile
    return load_map(session, sha256)


def metadata(session: Session, baseline_id: int, rows: int) -> list[dict[str, Any]]:
    """The metadata of the first `rows` baseline rows, in order."""
    return list(
        session.scalars(
            select(BaselinePoint.metadata_)
            .where(BaselinePoint.baseline_id == baseline_id, BaselinePoint.row < rows)
            .order_by(BaselinePoint.row)
        )
    )


def on_map(session: Session, who: Identity, baseline_id: int) -> dict[str, Any]:
    """The baseline's points on its map; the arrays are empty until it is fitted."""
    baseline = get(session, who, baseline_id)
    fitted = baseline.status == "completed"
    places = fitted_map(session, baseline).coordinates if fitted else np.empty((0, 2))
    return {
        "dinsight_id": baseline.id,
        "dinsight_x": np.ascontiguousarray(places[:, 0]),
        "dinsight_y": np.ascontiguousarray(places[:, 1]),
        "point_metadata": metadata(session, baseline.id, len(places)) if fitted else [],
        "status": baseline.status,
        "name": baseline.name,
        "map": baseline.layout,
        "version": baseline.version,
        "refit": baseline.refit,
        "features": baseline.feature_count,
        "feature_names": feature_names(session, baseline.id),
    }


def remove(session: Session, who: Identity, baseline_id: int) -> None:
    """Delete the baseline with its maps, streams and points.

    It locks in the order in which a fit (job, baseline) and a sender (stream, map) do, so that
    they wait for each other and never deadlock: until the streams are held as well, a batch that
    raises an alert may still refer to the baseline.
    """
    baseline = get(session, who, baseline_id)
    job = select(Job.id).where(Job.baseline_id == baseline_id).order_by(Job.id)
    session.execute(job.with_for_update())
    held = select(Baseline.id).where(Baseline.id == baseline_id, visible(who))
    if session.scalar(held.with_for_update(key_share=True)) is None:
        raise BaselineNotFound()  # somebody else was faster
    stream = select(Stream.id).where(Stream.baseline_id == baseline_id).order_by(Stream.id)
    for stream_id in session.scalars(stream.with_for_update()):
        news.changed(session, stream_id)
    audit(session, "baseline.delete", user_id=who.id, subject=str(baseline_id), name=baseline.name)
    session.execute(delete(Baseline).where(Baseline.id == baseline.id, visible(who)))


def describe(baseline: Baseline) -> dict[str, Any]:
    return {
        "id": baseline.id,
        "name": baseline.name,
        "status": baseline.status,
        "rows": baseline.rows,
        "features": baseline.feature_count,
        "map": baseline.layout,
        "version": baseline.version,
        "refit": baseline.refit,
        "created_at": baseline.created_at,
    }


def _store(session: Session, baseline_id: int, number: int, file: File) -> None:
    columns = ("baseline_id", "file", "chunk", "name", "content")
    for chunk in itertools.count():
        content = file.stream.read(CHUNK_BYTES)
        if not content:
            return
        place = (integer(baseline_id), integer(number), integer(chunk))
        copy_rows(session, Upload.__tablename__, columns, [(*place, file.name.encode(), content)])
