"""One file to many streams at once: each gets every row, in order and once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.errors import SimulatorError
from simulator.fleet import FleetTally
from simulator.options import parse_stream
from tests.simulator_fake import FakeBaseline, FakeServer, Fault
from tests.simulator_kit import play, table


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.baselines[3] = FakeBaseline("Line A", ["f_0", "f_1"])
        yield fake


def test_every_stream_gets_every_row_by_one_sign_in(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 9)
    played = play(server, tmp_path / "m.csv", batch_size=2, stream="pump", streams=12)
    assert (played.status, played.error) == (0, None)
    assert sorted(server.streams) == [f"pump-{number:02}" for number in range(1, 13)]
    assert all(stream.rows == rows for stream in server.streams.values())
    assert all(stream.state == "completed" for stream in server.streams.values())
    assert server.count("POST auth") == 1
    assert re.fullmatch(
        r"sent 108 = acknowledged 108 in \d\.\d s \([\d,]+ rows/s, acknowledge median \d+ ms\),"
        r" 12 streams, pump-01 to pump-12",
        played.out.splitlines()[-1],
    )


def test_machines_outlast_trouble_and_it_is_told_with_their_names(
    server: FakeServer, tmp_path: Path
) -> None:
    rows = table(tmp_path / "m.csv", 6)
    server.faults["POST monitor"].extend([Fault(), Fault(503, stored=True), Fault(cut=True)])
    played = play(server, tmp_path / "m.csv", streams=3)
    assert played.status == 0
    assert all(stream.rows == rows for stream in server.streams.values())
    assert re.search(r"^machine-\d: .+: retrying in", played.out, re.MULTILINE)


def test_a_machine_that_fails_stops_no_other(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 4)
    server.faults["POST monitor"].append(Fault(422, message="line 2: not a number"))
    played = play(server, tmp_path / "m.csv", streams=3, batch_size=2)
    assert isinstance(played.error, SimulatorError)
    assert re.match(
        r"1 of 3 streams failed \(machine-\d\); the first: batch 1 .*not a number",
        str(played.error),
    )
    assert sorted(len(stream.rows) for stream in server.streams.values()) == [0, 4, 4]
    assert rows in [stream.rows for stream in server.streams.values()]


def test_the_line_counts_the_machines_by_what_they_do() -> None:
    tally = FleetTally(["a", "b", "c"])
    for number, each in enumerate(tally.tallies):
        each.total = 100
        each.post(10, 0.0)
        each.acknowledge(10, 0.01 * (number + 1), 1.0)
    tally.tallies[1].retry_at = 9.0
    assert tally.line(2.0) == (
        "3 streams: 30/300 points, 30 rows/s, 9 s left, slowest acknowledge 30 ms (c),"
        " 2 sending, 1 retrying"
    )
    assert tally.summary() == (
        "sent 30 = acknowledged 30 in 1.0 s (30 rows/s, acknowledge median 20 ms),"
        " 3 streams, a to c"
    )


@pytest.mark.parametrize("count", ["0", "501", "many"])
def test_a_number_of_streams_that_cannot_be_is_refused(
    count: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_stream(["--baseline-id", "3", "--streams", count])
    assert "expected a whole number from 1 to 500" in capsys.readouterr().err
