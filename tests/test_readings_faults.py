"""Files that are wrong, through the doors: what a person reads, and that nothing is stored.

What the reader itself finds is in `test_readings.py`; here it is the whole answer, at both doors,
and at the one that answers before it has read everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from dinsight.accounts import Identity
from dinsight.models import Baseline, Batch, Point, Upload
from dinsight.services import Services
from tests.factories import FEATURES, WIDTH, csv, healthy
from tests.test_api_main_job import Api
from tests.test_readings_properties import Table, bits, tables, written

HEADER = ["note", *FEATURES]
GOOD = ["a", *["1.5"] * WIDTH]
UPLOADED, POSTED = "part_0.csv", "monitor_batch_1.csv"
DEEP = 150  # a line below those that are checked before an upload is answered
FINITE = "expected a finite number, found"
PLACE = ("dinsight_x", "dinsight_y", "score")


def line(*cells: str) -> bytes:
    return ",".join(cells).encode() + b"\n"


def with_last(cell: str) -> bytes:
    return line(*GOOD[:-1], cell)


def lines(count: int) -> bytes:
    """Good rows, each a little different."""
    return b"".join(b"a," + row for row in csv(healthy(count)).splitlines(keepends=True)[1:])


@dataclass(frozen=True)
class Fault:
    """A row or a file that is wrong, and what is said of it after the name of the file."""

    content: bytes
    code: str
    message: str
    status: int = 400
    details: dict[str, Any] | None = None


ROWS = {
    "1 wider": Fault(
        line(*GOOD, "2"), "ROW_INVALID", "line {}: expected 13 cells as in the header, found 14"
    ),
    "1 narrower": Fault(
        line(*GOOD[:-1]), "ROW_INVALID", "line {}: expected 13 cells as in the header, found 12"
    ),
    "2 semicolons": Fault(
        ";".join(GOOD).encode() + b"\n",
        "ROW_INVALID",
        "line {}: expected 13 cells as in the header, found 1; "
        'the cells seem to be separated by ";": use commas',
    ),
    "2 decimal commas": Fault(
        line("a", *["1,5"] * WIDTH),
        "ROW_INVALID",
        "line {}: expected 13 cells as in the header, found 25",
    ),
    "2 a quoted decimal comma": Fault(
        with_last('"1,5"'),
        "CELL_INVALID",
        f'line {{}}, column f_11: {FINITE} "1,5"; write numbers with a decimal point, not a comma',
    ),
    "3 Latin-1": Fault(
        b"l\xe4" + line(*GOOD)[1:],
        "WRONG_ENCODING",
        "line {}: byte 2 (0xE4) is not UTF-8; save the file as UTF-8",
    ),
    "4 NUL": Fault(
        b"a\0" + line(*GOOD)[1:],
        "WRONG_ENCODING",
        "line {}: byte 2 is NUL; a CSV file holds text only, save the file as UTF-8",
    ),
    "5 infinite": Fault(
        with_last("inf"), "CELL_INVALID", f'line {{}}, column f_11: {FINITE} "inf"'
    ),
    "5 NaN": Fault(with_last("NaN"), "CELL_INVALID", f'line {{}}, column f_11: {FINITE} "NaN"'),
    "5 too large": Fault(
        with_last("1e400"),
        "CELL_INVALID",
        f'line {{}}, column f_11: {FINITE} "1e400", which is too large (the limit is 3.4e38)',
    ),
    "5 empty": Fault(
        with_last(""), "CELL_INVALID", f"line {{}}, column f_11: {FINITE} an empty cell"
    ),
    "8 a cell that is too long": Fault(
        line("x" * 131_073, *GOOD[1:]),
        "TOO_LARGE",
        "line {}: a cell is longer than 131,072 characters",
        413,
    ),
    "8 a quote that is not closed": Fault(
        b'"' + line(*GOOD),
        "QUOTE_INVALID",
        'line {}: the quote that opens here is never closed; expected a closing "',
    ),
    "8 text after a quote": Fault(
        b'"a"b' + line(*GOOD)[1:],
        "QUOTE_INVALID",
        "line {}: expected a comma or the end of the line after a closing quote, "
        'found "b,1.5,1.5,1.5,1.5,1…"; a quote inside a quoted cell is written twice',
    ),
    "9 a formula for a number": Fault(
        with_last("=1+1"), "CELL_INVALID", f'line {{}}, column f_11: {FINITE} "=1+1"'
    ),
}

DELIMITER = (
    'line 1: the columns seem to be separated by {}; use "," between columns and "." in numbers'
)
FILES = {
    "2 semicolons": Fault(
        ";".join(HEADER).encode() + b"\n" + ";".join(GOOD).encode(),
        "WRONG_DELIMITER",
        DELIMITER.format('";"'),
    ),
    "2 tabs": Fault(
        "\t".join(HEADER).encode() + b"\n" + "\t".join(GOOD).encode(),
        "WRONG_DELIMITER",
        DELIMITER.format("tabs"),
    ),
    "3 UTF-16": Fault(
        (line(*HEADER) + line(*GOOD)).decode().encode("utf-16"),
        "WRONG_ENCODING",
        "line 1: the file is UTF-16; save the file as UTF-8",
    ),
    "3 a header in Latin-1": Fault(
        line(*HEADER).replace(b"note", b"n\xf6te") + line(*GOOD),
        "WRONG_ENCODING",
        "line 1: byte 2 (0xF6) is not UTF-8; save the file as UTF-8",
    ),
    "4 NUL in the header": Fault(
        line(*HEADER).replace(b"note", b"no\0te") + line(*GOOD),
        "WRONG_ENCODING",
        "line 1: byte 3 is NUL; a CSV file holds text only, save the file as UTF-8",
    ),
    "6 a name twice": Fault(
        line(*HEADER[:-1], "f_3") + line(*GOOD),
        "HEADER_INVALID",
        "line 1, column 13: expected a new column name, found f_3; "
        "column 5 has the same name already",
    ),
    "6 a blank name": Fault(
        line("", *HEADER[1:]) + line(*GOOD),
        "HEADER_INVALID",
        "line 1, column 1: expected a column name, found a blank one "
        "(written with an index column?)",
    ),
    "7 nothing": Fault(
        b"", "EMPTY_FILE", "the file is empty; expected a header line and at least one row"
    ),
    "7 a header alone": Fault(
        line(*HEADER),
        "EMPTY_FILE",
        "the file has a header but no rows; expected a row after line 1",
    ),
    "8 too many columns": Fault(
        line(*(f"f_{number}" for number in range(20_001))) + line(*["1"] * 20_001),
        "TOO_LARGE",
        "the file has 20,001 columns; the limit is 20,000",
        413,
    ),
    "8 a quote that is not closed": Fault(
        b'"' + line(*HEADER) + line(*GOOD),
        "QUOTE_INVALID",
        'line 1: the quote that opens here is never closed; expected a closing "',
    ),
}
MISSING = {
    "6 features that are missing": Fault(
        line(*HEADER).replace(b"f_3", b"g_3").replace(b"f_4", b"g_4") + line(*GOOD),
        "COLUMNS_MISSING",
        "expected 12 features, got 10; missing f_3, f_4",
    ),
}


def file_with(fault: Fault, at: int, after: int = 3) -> bytes:
    """A file whose line `at` is wrong, between good ones."""
    return line(*HEADER) + lines(at - 2) + fault.content + lines(after)


def in_files(faults: dict[str, Fault], at: int) -> dict[str, tuple[Fault, bytes]]:
    return {name: (fault, file_with(fault, at)) for name, fault in faults.items()}


SENT = in_files(ROWS, 3) | {f"{name}, the file": (f, f.content) for name, f in FILES.items()}


def told(answer: Any) -> tuple[int, str, str]:
    body = answer.json
    assert (body["success"], set(body), set(body["error"])) == (
        False,
        {"success", "message", "error"},
        {"code", "message", "details"},
    )
    assert body["error"]["message"] == body["message"]
    return answer.status_code, body["error"]["code"], body["message"]


def expected(fault: Fault, source: str, at: int) -> tuple[int, str, str]:
    return fault.status, fault.code, f"{source}: {fault.message.format(at)}"


def stored(services: Services, *kinds: type) -> list[int]:
    with services.sessions() as session:
        return [session.scalar(select(func.count()).select_from(kind)) or 0 for kind in kinds]


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


def test_an_upload_that_is_wrong_at_its_head_is_refused_and_not_kept(
    api: Api, services: Services
) -> None:
    found = {name: told(api.upload(content)) for name, (_, content) in SENT.items()}

    assert found == {name: expected(fault, UPLOADED, 3) for name, (fault, _) in SENT.items()}
    assert stored(services, Baseline, Upload) == [0, 0]


def test_a_batch_that_is_wrong_is_refused_whole(
    api: Api, services: Services, baseline_id: int
) -> None:
    sent = SENT | {name: (fault, fault.content) for name, fault in MISSING.items()}
    key = {"Idempotency-Key": "the same for all, as none is taken"}
    found = {
        name: told(api.post(baseline_id, content, headers=key))
        for name, (_, content) in sent.items()
    }

    assert found == {name: expected(fault, POSTED, 3) for name, (fault, _) in sent.items()}
    assert stored(services, Point, Batch) == [0, 0]
    status = api("GET", f"/streaming/{baseline_id}/status").json["data"]
    assert (status["status"], status["last_seq"]) == ("not_started", 0)
    assert api.post(baseline_id, file_with(Fault(b"", "", ""), 3)).json["data"]["first_seq"] == 1


def test_line_column_and_expectation_are_also_told_to_programs(api: Api, baseline_id: int) -> None:
    answer = api.post(baseline_id, file_with(ROWS["5 empty"], 3))

    assert answer.json["error"]["details"] == {
        "line": 3,
        "column": "f_11",
        "found": "",
        "expected": "a finite number",
        "source": POSTED,
    }


def test_a_fault_further_down_fails_the_baseline_with_the_same_words(
    api: Api, services: Services
) -> None:
    numbers = {}
    for name, fault in ROWS.items():
        answer = api.upload(file_with(fault, DEEP))
        assert answer.status_code == 200, (name, answer.json)
        numbers[name] = answer.json["data"]["id"]
    services.jobs.start()
    found = {name: api.fitted(number) for name, number in numbers.items()}

    assert {
        name: (status["status"], status["error_message"]) for name, status in found.items()
    } == {
        name: ("failed", f"{UPLOADED}: {fault.message.format(DEEP)}")
        for name, fault in ROWS.items()
    }
    first = next(iter(numbers.values()))
    answer = api.post(first, line(*HEADER) + line(*GOOD))
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "BASELINE_FAILED")
    assert found["1 wider"]["error_message"] in answer.json["message"]
    assert api("GET", f"/dinsight/{first}").json["data"]["dinsight_x"] == []


def test_what_only_looks_wrong_is_taken(api: Api, baseline_id: int) -> None:
    good = line(*HEADER) + lines(3)
    order = [*reversed(FEATURES), "note"]
    turned = np.array([row.split(b",") for row in good.splitlines()])[:, ::-1]
    files = {
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "CRLF": good.replace(b"\n", b"\r\n"),
        "no last line end": good.rstrip(b"\n"),
        "blank lines": good.replace(b"\n", b"\n\n"),
        "columns in another order": b"\n".join(b",".join(row) for row in turned),
        "names in capitals": good.replace(b"f_", b"F_"),
        "blanks around names and numbers": good.replace(b",", b" , "),
        "all quoted": b'"'
        + good.rstrip(b"\n").replace(b",", b'","').replace(b"\n", b'"\n"')
        + b'"',
    }
    assert turned[0].tolist() == [name.encode() for name in order]
    places = set()
    for name, content in files.items():
        answer = api.post(baseline_id, content, form={"stream": name})
        assert answer.status_code == 200, (name, answer.json)
        points = api("GET", f"/monitor/{baseline_id}?stream={name}").json
        assert [point["metadata"]["note"].strip() for point in points] == ["a"] * 3, name
        places.add(tuple((p["dinsight_x"], p["dinsight_y"], p["score"]) for p in points))
    assert len(places) == 1


def test_text_that_starts_with_an_equals_sign_stays_text(api: Api, baseline_id: int) -> None:
    content = line("=HYPERLINK(1)", *FEATURES) + line("=1+1", *GOOD[1:]) + line("@x", *GOOD[1:])
    assert api.post(baseline_id, content).status_code == 200
    points = api("GET", f"/monitor/{baseline_id}").json
    assert [point["metadata"] for point in points] == [
        {"=HYPERLINK(1)": "=1+1"},
        {"=HYPERLINK(1)": "@x"},
    ]


def test_any_readings_in_any_legal_dialect_come_back_exactly(api: Api, baseline_id: int) -> None:
    """Through the door, the store and the door again: every bit, and every character."""
    numbers = itertools.count()

    @settings(
        max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        data=st.data(),
        table=tables(st.just(list(FEATURES))),
        spell=st.sampled_from([str, str.upper]),
    )
    def holds(data: st.DataObject, table: Table, spell: Callable[[str], str]) -> None:
        stream = f"run {next(numbers)}"
        content = data.draw(written(table, spell))
        answer = api.post(baseline_id, content, form={"stream": stream})
        assert answer.status_code == 200, answer.json
        points = api("GET", f"/monitor/{baseline_id}?stream={stream}").json
        values = np.array([point["monitor_values"] for point in points], np.float32)
        assert bits(values) == bits(table.values)
        assert [point["metadata"] for point in points] == table.metadata
        assert None not in [point[name] for point in points for name in PLACE]

    holds()
