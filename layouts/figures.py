"""Figures: data in, figure out, as plain dicts of Plotly's JSON. No Dash.

The map is made once when a stream is opened; after that the page extends its traces, so their
columns are lists: Plotly cannot extend an array that came as `{bdata, dtype}`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dinsight import maps, pictures
from dinsight.density import Grid
from dinsight.maps import Guide
from dinsight.pictures import Picture
from layouts.theme import BASELINE, MONITOR, THEMES, Theme, rgb, theme

BASELINE_DENSITY, MONITOR_DENSITY = "Baseline density", "Monitor density"
EARLIER = "Earlier anomalies"  # those that the monitor's window has left behind
TRACES = (BASELINE_DENSITY, MONITOR_DENSITY, "Baseline", EARLIER, "Monitor", "Latest")
POINT_SIZE = 6
RING = 7  # px that the ring of a newest point is wider than the point
MARGIN = 0.15  # of the cloud's extent, kept free on every side when the map opens
LEVELS = {"start": 0.1, "end": 0.9, "size": 0.2}  # of the densest cell
GUIDE = "#7B8594"  # a grey that both themes can show
SPREADS = ("spreads of the baseline", "spreads of the baseline")
AXES = {"mspc": ("T² over its limit (factors e)", "SPE over its limit (factors e)")}
ORDER, SCORE, LEVEL, NORMAL = "order", "score", "level", "normal"
# Blue and red are the data's; these are told apart by lightness as well, in both themes.
HEALTHY, WARNING, ALARM = "#0F9D78", "#E69F00", "#C2410C"
SCALES = {
    ORDER: [[0, "#5B2A86"], [0.5, "#C2458D"], [1, "#F2A93B"]],
    SCORE: [[0, "#C3CBD6"], [0.5, "#5F6B7A"], [0.5, "#E69F00"], [1, "#7F2704"]],
    LEVEL: [[0, HEALTHY], [1 / 3, HEALTHY], [1 / 3, WARNING], [2 / 3, WARNING], [2 / 3, ALARM],
            [1, ALARM]],
    NORMAL: [[0, HEALTHY], [0.5, HEALTHY], [0.5, ALARM], [1, ALARM]],
}  # fmt: skip
SPANS = {ORDER: (0, 1), SCORE: (0, 2), LEVEL: (-0.5, 2.5), NORMAL: (-0.5, 1.5)}
TICKS = {
    ORDER: {0: "oldest", 1: "newest"},
    SCORE: {0: "0", 1: "limit", 2: "2 × limit"},
    LEVEL: {0: "healthy", 1: "warning", 2: "alarm"},
    NORMAL: {0: "normal", 1: "anomalous"},
}


@dataclass(frozen=True)
class Drawn:
    """How many points are drawn: a sample of the baseline, the newest of the stream, and of what
    is older the newest anomalous ones. The rest is a density.
    """

    baseline: int
    window: int
    earlier: int


# Measured with WebGL in software: 12 ms a redraw, as with half of it; in SVG a point is 40 us.
GL, SVG = Drawn(1_000, 3_000, 500), Drawn(500, 1_000, 250)


@dataclass(frozen=True)
class Screen:
    """What the browser that asks can do: WebGL, touch; and its theme."""

    gl: bool = True
    touch: bool = False
    theme: str = "light"

    @property
    def drawn(self) -> Drawn:
        return GL if self.gl else SVG


def stream_map(
    places: np.ndarray,
    density: Grid | None,
    *,
    key: str,
    view: str,
    screen: Screen,
    layout: str = maps.DEFAULT,
    guides: Sequence[Guide] = (),
) -> dict[str, Any]:
    """The map of a baseline, (n, 2), ready for the points of a stream.

    `key` tells one opening of the page from another, `view` one stream from another: zoom and
    legend survive as long as `view` stays. `layout` names the kind of map, `guides` its lines.
    """
    colours = theme(screen.theme)
    drawn = thin(places, screen.drawn.baseline)
    rest = pictures.of_baseline(places, rgb(BASELINE)) if len(drawn) < len(places) else []
    shown = extent(np.concatenate([places, _on_guides(places, guides)]))
    return {
        "data": [
            _contour(BASELINE_DENSITY, density, colours.baseline_lines),
            _contour(MONITOR_DENSITY, None, colours.monitor_lines),
            _baseline(drawn, screen),
            _monitor(screen, EARLIER) | {"showlegend": False, "legendgroup": "Monitor"},
            _monitor(screen, "Monitor") | {"legendgroup": "Monitor"},
            _latest(screen, colours),
        ],
        "layout": _layout(shown, AXES.get(layout, SPREADS), colours, screen, key=key, view=view)
        | _lines(guides)
        | {"images": images(rest)},
    }


def images(rest: Sequence[Picture]) -> list[dict[str, Any]]:
    """Densities as images below everything else, the coarsest first."""
    return [_image(picture) for picture in reversed(rest)]


def _image(picture: Picture) -> dict[str, Any]:
    left, right, low, high = picture.extent
    content = base64.b64encode(picture.content).decode()
    place = {"x": left, "y": high, "sizex": right - left, "sizey": high - low}
    axes = {"xref": "x", "yref": "y", "xanchor": "left", "yanchor": "top"}
    source = f"data:image/png;base64,{content}"
    return {"source": source, **place, **axes, "sizing": "stretch", "layer": "below"}


def colours() -> dict[str, Any]:
    """How points are coloured, by mode: what their marker has besides the values, and its bar."""
    return {mode: _colouring(mode) for mode in SCALES}


def _colouring(mode: str) -> dict[str, Any]:
    low, high = SPANS[mode]
    at, words = list(TICKS[mode]), list(TICKS[mode].values())
    return {
        "cmin": low,
        "cmax": high,
        "colorscale": SCALES[mode],
        "showscale": True,
        "colorbar": {
            "tickvals": at,
            "ticktext": words,
            "tickfont": {"size": 11},
            "thickness": 10,
            "len": 0.36,
            "x": 0.995,
            "xanchor": "right",
            "y": 0.02,
            "yanchor": "bottom",
            "outlinewidth": 0,
        },
    }


def nothing() -> dict[str, Any]:
    """The empty plot behind a notice."""
    hidden, clear = {"visible": False}, "rgba(0,0,0,0)"
    layout = {"xaxis": hidden, "yaxis": hidden, "paper_bgcolor": clear, "plot_bgcolor": clear}
    return {"data": [], "layout": layout}


def thin(places: np.ndarray, cap: int) -> np.ndarray:
    """At most `cap` of the rows, evenly spaced."""
    if len(places) <= cap:
        return places
    rows = np.linspace(0, len(places) - 1, cap).round().astype(int)
    return np.asarray(places[rows])


def extent(places: np.ndarray) -> tuple[list[float], list[float]]:
    """The ranges of both axes that show a cloud with some room around it."""
    if not len(places):
        return [-1.0, 1.0], [-1.0, 1.0]
    low, high = places.min(axis=0).astype(float), places.max(axis=0).astype(float)
    room = MARGIN * max(float((high - low).max()), 1e-6)
    return [low[0] - room, high[0] + room], [low[1] - room, high[1] + room]


def theme_changes() -> dict[str, Any]:
    """For each theme, what the page restyles (by trace) and relays out when it is chosen."""
    return {name: _theme_change(colours) for name, colours in THEMES.items()}


def config() -> dict[str, Any]:
    """How the plot behaves; the toolbar keeps what a map needs."""
    return {
        "displaylogo": False,
        "doubleClick": "autosize",
        "plotGlPixelRatio": 1,
        "responsive": True,
        "scrollZoom": True,
        "modeBarButtons": [
            ["zoom2d", "pan2d"],
            ["zoomIn2d", "zoomOut2d", "autoScale2d"],
            ["toImage"],
        ],
        "toImageButtonOptions": {"format": "png", "filename": "dinsight-map", "scale": 2},
    }


def _contour(name: str, density: Grid | None, colour: str) -> dict[str, Any]:
    return {
        "type": "contour",
        "name": name,
        "uid": name,
        **(_columns(density) if density else {"x": [], "y": [], "z": []}),
        "visible": density is not None,
        "autocontour": False,
        "contours": {"coloring": "lines", **LEVELS},
        "colorscale": _scale(colour),
        "line": {"width": 1.25, "smoothing": 1},
        "showscale": False,
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _columns(grid: Grid) -> dict[str, Any]:
    return {"x": grid.x.tolist(), "y": grid.y.tolist(), "z": grid.z.round(4).tolist()}


def _scale(colour: str) -> list[list[Any]]:
    return [[0, colour], [1, colour]]


def _scatter(screen: Screen, name: str, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scattergl" if screen.gl else "scatter",
        "mode": "markers",
        "name": name,
        "uid": name,  # the page adds and removes a trace among them: the legend goes by this
        "x": [],
        "y": [],
        "marker": marker,
    }


def _baseline(drawn: np.ndarray, screen: Screen) -> dict[str, Any]:
    """As float32, which live points come as, so that a baseline row sent back lands on its own.

    Without hover: with one far outlier GL's hover is very slow on a large trace.
    """
    drawn = drawn.astype(np.float32)
    marker = {"color": BASELINE, "size": POINT_SIZE, "opacity": 0.55}
    columns = {"x": drawn[:, 0].tolist(), "y": drawn[:, 1].tolist()} if len(drawn) else {}
    return _scatter(screen, "Baseline", marker) | columns | {"hoverinfo": "skip"}


def _monitor(screen: Screen, name: str) -> dict[str, Any]:
    """Points of the stream: `customdata` is [seq, score, level]; an alarm has a symbol of its own.

    The page draws its own label, which also says what is fetched; Plotly only says of what.
    """
    marker = {"color": MONITOR, "symbol": [], "size": POINT_SIZE, "opacity": 0.8}
    return _scatter(screen, name, marker) | {"customdata": [], "hoverinfo": "none"}


def _latest(screen: Screen, colours: Theme) -> dict[str, Any]:
    marker = {
        "symbol": "circle-open",
        "color": colours.ring,
        "size": POINT_SIZE + RING,
        "line": {"width": 1.5, "color": colours.ring},
    }
    return _scatter(screen, "Latest", marker) | {"customdata": [], "hoverinfo": "skip"}


def _on_guides(places: np.ndarray, guides: Sequence[Guide]) -> np.ndarray:
    """A point on each line, beside the cloud's middle: what keeps the lines in sight, (k, 2)."""
    points = np.zeros((len(guides), 2))
    if len(places):
        points += np.median(places, axis=0)
    for point, guide in zip(points, guides, strict=True):
        point["xy".index(guide.axis)] = guide.at
    return points


def _lines(guides: Sequence[Guide]) -> dict[str, Any]:
    """Limit lines across the plot, each with its name at its end."""
    drawn = [_line(guide) for guide in guides]
    shapes, names = [line for line, _ in drawn], [name for _, name in drawn]
    return {"shapes": shapes, "annotations": names} if drawn else {}


def _line(guide: Guide) -> tuple[dict[str, Any], dict[str, Any]]:
    on, along = (guide.axis, "y" if guide.axis == "x" else "x")
    refs = {f"{on}ref": on, f"{along}ref": f"{along} domain"}
    ends = {f"{on}0": guide.at, f"{on}1": guide.at, f"{along}0": 0, f"{along}1": 1}
    style = {"width": 1.5, "dash": "dash", "color": GUIDE}
    shape: dict[str, Any] = {"type": "line", "layer": "below", "line": style}
    side = {"xanchor": "left", "yanchor": "top"}
    if on == "y":
        side = {"xanchor": "right", "yanchor": "bottom"}
    name: dict[str, Any] = {"text": guide.label, "showarrow": False, on: guide.at, along: 1}
    return shape | refs | ends, name | refs | side


def _layout(
    ranges: tuple[list[float], list[float]],
    titles: tuple[str, str],
    colours: Theme,
    screen: Screen,
    *,
    key: str,
    view: str,
) -> dict[str, Any]:
    x, y = ranges
    return {
        "meta": {"key": key, "ranges": {"x": x, "y": y}},  # as the map opens
        "uirevision": view,
        "autosize": True,
        "margin": {"l": 44, "r": 12, "t": 12, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {
            "family": "IBM Plex Sans, system-ui, sans-serif",
            "size": 12,
            "color": colours.ink,
        },
        "dragmode": False if screen.touch else "pan",
        "hovermode": "closest",
        "hoverlabel": {"font": {"family": "IBM Plex Sans, system-ui, sans-serif"}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": colours.ink},
        "legend": {
            "x": 0.01,
            "y": 0.99,
            "orientation": "h",
            "bgcolor": colours.legend,
            "itemsizing": "constant",
        },
        "xaxis": _axis(x, colours) | {"title": {"text": titles[0], "standoff": 6}},
        "yaxis": _axis(y, colours)
        | {"scaleanchor": "x", "scaleratio": 1, "title": {"text": titles[1], "standoff": 4}},
    }


def _axis(range_: list[float], colours: Theme) -> dict[str, Any]:
    return {
        "range": range_,
        "constrain": "domain",  # one scale by giving up room: a zoom keeps the range it was given
        "gridcolor": colours.grid,
        "zeroline": False,
        "nticks": 8,
        "tickfont": {"size": 11},
    }


def _theme_change(colours: Theme) -> dict[str, Any]:
    return {
        "traces": {
            BASELINE_DENSITY: {"colorscale": [_scale(colours.baseline_lines)]},
            MONITOR_DENSITY: {"colorscale": [_scale(colours.monitor_lines)]},
            "Latest": {"marker.color": colours.ring, "marker.line.color": colours.ring},
        },
        "layout": {
            "font.color": colours.ink,
            "modebar.color": colours.ink,
            "legend.bgcolor": colours.legend,
            "xaxis.gridcolor": colours.grid,
            "yaxis.gridcolor": colours.grid,
        },
    }
