"""What holds for every file: legal ones come back exactly, others are refused, nothing crashes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dinsight.errors import DinsightError, TooLarge
from dinsight.readings import Columns, Limits, Readings, check_head, parse, reader, scan
from dinsight.readings.numbers import exact_row, fast_rows

LIMITS = Limits(rows=1_000, columns=50)
Outcome = tuple[Any, ...]

# Any text but NUL, which no CSV file may hold, and half of a surrogate pair, which is no text.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
awkward = st.sampled_from(['"', '""', ",", "\n", "\r\n", "\r", " ", "=1+1", "1,5", "\ufeff", "nan"])
names = texts.map(str.strip).filter(lambda name: name and name[0] != "\ufeff").map("m{}".format)


@dataclass(frozen=True)
class Table:
    """What a file means, apart from how it is written."""

    features: list[str]
    values: np.ndarray
    metadata: list[dict[str, str]]
    order: list[str]


families = st.sampled_from(["f_{}", "F_{}", "freq_{}.50", "FREQ_{}"])
some_features = st.builds(
    lambda family, count: [family.format(n) for n in range(count)], families, st.integers(1, 6)
)


@st.composite
def tables(draw: st.DrawFn, features: st.SearchStrategy[list[str]] = some_features) -> Table:
    features_ = draw(features)
    numbers = arrays.arrays(
        np.float32,
        (draw(st.integers(1, 6)), len(features_)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
    values = draw(numbers)
    labels = draw(st.lists(names, max_size=4, unique=True))
    cells = st.one_of(texts, awkward)
    metadata = [{label: draw(cells) for label in labels} for _ in values]
    order = draw(st.permutations(features_ + labels))
    # Dicts compare without order, but rows are promised in the order of the file.
    kept = [label for label in order if label in labels]
    return Table(features_, values, [{k: row[k] for k in kept} for row in metadata], order)


@st.composite
def written(draw: st.DrawFn, table: Table, spell: Callable[[str], str] = str) -> bytes:
    """The table in any legal dialect, its features' names spelled by `spell`."""
    number = draw(st.sampled_from(["{:.9g}", "{!r}", "{:.8e}", "{:+.9g}", " {:.9g}\t"]))
    quoting = draw(st.sampled_from(["where needed", "here and there", "always"]))

    def cell(text: str) -> str:
        needed = quoting == "always" or set(text) & set(',"\r\n')
        if needed or (quoting == "here and there" and draw(st.booleans())):
            return '"' + text.replace('"', '""') + '"'
        return text

    rows = [[cell(spell(name) if name in table.features else name) for name in table.order]]
    for numbers, metadata in zip(table.values, table.metadata, strict=True):
        row = dict(zip(table.features, (number.format(float(n)) for n in numbers), strict=True))
        rows.append([cell((metadata | row)[name]) for name in table.order])
    ends = st.sampled_from(["\n", "\r\n"])
    gaps = st.sampled_from(["", "", "\n", "\r\n", " \t\n"])
    text = "".join(draw(gaps) + ",".join(row) + draw(ends) for row in rows)
    if draw(st.booleans()):
        text = text.removesuffix("\n").removesuffix("\r")
    text += draw(st.sampled_from(["", "\n", "\n\r\n"]))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()


def bits(values: np.ndarray) -> list[list[int]]:
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    found: list[list[int]] = values.view(np.uint32).tolist()
    return found


@given(data=st.data(), table=tables())
def test_any_table_in_any_legal_dialect_comes_back_exactly(
    data: st.DataObject, table: Table
) -> None:
    spell = data.draw(st.sampled_from([str, str.upper, str.lower]))
    content = data.draw(written(table, spell))

    found = parse(content, limits=LIMITS, expected=table.features)

    assert found.features == tuple(table.features)
    assert bits(found.values) == bits(table.values)
    assert found.metadata == table.metadata
    assert [list(row) for row in found.metadata] == [list(row) for row in table.metadata]


@given(data=st.data(), table=tables())
def test_a_baseline_keeps_the_order_of_its_file(data: st.DataObject, table: Table) -> None:
    content = data.draw(written(table))

    found = parse(content, limits=LIMITS)

    in_file = [name for name in table.order if name in table.features]
    assert found.features == tuple(in_file)
    assert bits(found.values) == bits(
        np.ascontiguousarray(table.values[:, [table.features.index(name) for name in in_file]])
    )
    assert found.metadata == table.metadata


NUMBERS = [
    "1",
    "2.5",
    "-0",
    "-0.0",
    "0",
    "1e-0",
    "007",
    "+1",
    ".5",
    "1.",
    " 3 ",
    "\t4",
    "-0 ",
    "-.0",
]
WIDE = ["1e39", "3.4028236e38", "1e400", "-1e400", "1e-46", "12345678901234567890123", "9" * 40]
WORDS = [
    "nan",
    "inf",
    "",
    " ",
    "- 0",
    "-",
    "1_0",
    "0x1",
    "true",
    "null",
    "x",
    "é",
    "=1",
    "1;2",
    "1\t2",
]
SIGNS = [
    "[1]",
    "][",
    "1]",
    "1],[2",
    "{}",
    "\0",
    "\r",
    '"',
    '""',
    '"1"',
    '"1,5"',
    '"a\nb"',
    '"a"b',
    '5"',
]
CELLS = NUMBERS + WIDE + WORDS + SIGNS
HEADERS = ["f_0", "m,f_0", "f_0,m", "m,f_0,f_1,n", "f_1,m,f_0", "a,b", '"m","f_0"', "m,f_0,f_0", ""]
pieces = st.one_of(st.sampled_from(CELLS), texts)


@st.composite
def nearly_legal(draw: st.DrawFn) -> bytes:
    """A file that is right but for a few cells, ends or bytes."""
    header = draw(st.sampled_from(HEADERS))
    width = header.count(",") + 1
    plain = st.lists(st.sampled_from(["1", "2", "-0", "0.25"]), min_size=width, max_size=width)
    odd = st.lists(pieces, min_size=max(0, width - 1), max_size=width + 1)
    rows = draw(st.lists(st.one_of(plain, plain, plain, odd), max_size=8))
    ends = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r\r\n", "\n\n", "\r", ""])
    text = header + draw(ends) + "".join(",".join(row) + draw(ends) for row in rows)
    content = text.encode()
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=3)) + content[at:]
    return content


expectations = st.sampled_from([None, None, ("f_0",), ("f_1", "f_0"), ("b", "a"), ("F_0",)])
tight = st.sampled_from(
    [LIMITS, LIMITS, Limits(rows=3, columns=3), Limits(9, 9, field=2), Limits(9, 9, row_bytes=8)]
)


def outcome(found: list[Readings] | DinsightError) -> Outcome:
    """All that a caller can tell apart."""
    if isinstance(found, DinsightError):
        return (found.code(), found.message, found.details)
    return (
        {each.features for each in found},
        [row for each in found for row in bits(each.values)],
        [list(row.items()) for each in found for row in each.metadata],
    )


def parsed(content: bytes, limits: Limits, expected: tuple[str, ...] | None) -> Outcome:
    try:
        return outcome([parse(content, limits=limits, expected=expected)])
    except DinsightError as error:
        return outcome(error)


@given(content=nearly_legal(), limits=tight, expected=expectations)
def test_the_fast_way_never_judges_otherwise_than_the_exact_one(
    content: bytes, limits: Limits, expected: tuple[str, ...] | None
) -> None:
    fast = parsed(content, limits, expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "fast_piece", lambda *_: None)
        exact = parsed(content, limits, expected)

    assert fast == exact


@given(
    content=nearly_legal(),
    limits=st.sampled_from([LIMITS, Limits(99, 9, field=3), Limits(99, 9, row_bytes=12)]),
    expected=expectations,
    rows_per_chunk=st.integers(1, 5),
    block_bytes=st.integers(1, 40),
)
def test_a_file_in_chunks_of_any_size_is_the_same_file(
    content: bytes,
    limits: Limits,
    expected: tuple[str, ...] | None,
    rows_per_chunk: int,
    block_bytes: int,
) -> None:
    stream = io.BytesIO(content)
    chunks: list[Readings] = []
    try:
        for chunk in scan(
            stream,
            limits=limits,
            expected=expected,
            rows_per_chunk=rows_per_chunk,
            block_bytes=block_bytes,
        ):
            chunks.append(chunk)
        scanned = outcome(chunks)
        assert {len(chunk) for chunk in chunks[:-1]} <= {rows_per_chunk}
    except DinsightError as error:
        scanned = outcome(error)

    assert scanned == parsed(content, limits, expected)


@given(content=st.binary(max_size=200), limits=tight, expected=expectations)
def test_random_bytes_are_refused_and_nothing_else(
    content: bytes, limits: Limits, expected: tuple[str, ...] | None
) -> None:
    code, *_ = parsed(content, limits, expected)

    assert code


@given(content=nearly_legal(), cut=st.integers(0, 60))
def test_the_head_of_a_good_file_is_good_wherever_it_is_cut(content: bytes, cut: int) -> None:
    try:
        whole = parse(content, limits=LIMITS)
    except DinsightError:
        whole = None
    try:
        head: Columns | DinsightError = check_head(content[:cut], limits=LIMITS, truncated=True)
    except DinsightError as error:
        head = error

    if whole is not None and isinstance(head, DinsightError):
        assert isinstance(head, TooLarge)  # not one whole row: the head was too short
    elif whole is not None and whole.features[0].startswith("f_"):
        assert head == Columns(whole.features, tuple(whole.metadata[0]))


number_texts = st.one_of(
    st.sampled_from(CELLS),
    st.text("0123456789+-.eE \t_xn,][", max_size=8),
    st.floats().map(repr),
    st.integers().map(str),
    st.from_regex(
        r"[ \t]?-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?[ \t]?", fullmatch=True
    ),
)


@given(cells=st.lists(number_texts, min_size=1, max_size=6))
def test_a_number_read_fast_has_the_bits_that_python_gives_it(cells: list[str]) -> None:
    fast = fast_rows([",".join(cells).encode()], len(cells))
    exact = exact_row(cells)

    if fast is not None:
        assert exact is not None
        assert bits(fast) == bits(exact.reshape(1, -1))


@given(
    rows=st.lists(
        st.lists(
            st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=5,
    )
)
def test_plain_numbers_are_always_read_fast(rows: list[list[float]]) -> None:
    found = fast_rows([",".join(map(repr, row)).encode() for row in rows], 3)

    assert found is not None
    assert bits(found) == bits(np.array(rows, np.float32))
