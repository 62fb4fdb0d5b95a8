"""Maps of the review page: a baseline with queued rows, and two versions on one map. No Dash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from layouts import figures
from layouts.figures import Screen
from layouts.theme import MONITOR

NEW = "#7C3AED"  # rows that are, or may become, normal; told from blue and red by its shape too
QUEUED, ADDED, RECENT = "Proposed", "Added rows", "Stream"
NEW_SIZE = 8


def queued_map(
    places: np.ndarray,
    x: Sequence[float],
    y: Sequence[float],
    about: Sequence[tuple[int, int, float]],
    *,
    screen: Screen,
    layout: str,
) -> dict[str, Any]:
    """The baseline (n, 2), and the rows that are proposed; `about` are candidate, seq and score."""
    new = _new(QUEUED, x, y, screen) | {
        "customdata": [list(each) for each in about],
        "hovertemplate": (
            "point %{customdata[1]}<br>%{customdata[2]:.2f} × the limit<extra></extra>"
        ),
    }
    return _map(places, [new], np.column_stack([x, y]), screen=screen, layout=layout, view="queue")


def compared_map(found: dict[str, Any], on: str, *, screen: Screen, layout: str) -> dict[str, Any]:
    """Both versions on the map of one, `on` a or b, from a comparison (`version_compare`).

    The rows of both, those that the newer adds, and what the stream sent lately.
    """
    common, added, recent = (
        np.column_stack([found[name][f"{axis}_{on}"] for axis in "xy"]).reshape(-1, 2)
        for name in ("common", "added", "recent")
    )
    marker = {"color": MONITOR, "size": figures.POINT_SIZE - 1, "opacity": 0.55}
    stream = _scatter(RECENT, recent[:, 0].tolist(), recent[:, 1].tolist(), marker, screen) | {
        "customdata": list(map(list, zip(
            found["recent"]["seq"], found["recent"]["score_a"], found["recent"]["score_b"],
            strict=True,
        ))),
        "hovertemplate": (
            f"point %{{customdata[0]}}<br>version {found['a']['version']}: %{{customdata[1]:.2f}}"
            f"<br>version {found['b']['version']}: %{{customdata[2]:.2f}}<extra></extra>"
        ),
    }  # fmt: skip
    new = _new(ADDED, added[:, 0].tolist(), added[:, 1].tolist(), screen)
    shown = np.concatenate([added, recent])
    view = f"{found['a']['version']}-{found['b']['version']}-{on}"
    return _map(common, [stream, new], shown, screen=screen, layout=layout, view=view)


def _map(
    places: np.ndarray,
    traces: list[dict[str, Any]],
    shown: np.ndarray,
    *,
    screen: Screen,
    layout: str,
    view: str,
) -> dict[str, Any]:
    base = figures.stream_map(places, None, key=view, view=view, screen=screen, layout=layout)
    x, y = figures.extent(np.concatenate([places, shown.reshape(-1, 2)]))
    base["data"] = [trace for trace in base["data"] if trace["name"] == "Baseline"] + traces
    base["layout"]["xaxis"]["range"], base["layout"]["yaxis"]["range"] = x, y
    return base


def _new(name: str, x: Sequence[float], y: Sequence[float], screen: Screen) -> dict[str, Any]:
    marker = {
        "color": NEW,
        "symbol": "diamond-open",
        "size": NEW_SIZE,
        "line": {"width": 1.5, "color": NEW},
    }
    return _scatter(name, x, y, marker, screen) | {"hoverinfo": "skip"}


def _scatter(
    name: str, x: Sequence[float], y: Sequence[float], marker: dict[str, Any], screen: Screen
) -> dict[str, Any]:
    kind = "scattergl" if screen.gl else "scatter"
    columns = {"x": list(map(float, x)), "y": list(map(float, y))}
    return {"type": kind, "mode": "markers", "name": name, **columns, "marker": marker}
