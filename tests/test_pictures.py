"""Points counted by cell, and the pictures of them: decoded as a browser does."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dinsight import cells, pictures, png
from dinsight.cells import ACROSS, MOST, REACH, Cells, Lattice

RED, PURPLE = (220, 38, 38), (147, 51, 234)
UNIT = Lattice(0.0, 0.0, 1.0)


def decode(content: bytes) -> np.ndarray:
    """The pixels of a PNG with a palette, (height, width, 4)."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", content[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour) == (8, 3)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    rgb = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    alpha = np.frombuffer(chunks[b"tRNS"], np.uint8)
    return np.column_stack([rgb, alpha])[lines[:, 1:]]


def counted(x: np.ndarray, y: np.ndarray, bad: np.ndarray | None = None) -> Cells:
    """Points on the lattice of a round cloud of a thousand."""
    cloud = np.random.default_rng(5).normal(size=(1_000, 2))
    start = cells.none(cells.lattice_of(cloud))
    return cells.count(start, x, y, np.zeros(len(x), bool) if bad is None else bad)


def normal(rows: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.random.default_rng(6).normal(size=(2, rows))
    return x, y


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 256))
def test_a_picture_reads_back_as_it_was(height: int, width: int, colours: int) -> None:
    indices = np.random.default_rng(height).integers(0, colours, (height, width)).astype(np.uint8)
    palette = [(i, 255 - i, 7, i // 2) for i in range(colours)]
    assert np.array_equal(decode(png.encode(indices, palette)), np.array(palette)[indices])


def test_the_first_line_of_a_picture_is_the_highest_and_its_place_is_the_points() -> None:
    (picture,) = pictures.of_cells(counted(np.array([0.5]), np.array([1.5])), RED, PURPLE)
    pixels = decode(picture.content)
    row, column = np.argwhere(pixels[:, :, 3])[0]
    left, right, _, high = picture.extent
    size = (right - left) / pixels.shape[1]
    assert left + column * size <= 0.5 <= left + (column + 1) * size
    assert high - (row + 1) * size <= 1.5 <= high - row * size
    assert tuple(pixels[row, column, :3]) == RED


def test_one_point_is_visible_beside_thousands() -> None:
    x, y = np.append(np.zeros(50_000), 2.0), np.append(np.zeros(50_000), 2.0)
    (picture,) = pictures.of_cells(counted(x, y), RED, PURPLE)
    shown = decode(picture.content)[:, :, 3]
    assert sorted(shown[shown > 0]) == [pytest.approx(80, abs=12), 190]


def test_an_anomalous_point_is_not_lost_among_normal_ones() -> None:
    bad = np.zeros(5_000, bool)
    bad[17] = True
    (picture,) = pictures.of_cells(counted(np.zeros(5_000), np.zeros(5_000), bad), RED, PURPLE)
    (shown,) = decode(picture.content).reshape(-1, 4)[
        decode(picture.content).reshape(-1, 4)[:, 3] > 0
    ]
    assert tuple(shown) == (*PURPLE, 245)


@pytest.mark.parametrize("far", [20.0, 1e3, 1e6, -1e30])
def test_a_far_outlier_takes_no_resolution_from_the_cloud(far: float) -> None:
    x, y = normal(4_000)
    alone = pictures.of_cells(counted(x, y), RED, PURPLE)
    both = counted(np.append(x, far), np.append(y, far))
    assert both.total == 4_001
    found = pictures.of_cells(both, RED, PURPLE)
    assert found[0] == alone[0]
    # Beyond reach it is drawn as a point alone.
    assert len(found) == (2 if abs(far) < 60 else 1)
    shown = decode(found[0].content)[:, :, 3]
    assert (shown > 0).sum() > 2_000
    if abs(far) < 60:
        left, right, low, high = found[1].extent
        assert left < far < right and low < far < high
        assert (decode(found[1].content)[:, :, 3] > 0).sum() == 1


def test_a_cloud_that_moved_away_is_drawn_with_an_outlier_behind_it() -> None:
    x, y = normal(2_000)
    found = pictures.of_cells(counted(np.append(x + 30, 400.0), np.append(y, 0.0)), RED, PURPLE)
    left, right, *_ = found[0].extent
    assert right - left < 60
    assert (decode(found[0].content)[:, :, 3] > 0).sum() > 500
    assert len(found) == 2


def test_counting_more_at_a_time_or_in_steps_is_the_same() -> None:
    x, y = normal(3_000)
    bad = x > 1.5
    whole = counted(x, y, bad)
    steps = counted(x[:1_000], y[:1_000], bad[:1_000])
    steps = cells.count(steps, x[1_000:], y[1_000:], bad[1_000:])
    for name in ("column", "row", "counts"):
        assert np.array_equal(getattr(steps, name), getattr(whole, name))
    assert whole.counts.sum(axis=0).tolist() == [int((~bad).sum()), int(bad.sum())]


def test_too_many_cells_become_coarser_and_lose_no_point() -> None:
    side = 600  # more cells than are kept, each with a point
    at = np.arange(side * side)
    start = cells.count(cells.none(UNIT), at % side, at // side, np.zeros(side * side, bool))
    assert len(start.column) <= MOST
    assert start.halvings == 2
    assert start.total == side * side
    more = cells.count(start, np.array([5.0]), np.array([6.0]), np.array([True]))
    (cell,) = np.flatnonzero(more.counts[:, 1])
    assert (more.column[cell], more.row[cell]) == (1, 1)


def test_a_cell_beside_the_corner_is_not_the_corners() -> None:
    found = cells.count(cells.none(UNIT), np.array([-0.5, 0.5]), np.zeros(2), np.zeros(2, bool))
    assert found.column.tolist() == [-1, 0]


def test_rasters_hold_every_cell_once() -> None:
    random = np.random.default_rng(9)
    x, y = random.normal(size=(2, 5_000)) * random.choice([1, 5, 60], 5_000)
    found = counted(x, y)
    made = cells.rasters(found, 512)
    assert found.far == 0
    assert sum(int(each.counts.sum()) for each in made) >= found.total
    assert len(made) <= 3
    for each in made:
        assert max(each.counts.shape[:2]) <= 512


def test_the_reach_is_many_times_the_baseline() -> None:
    found = cells.count(
        cells.none(UNIT), np.array([REACH - 1.0, REACH + 1.0]), np.zeros(2), np.zeros(2, bool)
    )
    assert (found.far, len(found.column)) == (1, 1)
    assert REACH // ACROSS >= 20  # which is as far as a view widens by itself
