"""A browser to measure a page with."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from selenium import webdriver
from selenium.webdriver.common.by import By

from benchmarks.client import WHO

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--lang=en-US", "--window-size=1440,1000"),
    "--enable-unsafe-swiftshader",
)
PATIENCE = 60.0
REFRESH = """
const done = arguments[0];
const drawn = () => requestAnimationFrame(() => setTimeout(done));
document.addEventListener("dinsight:points", drawn, { once: true });
document.getElementById("live-refresh").click();
"""
# When points were drawn: after the frame that follows, by the clock and since the page began.
HOOK = """
window.drawn = [];
document.addEventListener("dinsight:points", ({ detail }) => {
  const { about } = detail.points;
  if (!about.length) return;
  const seq = about[about.length - 1][0];
  requestAnimationFrame(() => setTimeout(() => {
    window.drawn.push({ seq, at: Date.now() / 1000, since: performance.now() / 1000 });
  }));
});
"""


class Browser:
    """A page of a server under measurement, signed in."""

    def __init__(self, driver: Any, port: int) -> None:
        self._driver, self.url = driver, f"http://127.0.0.1:{port}"

    def sign_in(self) -> None:
        self._driver.get(f"{self.url}/signin")
        for name, value in WHO.items():
            self._driver.find_element(By.ID, f"signin-{name}").send_keys(value)
        self._driver.find_element(By.ID, "signin-submit").click()
        self.wait(lambda: self.js("return Boolean(window.dinsight && dinsight.live)"), "the page")

    def open(self, number: int, stream: str = "default", **view: str) -> None:
        """Open a stream as nobody has set it, and wait for its first points to be drawn."""
        self.js("window.localStorage.clear()")
        self._driver.get("about:blank")
        query = urlencode({"baseline_id": number, "stream": stream, **view})
        self._driver.get(f"{self.url}/dashboard/streaming?{query}")
        self.wait_drawn(0)

    def complaints(self) -> list[str]:
        """What the console says since the last time."""
        return [each["message"] for each in self._driver.get_log("browser")]

    def picture(self, path: str) -> None:
        """What a person sees, as a PNG."""
        self._driver.save_screenshot(path)

    def wait_drawn(self, seq: int) -> dict[str, float]:
        """Until a point after `seq` is drawn; which, and when."""

        def last() -> Any:
            found = self.js("return (window.drawn || []).slice(-1)[0]")
            return found if found and found["seq"] > seq else None

        return dict(self.wait(last, f"point {seq} to be drawn"))

    def refresh_by_hand(self) -> None:
        """No polls from now on but with `refresh`."""
        self.js("dinsight.live.choose('auto', false)")
        self.wait(lambda: self.js("return !dinsight.live.choices.auto"), "polling to end")

    def refresh(self) -> None:
        self.js("document.getElementById('live-refresh').click()")

    def refresh_and_wait(self) -> None:
        """The same until its points are drawn; the page is asked nothing meanwhile."""
        self.later(REFRESH)

    def cookies(self) -> dict[str, str]:
        return {each["name"]: each["value"] for each in self._driver.get_cookies()}

    def js(self, script: str, *arguments: Any) -> Any:
        return self._driver.execute_script(script, *arguments)

    def later(self, script: str, *arguments: Any, seconds: float = 7_200) -> Any:
        """What a script gives to its last argument, a function."""
        self._driver.set_script_timeout(seconds)
        return self._driver.execute_async_script(script, *arguments)

    def command(self, name: str, **arguments: Any) -> Any:
        return self._driver.execute_cdp_cmd(name, arguments)

    def busy(self) -> float:
        """The processor's seconds that the page's main thread has worked."""
        metrics = self.command("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    def heap(self) -> float:
        """Bytes of JavaScript that are in use."""
        self.command("HeapProfiler.collectGarbage")
        return float(self.command("Runtime.getHeapUsage")["usedSize"])

    def wait(self, holds: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := holds():
                return found
            time.sleep(0.005)
        raise RuntimeError(f"waited {PATIENCE:.0f} s for {what}")


@contextmanager
def browser(port: int) -> Iterator[Browser]:
    """A fresh one, signed in at the server on that port."""
    with TemporaryDirectory(prefix="dinsight-browser-", ignore_cleanup_errors=True) as folder:
        options: Any = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options)
        try:
            made = Browser(driver, port)
            made.command("Page.addScriptToEvaluateOnNewDocument", source=HOOK)
            made.command("Performance.enable", timeDomain="threadTicks")
            made.sign_in()
            yield made
        finally:
            driver.quit()
