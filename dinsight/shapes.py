"""Shapes on a map: rectangle, ellipse and lasso, and which points lie inside. Pure.

Coordinates are map units. What is computed here holds wherever points are flagged or counted: there
is no other rule, in SQL or in the browser, that could decide a point on an edge differently.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from dinsight.errors import InvalidRequest

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Geometry = dict[str, Any]

FURTHEST = 1e9  # map units: far beyond any map, and far from where a float64 gets coarse
SMALLEST = 1e-6  # radius, in map units
LEAST_VERTICES, MOST_VERTICES = 3, 500
AS_DRAWN = 0.002  # of the wider side: a lasso's detours smaller than that are not kept


class Shape(Protocol):
    """What an area can be."""

    kind: ClassVar[str]

    def inside(self, x: Floats, y: Floats) -> Flags:
        """Which of the points, (n,) and (n,), lie inside."""
        ...

    def geometry(self) -> Geometry:
        """The shape as JSON."""
        ...


@dataclass(frozen=True)
class Rectangle:
    """From (x0, y0), its lower left corner, to (x1, y1); the edges are inside."""

    kind: ClassVar[str] = "rectangle"
    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Rectangle:
        """From any two opposite corners; raises InvalidRequest."""
        x = sorted(_number(given, name) for name in ("x0", "x1"))
        y = sorted(_number(given, name) for name in ("y0", "y1"))
        if x[0] == x[1] or y[0] == y[1]:
            raise InvalidRequest("A rectangle needs a width and a height: move a corner.")
        return cls(x[0], y[0], x[1], y[1])

    def inside(self, x: Floats, y: Floats) -> Flags:
        return (self.x0 <= x) & (x <= self.x1) & (self.y0 <= y) & (y <= self.y1)

    def geometry(self) -> Geometry:
        return asdict(self)


@dataclass(frozen=True)
class Ellipse:
    """Around (x, y), `rx` and `ry` from the centre to the edge, turned by `angle` degrees.

    The angle counts from the x axis towards the y axis. The edge is inside. A circle has two equal
    radii.
    """

    kind: ClassVar[str] = "ellipse"
    x: float
    y: float
    rx: float
    ry: float
    angle: float = 0.0

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Ellipse:
        """Raises InvalidRequest."""
        rx, ry = _number(given, "rx"), _number(given, "ry")
        if rx < SMALLEST or ry < SMALLEST:
            raise InvalidRequest(f"The radii rx and ry must be at least {SMALLEST:f}.")
        angle = _number(given, "angle") % 360 if given.get("angle") is not None else 0.0
        return cls(_number(given, "x"), _number(given, "y"), rx, ry, angle)

    def inside(self, x: Floats, y: Floats) -> Flags:
        turn = math.radians(self.angle)
        right, up = x - self.x, y - self.y
        along = (right * math.cos(turn) + up * math.sin(turn)) / self.rx
        across = (up * math.cos(turn) - right * math.sin(turn)) / self.ry
        found: Flags = along**2 + across**2 <= 1.0
        return found

    def geometry(self) -> Geometry:
        return asdict(self)


@dataclass(frozen=True)
class Lasso:
    """A polygon through `points`, closed from the last to the first.

    Where it crosses itself the even-odd rule holds, as a drawing program fills it: a point is
    inside if a ray from it meets the outline an odd number of times. Of the points on the outline
    those on left and lower edges are inside, so that of two lassos with a common edge exactly one
    holds a point on it.
    """

    kind: ClassVar[str] = "lasso"
    points: tuple[tuple[float, float], ...]

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Lasso:
        """From its vertices, without those that change nothing; raises InvalidRequest."""
        points = given.get("points")
        if not isinstance(points, Sequence) or isinstance(points, str):
            raise InvalidRequest("points must be a list of the lasso's vertices, each as [x, y].")
        if not LEAST_VERTICES <= len(points) <= MOST_VERTICES:
            raise InvalidRequest(
                f"A lasso has {LEAST_VERTICES} to {MOST_VERTICES} vertices, not {len(points)}."
            )
        vertices = simplified(np.array([_vertex(n, point) for n, point in enumerate(points)]))
        if len(vertices) < LEAST_VERTICES or not _is_wide(vertices):
            raise InvalidRequest("This lasso encloses nothing: draw around some points.")
        return cls(tuple((float(x), float(y)) for x, y in vertices))

    def inside(self, x: Floats, y: Floats) -> Flags:
        odd = np.zeros(len(x), dtype=np.bool_)
        for low, high, at, across, up in self._edges:
            meets = (low <= y) & (y < high)
            odd[meets] ^= (x[meets] - at) * up < (y[meets] - low) * across
        return odd

    def geometry(self) -> Geometry:
        return {"points": [list(point) for point in self.points]}

    @cached_property
    def _edges(self) -> list[tuple[float, float, float, float, float]]:
        """Of each edge that is not level: its lowest y and highest, x where it is lowest, its run
        and its rise from there."""
        edges = []
        for one, other in zip(self.points, self.points[1:] + self.points[:1], strict=True):
            (x0, low), (x1, high) = sorted((one, other), key=lambda point: point[1])
            if low < high:
                edges.append((low, high, x0, x1 - x0, high - low))
        return edges


KINDS: dict[str, type[Rectangle] | type[Ellipse] | type[Lasso]] = {
    kind.kind: kind for kind in (Rectangle, Ellipse, Lasso)
}


def parse(kind: Any, geometry: Any) -> Shape:
    """The shape that JSON describes; raises InvalidRequest, which names what is wrong."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidRequest(f"There is no shape {kind!r}: choose one of {', '.join(KINDS)}.")
    if not isinstance(geometry, Mapping):
        raise InvalidRequest("geometry must be an object with the numbers of the shape.")
    return KINDS[kind].parse(geometry)


def stored(kind: str, geometry: Geometry) -> Shape:
    """The shape that `geometry()` described: as it is, with every vertex that was kept."""
    if kind == Lasso.kind:
        return Lasso(tuple((float(x), float(y)) for x, y in geometry["points"]))
    return KINDS[kind](**geometry)


def inside_any(shapes: Sequence[Shape], x: NDArray[Any], y: NDArray[Any]) -> Flags:
    """Which of the points, (n,) and (n,), lie inside at least one of the shapes.

    They are taken as float32, which is what is stored, however they were read.
    """
    x, y = (np.asarray(each, dtype=np.float32).astype(np.float64) for each in (x, y))
    found = np.zeros(len(x), dtype=np.bool_)
    for shape in shapes:
        found |= shape.inside(x, y)
    return found


def simplified(vertices: Floats) -> Floats:
    """The polygon (n, 2) without the vertices that hardly move its outline, in order.

    Douglas and Peucker, Cartographica 10, 1973: no vertex that goes was further from the kept
    outline than `AS_DRAWN` of the wider side.
    """
    tolerance = AS_DRAWN * float(np.ptp(vertices, axis=0).max())
    far = int(np.argmax(np.hypot(*(vertices - vertices[0]).T)))
    ring = np.concatenate([vertices, vertices[:1]])
    kept = np.zeros(len(ring), dtype=np.bool_)
    kept[[0, far]] = True
    spans = [(0, far), (far, len(ring) - 1)]
    while spans:
        start, end = spans.pop()
        if end - start < 2:
            continue
        away = _distances(ring[start + 1 : end], ring[start], ring[end])
        furthest = int(np.argmax(away))
        if away[furthest] > tolerance:
            middle = start + 1 + furthest
            kept[middle] = True
            spans += [(start, middle), (middle, end)]
    return vertices[kept[:-1]]


def _distances(points: Floats, start: Floats, end: Floats) -> Floats:
    """Of the points (n, 2) from the piece of line between two ends."""
    along = end - start
    length = float(along @ along)
    share = np.clip((points - start) @ along / length, 0, 1) if length else np.zeros(len(points))
    gaps = points - (start + share[:, None] * along)
    return np.asarray(np.hypot(gaps[:, 0], gaps[:, 1]))


def _is_wide(vertices: Floats) -> bool:
    """Whether the vertices are not all on one line."""
    steps = vertices - vertices[0]
    longest = steps[np.argmax(np.hypot(*steps.T))]
    cross = steps[:, 0] * longest[1] - steps[:, 1] * longest[0]
    return bool(np.abs(cross).max() > 1e-12 * float(longest @ longest))


def _vertex(number: int, point: Any) -> list[float]:
    if not isinstance(point, Sequence) or isinstance(point, str) or len(point) != 2:
        raise InvalidRequest(f"Vertex {number} of the lasso must be [x, y].")
    named = dict(zip(("x", "y"), point, strict=True))
    return [_number(named, name, f" of vertex {number}") for name in named]


def _number(given: Mapping[str, Any], name: str, of: str = "") -> float:
    value = given.get(name)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not abs(value) <= FURTHEST:  # type: ignore[arg-type] # NaN is no less
        raise InvalidRequest(f"{name}{of} must be a number from {-FURTHEST:g} to {FURTHEST:g}.")
    return float(value)  # type: ignore[arg-type]
