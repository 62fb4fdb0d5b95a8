"""What is wrong with a file, in words: each function makes the error for one fault.

A line is 1-based and physical (the header is line 1), so that an editor finds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from dinsight.errors import (
    CellInvalid,
    ColumnsMissing,
    EmptyFile,
    HeaderInvalid,
    NoFeatures,
    QuoteInvalid,
    RowInvalid,
    TooLarge,
    WrongDelimiter,
    WrongEncoding,
)
from dinsight.readings.numbers import is_decimal, is_decimal_comma

MARKS = {";": '";"', "\t": "tabs", "|": '"|"'}
SHOWN_NAMES = 3
LISTED_NAMES = 20
SHOWN_TEXT = 40


def shown(text: str, longest: int = SHOWN_TEXT) -> str:
    """A piece of the file as it may stand in a message: short, on one line, quoted."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return '"' + "".join(c if c.isprintable() else repr(c)[1:-1] for c in short) + '"'


def name(text: str) -> str:
    """A column's name in a message: bare where it is plain, quoted where it could mislead."""
    plain = len(text) <= 60 and text.isprintable() and not set(text) & set(',"')
    return text if plain else shown(text, 60)


def bad_cell(line: int, column: str, text: str) -> CellInvalid:
    found = shown(text) if text.strip() else "an empty cell"
    hint = ""
    if is_decimal_comma(text):
        hint = "; write numbers with a decimal point, not a comma"
    elif is_decimal(text):
        hint = ", which is too large (the limit is 3.4e38)"
    return CellInvalid(
        f"line {line}, column {name(column)}: expected a finite number, found {found}{hint}",
        line=line,
        column=column,
        found=text[:SHOWN_TEXT],
        expected="a finite number",
    )


def row_width(line: int, cells: Sequence[str], width: int) -> RowInvalid:
    found = len(cells)
    hint = ""
    mark = next((mark for mark in MARKS if found == 1 and mark in cells[0]), None)
    if mark is not None:
        hint = f"; the cells seem to be separated by {MARKS[mark]}: use commas"
    elif width > 1 and found == 2 * width:
        hint = "; twice as many may mean decimal commas: write numbers with a decimal point"
    return RowInvalid(
        f"line {line}: expected {width:,} cells as in the header, found {found:,}{hint}",
        line=line,
        found=found,
        expected=width,
    )


def wrong_delimiter(line: int, mark: str) -> WrongDelimiter:
    return WrongDelimiter(
        f"line {line}: the columns seem to be separated by {MARKS[mark]}; "
        'use "," between columns and "." in numbers',
        line=line,
        found=mark,
        expected=",",
    )


def not_utf8(line: int, raw: bytes, at: int) -> WrongEncoding:
    return WrongEncoding(
        f"line {line}: byte {at + 1:,} (0x{raw[at]:02X}) is not UTF-8; save the file as UTF-8",
        line=line,
        found=f"0x{raw[at]:02X}",
        expected="UTF-8",
    )


def other_unicode(line: int, encoding: str) -> WrongEncoding:
    return WrongEncoding(
        f"line {line}: the file is {encoding}; save the file as UTF-8",
        line=line,
        found=encoding,
        expected="UTF-8",
    )


def nul_byte(line: int, at: int) -> WrongEncoding:
    return WrongEncoding(
        f"line {line}: byte {at + 1:,} is NUL; a CSV file holds text only, save the file as UTF-8",
        line=line,
        found="NUL",
        expected="text",
    )


def empty_file() -> EmptyFile:
    return EmptyFile("the file is empty; expected a header line and at least one row", line=1)


def no_rows(line: int) -> EmptyFile:
    return EmptyFile(
        f"the file has a header but no rows; expected a row after line {line}", line=line + 1
    )


def blank_header(line: int, column: int) -> HeaderInvalid:
    hint = " (written with an index column?)" if column == 1 else ""
    return HeaderInvalid(
        f"line {line}, column {column:,}: expected a column name, found a blank one{hint}",
        line=line,
        column=column,
        expected="a column name",
    )


def duplicate_header(
    line: int, first: int, second: int, names: Sequence[str], numbers: bool
) -> HeaderInvalid:
    hint = "; is the header line missing?" if numbers else ""
    was, now = names[first], names[second]
    same = "the same name" if was == now else f"{name(was)}, the same but for upper and lower case,"
    return HeaderInvalid(
        f"line {line}, column {second + 1:,}: expected a new column name, found {name(now)}; "
        f"column {first + 1:,} has {same} already{hint}",
        line=line,
        column=now,
        expected="a new column name",
    )


def no_features(line: int) -> NoFeatures:
    return NoFeatures(
        f"line {line}: expected columns named f_<n> or freq_<x>, or columns of numbers; found none",
        line=line,
    )


def columns_missing(missing: Sequence[str], expected: int) -> ColumnsMissing:
    got = expected - len(missing)
    listed = ", ".join(name(each) for each in missing[:SHOWN_NAMES])
    more = len(missing) - SHOWN_NAMES
    return ColumnsMissing(
        f"expected {expected:,} features, got {got:,}; missing {listed}"
        + (f" and {more:,} more" if more > 0 else ""),
        missing=list(missing[:LISTED_NAMES]),
        missing_count=len(missing),
        expected=expected,
        got=got,
        line=1,
    )


def unclosed_quote(line: int) -> QuoteInvalid:
    return QuoteInvalid(
        f'line {line}: the quote that opens here is never closed; expected a closing "',
        line=line,
    )


def text_after_quote(line: int, opened: int, found: str) -> QuoteInvalid:
    where = "" if opened == line else f" (the quote opens on line {opened})"
    return QuoteInvalid(
        f"line {line}: expected a comma or the end of the line after a closing quote{where}, "
        f"found {shown(found, 20)}; a quote inside a quoted cell is written twice",
        line=line,
    )


def bare_return(line: int) -> RowInvalid:
    return RowInvalid(
        f"line {line}: found a carriage return inside a row; expected lines that end with LF or "
        "CRLF, or quotes around the cell",
        line=line,
    )


def too_many_rows(limit: int) -> TooLarge:
    return TooLarge(f"the file has more than {limit:,} rows", limit="rows", maximum=limit)


def too_many_columns(found: int, limit: int) -> TooLarge:
    return TooLarge(
        f"the file has {found:,} columns; the limit is {limit:,}",
        limit="columns",
        maximum=limit,
        found=found,
    )


def field_too_long(line: int, limit: int, quoted: bool) -> TooLarge:
    hint = "; is a closing quote missing?" if quoted else ""
    return TooLarge(
        f"line {line}: a cell is longer than {limit:,} characters{hint}",
        limit="field",
        maximum=limit,
        line=line,
    )


def row_too_long(line: int, limit: int) -> TooLarge:
    return TooLarge(
        f"line {line}: the row is longer than {limit:,} bytes",
        limit="row_bytes",
        maximum=limit,
        line=line,
    )
