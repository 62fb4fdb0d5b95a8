"""The loop that every background thread runs in."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

from dinsight.background import Background
from tests.postgres_kit import eventually


class Counter(Background):
    """Counts its steps; meets the errors that it is given, one a step."""

    name, what = "counter", "counts"
    again_seconds = 0.01

    def __init__(self, *errors: Exception, wait: float = 60.0) -> None:
        super().__init__()
        self.errors = list(errors)
        self.wait = wait
        self.steps = self.recovered = self.ended = 0

    def step(self) -> float:
        self.steps += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.wait

    def recover(self) -> None:
        self.recovered += 1

    def end(self) -> None:
        self.ended += 1


def test_it_steps_when_it_is_due_or_woken_and_stops_at_once() -> None:
    counter = Counter()
    counter.start()
    assert eventually(lambda: counter.steps == 1)
    counter.wake()
    assert eventually(lambda: counter.steps == 2)
    began = time.monotonic()
    counter.stop()
    assert (counter.steps, counter.ended) == (2, 1)
    assert time.monotonic() - began < 5
    assert "counter" not in {thread.name for thread in threading.enumerate()}


def test_it_goes_on_after_errors_and_says_which(caplog: pytest.LogCaptureFixture) -> None:
    counter = Counter(OperationalError("SELECT 1", {}, Exception("gone")), ValueError("ours"))
    counter.start()
    assert eventually(lambda: counter.steps == 3)
    counter.stop()
    assert counter.recovered == 2
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", "counts wait: the database cannot be reached"),
        ("ERROR", "counts failed"),
    ]


def test_one_that_was_never_started_can_be_stopped() -> None:
    counter = Counter()
    counter.stop()
    assert (counter.steps, counter.ended) == (0, 0)
