"""Several processes on one database: any of them answers, what ends is ended on all of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import text

from dinsight.database import Database
from tests import server_kit
from tests.factories import csv, healthy
from tests.live_kit import closed, seqs, told, watch
from tests.postgres_kit import ask as sql
from tests.postgres_kit import eventually
from tests.server_kit import Instance, ask, fitted_baseline, points, post, sign_in

Start = Callable[..., tuple[Instance, str]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def start(database: Database, tmp_path: Path) -> Iterator[Start]:
    """Starts instances on this test's database, ready to answer; ends them."""
    running: list[Instance] = []

    def begin(name: str = "a", **environ: str) -> tuple[Instance, str]:
        port = free_port()
        instance = server_kit.server(tmp_path, name, port, database.url, **environ)
        running.append(instance)
        return instance, instance.ready(f"http://127.0.0.1:{port}")

    yield begin
    for instance in running:
        instance.stop()


def test_what_one_instance_takes_and_ends_the_other_knows_at_once(start: Start) -> None:
    (_, a), (_, b) = start("a"), start("b")
    who = sign_in(a)
    number = fitted_baseline(a, who)
    assert post(a, number, who, 3).json()["data"]["last_seq"] == 3
    assert post(b, number, who, 2).json()["data"]["first_seq"] == 4
    assert points(a, number, who) == points(b, number, who)
    assert [point["process_order"] for point in points(b, number, who)] == [1, 2, 3, 4, 5]

    repeated = {"Idempotency-Key": "batch-1"}
    first = post(a, number, who, 1, headers=repeated)
    assert post(b, number, who, 1, headers=repeated).json() == first.json()

    made = ask("POST", a, "/auth/keys", who, json={"name": "gateway"}).json()["data"]
    key = {"Authorization": f"Bearer {made['key']}"}
    assert post(b, number, key, 1).status_code == 200
    assert ask("DELETE", a, f"/auth/keys/{made['id']}", who).status_code == 200
    assert post(b, number, key, 1).status_code == 401

    assert ask("DELETE", b, f"/streaming/{number}/reset", who).json()["data"]["epoch"] == 2
    assert post(a, number, who, 1, data={"epoch": "1"}).status_code == 409

    assert ask("POST", a, "/auth/logout", who).status_code == 200
    assert ask("GET", b, "/users/profile", who).status_code == 401
    assert post(b, number, who, 1).status_code == 401


def test_what_one_instance_stores_the_other_pushes(start: Start) -> None:
    (first, a), (_, b) = start("a"), start("b")
    who = sign_in(a)
    number = fitted_baseline(a, who)
    made = ask("POST", a, "/auth/keys", who, json={"name": "wall screen"}).json()["data"]
    key = {"Authorization": f"Bearer {made['key']}"}
    with watch(b, number, who) as signed_in, watch(b, number, key) as by_key:
        assert told(signed_in)["n"] == told(by_key)["n"] == 0
        post(a, number, who, 3)
        assert seqs(signed_in, 3) == seqs(by_key, 3) == [1, 2, 3]
        ask("POST", a, f"/streaming/{number}/control", who, json={"action": "pause"})
        assert told(signed_in)["control"] == told(by_key)["control"] == "hold"
        ask("DELETE", a, f"/streaming/{number}/reset", who)
        assert told(signed_in)["epoch"] == told(by_key)["epoch"] == 2
        ask("DELETE", a, f"/auth/keys/{made['id']}", who)
        assert closed(by_key) == 4401
        ask("POST", a, "/auth/logout", who)
        assert closed(signed_in) == 4401
    assert "Traceback" not in first.log


class Upload:
    """A batch that is sent by hand, a part at a time."""

    def __init__(self, base: str, number: int, who: dict[str, str], rows: int) -> None:
        host, port = base.removeprefix("http://").split(":")
        self._connection = socket.create_connection((host, int(port)), timeout=30)
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
        self._body = head + csv(healthy(rows)) + b"\r\n--b--\r\n"
        lines = (
            f"POST /api/v1/monitor/{number} HTTP/1.1",
            f"Host: {host}:{port}",
            f"Authorization: {who['Authorization']}",
            "Content-Type: multipart/form-data; boundary=b",
            f"Content-Length: {len(self._body)}",
        )
        self._connection.sendall("\r\n".join((*lines, "", "")).encode())
        self._send(len(self._body) // 2)

    def _send(self, size: int) -> None:
        self._connection.sendall(self._body[:size])
        self._body = self._body[size:]

    def finish(self) -> bytes:
        """Sends the rest; all of the answer, empty where the server had gone."""
        try:
            self._send(len(self._body))
            pieces = iter(lambda: self._connection.recv(65_536), b"")
            return b"".join(pieces)
        except ConnectionError:
            return b""
        finally:
            self._connection.close()


def test_sigterm_finishes_an_upload_under_way_and_takes_nothing_new(
    start: Start, database: Database
) -> None:
    instance, base = start()
    who = sign_in(base)
    number = fitted_baseline(base, who)
    upload = Upload(base, number, who, 200)
    time.sleep(0.5)
    instance.terminate()
    assert eventually(lambda: refused(base), 10)
    assert instance.process.poll() is None
    answer = upload.finish()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"points_processed":200' in answer
    assert instance.process.wait(20) == 0
    assert sql(database.url, "SELECT count(*) FROM points") == 200
    assert "Traceback" not in instance.log


def test_an_upload_that_does_not_end_is_not_waited_for_and_not_acknowledged(
    start: Start, database: Database
) -> None:
    instance, base = start()
    who = sign_in(base)
    number = fitted_baseline(base, who)
    upload = Upload(base, number, who, 200)
    time.sleep(0.5)
    began = time.monotonic()
    instance.terminate()
    assert instance.process.wait(25) == 0
    assert time.monotonic() - began < 20
    assert not upload.finish().startswith(b"HTTP/1.1 2")
    assert sql(database.url, "SELECT count(*) FROM points") == 0


def refused(base: str) -> bool:
    try:
        requests.get(f"{base}/healthz", timeout=5)
    except requests.ConnectionError:
        return True
    return False


def test_a_fit_under_way_is_given_back_and_done_by_the_other(
    start: Start, database: Database
) -> None:
    first, a = start("a")
    who = sign_in(a)
    files = {"files": ("healthy.csv", csv(healthy(120)))}
    with database.sessions() as holder:
        holder.execute(text("LOCK TABLE baseline_points IN EXCLUSIVE MODE"))  # the fit waits for it
        answer = ask("POST", a, "/analyze", who, files=files)
        number = answer.json()["data"]["id"]
        held = "SELECT count(*) FROM jobs WHERE lease_until IS NOT NULL"
        assert eventually(lambda: sql(database.url, held) == 1, 30)
        first.terminate()
        assert first.process.wait(20) == 0
    assert sql(database.url, "SELECT attempts FROM jobs WHERE lease_until IS NULL") == 0
    _, b = start("b")
    status = f"/analyze/{number}/status"
    assert eventually(
        lambda: ask("GET", b, status, who).json()["data"]["status"] == "completed", 120
    )


def test_every_line_of_a_server_is_json_where_that_is_asked_for(start: Start) -> None:
    instance, base = start(DINSIGHT_LOG_FORMAT="json", DINSIGHT_LOG_LEVEL="debug")
    sign_in(base)
    host, port = base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        connection.recv(1000)
    assert eventually(lambda: '"path":"/api/v1/auth/login"' in instance.log)
    lines = [line for line in instance.log.splitlines() if line.startswith("{")]
    rest = [line for line in instance.log.splitlines() if not line.startswith("{")]
    assert any('"logger":"uvicorn.error"' in line for line in lines), instance.log
    assert any('"path":"/api/v1/auth/login"' in line for line in lines), instance.log
    assert not [line for line in rest if "uvicorn" in line or "Traceback" in line]


def test_gunicorn_s_processes_are_counted_together(database: Database, tmp_path: Path) -> None:
    folder, port = tmp_path / "counts", free_port()
    folder.mkdir()
    words = ["-m", "gunicorn", "app:server", "--workers", "2", "--threads", "4"]
    base = f"http://127.0.0.1:{port}"
    gunicorn = Instance(
        tmp_path,
        "gunicorn",
        [*words, "--bind", f"127.0.0.1:{port}"],
        DATABASE_URL=database.url,
        DINSIGHT_SECRET_KEY=server_kit.SECRET,
        PROMETHEUS_MULTIPROC_DIR=str(folder),
        OPENBLAS_NUM_THREADS="1",
    )
    try:
        gunicorn.ready(base)

        def answered() -> int:
            assert requests.get(f"{base}/healthz", timeout=10).status_code == 200
            return len({path.name.split("_")[-1] for path in folder.glob("counter_*.db")})

        asked = 0
        deadline = time.monotonic() + 30
        while (answered() < 2 or asked < 20) and time.monotonic() < deadline:
            asked += 1
        line = 'dinsight_http_request_duration_seconds_count{method="GET",route="/healthz",'

        def read() -> str:
            return requests.get(f"{base}/metrics", timeout=10).text

        def counted() -> float:
            rows = [row for row in read().splitlines() if row.startswith(line)]
            return sum(float(row.rsplit(" ", 1)[1]) for row in rows)

        # A request is counted when its answer has ended, which is after its client has it.
        assert eventually(lambda: counted() == asked + 1), (counted(), asked)
        assert "dinsight_database_up 1.0" in read()
    finally:
        gunicorn.stop()
