"""Reading files: as the csv module reads them, byte for byte, in bounded memory."""

from __future__ import annotations

import csv
import io
import threading
import time
import tracemalloc
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from werkzeug.formparser import parse_form_data

from simulator import columns, csvfile
from simulator.csvfile import CsvFile, numeric_columns
from simulator.errors import BadFile, ColumnsDiffer
from simulator.multipart import FileBody, Form
from simulator.readahead import ReadAhead
from tests.simulator_kit import table

CELL = some.text(alphabet='ab1 ,"\n;é', max_size=6)


@given(
    rows=some.lists(some.lists(CELL, min_size=2, max_size=3), max_size=6),
    end=some.sampled_from(["\n", "\r\n"]),
    quoting=some.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@settings(max_examples=100, deadline=None)
def test_records_and_cells_are_those_of_the_csv_module(
    rows: list[list[str]], end: str, quoting: Literal[0, 1]
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=quoting).writerows(rows)
    found = [raw for _, raw in csvfile.records(io.BytesIO(text.getvalue().encode()), "x")]
    split = [csvfile.cells(raw) or [] for raw in found]
    assert [[unquoted(cell) for cell in row] for row in split] == rows
    assert [b",".join(row) for row in split] == found


def unquoted(cell: bytes) -> str:
    text = cell.decode()
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def test_lines_are_counted_through_quoted_line_ends_and_blank_lines() -> None:
    content = b'a,b\n"x\ny",1\n\n  \r\nz,2'
    assert list(csvfile.records(io.BytesIO(content), "x")) == [
        (1, b"a,b"),
        (2, b'"x\ny",1'),
        (6, b"z,2"),
    ]


def test_a_quote_that_is_never_closed_is_said_with_its_line() -> None:
    with pytest.raises(BadFile, match=r"m\.csv line 2: a quoted cell is opened and never closed"):
        list(csvfile.records(io.BytesIO(b'a,b\n"x,1\n2,3\n'), "m.csv"))
    with pytest.raises(BadFile, match="never closed"):
        list(csvfile.records(io.BytesIO(b'"' + (b"1," * 999 + b"2\n") * 4_000), "m.csv"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        ("f_0,f_1\n1,2\n".encode("utf-16"), "is not UTF-8 text"),
        (b"f_0,\xe9\n1,2\n", "the header is not UTF-8"),
    ],
)
def test_a_file_without_a_header_in_utf8_is_refused(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(BadFile, match=words):
        CsvFile.open(tmp_path / "m.csv")


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="No such file"):
        CsvFile.open(tmp_path / "none.csv")
    with pytest.raises(BadFile, match="Is a directory"):
        CsvFile.open(tmp_path)


def test_batches_carry_the_header_and_their_place_in_the_file(tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 7)
    batches = list(CsvFile.open(tmp_path / "m.csv").batches(2, skip=1, limit=6))
    assert [(b.number, b.rows, b.first_line, b.last_line) for b in batches] == [
        (1, 2, 3, 4),
        (2, 2, 5, 6),
        (3, 1, 7, 7),
    ]
    assert batches[-1].body == b"time,f_0,f_1\nt5,5.10,5.20\n"


def test_a_narrowed_file_sends_the_raw_cells_of_its_columns(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b'"f_1",time,f_0\n1E0,"a,\n""b""",+2\n')
    narrowed = CsvFile.open(tmp_path / "m.csv").narrowed([0, 1])
    assert narrowed.names == ("f_1", "time")
    assert [batch.body for batch in narrowed.batches(9)] == [b'"f_1",time\n1E0,"a,\n""b"""\n']


def test_a_row_of_another_width_cannot_be_narrowed(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("a,b,c\n1,2,3\n1,2\n")
    with pytest.raises(BadFile, match=r"m\.csv line 3: 2 cells, the header has 3"):
        list(CsvFile.open(tmp_path / "m.csv").narrowed([0, 2]).rows())


def test_rows_are_counted_up_to_the_limit(tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 7)
    file = CsvFile.open(tmp_path / "m.csv")
    assert (file.count(), file.count(5), file.count(9)) == (7, 5, 7)


def test_numeric_columns_are_those_whose_filled_cells_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text('a,b,c,d,e\n1,x,,"2,5",7\n,1,,"3,0",y\n')
    assert numeric_columns(CsvFile.open(tmp_path / "m.csv")) == (0, 3)


def test_a_large_file_is_counted_and_read_in_little_memory(tmp_path: Path) -> None:
    path, row = tmp_path / "big.csv", b",".join([b"0.123456"] * 1000) + b"\n"
    with path.open("wb") as file:
        file.write(b",".join(b"f_%d" % n for n in range(1000)) + b"\n")
        for _ in range(30):
            file.write(row * 100)  # 27 MB in all
    tracemalloc.start()
    source = CsvFile.open(path)
    assert source.count() == 3000
    with ReadAhead(source.batches(10)) as batches:
        assert sum(batch.rows for batch in batches) == 3000
    form = Form({"name": "big"}, "files", "big.csv")
    with path.open("rb") as raw:
        body = FileBody(form, raw, path.stat().st_size)
        assert sum(map(len, body)) == len(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_reading_ahead_is_bounded_and_ends_when_closed() -> None:
    read: list[int] = []

    def source() -> Iterator[int]:
        for number in count():
            read.append(number)
            yield number

    threads = threading.active_count()
    with ReadAhead(source(), depth=2) as ahead:
        assert list(islice(ahead, 3)) == [0, 1, 2]
        deadline = time.monotonic() + 2
        while len(read) < 6 and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.02)
        assert len(read) == 6  # three taken, two waiting, one in hand
    assert threading.active_count() == threads


def test_an_error_while_reading_ahead_comes_where_its_item_would_have() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise BadFile("line 3")

    with ReadAhead(source()) as ahead:
        assert next(ahead) == 1
        for _ in range(2):
            with pytest.raises(BadFile, match="line 3"):
                next(ahead)


def test_filters_keep_metadata_and_the_columns_up_to_the_limit() -> None:
    names = ["time", "freq_0", "FREQ_1e2", "freq_100.1", "f_1", "F_2", "freq_high"]
    assert columns.filtered(names, 100.0, None, "m.csv") == (0, 1, 2, 4, 5, 6)
    assert columns.filtered(names, None, 1, "m.csv") == (0, 1, 2, 3, 4, 6)
    assert columns.filtered(names, None, None, "m.csv") == tuple(range(7))


@pytest.mark.parametrize(
    ("names", "max_freq", "max_index", "words"),
    [
        (["f_0"], 10.0, None, r"--feature-max-freq needs freq_<Hz> columns; m\.csv has none"),
        (["freq_0"], None, 4, r"--feature-max-index needs f_<n> columns; m\.csv has none"),
        (["t", "freq_600"], 500.0, None, r"the filters leave no feature column of m\.csv"),
    ],
)
def test_a_filter_that_cannot_work_is_said(
    names: list[str], max_freq: float | None, max_index: int | None, words: str
) -> None:
    with pytest.raises(ColumnsDiffer, match=words):
        columns.filtered(names, max_freq, max_index, "m.csv")


def test_missing_columns_are_found_whatever_their_case_and_order() -> None:
    assert columns.missing(["f_0", "F_1", "f_2"], ["f_1", "x", "F_0"]) == ["f_2"]


@given(
    content=some.binary(max_size=200),
    name=some.text(alphabet='aé"\r\n;', min_size=1, max_size=8),
    block=some.integers(1, 64),
)
@settings(max_examples=60, deadline=None)
def test_a_form_is_read_back_by_a_server(content: bytes, name: str, block: int) -> None:
    form = Form({"stream": name}, "file", "a.csv")
    body = FileBody(form, io.BytesIO(content), len(content))
    sent = b"".join(iter(lambda: body.read(block), b""))
    assert sent == form.around(content)
    assert len(sent) == len(body)
    _, fields, files = parse_form_data(
        {
            "wsgi.input": io.BytesIO(sent),
            "CONTENT_TYPE": form.content_type,
            "CONTENT_LENGTH": str(len(sent)),
            "REQUEST_METHOD": "POST",
        }
    )
    file = files["file"]
    assert (fields["stream"], file.filename, file.stream.read()) == (name, "a.csv", content)
    file.close()
