"""Figures: data in, figure out."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dinsight.density import Grid
from dinsight.maps import Guide
from layouts import figures
from layouts.figures import Screen

CLOUD = np.random.default_rng(3).normal(size=(200, 2))
DENSITY = Grid(np.arange(2.0), np.arange(3.0), np.array([[0.0, 0.1], [0.5, 1.0], [0.2, 0.0]]))


def stream_map(places: np.ndarray = CLOUD, **more: object) -> dict[str, object]:
    screen = Screen(**more)  # type: ignore[arg-type]
    return figures.stream_map(places, DENSITY, key="7", view="3/default", screen=screen)


def trace(figure: dict[str, object], name: str) -> dict[str, object]:
    (found,) = [trace for trace in figure["data"] if trace["name"] == name]  # type: ignore[attr-defined]
    return dict(found)


@pytest.mark.parametrize("gl", [True, False])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_map_is_a_figure_that_plotly_accepts(gl: bool, theme: str) -> None:
    figure = stream_map(gl=gl, theme=theme)
    assert [trace.name for trace in go.Figure(figure).data] == list(figures.TRACES)


def test_map_has_the_named_traces_in_their_colours() -> None:
    figure = stream_map()
    assert trace(figure, "Baseline")["marker"]["color"] == "#1A73E8"  # type: ignore[index]
    assert trace(figure, "Monitor")["marker"]["color"] == "#DC2626"  # type: ignore[index]
    assert trace(figure, "Latest")["marker"]["symbol"] == "circle-open"  # type: ignore[index]


def test_traces_that_grow_are_lists_also_after_json() -> None:
    figure = json.loads(json.dumps(stream_map()))
    for name in ("Baseline", "Monitor", "Latest"):
        assert isinstance(trace(figure, name)["x"], list)


def test_baseline_is_drawn_as_the_float32_that_live_points_come_as() -> None:
    drawn = trace(stream_map(), "Baseline")
    assert np.array_equal(np.float32(drawn["x"]), CLOUD[:, 0].astype(np.float32))
    assert drawn["x"] == CLOUD[:, 0].astype(np.float32).astype(float).tolist()


def test_without_webgl_plain_svg_draws_fewer() -> None:
    many = np.random.default_rng(4).normal(size=(10_000, 2))
    plain, gl = stream_map(many, gl=False), stream_map(many, gl=True)
    assert trace(plain, "Monitor")["type"] == "scatter"
    assert trace(gl, "Monitor")["type"] == "scattergl"
    assert len(trace(plain, "Baseline")["x"]) == figures.SVG.baseline  # type: ignore[arg-type]
    assert len(trace(gl, "Baseline")["x"]) == figures.GL.baseline  # type: ignore[arg-type]


def test_a_large_baseline_is_a_sample_over_its_density() -> None:
    many = np.random.default_rng(4).normal(size=(10_000, 2))
    (image,) = stream_map(many)["layout"]["images"]  # type: ignore[index]
    assert image["source"].startswith("data:image/png;base64,")
    assert image["layer"] == "below"
    assert image["x"] < many[:, 0].min() and many[:, 1].max() < image["y"]
    assert image["x"] + image["sizex"] > many[:, 0].max()
    assert len(image["source"]) < 40_000
    assert stream_map()["layout"]["images"] == []  # type: ignore[index]


def test_every_way_of_colouring_says_what_its_colours_mean() -> None:
    for mode, axis in figures.colours().items():
        go.scattergl.Marker(axis)
        bar = axis["colorbar"]
        assert len(bar["tickvals"]) == len(bar["ticktext"]) >= 2, mode
        assert axis["cmin"] <= min(bar["tickvals"]) and max(bar["tickvals"]) <= axis["cmax"]
    score = figures.colours()["score"]
    assert score["colorbar"]["ticktext"][1] == "limit"
    colours = [colour for at, colour in score["colorscale"] if at == 0.5]
    assert len(set(colours)) == 2  # it breaks at the limit


def test_a_finger_scrolls_the_page_and_a_mouse_moves_the_map() -> None:
    assert stream_map(touch=True)["layout"]["dragmode"] is False  # type: ignore[index]
    assert stream_map(touch=False)["layout"]["dragmode"] == "pan"  # type: ignore[index]


def test_axes_are_equal_and_the_zoom_belongs_to_the_stream() -> None:
    layout = stream_map()["layout"]
    assert layout["yaxis"]["scaleanchor"] == "x"  # type: ignore[index]
    assert layout["uirevision"] == "3/default"  # type: ignore[index]
    ranges = {"x": layout["xaxis"]["range"], "y": layout["yaxis"]["range"]}  # type: ignore[index]
    assert layout["meta"] == {"key": "7", "ranges": ranges}  # type: ignore[index]


def test_contours_are_drawn_where_there_is_a_density() -> None:
    figure = stream_map()
    assert trace(figure, "Baseline density")["visible"] is True
    assert trace(figure, "Monitor density")["visible"] is False
    assert trace(figure, "Baseline density")["z"] == DENSITY.z.tolist()


def test_baseline_of_one_row_still_opens() -> None:
    figure = go.Figure(stream_map(np.array([[0.5, 0.5]])))
    low, high = figure.layout.xaxis.range
    assert low < 0.5 < high


def test_both_themes_change_the_same_things() -> None:
    light, dark = figures.theme_changes()["light"], figures.theme_changes()["dark"]
    assert light["traces"].keys() == dark["traces"].keys()
    assert light["layout"].keys() == dark["layout"].keys()
    assert light != dark


@given(
    arrays(np.float64, st.tuples(st.integers(1, 50), st.just(2)), elements=st.floats(-1e6, 1e6)),
    st.integers(1, 60),
)
def test_thinning_keeps_order_ends_and_the_cap(places: np.ndarray, cap: int) -> None:
    kept = figures.thin(places, cap)
    assert len(kept) == min(cap, len(places))
    assert np.array_equal(kept[0], places[0])
    if cap > 1:
        assert np.array_equal(kept[-1], places[-1])


@given(arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.floats(-1e6, 1e6)))
def test_the_first_view_holds_every_baseline_point(places: np.ndarray) -> None:
    x, y = figures.extent(places)
    assert x[0] <= places[:, 0].min() and places[:, 0].max() <= x[1]
    assert y[0] <= places[:, 1].min() and places[:, 1].max() <= y[1]
    assert x[0] < x[1] and y[0] < y[1]


def test_the_limits_of_a_map_are_lines_with_names_and_in_sight() -> None:
    guides = (Guide("x", 0.0, "T² limit"), Guide("y", 0.0, "SPE limit"))
    below = np.array([[-3.0, -2.0], [-2.5, -1.5], [-2.0, -1.0]])
    drawn = figures.stream_map(
        below, None, key="7", view="3", screen=Screen(), layout="mspc", guides=guides
    )
    layout = go.Figure(drawn).to_dict()["layout"]
    assert [(line["x0"], line["y0"]) for line in layout["shapes"]] == [(0.0, 0), (0, 0.0)]
    assert [name["text"] for name in layout["annotations"]] == ["T² limit", "SPE limit"]
    assert layout["xaxis"]["range"][1] > 0
    assert layout["yaxis"]["range"][1] > 0
    assert "T²" in layout["xaxis"]["title"]["text"]
    assert "shapes" not in stream_map()["layout"]  # type: ignore[operator]
