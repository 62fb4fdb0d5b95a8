"""The sample machine of the first run: a baseline, fitted, and a simulator that streams to it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from dinsight import accounts, baselines, first_run
from dinsight.models import Baseline
from dinsight.services import Services

NAME = "Store D Line A"
LOOK_SECONDS = 0.5


class Demonstration:
    """What runs beside the server, and is stopped with it."""

    def __init__(self, services: Services, say: Callable[[str], None]) -> None:
        self._services = services
        self._say = say
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._sender: subprocess.Popen[bytes] | None = None

    def fit(self, path: Path) -> int | None:
        """Upload the sample baseline unless it is there, and wait for its fit, showing progress.

        The baseline's id, or None if the fit failed or the server stops.
        """
        baseline_id = self._baseline(path)
        shown = ""
        while not self._ended.is_set():
            with self._services.sessions() as session:
                baseline = session.get_one(Baseline, baseline_id)
            if baseline.status == "completed":
                return baseline_id
            if baseline.status == "failed":
                self._say(f"The sample baseline could not be fitted: {baseline.error_message}")
                return None
            now = f"Fitting the sample baseline: {baseline.progress} %, {baseline.status_message}"
            if now != shown:
                self._say(now)
            shown = now
            self._ended.wait(LOOK_SECONDS)
        return None

    def send(self, *command: str) -> None:
        """Start the simulator. It reads its standard input, and ends when we do."""
        with self._lock:
            if self._ended.is_set():
                return
            self._sender = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"DINSIGHT_HOME": str(self._services.settings.home)},
                start_new_session=True,
            )

    def stop(self) -> None:
        self._ended.set()
        with self._lock:
            sender = self._sender
        if sender is not None:
            sender.terminate()
            sender.wait()

    def _baseline(self, path: Path) -> int:
        with self._services.sessions.begin() as session:
            user = first_run.first_user(session, self._services.settings)
            who = accounts.Identity(user.id, user.email, user.full_name, user.role)
            for known in baselines.list_visible(session, who):
                if known.name == NAME and known.status != "failed":
                    return known.id
            with path.open("rb") as stream:
                file = baselines.File(path.name, stream)
                made = baselines.create(
                    session, who, [file], limits=self._services.limits, name=NAME
                )
            baseline_id = made.id
        self._services.jobs.wake()
        return baseline_id
