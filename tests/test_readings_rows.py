"""Rows as they stand in a file: cut where the reader cuts them, from any place on."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dinsight.errors import QuoteInvalid, TooLarge
from dinsight.player import fault_in_file, next_batch
from dinsight.readings import Limits, Place, measure, parse, rows_from

LIMITS = Limits(rows=100, columns=10)
NAMES = ["f_0", "f_1"]

CELLS = st.sampled_from(["plain", '"a, b"', '"two\nlines"', '"a ""quote"""', 'in"side', '""', " "])
ENDS = st.sampled_from(["\n", "\r\n", "\n\n", "\r\n  \r\n"])
FILES = st.builds(
    lambda mark, before, rows, last: (
        mark
        + "".join(
            before + text
            for before, text in [
                (before, "note,f_0,f_1\n"),
                *(("", f"{cell},{n},{n}.5{end}") for n, (cell, end) in enumerate(rows)),
            ]
        )
        + last
    ).encode(),
    mark=st.sampled_from(["", "\ufeff"]),
    before=st.sampled_from(["", "\n", " \r\n"]),
    rows=st.lists(st.tuples(CELLS, ENDS), min_size=1, max_size=12),
    last=st.sampled_from(["", "last,7,8"]),
)


@given(content=FILES, size=st.integers(1, 5), block=st.integers(1, 40))
def test_batches_from_any_place_are_the_file(content: bytes, size: int, block: int) -> None:
    whole = parse(content, limits=LIMITS, expected=NAMES)
    place, rows = measure(io.BytesIO(content), limits=LIMITS)
    assert rows == len(whole)
    head, notes, values = content[: place.byte], [], []
    while True:
        reader = rows_from(io.BytesIO(content[place.byte :]), LIMITS, place, block)
        batch = next_batch(reader, size)
        if batch is None:
            break
        part = parse(head + batch.content, limits=LIMITS, expected=NAMES)
        assert batch.rows == len(part) <= size
        notes += part.metadata
        values.append(part.values)
        place = batch.after
    assert notes == whole.metadata
    assert np.concatenate(values).tobytes() == whole.values.tobytes()


def test_places_are_those_of_the_file() -> None:
    content = b'note,f_0\n"a\nb",1\n\nc,2\nd,3'
    first, _ = measure(io.BytesIO(content), limits=LIMITS)
    rows = list(rows_from(io.BytesIO(content[first.byte :]), LIMITS, first))
    assert [row.line for row in rows] == [2, 5, 6]
    places = [first, *(row.after for row in rows)]
    assert places == [Place(9, 1), Place(17, 3), Place(22, 5), Place(25, 5 + 1)]
    cut = [content[a.byte : b.byte].lstrip(b"\n") for a, b in pairwise(places)]
    assert cut == [row.raw for row in rows] == [b'"a\nb",1\n', b"c,2\n", b"d,3"]


def test_a_batch_ends_where_its_rows_are_long() -> None:
    content = b"f_0\n" + b"1111\n" * 10
    first, _ = measure(io.BytesIO(content), limits=LIMITS)
    rows = rows_from(io.BytesIO(content[first.byte :]), LIMITS, first)
    taken = [next_batch(rows, 4, most_bytes=8), next_batch(rows, 1, most_bytes=1)]
    assert [batch and batch.rows for batch in taken] == [2, 1]
    left = [next_batch(rows, 100), next_batch(rows, 100)]
    assert [batch and batch.rows for batch in left] == [7, None]


def test_what_cannot_be_cut_into_rows_is_refused_by_name_and_line() -> None:
    with pytest.raises(QuoteInvalid, match=r"^day\.csv: line 3"):
        measure(io.BytesIO(b'note,f_0\na,1\n"b,2\n'), limits=LIMITS, source="day.csv")
    with pytest.raises(TooLarge, match="100"):
        measure(io.BytesIO(b"f_0\n" + b"1\n" * 101), limits=LIMITS)


def test_a_fault_is_told_with_the_line_of_the_file() -> None:
    content = b'\n"no\nte",f_0\na,1\n\n"b\nc",2\nd,x\n'
    place, _ = measure(io.BytesIO(content), limits=LIMITS)
    rows = rows_from(io.BytesIO(content[place.byte :]), LIMITS, place)
    next_batch(rows, 1)
    batch = next_batch(rows, 5)
    assert batch is not None
    told = fault_in_file(content[: place.byte], batch, ["f_0"], LIMITS, "day.csv")
    assert told == 'day.csv: line 8, column f_0: expected a finite number, found "x"'
