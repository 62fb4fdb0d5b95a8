"""`python app.py` as processes on one database, for tests of several instances and their ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from tests.factories import csv, healthy
from tests.postgres_kit import eventually

ROOT = Path(__file__).parent.parent
USER = {"email": "plant@example.com", "password": "correct horse battery"}
SECRET = "a secret that all instances of this test share"


class Instance:
    """A server process; its log is in a file."""

    def __init__(self, folder: Path, name: str, command: list[str], **environ: str) -> None:
        self.home = folder / f"home {name}"
        self.log_file = folder / f"{name}.log"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DINSIGHT_", "DATABASE_"))}
        with self.log_file.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env=kept | {"DINSIGHT_HOME": str(self.home), "PYTHONPATH": str(ROOT), **environ},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def ready(self, base: str) -> str:
        """Its address, once it is ready there."""

        def answers() -> bool:
            assert self.process.poll() is None, self.log
            try:
                return requests.get(f"{base}/readyz", timeout=5).status_code == 200
            except (requests.ConnectionError, requests.Timeout):
                return False

        assert eventually(answers, 60), self.log
        return base

    def terminate(self) -> None:
        """SIGTERM to the server alone, as whoever supervises it sends."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def server(folder: Path, name: str, port: int, url: str, **environ: str) -> Instance:
    """An instance of `python app.py` on this port and database, with a first user."""
    environ = {
        "DINSIGHT_PORT": str(port),
        "DATABASE_URL": url,
        "DINSIGHT_SECRET_KEY": SECRET,
        "DINSIGHT_BOOTSTRAP_EMAIL": USER["email"],
        "DINSIGHT_BOOTSTRAP_PASSWORD": USER["password"],
        **environ,
    }
    return Instance(folder, name, [str(ROOT / "app.py"), "serve"], **environ)


def sign_in(base: str) -> dict[str, str]:
    """The headers of a fresh sign-in."""
    answer = requests.post(f"{base}/api/v1/auth/login", json=USER, timeout=20)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['data']['access_token']}"}


def ask(method: str, base: str, path: str, who: Mapping[str, str], **more: Any) -> Any:
    return requests.request(
        method,
        f"{base}/api/v1{path}",
        headers=dict(who) | more.pop("headers", {}),
        timeout=30,
        **more,
    )


def fitted_baseline(base: str, who: Mapping[str, str]) -> int:
    """A baseline that was uploaded and is fitted."""
    files = {"files": ("healthy.csv", csv(healthy(120)))}
    number = int(ask("POST", base, "/analyze", who, files=files).json()["data"]["id"])

    def status() -> str:
        answer = ask("GET", base, f"/analyze/{number}/status", who)
        return str(answer.json()["data"]["status"])

    assert eventually(lambda: status() in {"completed", "failed"}, 120)
    assert status() == "completed"
    return number


def post(base: str, number: int, who: Mapping[str, str], rows: int, **more: Any) -> Any:
    files = {"file": ("rows.csv", csv(healthy(rows)))}
    return ask("POST", base, f"/monitor/{number}", who, files=files, **more)


def points(base: str, number: int, who: Mapping[str, str]) -> list[dict[str, Any]]:
    answer = ask("GET", base, f"/monitor/{number}", who)
    assert answer.status_code == 200, answer.text
    return list(answer.json())
