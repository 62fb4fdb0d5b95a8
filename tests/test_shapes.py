"""Shapes on a map: what lies inside, and what cannot be a shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dinsight import shapes
from dinsight.errors import InvalidRequest
from dinsight.shapes import Ellipse, Lasso, Rectangle

BOW_TIE = [[0, 0], [2, 2], [2, 0], [0, 2]]  # crosses itself at (1, 1)
STAR = [[math.sin(0.8 * math.pi * k), math.cos(0.8 * math.pi * k)] for k in range(5)]
CORNERS = {"x0": -1, "y0": -2, "x1": 3, "y1": 4}
ROUND = {"x": 1, "y": 2, "rx": 2, "ry": 2}
near = st.floats(-50, 50, width=32)


def holds(shape: shapes.Shape, *points: tuple[float, float]) -> list[bool]:
    x, y = np.array(points, dtype=np.float32).T
    return list(shapes.inside_any([shape], x, y))


def lasso(points: Any) -> Lasso:
    return Lasso.parse({"points": points})


def winding(x: float, y: float, points: list[tuple[float, float]]) -> int:
    """How often the outline goes around a point, by the angles that its edges are seen at."""
    turned = 0.0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        one, other = (x0 - x) + 1j * (y0 - y), (x1 - x) + 1j * (y1 - y)
        turned += math.atan2((other * one.conjugate()).imag, (other * one.conjugate()).real)
    return round(turned / (2 * math.pi))


def test_the_edges_of_a_rectangle_and_of_an_ellipse_are_inside() -> None:
    corners = Rectangle.parse(CORNERS)
    assert holds(corners, (-1, -2), (3, 4), (0, 4), (3.001, 0), (0, -2.001)) == [
        *(True, True, True, False, False)
    ]
    assert corners == Rectangle.parse({"x0": 3, "y0": 4, "x1": -1, "y1": -2})
    assert holds(Ellipse.parse(ROUND), (1, 2), (3, 2), (1, 0), (2.5, 3.5)) == [
        *(True, True, True, False)
    ]


def test_an_ellipse_turns_from_x_towards_y() -> None:
    turned = Ellipse.parse({"x": 0, "y": 0, "rx": 3, "ry": 1, "angle": 45})
    assert holds(turned, (2, 2), (-2, -2), (2, -2), (-2, 2)) == [True, True, False, False]
    assert turned.angle == Ellipse.parse({**turned.geometry(), "angle": 405}).angle


def test_a_lasso_that_crosses_itself_is_filled_by_even_and_odd() -> None:
    assert holds(lasso(BOW_TIE), (0.2, 1), (1.8, 1), (1, 0.2), (1, 1.8)) == [
        *(True, True, False, False)
    ]
    # The middle of a five-pointed star is gone around twice.
    assert holds(lasso(STAR), (0, 0), (0, 0.8)) == [False, True]


def test_of_two_lassos_with_a_common_edge_one_holds_a_point_on_it() -> None:
    left, right = ([[x, 0], [x + 1, 0], [x + 1, 1], [x, 1]] for x in (0, 1))
    for point in ((0.0, 0.5), (1.0, 0.5), (1.0, 0.0), (0.5, 0.0)):
        assert holds(lasso(left), point)[0] + holds(lasso(right), point)[0] == 1


@given(
    angles=st.lists(st.floats(0, 6.28), min_size=5, max_size=30, unique=True),
    at=st.tuples(near, near),
)
def test_a_point_is_inside_as_often_as_the_outline_goes_around_it(
    angles: list[float], at: tuple[float, float]
) -> None:
    """In any order of the vertices: with most, the outline crosses itself."""
    points = [(40 * math.cos(a) * (1 + a % 0.5), 40 * math.sin(a)) for a in angles]
    try:
        kept = lasso(points)
    except InvalidRequest:
        return  # all on one line
    gaps = [
        _gap(at, one, other)
        for one, other in zip(kept.points, kept.points[1:] + kept.points[:1], strict=True)
    ]
    if min(gaps) > 1e-6:
        assert holds(kept, at) == [winding(*at, list(kept.points)) % 2 == 1]


def _gap(at: tuple[float, float], one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(shapes._distances(np.array([at]), np.array(one), np.array(other))[0])


@given(x=near, y=near, angle=st.floats(0, 360))
def test_a_circle_is_the_same_however_it_is_turned(x: float, y: float, angle: float) -> None:
    away = math.hypot(x - 1, y - 2)
    if abs(away - 20) > 1e-6:
        turned = Ellipse.parse({"x": 1, "y": 2, "rx": 20, "ry": 20, "angle": angle})
        assert holds(turned, (x, y)) == [away < 20]


@given(x0=near, y0=near, x1=near, y1=near, at=st.tuples(near, near))
def test_a_rectangle_drawn_as_a_lasso_holds_the_same_points(
    x0: float, y0: float, x1: float, y1: float, at: tuple[float, float]
) -> None:
    if abs(x0 - x1) < 1e-3 or abs(y0 - y1) < 1e-3 or at[0] in {x0, x1} or at[1] in {y0, y1}:
        return
    drawn = Lasso(((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
    corners = Rectangle.parse({"x0": x0, "y0": y0, "x1": x1, "y1": y1})
    assert holds(drawn, at) == holds(corners, at)


def test_inside_any_is_inside_one_of_them() -> None:
    left, right = Rectangle(-2, -1, -1, 1), Rectangle(1, -1, 2, 1)
    x, y = np.array([-1.5, 0, 1.5]), np.zeros(3)
    assert list(shapes.inside_any([left, right], x, y)) == [True, False, True]
    assert list(shapes.inside_any([], x, y)) == [False] * 3


def test_a_lasso_keeps_the_vertices_that_its_outline_needs() -> None:
    turns = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    drawn = lasso([[math.cos(turn), math.sin(turn)] for turn in turns])
    assert 12 <= len(drawn.points) < 80
    along = [[x / 100, 0] for x in range(100)] + [[1, 0], [1, 1], [0, 1]]
    assert drawn != lasso(along)
    assert lasso(along).points == ((0, 0), (1, 0), (1, 1), (0, 1))


@pytest.mark.parametrize("shape", [Rectangle.parse(CORNERS), Ellipse.parse(ROUND), lasso(STAR)])
def test_what_is_stored_is_what_was_drawn(shape: shapes.Shape) -> None:
    assert shapes.stored(shape.kind, shape.geometry()) == shape


@pytest.mark.parametrize(
    ("kind", "geometry", "said"),
    [
        ("blob", {}, "There is no shape 'blob': choose one of rectangle, ellipse, lasso."),
        ([], {}, r"There is no shape \[\]: choose one of"),
        ("rectangle", [], "geometry must be an object"),
        ("rectangle", {**CORNERS, "x1": "3"}, "x1 must be a number"),
        ("rectangle", {**CORNERS, "y0": float("nan")}, "y0 must be a number"),
        ("rectangle", {**CORNERS, "y0": float("inf")}, "y0 must be a number"),
        ("rectangle", {**CORNERS, "y0": 10**400}, "y0 must be a number"),
        ("rectangle", {**CORNERS, "x1": True}, "x1 must be a number"),
        ("rectangle", {**CORNERS, "x1": -1}, "needs a width and a height"),
        ("ellipse", {**ROUND, "rx": 0}, "radii"),
        ("ellipse", {**ROUND, "ry": -1}, "radii"),
        ("ellipse", {**ROUND, "angle": "left"}, "angle must be a number"),
        ("lasso", {"points": "abc"}, "points must be a list"),
        ("lasso", {"points": BOW_TIE[:2]}, "3 to 500 vertices, not 2"),
        ("lasso", {"points": BOW_TIE * 126}, "3 to 500 vertices, not 504"),
        ("lasso", {"points": [*BOW_TIE, [1]]}, "Vertex 4"),
        ("lasso", {"points": [*BOW_TIE, [1, None]]}, "y of vertex 4 must be a number"),
        ("lasso", {"points": [[1, 1]] * 5}, "encloses nothing"),
        ("lasso", {"points": [[0, 0], [1, 1], [2, 2]]}, "encloses nothing"),
    ],
)
def test_what_cannot_be_a_shape_is_named(kind: Any, geometry: Any, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        shapes.parse(kind, geometry)
