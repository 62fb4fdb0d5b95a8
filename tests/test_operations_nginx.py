"""The sample configuration of nginx, in front of two real instances."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dinsight.database import Database
from tests import server_kit
from tests.live_kit import refusal, seqs, watch
from tests.postgres_kit import ask as sql
from tests.postgres_kit import eventually
from tests.server_kit import ROOT, USER, Instance, ask, fitted_baseline, points, post, sign_in
from tests.test_operations_instances import free_port

SAMPLE = ROOT / "docs" / "dinsight.nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="run `make programs`: nginx is not here")


def configuration(folder: Path, listen: int, ports: list[int]) -> Path:
    """The sample with these ports and without HTTPS, in a configuration of its own."""
    sample = SAMPLE.read_text()
    for number, port in enumerate(ports, 11):
        sample = sample.replace(f"10.0.0.{number}:8080", f"127.0.0.1:{port}")
    sample = sample.replace("listen 443 ssl;", f"listen 127.0.0.1:{listen};")
    sample = re.sub(r"^\s+ssl_\w+ .*\n", "", sample, flags=re.MULTILINE)
    sample = sample.replace("client_max_body_size 520m", "client_max_body_size 2m")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"worker_processes 1;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{sample}\n}}\n"
    )
    return path


@pytest.fixture
def front(database: Database, tmp_path: Path) -> Iterator[tuple[str, list[Instance]]]:
    """The address of nginx, and the two instances behind it."""
    ports, listen = [free_port(), free_port()], free_port()
    instances = [
        server_kit.server(
            tmp_path, f"instance {port}", port, database.url, DINSIGHT_TRUSTED_PROXIES="1"
        )
        for port in ports
    ]
    config = configuration(tmp_path, listen, ports)
    try:
        for instance, port in zip(instances, ports, strict=True):
            instance.ready(f"http://127.0.0.1:{port}")
        assert NGINX is not None
        with subprocess.Popen([NGINX, "-c", str(config), "-p", str(tmp_path)]) as nginx:
            try:
                base = f"http://127.0.0.1:{listen}"
                assert eventually(lambda: answers(base), 10)
                yield base, instances
            finally:
                nginx.terminate()
    finally:
        for instance in instances:
            instance.stop()


def answers(base: str) -> bool:
    try:
        return requests.get(f"{base}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def asked(instance: Instance) -> int:
    """How many requests of the API an instance has answered."""
    return instance.log.count("/api/v1/")


def test_two_instances_are_one_server_and_one_may_be_stopped(
    front: tuple[str, list[Instance]], database: Database
) -> None:
    base, instances = front
    who = sign_in(base)
    number = fitted_baseline(base, who)
    assert [post(base, number, who, 1).status_code for _ in range(10)] == [200] * 10
    assert len(points(base, number, who)) == 10
    assert eventually(lambda: all(asked(instance) > 3 for instance in instances))

    # What a client says of its connection does not count; its request has one id in all logs.
    cookies = requests.post(
        f"{base}/signin",
        data=USER,
        headers={"X-Forwarded-Proto": "https"},
        allow_redirects=False,
        timeout=20,
    ).headers["Set-Cookie"]
    assert "access_token_cookie" in cookies
    assert "Secure" not in cookies
    answer = ask("GET", base, "/users/profile", who, headers={"X-Request-ID": "client-made"})
    made = answer.headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    # It is logged when the answer has ended, which is after its client has it.
    assert eventually(lambda: any(made in instance.log for instance in instances))

    assert requests.get(f"{base}/metrics", timeout=10).status_code == 404
    cookie = cookies.split(";")[0]
    with watch(base, number, {"Cookie": cookie, "Origin": base}) as pushed:
        assert seqs(pushed, 10) == list(range(1, 11))
    assert refusal(base, number, {"Cookie": cookie, "Origin": "http://evil"}).status_code == 403
    large = requests.post(
        f"{base}/api/v1/monitor/{number}",
        files={"file": ("x.csv", b"x" * 3_000_000)},
        headers=who,
        timeout=20,
    )
    assert large.status_code == 413

    acknowledged = 10
    stop = threading.Event()

    def send() -> None:
        """Batches with a key, repeated as a sender does: nginx repeats none that it had sent on."""
        nonlocal acknowledged
        while not stop.is_set():
            key = {"Idempotency-Key": f"batch-{acknowledged}"}
            answer = post(base, number, who, 1, headers=key)
            assert answer.status_code in {200, 502, 503}, answer.text
            acknowledged += answer.status_code == 200

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.5)
    instances[0].process.send_signal(signal.SIGTERM)
    assert instances[0].process.wait(20) == 0
    before = acknowledged
    assert eventually(lambda: acknowledged > before + 5, 20)
    stop.set()
    sender.join()
    assert sql(database.url, "SELECT count(*) FROM points") == acknowledged
