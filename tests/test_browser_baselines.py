"""The baselines page in a real browser: from a file to a map and its report card, and away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from dinsight.accounts import Identity
from dinsight.baselines import rename
from dinsight.models import Baseline
from dinsight.services import Services
from tests.browser import Page
from tests.factories import csv, healthy

pytest_plugins = ["tests.browser_fixtures"]

UPLOADS, LIST = "baselines-uploads", "baselines-list"
LEAVING = """
const leaving = new Event("beforeunload", { cancelable: true });
window.dispatchEvent(leaving);
return leaving.defaultPrevented;
"""
DROP = """
const data = new DataTransfer();
data.items.add(new File([arguments[0]], "dropped.csv", { type: "text/csv" }));
const options = { bubbles: true, cancelable: true, dataTransfer: data };
const zone = document.getElementById("baselines-drop");
zone.dispatchEvent(new DragEvent("dragenter", options));
const lit = zone.classList.contains("over");
zone.dispatchEvent(new DragEvent("drop", options));
return [lit, zone.classList.contains("over")];
"""


@pytest.fixture
def baselines(page: Page, user: Identity, sign_in: Callable[..., None]) -> Page:
    """The page, opened by the user from the empty streaming page."""
    sign_in(user)
    page.wait_text("live-empty", "No baseline yet")
    page.driver.find_element(By.LINK_TEXT, "Upload a baseline").click()
    page.wait_text(LIST, "No baseline yet")
    page.element("baselines-files")
    return page


def choose(page: Page, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    page.element("baselines-files").send_keys(str(path))
    page.wait_text("baselines-chosen", path.name)


def focused(page: Page) -> str:
    return str(page.js("return document.activeElement.id"))


def in_dialog(page: Page, text: str) -> Any:
    """The button of the open dialog that begins so."""
    dialog = page.element("baselines-dialog")
    page.wait(dialog.is_displayed, "the dialog")
    buttons = dialog.find_elements(By.CSS_SELECTOR, "button")
    return next(each for each in buttons if each.text.startswith(text))


def test_from_a_file_to_a_map_its_card_another_name_another_map_and_away(
    baselines: Page, services: Services, tmp_path: Path
) -> None:
    page = baselines
    page.ignored = ("/api/v1/dinsight/",)  # the browser's own line about a refused name
    page.wait(lambda: page.driver.title == "Baselines · D'insight", "the title")
    choose(page, tmp_path / "press.csv", csv(healthy(120)))
    page.type("baselines-name", "Press 4" + Keys.ENTER)
    page.wait_text(LIST, "0 % · Waiting to be fitted")
    assert page.text("baselines-chosen") == ""
    bar = page.driver.find_element(By.CSS_SELECTOR, f"#{LIST} [role=progressbar]")
    assert bar.get_attribute("aria-valuenow") == "0"
    assert page.text(UPLOADS) == ""
    services.jobs.start()
    page.wait_text("toast", "Press 4 is ready.")
    page.wait_text(LIST, "120 rows")
    with services.sessions() as session:
        (number,) = session.scalars(session.query(Baseline.id).statement)

    page.click(f"baseline-{number}-card")
    page.wait_text("baselines-report", "Report card: Press 4")
    assert page.path == f"/dashboard/baselines?baseline_id={number}"
    page.wait(lambda: focused(page) == "baselines-report-title", "the focus on the card")

    page.click(f"baseline-{number}-rename")
    field = page.driver.switch_to.active_element
    assert field.get_attribute("value") == "Press 4"
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(" " + Keys.ENTER)
    page.wait_text(f"baseline-{number}-form", "A baseline's name has 1 to 200")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("Press 5" + Keys.ENTER)
    page.wait_text(f"baseline-{number}-name", "Press 5")
    page.wait_text("baselines-report", "Report card: Press 5")
    page.wait(lambda: focused(page) == f"baseline-{number}-rename", "the focus on Rename")

    page.click(f"baseline-{number}-refit")
    in_dialog(page, "Refit as T² and SPE").click()
    page.wait_text("toast", "Press 5 is being refitted as T² and SPE.")
    page.wait_text(LIST, "map: T² and SPE")
    page.wait_text("baselines-report", "T² and SPE")

    page.click(f"baseline-{number}-delete")
    page.wait_text("baselines-question", "This deletes 1 stream, 0 points, its 120 rows")
    in_dialog(page, "Cancel").click()
    page.wait(lambda: focused(page) == f"baseline-{number}-delete", "the focus on Delete")
    page.click(f"baseline-{number}-delete")
    in_dialog(page, "Delete").click()
    page.wait_text("toast", "Press 5 is deleted.")
    page.wait_text(LIST, "No baseline yet")
    page.wait_text("baselines-report", "There is no such baseline.")
    page.wait(lambda: focused(page) == "baselines-title", "the focus on the list")


def test_a_wrong_file_says_line_and_column_and_stays_chosen(
    baselines: Page, services: Services, tmp_path: Path
) -> None:
    page = baselines
    page.ignored = ("/api/v1/analyze",)  # the browser's own line about a refused upload
    services.jobs.start()
    lines = csv(healthy(200)).decode().splitlines()
    at_once, later = list(lines), list(lines)
    at_once[2] = "oops" + at_once[2][at_once[2].index(",") :]
    later[149] = "oops" + later[149][later[149].index(",") :]
    for number, wrong in ((3, at_once), (150, later)):
        choose(page, tmp_path / "wrong.csv", "\n".join(wrong).encode())
        page.click("baselines-upload")
        told = f'wrong.csv: line {number}, column f_0: expected a finite number, found "oops"'
        page.wait_text(UPLOADS, told)
        alerts = page.driver.find_elements(By.CSS_SELECTOR, f"#{UPLOADS} [role=alert]")
        assert alerts[-1].text == told
    page.wait_text(LIST, "line 150")
    again = page.driver.find_elements(By.XPATH, f"//*[@id='{UPLOADS}']//button")
    shown = [each for each in again if each.is_displayed()]
    assert [each.text.split("\n")[0] for each in shown] == ["Try again", "Remove"] * 2
    shown[0].click()  # the file has been saved anew since it was chosen
    page.wait_text(UPLOADS, "wrong.csv was changed, moved or removed since it was chosen.")
    shown[1].click()
    page.wait(lambda: "was changed" not in page.text(UPLOADS), "the upload to be gone")
    shown[2].click()
    page.wait(lambda: page.text(LIST).count("line 150") == 2, "the same file, tried once more")


def test_what_is_too_large_or_empty_is_told_before_it_is_sent(
    baselines: Page, tmp_path: Path
) -> None:
    page = baselines
    page.click("baselines-upload")
    page.wait_text("baselines-problem", "Choose a CSV file first.")
    choose(page, tmp_path / "large.csv", b"f_0\n" + b"1.00000\n" * (20 * 1024 * 1024 // 8))
    page.wait_text("baselines-problem", "large.csv has 20 MiB, more than the 20 MiB")
    page.click("baselines-upload")
    assert page.text(UPLOADS) == ""
    choose(page, tmp_path / "empty.csv", b"")
    page.wait_text("baselines-problem", "empty.csv is empty")


def test_an_upload_shows_its_bytes_outlives_the_page_and_can_be_cancelled(
    baselines: Page, services: Services, tmp_path: Path
) -> None:
    page = baselines
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
    try:
        choose(page, tmp_path / "slow.csv", csv(healthy(30_000)))
        page.click("baselines-upload")
        page.wait_text(UPLOADS, "of 6.2 MiB")
        page.wait(lambda: "0 %" not in page.text(UPLOADS), "some of it to be sent")
        assert page.js(LEAVING) is True
        page.driver.find_element(By.LINK_TEXT, "Streaming").click()
        page.wait_text("live-empty", "No baseline yet")
        page.driver.back()
        page.wait_text(UPLOADS, "of 6.2 MiB")
        bar = page.driver.find_element(By.CSS_SELECTOR, f"#{UPLOADS} [role=progressbar]")
        assert 0 < int(bar.get_attribute("aria-valuenow")) < 100
        page.driver.find_element(By.CSS_SELECTOR, f"#{UPLOADS} .button").click()
        page.wait(lambda: page.text(UPLOADS) == "", "the upload to be gone")
        assert page.js(LEAVING) is False
        assert focused(page) == "baselines-drop"
    finally:
        page.driver.execute_cdp_cmd(
            "Network.emulateNetworkConditions", slow | {"uploadThroughput": -1}
        )
    with services.sessions() as session:
        assert session.query(Baseline).count() == 0


def test_a_dropped_file_is_chosen(baselines: Page) -> None:
    page = baselines
    assert page.js(DROP, csv(healthy(20)).decode()) == [True, False]
    assert "dropped.csv" in page.text("baselines-chosen")
    assert focused(page) == "baselines-upload"


def test_a_redraw_takes_neither_the_focus_nor_what_is_typed(
    page: Page,
    services: Services,
    user: Identity,
    make_baseline: Callable[..., int],
    sign_in: Callable[..., None],
) -> None:
    number = make_baseline(user)
    sign_in(user, "/dashboard/baselines")
    page.click(f"baseline-{number}-rename")
    field = page.driver.switch_to.active_element
    field.send_keys(Keys.END + ", new")
    another = make_baseline(user, "Pump 8")
    page.js("window.dinsight.baselines.ask()")
    page.wait_text(LIST, "Pump 8")
    page.driver.switch_to.active_element.send_keys("er" + Keys.ENTER)
    page.wait_text(f"baseline-{number}-name", "Pump 7, newer")
    page.wait(lambda: focused(page) == f"baseline-{number}-rename", "the focus on Rename")

    page.click(f"baseline-{another}-delete")
    in_dialog(page, "Cancel")
    with services.sessions.begin() as session:
        rename(session, user, another, "Pump 9")
    page.js("window.dinsight.baselines.ask()")
    page.wait_text(f"baseline-{another}-name", "Pump 9")
    in_dialog(page, "Cancel").click()
    page.wait(lambda: focused(page) == f"baseline-{another}-delete", "the focus on Delete")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_a_phone(
    page: Page,
    user: Identity,
    make_baseline: Callable[..., int],
    sign_in: Callable[..., None],
    theme: str,
) -> None:
    number = make_baseline(user, "A pump with a name that is as long as names of pumps become")
    page.resize(390, 844, mobile=True)
    sign_in(user, f"/dashboard/baselines?baseline_id={number}")
    page.js("document.documentElement.dataset.theme = arguments[0]", theme)
    page.wait_text("baselines-report", "What it promises")
    assert page.js("return document.documentElement.scrollWidth") == 390
    heights = page.js(
        "return [...document.querySelectorAll('#main .button')].map(e => e.offsetHeight)"
        ".filter(height => height)"
    )
    assert min(heights) >= 44
