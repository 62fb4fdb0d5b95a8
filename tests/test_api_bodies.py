"""Bodies as they should not be: each is refused with a 4xx that says why, and nothing is stored."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import uvicorn
from flask.testing import FlaskClient

from api import gate as gates
from api.gate import Gate
from dinsight.accounts import Identity
from dinsight.services import Services
from tests.factories import BASELINE, PASSWORD, csv, healthy
from tests.test_api_auth import bearer, login
from tests.test_api_main_job import Api

FORM = "multipart/form-data; boundary=b"


def part(content: bytes, field: str = "file", name: bytes = b"x.csv") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n'
    return head % (field.encode(), name) + content + b"\r\n"


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


@pytest.mark.parametrize(
    "body",
    [
        rb'{"email": "\ud800@example.com", "password": "long enough"}',
        rb'{"email": "a@example.com", "password": "\ud800long enough"}',
        b'{"email": NaN, "password": "long enough"}',
        b"[" * 100_000,
        b'{"email": "\xff@example.com", "password": "long enough"}',
        b'{"email": ' + b"9" * 5_000 + b"}",
    ],
    ids=["half a character", "half in the password", "NaN", "deep", "Latin-1", "long number"],
)
@pytest.mark.parametrize("path", ["login", "register"])
def test_json_that_is_none_is_400(client: FlaskClient, path: str, body: bytes) -> None:
    answer: Any = client.post(f"/api/v1/auth/{path}", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "BAD_REQUEST")
    assert answer.json["message"].startswith("The body is not valid JSON")


def test_a_body_that_holds_no_file_may_not_be_as_large_as_one_that_does(
    client: FlaskClient,
) -> None:
    body = b'{"email": "' + b"a" * 5_000_000 + b'", "password": "long enough"}'
    answer: Any = client.post("/api/v1/auth/login", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["success"]) == (413, False)


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP, identity"])
def test_a_packed_body_is_refused_by_name(api: Api, baseline_id: int, coding: str) -> None:
    packed = gzip.compress(part(csv(healthy(1))) + b"--b--\r\n")
    headers = {"Content-Encoding": coding}
    answer = api("POST", f"/monitor/{baseline_id}", data=packed, content_type=FORM, headers=headers)
    assert (answer.status_code, answer.json["success"]) == (415, False)
    assert "Content-Encoding" in answer.json["message"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (part(csv(healthy(1))), FORM),
        (part(csv(healthy(1)), name=b"\xe4.csv") + b"--b--\r\n", FORM),
        (part(csv(healthy(1))) + b"--b--\r\n", "multipart/form-data"),
    ],
    ids=["no end", "a file name in Latin-1", "no boundary"],
)
def test_a_form_that_cannot_be_read_says_so(
    api: Api, baseline_id: int, body: bytes, content_type: str
) -> None:
    answer = api("POST", f"/monitor/{baseline_id}", data=body, content_type=content_type)
    assert answer.status_code == 400
    assert answer.json["message"].startswith("The form cannot be read")
    assert api("GET", f"/monitor/{baseline_id}").json == []


@pytest.mark.parametrize("name", [b"a\0b.csv", b"a" * 5_000, b"\x01"])
def test_odd_file_names_do_not_matter(api: Api, name: bytes) -> None:
    body = part(csv(BASELINE), "files") + part(csv(BASELINE), "files", name) + b"--b--\r\n"
    assert api("POST", "/analyze", data=body, content_type=FORM).status_code == 200
    alone = part(csv(BASELINE), "files", name) + b"--b--\r\n"
    assert api("POST", "/analyze", data=alone, content_type=FORM).status_code == 200
    names = [item["name"] for item in api("GET", "/dinsight").json["data"]["baselines"]]
    assert all(1 <= len(each) <= 200 and each.isprintable() for each in names)


# ---- over a socket, where bodies come in pieces and stop ----


@pytest.fixture
def base(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, services: Services) -> Iterator[str]:
    """The application behind the real server, on a port of its own."""
    monkeypatch.setattr(gates, "BODY_SECONDS", 0.5)
    gate = Gate(client.application, services.settings.threads)
    listener = socket.create_server(("127.0.0.1", 0))
    web = uvicorn.Server(uvicorn.Config(gate, lifespan="off", ws="none", log_level="warning"))
    thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]})
    thread.start()
    yield "http://127.0.0.1:{1}".format(*listener.getsockname())
    web.should_exit = True
    thread.join()


@pytest.fixture
def token(client: FlaskClient, user: Identity) -> str:
    return login(client, user.email)["access_token"]


@pytest.fixture
def begin(base: str, token: str, baseline_id: int) -> Iterator[Callable[..., socket.socket]]:
    """Opens a connection and sends the head of a batch."""
    opened: list[socket.socket] = []

    def send(*head: str) -> socket.socket:
        host, port = base.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)), timeout=10)
        opened.append(connection)
        lines = (
            *(f"POST /api/v1/monitor/{baseline_id} HTTP/1.1", "Host: localhost"),
            *(f"Authorization: Bearer {token}", f"Content-Type: {FORM}", *head, "", ""),
        )
        connection.sendall("\r\n".join(lines).encode())
        return connection

    yield send
    for connection in opened:
        connection.close()


def points(base: str, token: str, baseline_id: int) -> int:
    url = f"{base}/api/v1/monitor/{baseline_id}?values=0"
    return len(requests.get(url, headers=bearer(token), timeout=10).json())


def test_a_body_of_unknown_length_is_taken(base: str, token: str, baseline_id: int) -> None:
    body = part(csv(healthy(3))) + b"--b--\r\n"
    answer = requests.post(
        f"{base}/api/v1/monitor/{baseline_id}",
        data=iter([body[:100], body[100:]]),
        headers=bearer(token) | {"Content-Type": FORM},
        timeout=10,
    )
    assert answer.json()["data"]["points_processed"] == 3
    sign_in = b'{"email": "ada@example.com", "password": "%s"}' % PASSWORD.encode()
    answer = requests.post(
        f"{base}/api/v1/auth/login",
        data=iter([sign_in]),
        headers={"Content-Type": "application/json"},
        timeout=10,
    )
    assert answer.status_code == 200


def test_a_body_of_unknown_length_has_the_same_limit(
    base: str, token: str, baseline_id: int
) -> None:
    answer = requests.post(
        f"{base}/api/v1/monitor/{baseline_id}",
        data=iter([part(b"f_0\n" + b"1\n" * 500_000)] * 22),
        headers=bearer(token) | {"Content-Type": FORM},
        timeout=30,
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with its length"])
def test_a_body_that_is_cut_stores_nothing(
    begin: Callable[..., socket.socket], base: str, token: str, baseline_id: int, chunked: bool
) -> None:
    whole = part(csv(healthy(2))) + b"--b--\r\n"  # so that only the transport knows of the rest
    if chunked:
        connection = begin("Transfer-Encoding: chunked")
        connection.sendall(b"%x\r\n%s\r\n" % (len(whole), whole))
    else:
        connection = begin(f"Content-Length: {len(whole) + 1}")
        connection.sendall(whole)
    connection.close()
    time.sleep(0.3)
    assert points(base, token, baseline_id) == 0


def test_a_body_that_stalls_is_408_and_frees_its_thread(
    begin: Callable[..., socket.socket], base: str, token: str, baseline_id: int
) -> None:
    stalled = [begin("Content-Length: 1000") for _ in range(20)]
    assert stalled[0].recv(12) == b"HTTP/1.1 408"
    assert stalled[-1].recv(12) == b"HTTP/1.1 408"
    assert points(base, token, baseline_id) == 0


def test_a_body_that_drips_is_408(begin: Callable[..., socket.socket]) -> None:
    connection = begin("Content-Length: 1000")
    connection.settimeout(0.05)
    deadline = time.monotonic() + 5
    answer = b""
    while not answer and time.monotonic() < deadline:
        connection.sendall(b"x")
        try:
            answer = connection.recv(12)
        except TimeoutError:
            continue
    assert answer == b"HTTP/1.1 408"


def test_a_reader_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "SEND_SECONDS", 0.1)
    made: list[str] = []

    def endless(_: object, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            while True:
                made.append("a piece")
                yield b"x"
        finally:
            made.append("closed")

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: object) -> None:
        await asyncio.sleep(60)

    scope = {
        **{"type": "http", "method": "GET", "path": "/", "query_string": b""},
        **{"http_version": "1.1", "headers": [(b"host", b"localhost")]},
    }
    asyncio.run(asyncio.wait_for(Gate(endless, 2)(scope, receive, send), 10))
    assert made[-1] == "closed"
