"""Exports on a real database: what is in a file, and that a CSV comes back as it went."""

from __future__ import annotations

import csv as csvlib
import dataclasses
import datetime as dt
import io
import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from dinsight import baselines, exporting, readings, streams
from dinsight.accounts import Identity
from dinsight.errors import (
    BaselineNotFound,
    EpochNotFound,
    ExportInterrupted,
    InvalidRequest,
    ReadingsRemoved,
    StreamNotFound,
)
from dinsight.exporting import ALL, Wanted, points
from dinsight.exporting.csvfile import quoted
from dinsight.ingest import Incoming, ingest
from dinsight.models import Point
from dinsight.readings.exported import COLUMNS, escaped, restored
from dinsight.retention import Rules, sweep
from dinsight.services import Services
from tests.factories import FEATURES, WIDTH, failing, healthy

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
Send = Callable[..., None]
File = Callable[..., bytes]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "MOST_POINTS", 3)
    monkeypatch.setattr(points, "MOST_BYTES", 3 * 4 * WIDTH)


@pytest.fixture
def send(services: Services, user: Identity, baseline_id: int) -> Send:
    """Posts rows with metadata, so many minutes after `NOW`, to a stream."""

    def post(
        values: np.ndarray,
        metadata: list[dict[str, str]] | None = None,
        minutes: float = 0,
        stream: str = "default",
        source: str = "night.csv",
    ) -> None:
        content = table(values, metadata)
        with services.sessions.begin() as session:
            ingest(
                *(session, user, baseline_id, Incoming(content, source, stream)),
                limits=services.limits,
                now=NOW + minutes * MINUTE,
            )

    return post


@pytest.fixture
def file(services: Services, user: Identity, baseline_id: int) -> File:
    def make(kind: str = "csv", stream: str = "default", **wanted: Any) -> bytes:
        chosen = exporting.select(services.sessions, user, baseline_id, stream, Wanted(**wanted))
        return b"".join(exporting.written(services.sessions, chosen, kind))

    return make


def table(values: np.ndarray, metadata: list[dict[str, str]] | None = None) -> bytes:
    """Rows as a CSV that the csv module wrote; metadata first."""
    metadata = metadata or [{} for _ in values]
    out = io.StringIO()
    writer = csvlib.writer(out, quoting=csvlib.QUOTE_ALL)
    writer.writerow([*metadata[0], *FEATURES])
    for row, values_of in zip(metadata, values, strict=True):
        writer.writerow([*row.values(), *(repr(float(value)) for value in values_of)])
    return out.getvalue().encode()


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csvlib.DictReader(io.StringIO(content.decode(), newline="")))


def test_a_csv_has_every_point_with_its_place_score_and_level(
    send: Send, file: File, services: Services
) -> None:
    send(healthy(5), [{"note": f"n{i}"} for i in range(5)])
    send(failing(3), [{"note": "x"}] * 3, minutes=1, source="day.csv")
    content = file()
    assert content.splitlines()[0] == ",".join([*COLUMNS, "note"]).encode()
    with services.sessions() as session:
        stored = session.scalars(select(Point).order_by(Point.seq)).all()
    rows = rows_of(content)
    for row, point in zip(rows, stored, strict=True):
        places = [float(row.pop(name)) for name in ("dinsight_x", "dinsight_y", "score")]
        assert np.array_equal(np.float32(places), np.float32([point.x, point.y, point.score]))
    assert rows == [
        {
            "seq": str(point.seq),
            "epoch": "1",
            "received_at": f"2026-06-01T12:0{int(point.seq > 5)}:00.000000Z",
            "level": streams.level_word(point.level),
            "source_file": "day.csv" if point.seq > 5 else "night.csv",
            "note": "x" if point.seq > 5 else f"n{point.seq - 1}",
        }
        for point in stored
    ]
    assert len(stored) == 8


def test_the_kinds_of_file_hold_the_same(send: Send, file: File) -> None:
    send(healthy(4), [{"note": "=1+1", "level": "low"}] * 4)
    send(healthy(3, seed=9), [{"shift": "n,1"}] * 3)
    lines = [json.loads(line) for line in file("jsonl", features=True).splitlines()]
    found = pq.read_table(io.BytesIO(file("parquet", features=True)))
    columns = found.to_pydict()
    rows = rows_of(file())

    assert [line["seq"] for line in lines] == columns["seq"] == list(range(1, 8))
    assert [line["metadata"] for line in lines] == (
        [{"note": "=1+1", "level": "low"}] * 4 + [{"shift": "n,1"}] * 3
    )
    assert columns["note"] == ["=1+1"] * 4 + [None] * 3
    assert columns["level.1"] == ["low"] * 4 + [None] * 3
    assert [row["note"] for row in rows] == ["'=1+1"] * 4 + ["'"] * 3
    assert str(found.schema.field("received_at").type) == "timestamp[us, tz=UTC]"
    assert columns["received_at"] == [NOW] * 7
    assert str(found.schema.field("score").type) == "float"
    for name in ("dinsight_x", "dinsight_y", "score"):
        assert np.array_equal(np.float32([line[name] for line in lines]), np.float32(columns[name]))
    assert [line["level"] for line in lines] == columns["level"]
    assert json.loads(found.schema.metadata[b"features"]) == list(FEATURES)
    expected = np.concatenate([healthy(4), healthy(3, seed=9)])
    assert np.array_equal(np.float32(columns["readings"]), expected)
    for line, row in zip(lines, expected, strict=True):
        assert list(line["readings"]) == list(FEATURES)
        assert np.array_equal(np.float32(list(line["readings"].values())), row)


def test_an_empty_stream_is_a_file_without_rows(file: File) -> None:
    assert file() == (",".join(COLUMNS) + "\n").encode()
    assert file("jsonl") == b""
    assert pq.read_table(io.BytesIO(file("parquet"))).num_rows == 0
    header = file(features=True).decode().strip().split(",")
    assert header == [*COLUMNS, *FEATURES]


def test_the_default_is_the_present_run_and_an_earlier_epoch_is_asked_for(
    send: Send, file: File, services: Services, user: Identity, baseline_id: int
) -> None:
    send(healthy(4))
    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=NOW)
    send(healthy(2), minutes=1)

    def found(**wanted: Any) -> list[tuple[str, str]]:
        return [(row["epoch"], row["seq"]) for row in rows_of(file(**wanted))]

    first = [("1", str(seq)) for seq in range(1, 5)]
    assert found() == found(epoch=2) == [("2", "1"), ("2", "2")]
    assert found(epoch=1) == first
    assert found(epoch=ALL) == first + found()
    for epoch in (0, 3, 10**12):
        with pytest.raises(EpochNotFound):
            file(epoch=epoch)


def test_a_run_that_was_refitted_is_exported_with_all_of_its_epochs(
    send: Send, file: File, services: Services, user: Identity, baseline_id: int
) -> None:
    send(healthy(3))
    with services.sessions.begin() as session:
        stream = streams.lock(session, user, baseline_id, "default")
        fitted = baselines.fitted_map(session, baselines.get(session, user, baseline_id))
        streams.carry_over(session, stream, stream.map_id, fitted, now=NOW)
    send(healthy(2))
    assert [(r["epoch"], r["seq"]) for r in rows_of(file())] == [
        *(("1", "1"), ("1", "2"), ("1", "3")),
        *(("2", "1"), ("2", "2")),
    ]


def test_a_window_holds_its_beginning_and_not_its_end(send: Send, file: File) -> None:
    for minute in (0, 1, 2, 1.5, 3):  # the clock was once set back
        send(healthy(2), minutes=minute)

    def found(since: float | None, until: float | None) -> list[int]:
        since_at = None if since is None else NOW + since * MINUTE
        until_at = None if until is None else NOW + until * MINUTE
        return [int(row["seq"]) for row in rows_of(file(since=since_at, until=until_at))]

    assert found(1, 2) == [3, 4, 7, 8]
    assert found(2, None) == [5, 6, 9, 10]
    assert found(None, 1) == [1, 2]
    assert found(3.1, 9) == []
    with pytest.raises(InvalidRequest):
        found(2, 2)


def test_what_comes_after_an_export_began_is_not_in_it(
    send: Send, services: Services, user: Identity, baseline_id: int
) -> None:
    send(healthy(7))
    chosen = exporting.select(services.sessions, user, baseline_id, "default", Wanted())
    pieces = exporting.written(services.sessions, chosen, "csv")
    begun = [next(pieces), next(pieces)]
    send(healthy(5))
    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=NOW)
    assert len(rows_of(b"".join([*begun, *pieces]))) == chosen.points == 7


def test_nothing_in_the_database_is_held_for_a_slow_reader(
    send: Send, services: Services, user: Identity, baseline_id: int
) -> None:
    send(healthy(9))
    chosen = exporting.select(services.sessions, user, baseline_id, "default", Wanted())
    pieces = exporting.written(services.sessions, chosen, "csv")
    next(pieces), next(pieces)
    assert services.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    pieces.close()


def test_an_export_that_points_are_taken_from_ends_with_an_error(
    send: Send, services: Services, user: Identity, baseline_id: int
) -> None:
    send(healthy(9))
    chosen = exporting.select(services.sessions, user, baseline_id, "default", Wanted())
    pieces = exporting.written(services.sessions, chosen, "csv")
    next(pieces), next(pieces)
    sweep(services.sessions, Rules(points=2), NOW)
    with pytest.raises(ExportInterrupted):
        list(pieces)


def test_what_retention_took_before_is_not_in_an_export(
    send: Send, file: File, services: Services
) -> None:
    send(healthy(9))
    sweep(services.sessions, Rules(points=4), NOW)
    assert [row["seq"] for row in rows_of(file())] == ["6", "7", "8", "9"]
    sweep(services.sessions, Rules(age=MINUTE), NOW + 5 * MINUTE)
    assert rows_of(file()) == []


def test_readings_that_are_gone_are_not_exported_as_if_they_were_there(
    send: Send, file: File, services: Services
) -> None:
    send(healthy(3))
    send(healthy(2), minutes=10)
    sweep(services.sessions, Rules(readings_age=5 * MINUTE), NOW + 12 * MINUTE)
    with pytest.raises(ReadingsRemoved, match="kept from 2026-06-01T12:10:00Z on") as refused:
        file(features=True)
    assert refused.value.details == {"epoch": 1, "readings_from": 4}
    assert len(rows_of(file())) == 5
    assert len(rows_of(file(features=True, since=NOW + 10 * MINUTE))) == 2


def test_another_users_stream_is_not_there(
    send: Send, services: Services, other: Identity, user: Identity, baseline_id: int
) -> None:
    send(healthy(2))
    with pytest.raises(BaselineNotFound):
        exporting.select(services.sessions, other, baseline_id, "default", Wanted())
    with pytest.raises(StreamNotFound):
        exporting.select(services.sessions, user, baseline_id, "no such", Wanted())


def test_a_size_is_told_before_the_file_is_made(
    send: Send, services: Services, user: Identity, baseline_id: int, file: File
) -> None:
    empty = exporting.select(services.sessions, user, baseline_id, "default", Wanted())
    assert exporting.estimated_bytes(services.sessions, empty, "csv") == len(file())
    for _ in range(4):
        send(healthy(100), [{"note": "a note"}] * 100)
    wanted = Wanted(features=True)
    chosen = exporting.select(services.sessions, user, baseline_id, "default", wanted)
    for kind in ("csv", "jsonl"):
        size = len(file(kind, features=True))
        assert exporting.estimated_bytes(services.sessions, chosen, kind) == pytest.approx(
            size, rel=0.1
        )


# --- and back again ---

NUMBERS = itertools.count()

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
RISKY = st.builds(
    str.__add__, st.sampled_from(["=", "+", "-", "@", "\t", "\r", "'", "''=", "＝"]), TEXT
)
CELL = st.one_of(
    TEXT, RISKY, st.just(""), st.sampled_from(["-3.5", "+1", "a,b", 'say "x"', "l\nm"])
)
FLOAT = st.floats(width=32, allow_nan=False, allow_infinity=False)
NAME = CELL.map(str.strip).filter(lambda name: name and name not in FEATURES)


@given(CELL)
def test_escaped_text_comes_back_and_is_no_formula(text: str) -> None:
    safe = escaped(text)
    assert restored(safe) == text
    assert safe == text or safe[0] == "'"
    if safe[:1] in set("=+-@\t\r\n＝＋－＠"):
        float(safe)
    (row,) = csvlib.reader(io.StringIO(f"{quoted(safe)},end", newline=""), strict=True)
    assert row == [safe, "end"]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_an_exported_csv_posts_back_without_change(
    data: st.DataObject,
    services: Services,
    user: Identity,
    baseline_id: int,
    send: Send,
    file: File,
) -> None:
    stream = f"s{next(NUMBERS)}"
    names = data.draw(st.lists(NAME, unique=True, max_size=3))
    count = data.draw(st.integers(1, 5))
    values = np.array(
        data.draw(
            st.lists(
                st.lists(FLOAT, min_size=WIDTH, max_size=WIDTH), min_size=count, max_size=count
            )
        ),
        np.float32,
    )
    rows = [{name: data.draw(CELL) for name in names} for _ in range(count)]
    send(values, rows, stream=f"{stream} one")
    sent = file(stream=f"{stream} one", features=True)
    incoming = Incoming(sent, "again.csv", f"{stream} two")
    with services.sessions.begin() as session:
        ingest(session, user, baseline_id, incoming, limits=services.limits, now=NOW)

    with services.sessions() as session:
        one, two = (
            session.execute(
                select(
                    Point.x, Point.y, Point.score, Point.metadata_.label("about"), Point.features
                )
                .where(Point.stream_id == streams.find(session, user, baseline_id, name).id)
                .order_by(Point.seq)
            ).all()
            for name in (f"{stream} one", f"{stream} two")
        )
    assert [tuple(row) for row in one] == [tuple(row) for row in two]
    assert [row.about for row in one] == rows
    assert b"".join(bytes(row.features) for row in two) == values.tobytes()
    second = file(stream=f"{stream} two", features=True)
    assert second.splitlines()[0] == sent.splitlines()[0]


def test_rows_that_lack_a_column_come_back_without_it(
    send: Send, file: File, services: Services, user: Identity, baseline_id: int
) -> None:
    send(healthy(1), [{"note": ""}])
    send(healthy(1), [{"shift": "'", "score": "good"}])
    found = readings.parse(file(features=True), limits=services.limits, expected=FEATURES)
    assert found.metadata == [{"note": ""}, {"shift": "'", "score": "good"}]


def test_an_export_as_a_baseline_has_the_readings_and_no_results(
    send: Send, file: File, services: Services
) -> None:
    send(healthy(4), [{"note": "-", "speed": "12.5"}] * 4)
    content = file(features=True)
    head = readings.check_head(content, limits=services.limits)
    assert head.features == FEATURES
    assert head.metadata == ("note", "speed")
    numbers = content.replace(b"f_", b"band ")  # no family of names: numbers are features
    found = readings.parse(numbers, limits=services.limits)
    assert found.features == ("speed", *(name.replace("f_", "band ") for name in FEATURES))
    assert found.metadata == [{"note": "-"}] * 4
    limits = dataclasses.replace(services.limits, columns=2 + WIDTH)
    assert len(readings.parse(content, limits=limits)) == 4


def test_a_file_that_only_looks_like_an_export_keeps_all_of_its_columns() -> None:
    content = b"seq,epoch,score,f_0\n1,'=2,3,4\n"
    found = readings.parse(content, limits=readings.Limits(rows=9, columns=9))
    assert found.metadata == [{"seq": "1", "epoch": "'=2", "score": "3"}]


def test_a_deleted_baseline_ends_its_export(
    send: Send, services: Services, user: Identity, baseline_id: int
) -> None:
    send(healthy(9))
    chosen = exporting.select(services.sessions, user, baseline_id, "default", Wanted())
    pieces = exporting.written(services.sessions, chosen, "jsonl")
    next(pieces)
    with services.sessions.begin() as session:
        session.execute(update(Point).values(epoch=7))
    with pytest.raises(ExportInterrupted):
        list(pieces)
