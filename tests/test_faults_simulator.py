"""The simulator when its connections break, at every byte, and when its server is away for long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from simulator.retry import Backoff
from tests.fault_kit import Relay
from tests.simulator_fake import FakeBaseline, FakeServer
from tests.simulator_kit import play, table

AT_ONCE = Backoff(first=0.001, cap=0.001, patience=30.0)
ANSWER_BYTES = 420  # what the fake server says to a batch, headers and all


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.baselines[3] = FakeBaseline("Line A", ["f_0", "f_1"])
        yield fake


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_an_answer_that_is_cut_at_any_byte_is_asked_for_again(
    server: FakeServer, tmp_path: Path, step: int
) -> None:
    """Cut within its headers, an answer looks like one that is whole and empty."""
    cuts = range(0, ANSWER_BYTES, step)
    rows = table(tmp_path / "m.csv", len(cuts))
    host, port = server.url.removeprefix("http://").split("/")[0].split(":")
    with Relay((host, int(port))) as relay:
        planned = [relay.cut(b"POST /api/v1/monitor", "answer", passed) for passed in cuts]
        here: Any = SimpleNamespace(url="http://{}:{}/api/v1".format(*relay.address))
        played = play(here, tmp_path / "m.csv", AT_ONCE)
    assert (played.error, played.status) == (None, 0)
    assert server.stream.rows == rows
    assert all(cut.done.is_set() for cut in planned)
    assert f"sent {len(rows)} = acknowledged {len(rows)}" in played.out
