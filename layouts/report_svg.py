"""The report's pictures as SVG: no script, sharp on paper, coloured by the style sheet.

Pure: data in, markup out. Nothing but numbers, times and our own words is written.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dinsight import cells, pictures
from dinsight.cells import Cells
from dinsight.density import Extent, extent_of
from dinsight.pictures import Picture
from dinsight.trend import Trend
from layouts.theme import ANOMALOUS, BASELINE, MONITOR, rgb

SIDE = 420  # of the map, in SVG units
ROOM = 1.08  # around what is shown
WIDE, HIGH = 760, 190  # of the trend
LEFT, BOTTOM = 52, 26  # for its labels
TICKS = 5
MOST_DOTS = 3_000  # cells; more are a picture
LEVELS = {1: "warning", 2: "alarm"}


@dataclass(frozen=True)
class Frame:
    """The square of the plane that is drawn, and how it is put on SVG's, whose y goes down."""

    extent: Extent

    @property
    def scale(self) -> float:
        return SIDE / (self.extent.x_high - self.extent.x_low)

    def x(self, value: float) -> float:
        return (value - self.extent.x_low) * self.scale

    def y(self, value: float) -> float:
        return (self.extent.y_high - value) * self.scale


def frame(places: np.ndarray, counted: Cells, marked: Sequence[tuple[float, float]]) -> Frame:
    """The baseline, most of the points, and whatever is marked."""
    shown = [extent_of(places[:, 0], places[:, 1])]
    if len(counted.column):
        shown.append(cells.bulk(counted))
    shown += [Extent(x, x, y, y) for x, y in marked]
    lows = (min(each.x_low for each in shown), min(each.y_low for each in shown))
    highs = (max(each.x_high for each in shown), max(each.y_high for each in shown))
    return Frame(cells.square(Extent(lows[0], highs[0], lows[1], highs[1]), ROOM))


def map_svg(
    places: np.ndarray,
    counted: Cells,
    newest: np.ndarray,
    marked: tuple[float, float] | None = None,
) -> str:
    """The map: baseline (n, 2) and points as densities, the newest places ringed, one marked."""
    places = np.asarray(places, np.float64)
    spots = [(float(x), float(y)) for x, y in newest]
    on = frame(places, counted, [*spots, *([marked] if marked else [])])
    healthy = cells.none(cells.lattice_of(places))
    healthy = cells.count(healthy, places[:, 0], places[:, 1], np.zeros(len(places), bool))
    parts = [
        *_cloud(healthy, on, "baseline", BASELINE, BASELINE),
        *_cloud(counted, on, "monitor", MONITOR, ANOMALOUS),
        *(f'<circle class="newest" {_at(on, spot)} r="5"/>' for spot in spots),
    ]
    if marked:
        parts.append(f'<circle class="marked" {_at(on, marked)} r="10"/>')
    return _svg(SIDE, SIDE, "The map: the baseline, the points and the newest of them", parts)


def trend_svg(found: Trend, limit: float, warning: float, marked: int | None = None) -> str:
    """The score over the run: lowest to highest of each bucket, limits, episodes, one seq marked.

    The scale is logarithmic, so that both a score below its limit and one far above are read.
    """
    if not len(found.buckets):
        return ""
    across = Across(found.first, max(found.last, found.first + 1))
    up = Up.around(found, limit, warning)
    buckets = found.buckets
    bars = []
    wide = max(1.0, (WIDE - LEFT) / len(buckets))
    columns = zip(buckets.number, buckets.low, buckets.high, buckets.level, strict=True)
    for number, low, high, level in columns:
        top, bottom = up(float(high)), up(float(low))
        at = across(int(number) * found.width + 1)
        bars.append(
            f'<rect class="score {LEVELS.get(int(level), "healthy")}" x="{at:.1f}" y="{top:.1f}" '
            f'width="{wide:.1f}" height="{max(3.0, bottom - top):.1f}"/>'
        )
    parts = [
        *_episodes(found, across),
        *bars,
        _level_line(up(limit), "alarm"),
        _level_line(up(warning), "warning"),
        *_times(found, across),
        *_scale(up),
    ]
    if marked is not None:
        at = across(marked)
        parts.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{HIGH}"/>')
    return _svg(WIDE, HIGH + BOTTOM, "The score over the run, with its limits", parts)


@dataclass(frozen=True)
class Across:
    """From seq to x."""

    first: int
    last: int

    def __call__(self, seq: int) -> float:
        share = (seq - self.first) / (self.last - self.first)
        return LEFT + min(1.0, max(0.0, share)) * (WIDE - LEFT)


@dataclass(frozen=True)
class Up:
    """From score to y, between two powers of ten."""

    low: float
    high: float

    @classmethod
    def around(cls, found: Trend, limit: float, warning: float) -> Up:
        """Over all scores and both limits, but at most four powers below the alarm limit."""
        least = max(float(found.buckets.low.min()), limit / 1e4, 1e-12)
        most = max(float(found.buckets.high.max()), limit * 1.5)
        return cls(math.log10(min(least, warning)), math.log10(most))

    def __call__(self, score: float) -> float:
        power = math.log10(max(score, 10**self.low))
        return HIGH * (1 - (power - self.low) / (self.high - self.low))


def _episodes(found: Trend, across: Across) -> Iterable[str]:
    for each in found.episodes:
        start, end = across(each.first), across(each.last + 1)
        yield (
            f'<rect class="episode {LEVELS[each.level]}" x="{start:.1f}" y="0" '
            f'width="{max(1.0, end - start):.1f}" height="{HIGH}"/>'
        )


def _level_line(at: float, name: str) -> str:
    return (
        f'<line class="limit {name}" x1="{LEFT}" x2="{WIDE}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="limit-name {name}" x="{WIDE - 4}" y="{at - 4:.1f}">{name}</text>'
    )


def _times(found: Trend, across: Across) -> Iterable[str]:
    """When a few of the points came, in UTC; with the day where the run takes more than one."""
    buckets = found.buckets
    chosen = np.unique(np.linspace(0, len(buckets) - 1, TICKS).astype(int))
    moments = [dt.datetime.fromtimestamp(float(buckets.at[at]), dt.UTC) for at in chosen]
    days = moments[-1].date() != moments[0].date()
    for at, moment in zip(chosen, moments, strict=True):
        x = across(int(buckets.number[at]) * found.width + 1)
        text = moment.strftime("%m-%d %H:%M" if days else "%H:%M:%S")
        anchor = "start" if at == 0 else "end" if at == len(buckets) - 1 else "middle"
        yield f'<text x="{x:.1f}" y="{HIGH + 17}" text-anchor="{anchor}">{text}</text>'


def _scale(up: Up) -> Iterable[str]:
    for power in range(math.ceil(up.low), math.floor(up.high) + 1):
        at = up(10.0**power)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDE}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'


def _cloud(counted: Cells, on: Frame, name: str, normal: str, anomalous: str) -> Iterable[str]:
    """Cells that hold points: as dots where they are few, else as a picture of their density."""
    if len(counted.column) > MOST_DOTS:
        return [
            _image(each, on) for each in pictures.of_cells(counted, rgb(normal), rgb(anomalous))
        ]
    kinds = [f"{name} anomalous" if bad else name for bad in counted.counts[:, 1]]
    return [
        f'<circle class="{kind}" {_at(on, (float(x), float(y)))} r="2.2"/>'
        for x, y, kind in zip(*cells.centres(counted), kinds, strict=True)
    ]


def _image(picture: Picture, on: Frame) -> str:
    extent = picture.extent
    wide = (extent.x_high - extent.x_low) * on.scale
    high = (extent.y_high - extent.y_low) * on.scale
    content = base64.b64encode(picture.content).decode()
    return (
        f'<image x="{on.x(extent.x_low):.2f}" y="{on.y(extent.y_high):.2f}" width="{wide:.2f}" '
        f'height="{high:.2f}" preserveAspectRatio="none" href="data:image/png;base64,{content}"/>'
    )


def _at(on: Frame, place: tuple[float, float]) -> str:
    return f'cx="{on.x(place[0]):.1f}" cy="{on.y(place[1]):.1f}"'


def _svg(wide: int, high: int, title: str, parts: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {wide} {high}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{title}</title>{''.join(parts)}</svg>"
    )
