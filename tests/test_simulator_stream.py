"""Rows arrive in order and exactly once, whatever happens on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.errors import BatchRefused, EpochChanged, GaveUp, SimulatorError
from simulator.retry import Backoff
from simulator.stream import Pace
from tests.simulator_fake import FakeBaseline, FakeServer, FakeStream, Fault, reset
from tests.simulator_kit import play, table


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.baselines[3] = FakeBaseline("Line A", ["f_0", "f_1"])
        yield fake


def test_every_row_arrives_in_order_and_the_summary_says_so(
    server: FakeServer, tmp_path: Path
) -> None:
    rows = table(tmp_path / "m.csv", 23)
    played = play(server, tmp_path / "m.csv", batch_size=5, latest_glow_count=7)
    assert (played.status, played.error, server.stream.rows) == (0, None, rows)
    assert server.stream.batches == [5, 5, 5, 5, 3]
    assert server.stream.state == "completed"
    assert server.stream.config == {
        "stream": "default",
        "total_points": 23,
        "batch_size": 5,
        "delay_seconds": 0.0,
        "latest_glow_count": 7,
    }
    assert re.fullmatch(
        r"sent 23 = acknowledged 23 in \d\.\d s \([\d,]+ rows/s, acknowledge median \d+ ms\),"
        r" stream default, epoch 2",
        played.out.splitlines()[-1],
    )


TROUBLES = {
    "503": Fault(503),
    "503 after it was stored": Fault(503, stored=True),
    "500": Fault(500),
    "429": Fault(429),
    "cut before it was stored": Fault(cut=True),
    "cut after it was stored": Fault(cut=True, stored=True),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_a_batch_that_fails_on_the_way_is_stored_once(
    server: FakeServer, tmp_path: Path, trouble: Fault
) -> None:
    rows = table(tmp_path / "m.csv", 6)
    server.faults["POST monitor"].extend([Fault(), trouble, trouble, Fault(), trouble])
    played = play(server, tmp_path / "m.csv", batch_size=2)
    assert (played.status, server.stream.rows) == (0, rows)
    assert server.count("POST monitor") == 6
    assert "sent 6 = acknowledged 6" in played.out


@pytest.mark.parametrize(
    "request_name", ["DELETE streaming", "PUT streaming", "POST streaming", "GET dinsight"]
)
def test_every_other_request_outlasts_an_outage_too(
    server: FakeServer, tmp_path: Path, request_name: str
) -> None:
    rows = table(tmp_path / "m.csv", 2)
    server.faults[request_name].extend([Fault(503), Fault(cut=True)])
    assert play(server, tmp_path / "m.csv").status == 0
    assert server.stream.rows == rows
    assert server.stream.state == "completed"


def test_retry_after_is_honoured(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 1)
    server.faults["POST monitor"].append(Fault(429, headers={"Retry-After": "1"}))
    assert play(server, tmp_path / "m.csv").status == 0
    first, second = server.times["POST monitor"]
    assert second - first >= 1.0


def test_a_refused_batch_is_not_sent_again_and_the_servers_words_are_given_whole(
    server: FakeServer, tmp_path: Path
) -> None:
    rows = table(tmp_path / "m.csv", 6)
    words = "line 3, column f_1: expected a number, got 'abc'"
    server.faults["POST monitor"].extend([Fault(), Fault(400, "CELL_INVALID", words)])
    played = play(server, tmp_path / "m.csv", batch_size=2)
    assert isinstance(played.error, BatchRefused)
    assert str(played.error) == f"batch 2 (lines 4–5 of m.csv) was refused: {words}"
    assert (server.count("POST monitor"), server.stream.rows) == (2, rows[:2])
    assert "sent 4, acknowledged 2" in played.out
    assert server.stream.state == "streaming"


def test_a_reset_from_elsewhere_ends_the_run(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 6)
    somebody = Fault(before=lambda fake: reset(fake.stream))
    server.faults["POST monitor"].extend([Fault(), Fault(), somebody])
    played = play(server, tmp_path / "m.csv")
    assert isinstance(played.error, EpochChanged)
    assert str(played.error).startswith("stream default was reset from elsewhere after 2 rows")
    assert server.stream.archive[-1] == rows[:2]
    assert server.stream.rows == []


def test_patience_ends_in_one_clear_line(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 2)
    server.faults["POST monitor"].extend([Fault(503, message="database down")] * 1000)
    played = play(server, tmp_path / "m.csv", Backoff(0.01, 0.05, patience=0.2))
    assert isinstance(played.error, GaveUp)
    assert re.fullmatch(
        r"gave up after \d s without an answer: the server answers 503 \(database down\)",
        str(played.error),
    )


def test_limit_and_stream_name_are_kept(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 9)
    played = play(server, tmp_path / "m.csv", limit=4, stream="night run", batch_size=3)
    assert (played.status, server.streams["night run"].rows) == (0, rows[:4])
    assert server.streams["night run"].config["total_points"] == 4
    assert server.stream.rows == []


def test_delay_is_between_the_starts_of_batches_and_a_late_one_causes_no_burst(
    server: FakeServer, tmp_path: Path
) -> None:
    table(tmp_path / "m.csv", 6)
    now, starts = 0.0, list[float]()
    takes = iter([1.0, 1.0, 7.0, 1.0, 1.0, 1.0])

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def store(stream: FakeStream) -> None:
        starts.append(now)
        sleep(next(takes))

    server.on_batch = store
    pace = Pace(clock=lambda: now, sleep=sleep)
    assert play(server, tmp_path / "m.csv", pace=pace, delay=2.0).status == 0
    assert starts == [0.0, 2.0, 4.0, 11.0, 13.0, 15.0]


def test_rows_that_the_server_does_not_acknowledge_are_a_failure(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(tmp_path / "m.csv", 3)
    honest = server.post_monitor

    def forgetful(rest: list[str], asked: Any) -> tuple[int, Any]:
        status, answer = honest(rest, asked)
        return status, answer | {"points_processed": answer["points_processed"] - 1}

    monkeypatch.setattr(server, "post_monitor", forgetful)
    played = play(server, tmp_path / "m.csv", batch_size=3)
    assert isinstance(played.error, SimulatorError)
    assert str(played.error) == "the server acknowledged 2 of the 3 rows sent"
    assert "sent 3, acknowledged 2" in played.out


def test_cells_are_sent_as_they_stand_in_the_file(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(
        b'\xef\xbb\xbftime,f_0,f_1\r\n"a,\r\n""b""",3.80E-05,1.176635768\r\n\r\nc,007.10,-0\r\n'
    )
    assert play(server, tmp_path / "m.csv").status == 0
    assert server.stream.rows == [
        {"time": 'a,\r\n"b"', "f_0": "3.80E-05", "f_1": "1.176635768"},
        {"time": "c", "f_0": "007.10", "f_1": "-0"},
    ]


def test_verbose_tells_of_each_batch(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 3)
    played = play(server, tmp_path / "m.csv", batch_size=2, verbose=True)
    lines = [line for line in played.out.splitlines() if line.startswith("batch")]
    assert re.fullmatch(
        r"batch 2: 1 rows, seq 3–3, epoch 2, healthy, score 0\.5, \d+ ms, key [\w-]+", lines[1]
    )
