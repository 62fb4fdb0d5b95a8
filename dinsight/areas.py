"""Normal areas of a baseline: drawn on its map, inside any of them a point is normal.

An area belongs to the map that it was drawn on, since a refit moves every point: those of an
earlier map are kept and listed, and apply to nothing. Areas colour and count; they raise and mute
no alarm.

Every change gives the baseline another `areas_revision`, drawn by lot, so that it tells two states
of the areas apart wherever it is seen: in the status of a stream, and as the key of what a process
keeps of them.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from dinsight import baselines, shapes
from dinsight.accounts import Identity
from dinsight.errors import AreaNotFound, BaselineNotFound, InvalidRequest, MapRefitted
from dinsight.models import Area, Baseline
from dinsight.shapes import Flags, Shape

MOST = 50  # of a baseline, those of earlier maps included
NAME_LENGTH = 60
KEPT = 256  # baselines whose areas a process keeps

Areas = tuple[Shape, ...]


@dataclass(frozen=True)
class Told:
    """A baseline's areas as they are told: the present map's apply."""

    map_id: int | None
    revision: str
    rows: list[Area]

    def to_dict(self) -> dict[str, Any]:
        listed = [describe(row, applied=row.map_id == self.map_id) for row in self.rows]
        return {"map_id": self.map_id, "revision": self.revision, "areas": listed}


class OnMap(Protocol):
    """A stream, or a batch of one, as far as areas are concerned."""

    @property
    def baseline_id(self) -> int: ...
    @property
    def map_id(self) -> int: ...
    @property
    def areas_revision(self) -> str: ...


class Cache:
    """The areas of the baselines that were asked for most recently, by their revision."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._known: OrderedDict[tuple[int, int, str], Areas] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, session: Session, stream: OnMap) -> Areas:
        key = (stream.baseline_id, stream.map_id, stream.areas_revision)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        revision, found = _applied(session, stream)
        with self._lock:
            self._known[*key[:2], revision] = found
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return found


_cache = Cache()


def of_stream(session: Session, stream: OnMap) -> Areas:
    """The areas on the map of a stream's present epoch; asks the database only after a change."""
    return _cache.get(session, stream) if stream.areas_revision else ()


def flags(session: Session, stream: OnMap, x: np.ndarray, y: np.ndarray) -> Flags | None:
    """Which of the stream's points lie inside any area; None where the map has no area."""
    found = of_stream(session, stream)
    return shapes.inside_any(found, x, y) if found else None


def list_all(session: Session, who: Identity, baseline_id: int) -> Told:
    """The areas of a baseline, the oldest first. Raises BaselineNotFound."""
    baseline = baselines.get(session, who, baseline_id)
    mine = select(Area).where(Area.baseline_id == baseline.id).order_by(Area.id)
    return Told(baseline.map_id, baseline.areas_revision, list(session.scalars(mine)))


def add(
    session: Session, who: Identity, baseline_id: int, wanted: Mapping[str, Any]
) -> dict[str, Any]:
    """Keep an area with a name; `map_id`, if given, says on which map it was drawn.

    Raises InvalidRequest, which names what is wrong, and MapRefitted for another map than the
    present one.
    """
    name, shape = check_name(wanted.get("name")), shapes.parse(*_shape_of(wanted))
    baseline = _hold(session, who, baseline_id)
    baselines.require_fitted(baseline)
    drawn_on = wanted.get("map_id")
    if drawn_on is not None and drawn_on != baseline.map_id:
        raise MapRefitted()
    mine = select(func.count()).select_from(Area).where(Area.baseline_id == baseline_id)
    if session.scalars(mine).one() >= MOST:
        raise InvalidRequest(f"A baseline has at most {MOST} areas: delete one first.")
    row = Area(
        baseline_id=baseline_id,
        map_id=baseline.map_id,
        layout=baseline.layout,
        name=name,
        kind=shape.kind,
        geometry=shape.geometry(),
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return describe(row, applied=True)


def change(
    session: Session,
    who: Identity,
    baseline_id: int,
    area_id: int,
    wanted: Mapping[str, Any],
    *,
    now: dt.datetime,
) -> dict[str, Any]:
    """Give an area another name, another shape, or both; what is left out stays.

    Raises InvalidRequest; AreaNotFound; MapRefitted for another shape of an area that was drawn on
    an earlier map.
    """
    baseline = _hold(session, who, baseline_id)
    row = _get(session, baseline_id, area_id)
    applied = row.map_id == baseline.map_id
    if wanted.get("name") is not None:
        row.name = check_name(wanted["name"])
    if any(wanted.get(name) is not None for name in ("kind", "geometry")):
        if not applied:
            raise MapRefitted()
        shape = shapes.parse(*_shape_of(wanted))
        row.kind, row.geometry = shape.kind, shape.geometry()
    row.changed_at = now
    session.flush()
    return describe(row, applied=applied)


def remove(session: Session, who: Identity, baseline_id: int, area_id: int) -> None:
    """Raises BaselineNotFound or AreaNotFound."""
    _hold(session, who, baseline_id)
    session.delete(_get(session, baseline_id, area_id))
    session.flush()


def describe(row: Area, *, applied: bool) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "geometry": row.geometry,
        "map": row.layout,
        "applied": applied,
        "created_at": row.created_at,
        "changed_at": row.changed_at,
    }


def check_name(name: Any) -> str:
    """Raises InvalidRequest."""
    name = name.strip() if isinstance(name, str) else ""
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(f"An area's name has 1 to {NAME_LENGTH} printable characters.")
    return str(name)


def _shape_of(wanted: Mapping[str, Any]) -> tuple[Any, Any]:
    return wanted.get("kind"), wanted.get("geometry")


def _hold(session: Session, who: Identity, baseline_id: int) -> Baseline:
    """The baseline, held for this transaction, which changes its areas: a new revision."""
    revised = (
        update(Baseline)
        .where(Baseline.id == baseline_id, baselines.visible(who))
        .values(areas_revision=secrets.token_hex(4))
        .returning(Baseline)
        .execution_options(populate_existing=True)
    )
    baseline: Baseline | None = session.scalar(revised)
    if baseline is None:
        raise BaselineNotFound()
    return baseline


def _get(session: Session, baseline_id: int, area_id: int) -> Area:
    row = session.scalar(select(Area).where(Area.id == area_id, Area.baseline_id == baseline_id))
    if row is None:
        raise AreaNotFound()
    return row


def _applied(session: Session, stream: OnMap) -> tuple[str, Areas]:
    """The areas on the stream's map and their revision, as of one moment: in one statement."""
    found = session.execute(
        select(Baseline.areas_revision, Area.kind, Area.geometry)
        .outerjoin(Area, (Area.baseline_id == Baseline.id) & (Area.map_id == stream.map_id))
        .where(Baseline.id == stream.baseline_id)
        .order_by(Area.id)
    ).all()
    if not found:
        raise BaselineNotFound()  # deleted meanwhile
    kept = tuple(shapes.stored(kind, geometry) for _, kind, geometry in found if kind is not None)
    return found[0].areas_revision, kept
