"""`python app.py` as a process: how it starts, what it prints, how it ends and is taken over."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.factories import csv, failing, healthy
from tests.postgres_kit import eventually, postmaster, running

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"http://localhost:\d+/signin/link\?token=\S+")
Start = Callable[..., "Server"]


class Server:
    """A server process and what it has printed so far."""

    def __init__(self, home: Path, command: str = "serve", **environ: str) -> None:
        self.output = home.parent / f"output-{time.monotonic_ns()}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DINSIGHT_")}
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "app.py"), command],
                cwd=home.parent,
                env=inherited | {"DINSIGHT_HOME": str(home), "DINSIGHT_PORT": "0", **environ},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    def link(self) -> str:
        """The sign-in link, once it is printed."""
        assert eventually(lambda: LINK.search(self.text) or self.process.poll(), 60), self.text
        found = LINK.search(self.text)
        assert found, self.text
        return found.group()

    def base(self) -> str:
        return self.link().split("/signin")[0]

    def end(self, number: int) -> int:
        os.killpg(self.process.pid, number)
        return self.process.wait(timeout=30)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data folder"


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def begin(command: str = "serve", **environ: str) -> Server:
        servers.append(Server(home, command, **environ))
        return servers[-1]

    yield begin
    for server in servers:
        if server.process.poll() is None:
            server.end(signal.SIGTERM)
    if running(home / "postgres"):
        os.kill(postmaster(home / "postgres"), signal.SIGQUIT)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_prints_a_link_that_works_once_and_leaves_nothing_running(
    start: Start, home: Path, number: int
) -> None:
    server = start()
    link = server.link()
    browser = requests.Session()
    first = browser.get(link, allow_redirects=False, timeout=10)
    assert (first.status_code, first.headers["Location"]) == (303, "/dashboard/streaming")
    assert browser.get(f"{server.base()}/dashboard/streaming", timeout=10).status_code == 200
    assert requests.get(link, allow_redirects=False, timeout=10).status_code == 410
    assert requests.get(f"{server.base()}/readyz", timeout=10).json() == {"status": "ready"}
    for name in ("secret_key", "sign_in_link", "credentials.json"):
        assert mode(home / name) == 0o600
    assert server.end(number) == 0
    assert not running(home / "postgres")
    assert "Traceback" not in server.text
    assert "Warning" not in server.text


def test_a_killed_server_is_taken_over_with_what_it_had(start: Start, home: Path) -> None:
    first = start()
    registered = requests.post(
        f"{first.base()}/api/v1/auth/register",
        json={"email": "kept@example.com", "password": "correct horse battery"},
        timeout=10,
    )
    assert registered.status_code == 201
    secret = (home / "secret_key").read_text()
    first.end(signal.SIGKILL)
    assert running(home / "postgres")
    second = start()
    signed_in = requests.post(
        f"{second.base()}/api/v1/auth/login",
        json={"email": "kept@example.com", "password": "correct horse battery"},
        timeout=10,
    )
    assert signed_in.status_code == 200
    assert (home / "secret_key").read_text() == secret
    assert second.end(signal.SIGTERM) == 0
    assert not running(home / "postgres")


def test_a_row_is_stored_alike_one_by_one_in_batches_elsewhere_and_after_a_restart(
    start: Start, home: Path
) -> None:
    first = start()
    who = {"Authorization": f"Bearer {registered(first)}"}
    upload = {"files": ("healthy.csv", csv(healthy(120)))}
    api = f"{first.base()}/api/v1"
    number = requests.post(f"{api}/analyze", files=upload, headers=who, timeout=20).json()["data"][
        "id"
    ]
    rows = np.concatenate([healthy(6, seed=3), failing(6, seed=4)])

    def send(server: Server, stream: str, size: int) -> None:
        for begin in range(0, len(rows), size):
            part = {"file": ("rows.csv", csv(rows[begin : begin + size]))}
            address = f"{server.base()}/api/v1/monitor/{number}"
            sent = requests.post(
                address, files=part, data={"stream": stream}, headers=who, timeout=20
            )
            assert sent.status_code == 200, sent.text

    status = f"{api}/analyze/{number}/status"
    assert eventually(
        lambda: requests.get(status, headers=who, timeout=20).json()["data"]["progress"] == 100, 120
    )
    send(first, "one by one", 1)
    second = start()
    send(second, "elsewhere", 5)
    first.end(signal.SIGKILL)
    second.end(signal.SIGKILL)
    third = start()
    send(third, "after a restart", 12)
    seen = [
        [
            (point["dinsight_x"], point["dinsight_y"], point["score"])
            for point in requests.get(
                f"{third.base()}/api/v1/monitor/{number}",
                params={"stream": stream},
                headers=who,
                timeout=20,
            ).json()
        ]
        for stream in ("one by one", "elsewhere", "after a restart")
    ]
    assert len(seen[0]) == len(rows)
    assert seen[0] == seen[1] == seen[2]


def registered(server: Server) -> str:
    """The access token of a new user."""
    who = {"email": "sender@example.com", "password": "correct horse battery"}
    api = f"{server.base()}/api/v1/auth"
    assert requests.post(f"{api}/register", json=who, timeout=10).status_code == 201
    answer = requests.post(f"{api}/login", json=who, timeout=10)
    return str(answer.json()["data"]["access_token"])


def test_a_fresh_link_is_printed_beside_a_running_server(start: Start) -> None:
    server = start()
    old, port = server.link(), server.base().rsplit(":", 1)[1]
    other = start("link", DINSIGHT_PORT=port)
    assert other.process.wait(timeout=30) == 0
    fresh = other.link()
    assert requests.get(old, allow_redirects=False, timeout=10).status_code == 410
    assert requests.get(fresh, allow_redirects=False, timeout=10).status_code == 303


def test_a_port_in_use_is_said_in_one_line(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start(DINSIGHT_PORT=str(port))
        assert server.process.wait(timeout=30) == 1
    assert server.text == (
        f"dinsight: Cannot listen on 127.0.0.1 port {port} (Address already in use): "
        "stop what uses it, or set DINSIGHT_PORT or DINSIGHT_HOST.\n"
    )


def test_an_answer_on_a_kept_connection_does_not_wait_for_the_network(start: Start) -> None:
    """With Nagle's delay on, every answer but the first took 40 ms and more."""
    url = f"{start().base()}/healthz"
    session = requests.Session()
    took = sorted(session.get(url, timeout=10).elapsed.total_seconds() for _ in range(21))
    assert took[10] < 0.03


def test_a_bad_setting_is_said_in_one_line(start: Start) -> None:
    server = start(DINSIGHT_THREADS="many")
    assert server.process.wait(timeout=30) == 1
    assert server.text == "dinsight: DINSIGHT_THREADS must be a whole number, not 'many'\n"


def test_a_database_that_is_not_there_is_said_in_one_line(start: Start) -> None:
    server = start(DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert server.process.wait(timeout=30) == 1
    last = server.text.splitlines()[-1]
    assert last.startswith("dinsight: The database cannot be reached: ")
    assert "Traceback" not in server.text


def test_a_bootstrap_user_signs_in_with_the_given_password(start: Start) -> None:
    email, password = "plant@example.com", "correct horse battery"
    server = start(DINSIGHT_BOOTSTRAP_EMAIL=email, DINSIGHT_BOOTSTRAP_PASSWORD=password)
    answer = requests.post(
        f"{server.base()}/api/v1/auth/login",
        json={"email": email, "password": password},
        timeout=10,
    )
    assert answer.json()["data"]["user"]["role"] == "admin"


def test_the_wsgi_application_is_there_for_any_server(home: Path) -> None:
    """`app:server` is made when it is first asked for, and stopped with its process."""
    code = (
        "import app\n"
        "client = app.server.test_client()\n"
        "print(client.get('/readyz').status_code, app.server is app.server)\n"
        "body = {'email': 'a@example.com', 'password': 'correct horse battery'}\n"
        "print(client.post('/api/v1/auth/register', json=body).status_code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"DINSIGHT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.stdout == "200 True\n403\n", done.stderr
    assert not running(home / "postgres")


def test_the_demonstration_streams_and_goes_on_where_it_ended(start: Start, home: Path) -> None:
    first = start("demo")
    points = moving(first)
    assert first.end(signal.SIGINT) == 0
    assert "Fitting the sample baseline" in first.text
    second = start("demo")
    assert moving(second) > points
    assert "Fitting the sample baseline" not in second.text
    second.process.send_signal(signal.SIGKILL)
    second.process.wait(timeout=10)
    assert eventually(lambda: not simulators(home), 10), "the simulator outlives its server"


def moving(server: Server) -> int:
    """How many points the demonstration has stored, once there are some more than at first."""
    browser = requests.Session()
    assert browser.get(server.link(), timeout=20).status_code == 200

    def stored() -> int:
        path = f"{server.base()}/api/v1/streaming/1/status"
        return int(browser.get(path, timeout=10).json()["data"]["streamed_points"])

    before = stored()
    assert eventually(lambda: stored() > before, 30)
    return stored()


def simulators(home: Path) -> list[str]:
    """The command lines of simulators that stream from this data folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "send-sample" in line and str(home) in line:
            found.append(line)
    return found
