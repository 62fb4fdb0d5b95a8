"""Pause, stop, reset, resume and loop: what a run does when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.errors import EpochChanged
from tests.simulator_fake import (
    FakeBaseline,
    FakeServer,
    FakeStream,
    Fault,
    refit,
    reset,
)
from tests.simulator_kit import play, table


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.baselines[3] = FakeBaseline("Line A", ["f_0", "f_1"])
        yield fake


def pause_for(looks: int, then: str) -> Any:
    """Pause after two rows; `then` becomes the state after so many looks at it."""

    def install(server: FakeServer) -> None:
        left = [looks]

        def on_batch(stream: FakeStream) -> None:
            if len(stream.rows) == 2:
                stream.state = "paused"

        def on_status(stream: FakeStream) -> None:
            left[0] -= 1
            if left[0] == 0:
                stream.state = then

        server.on_batch, server.on_status = on_batch, on_status

    return install


def test_a_pause_holds_the_rows_back_until_it_ends(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 5)
    pause_for(3, "streaming")(server)
    assert play(server, tmp_path / "m.csv").status == 0
    assert server.stream.rows == rows
    kinds = [name for name in server.requests if name in {"POST monitor", "GET streaming"}]
    assert kinds == ["POST monitor"] * 2 + ["GET streaming"] * 3 + ["POST monitor"] * 3


def test_stop_on_the_page_is_a_clean_end(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 5)
    pause_for(2, "stopped")(server)
    played = play(server, tmp_path / "m.csv")
    assert (played.status, server.stream.rows, server.stream.state) == (0, rows[:2], "stopped")
    assert played.out.splitlines()[-1] == "stopped from the page after 2 rows"


def test_a_stop_that_comes_with_an_answer_ends_at_once(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 5)
    server.on_batch = lambda stream: setattr(stream, "state", "stopped")
    played = play(server, tmp_path / "m.csv", batch_size=2)
    assert (played.status, server.stream.rows) == (0, rows[:2])
    assert server.count("GET streaming") == 0


def test_a_reset_during_a_pause_ends_the_run(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 5)
    pause_for(1000, "streaming")(server)
    seen = server.on_status
    server.on_status = lambda stream: (seen(stream), reset(stream))
    played = play(server, tmp_path / "m.csv")
    assert isinstance(played.error, EpochChanged)
    assert (server.stream.rows, server.count("POST monitor")) == ([], 2)


def test_a_new_run_opens_a_new_epoch(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 2)
    play(server, tmp_path / "m.csv")
    play(server, tmp_path / "m.csv")
    assert (server.stream.epoch, server.stream.rows) == (3, rows)


@pytest.mark.parametrize("state", ["streaming", "stopped", "completed"])
def test_resume_goes_on_after_the_last_stored_row(
    server: FakeServer, tmp_path: Path, state: str
) -> None:
    rows = table(tmp_path / "m.csv", 7)
    play(server, tmp_path / "m.csv", limit=3)
    server.stream.state = state
    starts: list[str] = []
    server.on_batch = lambda stream: starts.append(stream.state)
    played = play(server, tmp_path / "m.csv", resume=True)
    assert (played.status, server.stream.rows, server.stream.epoch) == (0, rows, 2)
    assert "resuming after row 3 (epoch 2)" in played.out
    assert starts == ["streaming"] * 4
    assert server.stream.config["total_points"] == 7
    assert "sent 4 = acknowledged 4" in played.out


def test_resume_with_nothing_left_says_so(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 3)
    play(server, tmp_path / "m.csv")
    played = play(server, tmp_path / "m.csv", resume=True)
    assert played.status == 0
    assert played.out.splitlines()[-1] == (
        "nothing left to send: the server has 3 of the 3 rows of m.csv"
    )


def test_resume_waits_where_the_stream_is_paused(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 4)
    play(server, tmp_path / "m.csv", limit=1)
    server.stream.state = "paused"
    looks = [3]

    def on_status(stream: FakeStream) -> None:
        looks[0] -= 1
        if looks[0] == 0:
            stream.state = "streaming"

    server.on_status = on_status
    assert play(server, tmp_path / "m.csv", resume=True).status == 0
    assert (looks, server.stream.rows) == ([0], rows)


@pytest.mark.parametrize("resume", [False, True])
def test_a_loop_sends_the_file_again_and_again_in_new_epochs(
    server: FakeServer, tmp_path: Path, resume: bool
) -> None:
    rows = table(tmp_path / "m.csv", 4)
    if resume:
        play(server, tmp_path / "m.csv")
    begun = server.stream.epoch

    def stop_in_the_third_round(stream: FakeStream) -> None:
        if stream.epoch == begun + 3 and len(stream.rows) == 2:
            stream.state = "stopped"

    server.on_batch = stop_in_the_third_round
    played = play(server, tmp_path / "m.csv", loop=True, resume=resume)
    assert played.status == 0
    assert server.stream.archive[-2:] == [rows, rows]
    assert server.stream.rows == rows[:2]
    assert "sent 10 = acknowledged 10" in played.out
    assert "3 rounds" in played.out


def test_a_refit_is_followed_into_the_new_epoch_and_said(
    server: FakeServer, tmp_path: Path
) -> None:
    rows = table(tmp_path / "m.csv", 7)
    late = Fault(before=lambda server: refit(server.stream))
    server.faults["POST monitor"] += [Fault(), late, Fault(), late]
    played = play(server, tmp_path / "m.csv", batch_size=2)
    assert played.status == 0
    assert server.stream.archive[1:] == [rows[:2], rows[2:4]]
    assert (server.stream.rows, server.stream.epoch) == (rows[4:], 4)
    assert "baseline 3 was refitted: going on with row 3 in epoch 3, on the new map" in played.out
    assert "sent 7 = acknowledged 7" in played.out


def test_a_refit_during_a_pause_is_followed_too(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 5)
    looks = [0]

    def on_status(stream: FakeStream) -> None:
        looks[0] += 1
        if looks[0] == 1:
            refit(stream)
        if looks[0] == 3:
            stream.state = "streaming"

    server.on_batch = lambda stream: setattr(
        stream, "state", "paused" if len(stream.rows) == 2 and not looks[0] else stream.state
    )
    server.on_status = on_status
    played = play(server, tmp_path / "m.csv")
    assert (played.status, server.stream.archive[1:]) == (0, [rows[:2]])
    assert server.stream.rows == rows[2:]


def test_a_reset_after_a_refit_still_ends_the_run(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 5)
    late = Fault(before=lambda server: (refit(server.stream), reset(server.stream)))
    server.faults["POST monitor"] += [Fault(), late]
    played = play(server, tmp_path / "m.csv", batch_size=2)
    assert isinstance(played.error, EpochChanged)
    assert server.stream.rows == []


def test_resume_counts_the_rows_from_before_a_refit(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 7)
    play(server, tmp_path / "m.csv", limit=3)
    refit(server.stream)
    played = play(server, tmp_path / "m.csv", resume=True)
    assert (played.status, server.stream.rows) == (0, rows[3:])
    assert server.stream.config["total_points"] == 4
    again = play(server, tmp_path / "m.csv", resume=True)
    assert "nothing left to send: the server has 7 of the 7 rows" in again.out
