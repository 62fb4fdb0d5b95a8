"""Replaying a monitor file from the page: no terminal, no simulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dinsight.player import Player
from dinsight.services import Services
from tests.browser import Page, StreamUnderTest
from tests.factories import csv, healthy

pytest_plugins = ["tests.browser_fixtures"]


@pytest.fixture(autouse=True)
def player(services: Services) -> Iterator[Player]:
    running = Player(services.database, services.limits)
    running.start()
    yield running
    running.stop()


def choose(page: Page, path: Path) -> None:
    """As the browser's own chooser does."""
    page.js("return document.querySelector('#replay-input input')").send_keys(str(path))
    page.wait_text("replay-chosen", path.name)


def play(page: Page, delay: str, rows: str = "1") -> None:
    page.type("replay-delay", delay)
    page.type("replay-batch", rows)
    page.click("replay-play")


def test_a_file_is_uploaded_played_paused_and_finished_on_the_page(
    page: Page, stream: StreamUnderTest, tmp_path: Path
) -> None:
    file = tmp_path / "last night.csv"
    file.write_bytes(csv(healthy(40)))
    page.wait(lambda: page.js("return document.querySelector('[data-replay]')"), "the offer")
    page.js("document.querySelector('[data-replay]').click()")
    assert page.js("return document.getElementById('replay-panel').open")
    choose(page, file)
    play(page, "0.1")
    page.wait_text("replay-source", "last night.csv")
    page.wait_text("replay-row", "of 40")

    stream.control("pause")  # from another tab
    page.wait_text("replay-row", "Paused at row")
    page.wait_text("live-badge", "Paused")
    page.click("live-resume")

    page.wait_text("live-count", "40 / 40")
    page.wait_text("live-badge", "Finished")
    page.wait_points(40)
    page.wait_text("replay-last", "Played last night.csv: 40 of 40 rows.")
    assert "last night.csv · 40 rows" in page.text("replay-file")
    assert (
        page.text("replay-hint")
        == "The 40 points of this run will be archived, and a new run begins."
    )

    play(page, "3600", "10")  # the file that is kept now, in a run of its own
    page.wait_text("replay-row", "row 10 of 40")
    page.wait_text("live-count", "10 / 40")
    page.click("replay-stop")
    page.wait_text("live-badge", "Stopped")
    page.wait_text(
        "replay-last", "last night.csv ended after 10 of 40 rows. The stream was stopped."
    )

    page.click("replay-delete")
    page.click("replay-forget")
    page.wait(lambda: "last night.csv" not in page.text("replay-file"), "the file to go")


def test_a_wrong_file_is_refused_under_the_control_and_a_fault_further_down_is_told(
    page: Page, stream: StreamUnderTest, tmp_path: Path
) -> None:
    page.ignored = ("400 (BAD REQUEST)", "400 (Bad Request)")
    page.js("document.getElementById('replay-panel').open = true")
    wrong, late = tmp_path / "wrong.csv", tmp_path / "late.csv"
    wrong.write_bytes(csv(healthy(3)).replace(b"f_7", b"f_99"))
    late.write_bytes(csv(healthy(150)).rsplit(b",", 1)[0] + b",oops\n")
    choose(page, wrong)
    play(page, "0", "50")
    page.wait_text("replay-error", "missing f_7")
    assert page.text("live-badge") == "Waiting"

    choose(page, late)
    page.click("replay-play")
    told = 'late.csv: line 151, column f_11: expected a finite number, found "oops"'
    page.wait_text("replay-error", told)
    page.wait_text("live-count", "100 / 150")


def test_another_senders_stream_is_replaced_only_when_it_is_said(
    page: Page, stream: StreamUnderTest, tmp_path: Path
) -> None:
    file = tmp_path / "night.csv"
    file.write_bytes(csv(healthy(5)))
    stream.configure(delay_seconds=60)  # so that the sender is still expected
    stream.send(3)
    page.wait_text("live-badge", "Polling")
    page.js("document.getElementById('replay-panel').open = true")
    choose(page, file)
    play(page, "0")
    page.wait(
        lambda: page.js("return document.getElementById('replay-dialog').open"), "to be asked"
    )
    assert page.text("live-count") == "3"
    page.click("replay-confirm")
    page.wait_text("live-count", "5 / 5")
