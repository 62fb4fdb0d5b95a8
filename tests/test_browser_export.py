"""A person takes a stream along: how much it is, the file, before a reset, and the report."""

from __future__ import annotations

from tests.browser import Page, StreamUnderTest
from tests.factories import failing

pytest_plugins = ["tests.browser_fixtures"]

FETCH = """
const [href, done] = [arguments[0], arguments[1]];
fetch(href).then(async (answer) => done([
  answer.status, answer.headers.get("Content-Type"),
  answer.headers.get("Content-Disposition"), await answer.text(),
]));
"""


def href(page: Page) -> str:
    return str(page.element("export-link").get_attribute("href") or "")


def test_a_person_exports_a_stream_and_opens_its_report(
    page: Page, stream: StreamUnderTest
) -> None:
    stream.send(30)
    stream.send(failing(12))
    page.wait_points(42)

    page.click("export-open")
    page.wait_text("export-about", "42 points, about")
    page.wait(lambda: "format=csv" in href(page), "the address of the file")
    page.click("export-readings")
    page.wait(lambda: "features=1" in href(page), "the readings")
    status, kind, name, content = page.driver.execute_async_script(FETCH, href(page))
    assert (status, kind) == (200, "text/csv; charset=utf-8")
    assert name.startswith('attachment; filename="dinsight_Pump-7_default_epoch-1_readings.csv"')
    assert len(content.splitlines()) == 43
    page.choose("export-format", "jsonl")
    page.wait(lambda: "format=jsonl" in href(page), "another format")
    page.choose("export-what", "window")
    page.wait(lambda: "epoch=all&from=" in href(page), "the last hour")
    assert page.text("export-about").startswith("42 points")
    assert page.element("export-from").is_displayed()
    page.js("document.getElementById('export-dialog').close()")

    page.click("live-reset")
    page.wait(lambda: page.element("export-first").is_displayed(), "the question")
    page.click("export-first")
    page.wait(lambda: page.element("export-link").is_displayed(), "the export")
    assert not page.element("live-reset-confirm").is_displayed()
    page.choose("export-what", "1")
    page.wait(lambda: "epoch=1" in href(page), "the epoch")
    page.js("document.getElementById('export-dialog').close()")

    report = str(page.element("export-report").get_attribute("href"))
    page.resize(390, 844, mobile=True)
    page.go(report)
    page.wait(lambda: "Failing" in page.js("return document.body.innerText"), "the report")
    wide, inner = page.js("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= inner
    assert page.js("return document.querySelectorAll('svg circle.newest').length") == 10
    page.js("window.print = () => { document.title = 'printed'; }")
    page.js("document.querySelector('[data-print]').click()")
    assert page.driver.title == "printed"
