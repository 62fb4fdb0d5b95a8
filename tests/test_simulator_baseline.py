"""The baseline and its columns: all that is checked before the first row is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator_fake import (
    FakeBaseline,
    FakeServer,
    Fault,
)
from tests.simulator_kit import play, table


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.baselines[3] = FakeBaseline("Line A", ["f_0", "f_1"])
        yield fake


def test_an_unknown_baseline_is_told_with_those_there_are(
    server: FakeServer, tmp_path: Path
) -> None:
    table(tmp_path / "m.csv", 1)
    server.baselines[5] = FakeBaseline("", [])
    played = play(server, tmp_path / "m.csv", baseline_id=7)
    assert str(played.error) == "no baseline 7; yours are 3 (Line A), 5"
    server.baselines.clear()
    played = play(server, tmp_path / "m.csv")
    assert str(played.error).startswith("no baseline 3, and you have none yet")


def test_it_waits_for_the_fit_and_says_so(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 2)
    server.baselines[3].to_go = 4
    played = play(server, tmp_path / "m.csv")
    assert server.stream.rows == rows
    assert server.count("GET analyze") == 5
    assert played.out.count("waiting for the fit of baseline 3: laying out the map (40 %)") == 1


def test_a_failed_fit_ends_the_run_with_its_reason(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 2)
    server.baselines[3].failure = "line 77, column f_0: empty"
    played = play(server, tmp_path / "m.csv")
    assert str(played.error) == "the fit of baseline 3 failed: line 77, column f_0: empty"


def test_missing_columns_are_counted_and_named(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 2)
    server.baselines[3].features = [f"f_{n}" for n in range(9)]
    played = play(server, tmp_path / "m.csv")
    assert str(played.error) == (
        "m.csv lacks 7 of the 9 features of baseline 3: f_2, f_3, f_4, f_5, f_6 and 2 more"
    )
    assert server.count("POST monitor") + server.count("DELETE streaming") == 0


def test_a_file_with_another_separator_is_recognised(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("f_0;f_1\n1;2\n")
    played = play(server, tmp_path / "m.csv")
    assert str(played.error).endswith("f_0, f_1 (is it separated by something else than commas?)")


def test_a_baseline_file_goes_up_whole_and_is_streamed_against(
    server: FakeServer, tmp_path: Path
) -> None:
    table(tmp_path / "base.csv", 120)
    rows = table(tmp_path / "m.csv", 3)
    played = play(server, tmp_path / "m.csv", baseline_file=tmp_path / "base.csv")
    assert (played.status, server.stream.rows) == (0, rows)
    assert server.baselines[4].name == "base"
    assert server.baselines[4].rows == 120
    assert "base.csv is baseline 4: use it again with --baseline-id 4" in played.out


@pytest.mark.parametrize(
    "trouble",
    [Fault(503), Fault(cut=True), Fault(cut=True, stored=True)],
    ids=["503", "cut before it was stored", "cut after it was stored"],
)
def test_a_baseline_whose_upload_fails_on_the_way_is_made_once(
    server: FakeServer, tmp_path: Path, trouble: Fault
) -> None:
    table(tmp_path / "base.csv", 120)
    rows = table(tmp_path / "m.csv", 3)
    server.faults["POST analyze"].append(trouble)
    assert play(server, tmp_path / "m.csv", baseline_file=tmp_path / "base.csv").status == 0
    assert (list(server.baselines), server.stream.rows) == ([3, 4], rows)


def test_an_upload_that_is_always_cut_is_given_up(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "base.csv", 120)
    table(tmp_path / "m.csv", 3)
    server.faults["POST analyze"].extend([Fault(cut=True)] * 9)
    played = play(server, tmp_path / "m.csv", baseline_file=tmp_path / "base.csv")
    assert str(played.error).startswith(
        "base.csv cannot be uploaded: the connection was cut, 3 times"
    )


def test_a_refused_baseline_is_said_in_the_servers_words(
    server: FakeServer, tmp_path: Path
) -> None:
    table(tmp_path / "base.csv", 120)
    table(tmp_path / "m.csv", 3)
    server.faults["POST analyze"].append(Fault(400, message="line 2: expected 3 cells"))
    played = play(server, tmp_path / "m.csv", baseline_file=tmp_path / "base.csv")
    assert str(played.error) == "base.csv was refused: line 2: expected 3 cells"


FREQUENCIES = ["time", "freq_0.00", "freq_250.00", "freq_500.00", "freq_750.00"]


def test_filters_apply_to_baseline_and_monitor_alike(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "base.csv", 3, FREQUENCIES)
    rows = table(tmp_path / "m.csv", 2, FREQUENCIES)
    played = play(
        server, tmp_path / "m.csv", baseline_file=tmp_path / "base.csv", feature_max_freq=500.0
    )
    kept = FREQUENCIES[:4]
    assert played.status == 0
    assert (server.baselines[4].header, server.baselines[4].rows) == (kept, 3)
    assert server.stream.rows == [{name: row[name] for name in kept} for row in rows]


def test_without_metadata_only_features_are_sent(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "base.csv", 3)
    rows = table(tmp_path / "m.csv", 2)
    played = play(
        server,
        tmp_path / "m.csv",
        baseline_file=tmp_path / "base.csv",
        include_metadata=False,
        feature_max_index=0,
    )
    assert (played.status, server.baselines[4].header) == (0, ["f_0"])
    assert server.stream.rows == [{"f_0": row["f_0"]} for row in rows]


def test_without_metadata_plain_columns_of_text_are_left_out(
    server: FakeServer, tmp_path: Path
) -> None:
    for name in ("base.csv", "m.csv"):
        (tmp_path / name).write_text("Pump,Pressure,Flow Rate\nA7,1.5,2\nA8,,1e3\n")
    played = play(
        server,
        tmp_path / "m.csv",
        baseline_file=tmp_path / "base.csv",
        include_metadata=False,
    )
    assert (played.status, server.baselines[4].header) == (0, ["Pressure", "Flow Rate"])
    assert server.stream.rows[0] == {"Pressure": "1.5", "Flow Rate": "2"}


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (FREQUENCIES[1:], "the filters drop 1 of the 4 features of baseline 3: freq_750.00; fit"),
        (
            FREQUENCIES[1:3],
            "the filters keep 1 columns that baseline 3 was not fitted with: freq_5",
        ),
    ],
)
def test_filters_that_do_not_match_the_baseline_are_said(
    server: FakeServer, tmp_path: Path, features: list[str], words: str
) -> None:
    table(tmp_path / "m.csv", 2, FREQUENCIES)
    server.baselines[3].features = features
    played = play(server, tmp_path / "m.csv", feature_max_freq=500.0)
    assert str(played.error).startswith(words)
    assert server.count("POST monitor") == 0


def test_columns_that_are_no_features_of_the_baseline_are_pointed_out(
    server: FakeServer, tmp_path: Path
) -> None:
    rows = table(tmp_path / "m.csv", 2, FREQUENCIES)
    server.baselines[3].features = FREQUENCIES[1:3]
    played = play(server, tmp_path / "m.csv")
    assert "2 columns of m.csv are no features of baseline 3" in played.out
    assert server.stream.rows == rows
