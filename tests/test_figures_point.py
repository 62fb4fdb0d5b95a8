"""The spectrum of a point, the panel's words: data in, figure and HTML out."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layouts import figures_point, point
from layouts.figures_point import COLUMNS, axis_of, extremes
from tests.test_static_markup import Words

WIDE = 16_377


def spectrum_of(values: np.ndarray, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    zero = np.zeros(len(values), dtype=np.float32)
    found = {"values": values, "median": zero, "low": zero - 1, "high": zero + 1}
    return found | {"features": names or tuple(f"f_{i}" for i in range(len(values)))}


def band(first: int, last: int, share: float = 0.5) -> dict[str, Any]:
    return {"first": first, "last": last, "label": f"f_{first}", "share": share, "z": 4.0}


def drawn(found: dict[str, Any], bands: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    return figures_point.spectrum(found, bands or [], theme_name="light", **more)


def trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in figure["data"] if each["name"] == name]
    return dict(found)


@given(st.integers(1, 5_000), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_no_column_of_pixels_hides_its_peak(length: int, columns: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=length)
    kept = extremes(values, columns)
    assert len(kept) <= max(length if length <= 2 * columns else 0, 2 * columns)
    assert np.all(np.diff(kept) > 0)
    assert {int(values.argmin()), int(values.argmax())} <= set(kept.tolist())
    edges = [*np.linspace(0, length, columns, endpoint=False).astype(int), length]
    if length > 2 * columns:
        for start, end in itertools.pairwise(edges):
            inside = kept[(kept >= start) & (kept < end)]
            assert values[inside].max() == values[start:end].max()


def test_a_wide_row_is_drawn_with_every_single_peak() -> None:
    values = np.ones(WIDE, dtype=np.float32)
    peaks = [5, 8_191, 16_376]
    values[peaks] = [90, 80, 70]
    figure = drawn(spectrum_of(values))
    line = trace(figure, "This point")
    assert len(line["x"]) <= 2 * COLUMNS
    shown = dict(zip(line["x"], line["y"], strict=True))
    assert [shown[float(peak)] for peak in peaks] == [90, 80, 70]
    assert dict(zip(line["x"], line["text"], strict=True))[8_191.0] == "f_8191"
    assert len(json.dumps(figure)) < 200_000
    assert len(go.Figure(figure).data) == 4


def test_the_baselines_band_keeps_its_outermost() -> None:
    found = spectrum_of(np.zeros(WIDE, dtype=np.float32))
    found["high"] = found["high"].copy()
    found["high"][1_234] = 55
    figure = drawn(found)
    assert max(trace(figure, "95 %")["y"]) == 55
    assert min(trace(figure, "Baseline 5–95 %")["y"]) == -1


@pytest.mark.parametrize(
    ("names", "title", "at"),
    [
        (("freq_30", "freq_10", "freq_20.5"), "Frequency (Hz)", [10, 20.5, 30]),
        (("f_3", "f_1", "f_2"), "Bin", [1, 2, 3]),
        (("torque", "speed", "f_2"), "Feature", [0, 1, 2]),
    ],
)
def test_features_stand_where_the_header_says(
    names: tuple[str, ...], title: str, at: list[float]
) -> None:
    axis = axis_of(names)
    assert (axis.title, axis.at.tolist()) == (title, at)
    figure = drawn(spectrum_of(np.array([3.0, 1.0, 2.0], dtype=np.float32), names))
    assert figure["layout"]["xaxis"]["title"]["text"] == title
    assert trace(figure, "This point")["text"] == [names[i] for i in axis.order]


def test_driving_bands_are_shaded_and_numbered() -> None:
    names = tuple(f"freq_{10 * i}" for i in range(200))
    found = spectrum_of(np.zeros(200, dtype=np.float32), names)
    figure = drawn(found, [band(100, 102), band(104, 104), band(10, 10)])
    sides = [(shape["x0"], shape["x1"]) for shape in figure["layout"]["shapes"]]
    assert sides == [(995, 1_025), (1_035, 1_045), (95, 105)]
    numbers = [note["text"] for note in figure["layout"]["annotations"]]
    assert numbers == ["1", "3"]  # the second would stand on the first


def explanation(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "sentence": "3 times the alarm limit, associated with f_2 (higher than usual).",
        "score": 6.0,
        "alarm_limit": 2.0,
        "level": "alarm",
        "created_at": dt.datetime(2026, 3, 1, 14, 2, 5, tzinfo=dt.UTC),
        "source_file": "night.csv",
        "bands": [band(2, 2, 0.61), band(9, 9, 0.2) | {"z": -3.0}],
        "nearest": {"row": 17, "distance": 0.25, "metadata": {"shift": "day"}},
        "metadata": {"note": "<b>loud</b>"},
        "baseline_id": 3,
        "stream": "default",
        "epoch": 2,
        "episode": {"first": 41, "last": 57},
    }
    return found | more


def words(told: str) -> str:
    """All text of some HTML."""
    return " ".join(Words(told).words)


def test_the_sentence_comes_first_and_the_facts_follow() -> None:
    told = point.top(explanation())
    assert words(told).startswith("3 times the alarm limit")
    for text in ("3 × its limit", "alarm", "14:02:05 UTC", "night.csv"):
        assert text in words(told)


def test_bands_neighbour_and_metadata_are_listed() -> None:
    told = words(point.rest(explanation()))
    assert "f_2 ▲ higher, 61%" in told
    assert "f_9 ▼ lower, 20%" in told
    assert "Nearest baseline row: 17" in told
    assert "shift day" in told
    assert "note <b>loud</b>" in told  # as text


def test_what_there_is_not_has_no_heading() -> None:
    told = point.rest(explanation(bands=[], nearest=None, metadata={}))
    assert told.startswith('<details class="point-proposal">')
    assert told.endswith("</details>")


def test_the_rows_of_the_episode_are_offered_as_new_normal() -> None:
    said = point.rest(explanation())
    assert "Propose as new normal" in said
    for value in ('data-baseline="3"', 'data-stream="default"', 'data-epoch="2"'):
        assert value in said
    assert 'value="41"' in said and 'value="57"' in said


def test_much_metadata_is_cut_and_counted() -> None:
    told = words(point.rest(explanation(metadata={f"c{i}": i for i in range(130)})))
    assert "c99" in told and "c100" not in told
    assert "and 30 more" in told
