"""CSV files as machines and people write them, and what a reader is told when one is wrong."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from dinsight import errors
from dinsight.readings import Columns, Limits, check_head, parse, scan
from dinsight.readings.source import Source

LIMITS = Limits(rows=1_000, columns=100)
HEAD = b"m,f_0,f_1\n"
DATA = Path(__file__).parents[2] / "shared" / "data"


def values(content: bytes, expected: list[str] | None = None) -> list[list[float]]:
    found: list[list[float]] = parse(content, limits=LIMITS, expected=expected).values.tolist()
    return found


def refusal(content: bytes, limits: Limits = LIMITS, **options: object) -> errors.DinsightError:
    with pytest.raises(errors.DinsightError) as raised:
        parse(content, limits=limits, **options)  # type: ignore[arg-type]
    return raised.value


def test_a_file_becomes_float32_values_and_metadata_as_text() -> None:
    found = parse(b"id,f_0,f_1,note\n007,1.5,-2e-3,top\n008,0,3,\n", limits=LIMITS)

    assert found.features == ("f_0", "f_1")
    assert found.values.dtype == np.float32
    assert found.values.flags.c_contiguous
    np.testing.assert_array_equal(found.values, np.array([[1.5, -2e-3], [0, 3]], np.float32))
    assert found.metadata == [{"id": "007", "note": "top"}, {"id": "008", "note": ""}]
    assert len(found) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfm,f_0,f_1\na,1,2\nb,3,4\n",
        b"m,f_0,f_1\r\na,1,2\r\nb,3,4\r\n",
        b"m,f_0,f_1\r\na,1,2\nb,3,4\r\n",
        b"m,f_0,f_1\na,1,2\nb,3,4",
        b"m,f_0,f_1\na,1,2\nb,3,4\n\n\r\n  \n\n",
        b"\n\nm,f_0,f_1\n\na,1,2\n \t \nb,3,4\n",
        b'"m","f_0","f_1"\n"a","1","2"\n"b","3","4"\n',
        b" m , f_0 ,f_1\na, 1 ,2\t\nb,3, 4\n",
        b"m,f_0,f_1\r\r\na,1,2\r\r\nb,3,4\r\r\n",
    ],
    ids=[
        "byte order mark",
        "CRLF",
        "mixed line ends",
        "no last line end",
        "blank lines at the end",
        "blank lines anywhere",
        "all quoted",
        "blanks around names and numbers",
        "CR twice",
    ],
)
def test_dialects_that_mean_the_same_are_read_the_same(content: bytes) -> None:
    found = parse(content, limits=LIMITS)

    assert found.features == ("f_0", "f_1")
    assert found.values.tolist() == [[1, 2], [3, 4]]
    assert found.metadata == [{"m": "a"}, {"m": "b"}]


def test_metadata_cells_are_kept_character_for_character() -> None:
    cells = [' a "b" ', "x,y", "two\nlines", "crlf\r\nend", "=1+1", "äöü ✓ \u2028", "", "NaN", '5"']
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["m", "f_0"], *([cell, 1] for cell in cells)])

    found = parse(out.getvalue().encode(), limits=LIMITS)

    assert [row["m"] for row in found.metadata] == cells


def test_a_header_that_starts_with_an_equals_sign_is_text() -> None:
    assert parse(b"=a,f_0\n=1+1,2\n", limits=LIMITS).metadata == [{"=a": "=1+1"}]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("+1", 1.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e-5", 1e-5),
        ("1E+05", 1e5),
        ("007", 7.0),
        (" 2 ", 2.0),
        ("\t2", 2.0),
        ('"2"', 2.0),
        ("1e-400", 0.0),
        ("3.4028235e38", 3.4028235e38),
        ("12345678901234567890123", 12345678901234567890123.0),
    ],
)
def test_numbers_as_people_write_them_are_accepted(cell: str, number: float) -> None:
    assert values(f"f_0,f_1\n{cell},1\n".encode()) == [[np.float32(number), 1.0]]


@pytest.mark.parametrize("cell", ["-0", "-0.0", "-0e5", " -0 ", "-.0", "-1e-400"])
def test_the_sign_of_zero_is_kept(cell: str) -> None:
    found = parse(f"f_0,f_1\n0,{cell}\n{cell},0\n".encode(), limits=LIMITS)

    assert np.signbit(found.values).tolist() == [[False, True], [True, False]]


def test_a_zero_in_an_exponent_is_not_a_minus_zero() -> None:
    assert values(b"f_0,f_1\n-0,2e-0\n") == [[0, 2]]


@pytest.mark.parametrize(
    ("header", "features"),
    [
        ("f_0,F_1,x", ("f_0", "F_1")),
        ("freq_0.00,FREQ_23.44,x", ("freq_0.00", "FREQ_23.44")),
        ("freq_1e3,f_,freq_", ("freq_1e3",)),
        ("f_1,freq_2,x", ("f_1", "freq_2")),
        ("f_x,f_1.5,x", ("f_x", "f_1.5", "x")),
        ("speed,load,x", ("speed", "load", "x")),
    ],
)
def test_named_families_are_the_features_where_the_file_has_them(
    header: str, features: tuple[str, ...]
) -> None:
    assert parse(f"{header}\n1,2,3\n".encode(), limits=LIMITS).features == features


def test_without_a_family_every_column_of_numbers_is_a_feature() -> None:
    found = parse(b"time,a,b,state\n10:00,1,2e3,ok\n10:01,-1,.5,ok\n", limits=LIMITS)

    assert found.features == ("a", "b")
    assert found.metadata == [{"time": "10:00", "state": "ok"}, {"time": "10:01", "state": "ok"}]


def test_a_column_of_numbers_turns_into_text_only_within_the_first_100_rows() -> None:
    rows = ["1,2"] * 100

    early = parse("\n".join(["a,b", *rows[:99], "1,x"]).encode(), limits=LIMITS)
    late = refusal("\n".join(["a,b", *rows, "1,x"]).encode())

    assert early.features == ("a",)
    assert late.message == 'line 102, column b: expected a finite number, found "x"'


def test_a_damaged_column_of_numbers_is_a_fault_and_not_metadata() -> None:
    assert refusal(b"a,b\n1,2\n3,\n").message == (
        "line 3, column b: expected a finite number, found an empty cell"
    )


def test_names_that_differ_in_case_are_two_sensors_unless_they_are_of_a_family() -> None:
    assert parse(b"t,T\n1,2\n", limits=LIMITS).features == ("t", "T")


def test_a_monitor_file_follows_the_baseline_by_name() -> None:
    found = parse(
        b"extra,f_2,F_0,f_9,f_1\nx,2,0,9,1\ny,5,3,8,4\n",
        limits=LIMITS,
        expected=["f_0", "f_1", "f_2"],
    )

    assert found.features == ("f_0", "f_1", "f_2")
    assert found.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.values.flags.c_contiguous
    assert found.metadata == [{"extra": "x", "f_9": "9"}, {"extra": "y", "f_9": "8"}]


def test_reordered_features_that_stand_together_follow_the_baseline() -> None:
    found = parse(b"m,f_2,f_0,f_1,n\na,2,0,1,b\n", limits=LIMITS, expected=["f_0", "f_1", "f_2"])

    assert found.values.tolist() == [[0, 1, 2]]
    assert found.values.flags.c_contiguous
    assert found.metadata == [{"m": "a", "n": "b"}]


def test_an_exact_name_goes_before_one_that_differs_in_case() -> None:
    assert values(b"F_0,f_0\n1,2\n", expected=["f_0"]) == [[2]]


def test_a_name_that_could_mean_two_columns_is_missing() -> None:
    assert refusal(b"A,a\n1,2\n", expected=["Ä", "ä"]).details["missing"] == ["Ä", "ä"]
    assert isinstance(refusal(b"Ab,aB\n1,2\n", expected=["ab"]), errors.ColumnsMissing)


def test_missing_columns_are_named_and_counted() -> None:
    expected = [f"f_{n}" for n in range(1_024)]
    header = ",".join(name for name in expected if name != "f_512")

    error = refusal(
        f"{header}\n{'1,' * 1022}1\n".encode(), Limits(rows=10, columns=2_000), expected=expected
    )

    assert error.message == "expected 1,024 features, got 1,023; missing f_512"
    assert error.code() == "COLUMNS_MISSING"
    assert error.details == {
        "missing": ["f_512"],
        "missing_count": 1,
        "expected": 1_024,
        "got": 1_023,
        "line": 1,
    }


def test_of_many_missing_columns_the_first_are_listed() -> None:
    error = refusal(b"f_3,x\n1,2\n", expected=[f"f_{n}" for n in range(30)])

    assert error.message == "expected 30 features, got 1; missing f_0, f_1, f_2 and 26 more"
    assert len(error.details["missing"]) == 20


NUMBER = "expected a finite number, found"
TOO_LARGE_NUMBER = ", which is too large (the limit is 3.4e38)"
FAULTS = [
    # 1: a row wider or narrower than the header
    (HEAD + b"a,1,2\nb,1\n", "ROW_INVALID", "line 3: expected 3 cells as in the header, found 2"),
    (HEAD + b"a,1,2,3\n", "ROW_INVALID", "line 2: expected 3 cells as in the header, found 4"),
    # 2: wrong delimiter, decimal comma
    (
        b"m;f_0;f_1\na;1,5;2\n",
        "WRONG_DELIMITER",
        'line 1: the columns seem to be separated by ";"; use "," between columns and "." in '
        "numbers",
    ),
    (
        b"freq_0,5;freq_1,5\n1,5;2\n",
        "WRONG_DELIMITER",
        'line 1: the columns seem to be separated by ";"; use "," between columns and "." in '
        "numbers",
    ),
    (
        b"a\tb\n1\t2\n",
        "WRONG_DELIMITER",
        'line 1: the columns seem to be separated by tabs; use "," between columns and "." in '
        "numbers",
    ),
    (
        b'"m"|"f_0"\n"a"|1\n',
        "WRONG_DELIMITER",
        'line 1: the columns seem to be separated by "|"; use "," between columns and "." in '
        "numbers",
    ),
    (
        HEAD + b"a;1;2\n",
        "ROW_INVALID",
        "line 2: expected 3 cells as in the header, found 1; the cells seem to be separated by "
        '";": use commas',
    ),
    (
        b"f_0,f_1\n1,5,2,5\n",
        "ROW_INVALID",
        "line 2: expected 2 cells as in the header, found 4; twice as many may mean decimal "
        "commas: write numbers with a decimal point",
    ),
    (
        HEAD + b'a,"1,5",2\n',
        "CELL_INVALID",
        f'line 2, column f_0: {NUMBER} "1,5"; write numbers with a decimal point, not a comma',
    ),
    (
        b'load,speed\n"1,5",2\n',
        "CELL_INVALID",
        f'line 2, column load: {NUMBER} "1,5"; write numbers with a decimal point, not a comma',
    ),
    # 3: other encodings
    (
        "m,f_0\nä,1\n".encode("utf-16"),
        "WRONG_ENCODING",
        "line 1: the file is UTF-16; save the file as UTF-8",
    ),
    (
        "m,f_0\nä,1\n".encode("utf-32"),
        "WRONG_ENCODING",
        "line 1: the file is UTF-32; save the file as UTF-8",
    ),
    (
        "m,f_0\nä,1\n".encode("utf-16-be"),
        "WRONG_ENCODING",
        "line 1: the file is UTF-16 or UTF-32; save the file as UTF-8",
    ),
    (
        "m,f_0\nlää,1\n".encode("latin-1"),
        "WRONG_ENCODING",
        "line 2: byte 2 (0xE4) is not UTF-8; save the file as UTF-8",
    ),
    (
        "mä,f_0\na,1\n".encode("latin-1"),
        "WRONG_ENCODING",
        "line 1: byte 2 (0xE4) is not UTF-8; save the file as UTF-8",
    ),
    # 4: NUL byte
    (
        HEAD + b"a,1,2\nb\0,1,2\n",
        "WRONG_ENCODING",
        "line 3: byte 2 is NUL; a CSV file holds text only, save the file as UTF-8",
    ),
    # 5: cells that are no finite number
    (HEAD + b"a,1,inf\n", "CELL_INVALID", f'line 2, column f_1: {NUMBER} "inf"'),
    (HEAD + b"a,NaN,1\n", "CELL_INVALID", f'line 2, column f_0: {NUMBER} "NaN"'),
    (
        HEAD + b"a,1,1e400\n",
        "CELL_INVALID",
        f'line 2, column f_1: {NUMBER} "1e400"{TOO_LARGE_NUMBER}',
    ),
    (
        HEAD + b"a,1,-1e39\n",
        "CELL_INVALID",
        f'line 2, column f_1: {NUMBER} "-1e39"{TOO_LARGE_NUMBER}',
    ),
    (HEAD + b"a,,1\n", "CELL_INVALID", f"line 2, column f_0: {NUMBER} an empty cell"),
    (HEAD + b"a,1,2\nb,1,abc\n", "CELL_INVALID", f'line 3, column f_1: {NUMBER} "abc"'),
    (HEAD + b"a,1,0x1F\n", "CELL_INVALID", f'line 2, column f_1: {NUMBER} "0x1F"'),
    (HEAD + b"a,1,1_000\n", "CELL_INVALID", f'line 2, column f_1: {NUMBER} "1_000"'),
    (HEAD + b"a,1,True\n", "CELL_INVALID", f'line 2, column f_1: {NUMBER} "True"'),
    (HEAD + b"a,1,true\n", "CELL_INVALID", f'line 2, column f_1: {NUMBER} "true"'),
    (HEAD + b"a,1,[2]\n", "CELL_INVALID", f'line 2, column f_1: {NUMBER} "[2]"'),
    (HEAD + b"a,1,2],[3\n", "ROW_INVALID", "line 2: expected 3 cells as in the header, found 4"),
    (HEAD + b"a,1,1 2\n", "CELL_INVALID", f'line 2, column f_1: {NUMBER} "1 2"'),
    (HEAD + b"a,1,-\n", "CELL_INVALID", f'line 2, column f_1: {NUMBER} "-"'),
    (HEAD + "a,1,٣\n".encode(), "CELL_INVALID", f'line 2, column f_1: {NUMBER} "٣"'),
    (
        HEAD + b"a,1," + b"x" * 60 + b"\n",
        "CELL_INVALID",
        f'line 2, column f_1: {NUMBER} "{"x" * 39}…"',
    ),
    (HEAD + b'"a\nb",1,x\n', "CELL_INVALID", f'line 3, column f_1: {NUMBER} "x"'),
    # 6: header names
    (
        b"m,f_0,f_0\na,1,2\n",
        "HEADER_INVALID",
        "line 1, column 3: expected a new column name, found f_0; column 2 has the same name "
        "already",
    ),
    (
        b"f_0,F_0\n1,2\n",
        "HEADER_INVALID",
        "line 1, column 2: expected a new column name, found F_0; column 1 has f_0, the same but "
        "for upper and lower case, already",
    ),
    (
        b"m,m ,f_0\na,b,1\n",
        "HEADER_INVALID",
        "line 1, column 2: expected a new column name, found m; column 1 has the same name already",
    ),
    (
        b"0.1,0.1\n0.2,0.3\n",
        "HEADER_INVALID",
        "line 1, column 2: expected a new column name, found 0.1; column 1 has the same name "
        "already; is the header line missing?",
    ),
    (
        b"m, ,f_0\na,b,1\n",
        "HEADER_INVALID",
        "line 1, column 2: expected a column name, found a blank one",
    ),
    (
        b",f_0\n0,1\n",
        "HEADER_INVALID",
        "line 1, column 1: expected a column name, found a blank one (written with an index "
        "column?)",
    ),
    # 7: nothing there
    (b"", "EMPTY_FILE", "the file is empty; expected a header line and at least one row"),
    (
        b"\xef\xbb\xbf\r\n\r\n",
        "EMPTY_FILE",
        "the file is empty; expected a header line and at least one row",
    ),
    (HEAD, "EMPTY_FILE", "the file has a header but no rows; expected a row after line 1"),
    (b"a,b\n\n", "EMPTY_FILE", "the file has a header but no rows; expected a row after line 1"),
    (
        b"a,b\nx,y\n",
        "NO_FEATURES",
        "line 1: expected columns named f_<n> or freq_<x>, or columns of numbers; found none",
    ),
    # 8: quotes
    (
        HEAD + b'a,1,2\n"b,1,2\nc,1,2\n',
        "QUOTE_INVALID",
        'line 3: the quote that opens here is never closed; expected a closing "',
    ),
    (
        b'"m,f_0\na,1\n',
        "QUOTE_INVALID",
        'line 1: the quote that opens here is never closed; expected a closing "',
    ),
    (
        HEAD + b'"a\nb"c,1,2\n',
        "QUOTE_INVALID",
        "line 3: expected a comma or the end of the line after a closing quote (the quote opens on "
        'line 2), found "c,1,2"; a quote inside a quoted cell is written twice',
    ),
    (
        HEAD + b"a\rb,1,2\n",
        "ROW_INVALID",
        "line 2: found a carriage return inside a row; expected lines that end with LF or CRLF, "
        "or quotes around the cell",
    ),
    (
        b"m,f_0\ra,1\r",
        "ROW_INVALID",
        "line 1: found a carriage return inside a row; expected lines that end with LF or CRLF, "
        "or quotes around the cell",
    ),
]


@pytest.mark.parametrize(("content", "code", "message"), FAULTS)
def test_a_fault_is_told_with_line_column_and_expectation(
    content: bytes, code: str, message: str
) -> None:
    error = refusal(content)

    assert (error.code(), error.message) == (code, message)
    assert isinstance(error, errors.InvalidReadings)
    assert error.details["line"] >= 1


@pytest.mark.parametrize(("content", "code", "message"), FAULTS)
def test_the_head_of_a_file_is_refused_with_the_same_words(
    content: bytes, code: str, message: str
) -> None:
    with pytest.raises(errors.InvalidReadings) as raised:
        check_head(io.BytesIO(content), limits=LIMITS)

    assert (raised.value.code(), raised.value.message) == (code, message)


def test_of_two_faults_the_first_line_is_told() -> None:
    assert refusal(HEAD + b"a,1,x\nb,1\n").details["line"] == 2
    assert refusal(HEAD + b'"a",1,x\n"b",1\n').details["line"] == 2
    assert refusal(HEAD + b"a,1,1e39\nb,1,x\n").details["line"] == 2


def test_the_name_of_the_file_goes_before_the_message() -> None:
    error = refusal(HEAD + b"a,1,x\n", source="batch_7.csv")

    assert error.message == f'batch_7.csv: line 2, column f_1: {NUMBER} "x"'
    assert error.details == {
        "line": 2,
        "column": "f_1",
        "found": "x",
        "expected": "a finite number",
        "source": "batch_7.csv",
    }


def test_names_in_a_message_cannot_break_its_line() -> None:
    error = refusal(b'"f_0","a\nb"\n1,2\n"x",3\n', source="a\nb.csv")

    assert error.message == f'"a\\nb.csv": line 4, column f_0: {NUMBER} "x"'


@pytest.mark.parametrize(
    ("content", "limits", "message"),
    [
        (HEAD + b"a,1,2\n" * 4, Limits(3, 9), "the file has more than 3 rows"),
        (HEAD + b'"a",1,2\n' * 4, Limits(3, 9), "the file has more than 3 rows"),
        (b"a,b,c\n1,2,3\n", Limits(9, 2), "the file has 3 columns; the limit is 2"),
        (
            HEAD + b"a" * 11 + b",1,2\n",
            Limits(9, 9, field=10),
            "line 2: a cell is longer than 10 characters",
        ),
        (
            HEAD + b'b,1,2\n"' + b"\n" * 140_000,
            Limits(9, 9),
            "line 3: a cell is longer than 131,072 characters; is a closing quote missing?",
        ),
        (
            HEAD + b"a,1," + b"0" * 131_073 + b"\n",
            Limits(9, 9),
            "line 2: a cell is longer than 131,072 characters",
        ),
        (
            HEAD + b"b,1,2\na,1," + b" " * 90 + b"2\n",
            Limits(9, 9, row_bytes=90),
            "line 3: the row is longer than 90 bytes",
        ),
        (
            HEAD + b'"' + b"a\n" * 50 + b'",1,2\n',
            Limits(9, 9, row_bytes=90),
            "line 2: the row is longer than 90 bytes",
        ),
        (b"f" * 91, Limits(9, 9, row_bytes=90), "line 1: the row is longer than 90 bytes"),
    ],
)
def test_more_than_the_limits_is_too_large(content: bytes, limits: Limits, message: str) -> None:
    error = refusal(content, limits)

    assert (error.code(), error.message) == ("TOO_LARGE", message)


def test_exactly_the_limits_is_taken() -> None:
    limits = Limits(rows=2, columns=3, field=10, row_bytes=20)

    assert len(parse(HEAD + (b"a" * 10 + b",1,2\n") * 2 + b"\n\n", limits=limits)) == 2
    assert len(parse(HEAD + (b'"' + b"a" * 10 + b'",1,2\n') * 2, limits=limits)) == 2


def test_a_blank_line_is_skipped_however_long_it_is() -> None:
    limits = Limits(rows=2, columns=3, field=3)

    assert len(parse(HEAD + b"a,1,2\n\r\r\r\r\n      \r\nb,1,2\n", limits=limits)) == 2


def test_blank_lines_are_taken_together_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one a megabyte of them was seconds of the server's time."""
    taken: list[str] = []
    one_line = Source.__next__

    def counted(source: Source) -> str:
        taken.append(one_line(source))
        return taken[-1]

    monkeypatch.setattr(Source, "__next__", counted)
    blanks = b"\n \t\r\n" * 400_000
    assert values(HEAD + b"a,1,2\n" + blanks + b"b,3,4\n") == [[1, 2], [3, 4]]
    assert len(taken) < 50
    message = refusal(HEAD + b"a,1,2\n" + blanks + b"b,3,x\n").message
    assert message.startswith("line 800003, column f_1")


def test_too_many_rows_are_found_before_any_is_parsed() -> None:
    content = HEAD + b"a,x,2\n" + b"a,1,2\n" * 3

    assert refusal(content, Limits(rows=3, columns=3)).code() == "TOO_LARGE"


def test_a_field_limit_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="131,072"):
        Limits(rows=1, columns=1, field=131_073)


def test_a_large_file_comes_in_chunks_of_the_asked_size() -> None:
    content = HEAD + b"".join(b"a,%d,2\n" % n for n in range(25))

    chunks = list(scan(io.BytesIO(content), limits=LIMITS, rows_per_chunk=10))

    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert [chunk.values[0, 0] for chunk in chunks] == [0, 10, 20]
    assert all(chunk.values.flags.c_contiguous for chunk in chunks)


@pytest.mark.parametrize("row", [b"a,1,2\n", b'"a",1,2\n'])
def test_rows_are_counted_over_the_whole_of_a_large_file(row: bytes) -> None:
    def scanned(rows: int) -> int:
        stream = io.BytesIO(HEAD + row * rows)
        limits = Limits(rows=30, columns=3)
        return sum(len(part) for part in scan(stream, limits=limits, block_bytes=50))

    assert scanned(30) == 30
    with pytest.raises(errors.TooLarge, match="more than 30 rows"):
        scanned(31)


def test_a_line_break_in_a_cell_may_fall_between_two_blocks() -> None:
    content = HEAD + b'"one\ntwo\nthree",1,2\nplain,3,4\n"five\nsix",5,6\n'

    chunks = list(scan(io.BytesIO(content), limits=LIMITS, block_bytes=4, rows_per_chunk=1))

    assert [chunk.metadata[0]["m"] for chunk in chunks] == ["one\ntwo\nthree", "plain", "five\nsix"]


def test_a_fault_far_down_a_large_file_names_its_line() -> None:
    content = HEAD + b'"a\nb",1,2\n' * 300 + b"a,1,2\n" * 300 + b"a,1,x\n"

    with pytest.raises(errors.CellInvalid) as raised:
        list(scan(io.BytesIO(content), limits=LIMITS, block_bytes=512))

    assert raised.value.details["line"] == 902


def test_the_head_of_a_file_tells_its_columns() -> None:
    content = b"id,f_0,f_1,note\n1,2,3,x\n"
    columns = Columns(features=("f_0", "f_1"), metadata=("id", "note"))

    assert check_head(content, limits=LIMITS) == columns
    assert check_head(io.BytesIO(content), limits=LIMITS) == columns


@pytest.mark.parametrize("cut", [b"b,1", b'"b\nc', b'"b,1,2\n', "bä".encode()[:-1], b"b,1,2\r"])
def test_a_head_may_end_anywhere(cut: bytes) -> None:
    found = check_head(HEAD + b"a,1,2\n" + cut, limits=LIMITS, truncated=True)

    assert found == Columns(features=("f_0", "f_1"), metadata=("m",))


def test_a_head_without_one_whole_row_tells_the_columns_of_a_family_only() -> None:
    assert check_head(HEAD + b"a,1", limits=LIMITS, truncated=True).features == ("f_0", "f_1")
    with pytest.raises(errors.TooLarge, match="line 2: the row is longer than 7 bytes"):
        check_head(b"a,b\n1,2", limits=LIMITS, truncated=True)
    with pytest.raises(errors.TooLarge, match="line 1: the row is longer than 7 bytes"):
        check_head(b"f_0,f_1", limits=LIMITS, truncated=True)


def test_a_head_is_checked_for_a_hundred_rows_and_no_further() -> None:
    fine = HEAD + b"a,1,2\n" * 100

    assert check_head(fine + b"a,1,x\n", limits=LIMITS).features == ("f_0", "f_1")
    with pytest.raises(errors.CellInvalid, match="line 101, column f_1"):
        check_head(fine[:-6] + b"a,1,x\n", limits=LIMITS)


@pytest.mark.parametrize("quote", ["", '"'])
def test_sixteen_thousand_columns_are_read_as_well_as_three(quote: str) -> None:
    numbers = np.random.default_rng(1).normal(size=(3, 16_377)).astype(np.float32)
    names = [f"freq_{n * 0.78125:g}" for n in range(16_377)]
    rows = [names, *(map(str, row) for row in numbers)]
    text = "\n".join(",".join(f"{quote}{cell}{quote}" for cell in row) for row in rows)

    found = parse(text.encode(), limits=Limits(rows=10, columns=20_000))

    assert found.features == tuple(names)
    np.testing.assert_array_equal(found.values, numbers)


def test_a_fault_in_the_last_of_many_wide_rows_is_found() -> None:
    names = ",".join(f"f_{n}" for n in range(16_377))
    content = "\n".join([names, *["1.25" + ",1.25" * 16_376] * 2, "1.25" + ",1.25" * 16_375 + ",x"])

    error = refusal(content.encode(), Limits(rows=10, columns=20_000))

    assert error.message == f'line 4, column f_16376: {NUMBER} "x"'


@pytest.mark.skipif(not DATA.exists(), reason="needs the measured data in ../shared/data")
@pytest.mark.parametrize(
    ("file", "shape"),
    [
        ("cwru_48k_de_load0/baseline.csv", (177, 1024)),
        ("dinsight_testdata/test-monitoring.csv", (219, 1024)),
        ("skab_valve1_0/monitor.csv", (747, 8)),
        ("tep_braatz/baseline.csv", (500, 52)),
    ],
)
def test_real_files_are_read_as_python_reads_them(file: str, shape: tuple[int, int]) -> None:
    content = (DATA / file).read_bytes()

    found = parse(content, limits=Limits(rows=10_000, columns=2_000))

    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    numbers = [[float(row[name]) for name in found.features] for row in rows]
    assert found.values.shape == shape
    np.testing.assert_array_equal(found.values, np.array(numbers).astype(np.float32))
    features = set(found.features)
    assert found.metadata == [
        {name: cell for name, cell in row.items() if name not in features} for row in rows
    ]
