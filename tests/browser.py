"""A real browser on the real server: what the browser tests hold on to."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import requests
import selenium
import uvicorn
from a2wsgi import WSGIMiddleware
from flask import Flask
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from api import serving
from dinsight import streams
from dinsight.accounts import Identity
from dinsight.ingest import Incoming, ingest
from dinsight.services import Services
from dinsight.settings import Settings
from tests.factories import csv, healthy

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--lang=en-US", "--window-size=1440,1000"),
    "--enable-unsafe-swiftshader",  # WebGL in software, where there is no graphics card
)
DRIVER_NOTE = "GL Driver Message"  # the software driver's own remarks on its speed
PATIENCE = 45.0
ASKED_BY_ITSELF = ("_dash-update-component", "/replay?", "/replay/files?")  # by a page, unasked
MAP = """
const gd = document.querySelector("#live-map .js-plotly-plot");
if (!gd || !gd.data || !gd.data.length) return null;
const of = (name) => gd.data.find((trace) => trace.name === name);
return {
  baseline: of("Baseline").x, monitor: of("Monitor").x, monitorY: of("Monitor").y,
  seqs: of("Monitor").customdata.map((about) => about[0]), latest: of("Latest").x,
  size: of("Monitor").marker.size, ring: of("Latest").marker.size,
  contours: [of("Baseline density").visible, of("Monitor density").visible],
  range: gd._fullLayout.xaxis.range, type: of("Monitor").type,
};
"""


def missing() -> str:
    """Why there can be no browser here; empty if there can."""
    absent = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    return f"not installed: {', '.join(absent)}" if absent else ""


def start_browser(profile: str) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if selenium.__version__.startswith("3."):
        from selenium.webdriver.remote.remote_connection import RemoteConnection

        RemoteConnection.set_timeout(60)  # its default is one that urllib3 2 does not take
    return webdriver.Chrome(options=options)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class LiveServer:
    """The application behind uvicorn, in a thread; can be stopped and started again.

    With `settings` it is the whole server, which pushes; without, plain WSGI, which pages poll.
    """

    def __init__(self, app: Flask, port: int, settings: Settings | None = None) -> None:
        self._app, self.port = app, port
        self._settings = settings
        self.url = f"http://localhost:{port}"
        self._web: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._settings is not None:
            own = dataclasses.replace(self._settings, port=self.port)
            self._web = serving.make(self._app, own)
            self._run(self._web, sockets=[serving.bind(own)])
        else:
            self._web = self._plain()
            self._run(self._web)
        wait_until(lambda: self._web is not None and self._web.started, "the server to start")

    def _run(self, web: uvicorn.Server, **more: Any) -> None:
        self._thread = threading.Thread(target=web.run, kwargs=more, daemon=True)
        self._thread.start()

    def _plain(self) -> uvicorn.Server:
        config = uvicorn.Config(
            WSGIMiddleware(self._app, workers=8),
            host="127.0.0.1",
            port=self.port,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_level="error",
            timeout_graceful_shutdown=2,
        )
        return uvicorn.Server(config)

    def stop(self) -> None:
        if self._web is None or self._thread is None:
            return
        self._web.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the server did not stop"
        self._web = None


# Its events are those of a person; arguments: the field's id and its value.
CHOOSE = """
const field = document.getElementById(arguments[0]);
const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value");
set.call(field, arguments[1]); // React looks at what is set otherwise
for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, {bubbles: true}));
"""


class Page:
    """The browser as a test speaks of it."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver, self.url = driver, url
        self.ignored: tuple[str, ...] = ()

    def go(self, path: str) -> None:
        self.driver.get(path if path.startswith("http") else self.url + path)

    def take_cookies(self, path: str) -> None:
        """Those that an answer sets, without the page that it leads to, which takes seconds."""
        answer = requests.get(self.url + path, allow_redirects=False, timeout=PATIENCE)
        answer.raise_for_status()
        for cookie in answer.cookies:
            hidden = cookie.has_nonstandard_attr("HttpOnly")
            about = {"path": cookie.path, "httpOnly": hidden, "sameSite": "Lax"}
            self.driver.add_cookie({"name": cookie.name, "value": cookie.value, **about})

    @property
    def path(self) -> str:
        return str(self.driver.current_url).removeprefix(self.url)

    def element(self, id: str) -> Any:
        return self.wait(
            lambda: next(iter(self.driver.find_elements(By.ID, id)), None), f"#{id} to appear"
        )

    def text(self, id: str) -> str:
        """What a person reads there; empty while it is not there."""
        return str(
            self.js(
                "const e = document.getElementById(arguments[0]);"
                "return e ? e.innerText.trim() : '';",
                id,
            )
        )

    def click(self, id: str) -> None:
        element = self.element(id)
        self.wait(element.is_enabled, f"#{id} to be enabled")
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def type(self, id: str, text: str) -> None:
        element = self.element(id)
        element.send_keys(Keys.CONTROL, "a")
        element.send_keys(text)

    def choose(self, id: str, value: str) -> None:
        """In a select, or as a number, as by hand and at once."""
        self.js(CHOOSE, id, value)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def map(self) -> dict[str, Any]:
        return dict(self.js(MAP) or {"monitor": []})

    def wait(self, holds: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        return wait_until(holds, what, seconds, self.state)

    def wait_text(self, id: str, text: str, seconds: float = PATIENCE) -> None:
        self.wait(lambda: text in self.text(id), f"{text!r} in #{id}", seconds)

    def wait_points(self, count: int) -> dict[str, Any]:
        """The map once it has drawn exactly so many monitor points."""
        self.wait(lambda: len(self.map()["monitor"]) == count, f"{count} points on the map")
        return self.map()

    @contextmanager
    def script(self, source: str) -> Iterator[None]:
        """Run a script in every document that is opened meanwhile, before its own."""
        command = "Page.addScriptToEvaluateOnNewDocument"
        added = self.driver.execute_cdp_cmd(command, {"source": source})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)

    def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def state(self) -> str:
        ids = ("live-badge", "live-state", "live-count", "toast")
        return f"{self.path} " + json.dumps({id: self.text(id) for id in ids})

    def complaints(self) -> list[str]:
        """Errors and warnings in the console since the last time."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] in {"SEVERE", "WARNING"}
            and not is_of_before(entry["message"])
            and not any(word in entry["message"] for word in (DRIVER_NOTE, *self.ignored))
        ]


def is_of_before(message: str) -> bool:
    """Whether it is of a page that is gone: Chromium sends again what a stopped server was asked.

    It has no cookie any more, so the answer is 401; a page that is there leaves for the sign-in.
    """
    return "status of 401" in message and any(part in message for part in ASKED_BY_ITSELF)


class StreamUnderTest:
    """Sends to a stream and acts on it, as a sender or another tab would."""

    def __init__(self, services: Services, who: Identity, baseline_id: int) -> None:
        self._services, self._who, self.baseline_id = services, who, baseline_id

    def send(self, rows: Any, metadata: Sequence[str] | None = None) -> dict[str, Any]:
        """Rows, or how many healthy ones; `metadata` is a note for each."""
        values = healthy(rows) if isinstance(rows, int) else rows
        incoming = Incoming(csv(values, metadata=metadata), "batch.csv")
        return self._do(
            ingest, incoming, limits=self._services.limits, now=self._services.now(), named=False
        )

    def control(self, action: str) -> None:
        self._do(streams.control, action)

    def configure(self, **wanted: Any) -> None:
        self._do(streams.configure, wanted)

    def reset(self) -> None:
        self._do(streams.reset, now=self._services.now())

    @property
    def state(self) -> str:
        return str(self._do(streams.find).state)

    def _do(self, function: Any, *args: Any, named: bool = True, **more: Any) -> Any:
        name = ("default",) if named else ()
        with self._services.sessions.begin() as session:
            return function(session, self._who, self.baseline_id, *name, *args, **more)


def wait_until(
    holds: Callable[[], Any],
    what: str,
    seconds: float = PATIENCE,
    state: Callable[[], str] = lambda: "",
) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}; {state()}")
