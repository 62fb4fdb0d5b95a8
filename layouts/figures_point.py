"""The spectrum of a point over its baseline's, as a plain dict of Plotly's JSON. No Dash.

A row of 16,377 features is far more than a screen is wide: for each column of pixels what is
lowest and what is highest is drawn, so that no peak is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinsight.maps.explanation import bin_number, hertz
from layouts.theme import BASELINE, MONITOR, Theme, theme

COLUMNS = 700  # of pixels: about twice as many as the panel is wide
BAND_FILL = "rgba(26, 115, 232, 0.22)"
DRIVING_FILL = "rgba(220, 38, 38, 0.13)"
MOST_BANDS = 8
APART = 0.05  # of the axis, between the numbers of two bands: others stand in the list alone
TRACES = ("Baseline 5–95 %", "Median", "This point")


@dataclass(frozen=True)
class Axis:
    """Where features stand: `order` (d,) are their columns from left to right, `at` (d,) the x."""

    title: str
    order: NDArray[np.int64]
    at: NDArray[np.float64]


def spectrum(
    found: dict[str, Any], bands: Sequence[dict[str, Any]], *, theme_name: str, touch: bool = False
) -> dict[str, Any]:
    """The `spectrum` and the `bands` of an explanation (`dinsight.diagnosis`)."""
    features = found["features"]
    axis = axis_of(features)
    values, median, low, high = (
        np.asarray(found[name], dtype=np.float64)[axis.order]
        for name in ("values", "median", "low", "high")
    )
    names = [features[column] for column in axis.order]
    colours = theme(theme_name)
    return {
        "data": [
            *_band(axis.at, low, high),
            _line(TRACES[1], axis.at, median, names, {"color": BASELINE, "width": 1.25}),
            _line(TRACES[2], axis.at, values, names, {"color": MONITOR, "width": 1.5}),
        ],
        "layout": _layout(axis, colours, touch) | _driving(axis, bands[:MOST_BANDS], colours),
    }


@lru_cache(maxsize=8)
def axis_of(features: tuple[str, ...]) -> Axis:
    """Hz where every header says so, else the numbers of bins, else one feature after another."""
    for title, number in (("Frequency (Hz)", hertz), ("Bin", bin_number)):
        numbers = [number(name) for name in features]
        if all(each is not None for each in numbers):
            at = np.array(numbers, dtype=np.float64)
            order = np.argsort(at, kind="stable")
            return Axis(title, order, at[order])
    order = np.arange(len(features))
    return Axis("Feature", order, order.astype(np.float64))


def extremes(values: NDArray[np.float64], columns: int = COLUMNS) -> NDArray[np.int64]:
    """The places of the lowest and the highest of each of `columns` parts of (d,), in order.

    >>> extremes(np.array([0.0, 9.0, 1.0, 1.0, 0.0, 1.0, -7.0, 0.0]), 2).tolist()
    [0, 1, 5, 6]
    """
    if len(values) <= 2 * columns:
        return np.arange(len(values))
    edges = _edges(len(values), columns)
    found = [
        start + np.array([np.argmin(values[start:end]), np.argmax(values[start:end])])
        for start, end in zip(edges, [*edges[1:], len(values)], strict=True)
    ]
    return np.unique(np.concatenate(found))


def _edges(length: int, columns: int) -> NDArray[np.int64]:
    return np.linspace(0, length, columns, endpoint=False).astype(np.int64)


def _band(
    at: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Both edges, the area between them filled; each the outermost of its column of pixels."""
    starts = np.arange(len(at)) if len(at) <= 2 * COLUMNS else _edges(len(at), 2 * COLUMNS)
    common = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "line": {"width": 0}}
    x = at[starts].tolist()
    upper = np.maximum.reduceat(high, starts).tolist()
    lower = np.minimum.reduceat(low, starts).tolist()
    return [
        common | {"x": x, "y": upper, "name": "95 %", "showlegend": False},
        common | {"x": x, "y": lower, "name": TRACES[0], "fill": "tonexty", "fillcolor": BAND_FILL},
    ]


def _line(
    name: str,
    at: NDArray[np.float64],
    values: NDArray[np.float64],
    names: Sequence[str],
    line: dict[str, Any],
) -> dict[str, Any]:
    drawn = extremes(values)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": at[drawn].tolist(),
        "y": values[drawn].tolist(),
        "text": [names[place] for place in drawn],
        "hovertemplate": "%{text}: %{y:.4g}<extra>" + name + "</extra>",
        "line": line,
    }


def _driving(axis: Axis, bands: Sequence[dict[str, Any]], colours: Theme) -> dict[str, Any]:
    """The driving bands as shaded columns, each with the number that the list gives it."""
    place = np.empty(len(axis.order), dtype=np.int64)
    place[axis.order] = np.arange(len(axis.order))
    half = 0.5 * float(np.median(np.diff(axis.at))) if len(axis.at) > 1 else 0.5
    room = APART * float(np.ptp(axis.at))
    shapes: list[dict[str, Any]] = []
    numbers: list[dict[str, Any]] = []
    for number, band in enumerate(bands, start=1):
        ends = axis.at[[place[band["first"]], place[band["last"]]]]
        x0, x1 = float(ends.min()) - half, float(ends.max()) + half
        shapes.append(
            {
                "type": "rect",
                "layer": "below",
                "xref": "x",
                "yref": "y domain",
                **{"x0": x0, "x1": x1, "y0": 0, "y1": 1},
                "fillcolor": DRIVING_FILL,
                "line": {"width": 1, "color": DRIVING_FILL},
            }
        )
        middle = (x0 + x1) / 2
        if any(abs(middle - other["x"]) < room for other in numbers):
            continue
        numbers.append(
            {
                "text": str(number),
                "x": middle,
                "y": 1,
                "xref": "x",
                "yref": "y domain",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 11, "color": colours.ink},
            }
        )
    return {"shapes": shapes, "annotations": numbers}


def _layout(axis: Axis, colours: Theme, touch: bool) -> dict[str, Any]:
    grid = {"gridcolor": colours.grid, "zeroline": False, "tickfont": {"size": 11}}
    return {
        "autosize": True,
        "margin": {"l": 40, "r": 8, "t": 18, "b": 66},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {
            "family": "IBM Plex Sans, system-ui, sans-serif",
            "size": 12,
            "color": colours.ink,
        },
        "dragmode": False if touch else "zoom",
        "hovermode": "closest",
        "legend": {
            "orientation": "h",
            "x": -0.1,
            "y": -0.3,
            "font": {"size": 11},
            "itemwidth": 30,
        },
        "xaxis": grid | {"title": {"text": axis.title, "standoff": 4}, "nticks": 6},
        "yaxis": grid | {"nticks": 5, "fixedrange": True},
    }
