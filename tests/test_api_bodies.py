"""Bodies as they should not be: each is refused with a 4xx that says why, and nothing is stored."""

from __future__ import annotations

import asyncio
import gzip
import io
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import uvicorn
from flask import request
from flask.testing import FlaskClient

from api import bodies
from api import gate as gates
from api.bodies import MIB
from api.gate import Gate
from dinsight.accounts import Identity
from dinsight.errors import TooLarge
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


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip"])
def test_a_packed_body_is_refused_by_name(api: Api, baseline_id: int, coding: str) -> None:
    packed = gzip.compress(part(csv(healthy(1))) + b"--b--\r\n")
    headers = {"Content-Encoding": coding}
    answer = api("POST", f"/monitor/{baseline_id}", data=packed, content_type=FORM, headers=headers)
    assert (answer.status_code, answer.json["success"]) == (415, False)
    assert answer.json["message"] == (
        f"The Content-Encoding '{coding}' is not taken: send the body as it is, or gzip."
    )
    assert answer.headers["Accept-Encoding"] == "gzip"
    assert api("GET", f"/monitor/{baseline_id}").json == []


GZIPPED = {"Content-Encoding": "gzip"}


def send(api: Api, path: str, body: bytes, **headers: str) -> Any:
    return api("POST", path, data=body, content_type=FORM, headers=headers)


def send_packed(api: Api, path: str, packed: bytes) -> Any:
    return send(api, path, packed, **GZIPPED)


@pytest.mark.parametrize("members", [1, 3], ids=["one member", "several members"])
def test_a_gzip_batch_is_stored_like_one_that_is_not_packed(
    api: Api, baseline_id: int, members: int
) -> None:
    body = part(csv(healthy(4))) + b"--b--\r\n"
    size = -(-len(body) // members)
    packed = b"".join(gzip.compress(body[at : at + size]) for at in range(0, len(body), size))
    assert send_packed(api, f"/monitor/{baseline_id}", packed).json["data"]["points_processed"] == 4
    assert send(api, f"/monitor/{baseline_id}", body).json["data"]["points_processed"] == 4
    points = api("GET", f"/monitor/{baseline_id}").json
    assert [p["monitor_values"] for p in points[:4]] == [p["monitor_values"] for p in points[4:]]


def test_a_gzip_baseline_is_taken(api: Api) -> None:
    packed = gzip.compress(part(csv(BASELINE), "files") + b"--b--\r\n")
    assert send_packed(api, "/analyze", packed).status_code == 200


WHOLE = gzip.compress(part(csv(healthy(50))) + b"--b--\r\n")


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (WHOLE[:-1], "The gzip body ends before it is complete: send it again."),
        (WHOLE[: len(WHOLE) // 2], "The gzip body ends before it is complete: send it again."),
        (WHOLE[:5], "The gzip body ends before it is complete: send it again."),
        (WHOLE[:-8] + b"\0" * 8, "The gzip body is damaged (Error -3 while decompressing data: "),
        (WHOLE[:200] + b"\xff" * 99 + WHOLE[299:], "The gzip body is damaged (Error -3 while "),
        (b"f_0\n1\n", "The gzip body is damaged (Error -3 while decompressing data: incorrect hea"),
        (
            WHOLE + b"junk",
            "The gzip body is damaged (Error -3 while decompressing data: incorrect h",
        ),
    ],
    ids=[
        "last byte cut",
        "half",
        "empty",
        "wrong checksum",
        "overwritten",
        "no gzip",
        "more after",
    ],
)
@pytest.mark.parametrize("path", ["/monitor", "/analyze"])
def test_gzip_that_is_cut_or_damaged_is_400_and_stores_nothing(
    api: Api, baseline_id: int, path: str, packed: bytes, message: str
) -> None:
    path = f"{path}/{baseline_id}" if path == "/monitor" else path
    answer = send_packed(api, path, packed)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "BAD_REQUEST")
    assert answer.json["message"].startswith(message)
    assert api("GET", f"/monitor/{baseline_id}").json == []
    assert api("GET", "/dinsight").json["data"]["ids"] == [baseline_id]


def bomb(mebibytes: int) -> bytes:
    """A form whose file is that large, unpacked."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [packer.compress(part(b"")[:-2])]
    pieces += [packer.compress(b"1,1\n" * (MIB // 4)) for _ in range(mebibytes)]
    return b"".join([*pieces, packer.compress(b"\r\n--b--\r\n"), packer.flush()])


@pytest.mark.parametrize("path", ["/monitor", "/analyze"])
def test_a_gzip_bomb_is_413_at_the_cap(
    api: Api, services: Services, baseline_id: int, path: str
) -> None:
    object.__setattr__(services.settings, "max_unpacked_mb", 2)
    path = f"{path}/{baseline_id}" if path == "/monitor" else path
    packed = bomb(200)
    tracemalloc.start()
    answer = send_packed(api, path, packed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "TOO_LARGE")
    assert answer.json["message"] == (
        "The body unpacks to more than 2 MiB, the most that is taken here "
        "(DINSIGHT_MAX_UNPACKED_MB)."
    )
    assert peak < 4 * MIB
    assert api("GET", f"/monitor/{baseline_id}").json == []
    assert api("GET", "/dinsight").json["data"]["ids"] == [baseline_id]


@pytest.mark.parametrize("token", ["", "x.y.z", "dk_made-up"])
def test_nothing_is_unpacked_for_strangers(
    client: FlaskClient, baseline_id: int, token: str
) -> None:
    packed = io.BytesIO(bomb(1))
    answer = client.post(
        f"/api/v1/monitor/{baseline_id}",
        input_stream=packed,
        content_type=FORM,
        headers={**GZIPPED, **bearer(token), "Content-Length": str(len(packed.getvalue()))},
    )
    assert (answer.status_code, packed.tell()) == (401, 0)


def test_never_more_than_the_cap_is_unpacked() -> None:
    packed = io.BytesIO(gzip.compress(b"\0" * 10 * MIB))
    stream = bodies.Counted(bodies.Unpacked(packed), bodies.Limit(MIB, "a test"), "unpacks to")
    read = 0
    with pytest.raises(TooLarge):
        while piece := stream.read(100_000):
            read += len(piece)
    assert MIB - 100_000 <= read <= MIB


def test_a_packed_body_without_a_file_has_the_small_limit(client: FlaskClient) -> None:
    answer: Any = client.post(
        "/api/v1/auth/login",
        data=gzip.compress(b" " * 5 * MIB),
        content_type="application/json",
        headers=GZIPPED,
    )
    assert (answer.status_code, answer.json["message"]) == (
        413,
        "The body unpacks to more than 4 MiB, the most that is taken here (no file is expected).",
    )


# ---- sizes: the limit is named, and nothing is parsed ----


def test_an_upload_over_the_limit_is_413_by_its_declared_length(
    api: Api, services: Services
) -> None:
    answer = api(
        "POST",
        "/analyze",
        data=b"never parsed",
        content_type=FORM,
        environ_overrides={"CONTENT_LENGTH": str(20 * MIB + 1)},
    )
    assert (answer.status_code, answer.json["error"]) == (
        413,
        {
            "code": "TOO_LARGE",
            "message": "The body has more than 20 MiB, the most that is taken here "
            "(DINSIGHT_MAX_UPLOAD_MB).",
            "details": {"limit": "DINSIGHT_MAX_UPLOAD_MB", "maximum": 20 * MIB},
        },
    )


def test_a_batch_has_a_limit_of_its_own(api: Api, services: Services, baseline_id: int) -> None:
    object.__setattr__(services.settings, "max_batch_mb", 1)
    body = part(b"f_0\n" + b"1\n" * MIB) + b"--b--\r\n"
    said = "more than 1 MiB, the most that is taken here (DINSIGHT_MAX_BATCH_MB)."
    for answer, verb in (
        (send(api, f"/monitor/{baseline_id}", body), "has"),
        (send_packed(api, f"/monitor/{baseline_id}", gzip.compress(body)), "unpacks to"),
    ):
        assert (answer.status_code, answer.json["message"]) == (413, f"The body {verb} {said}")
    assert send(api, "/analyze", body).status_code == 400  # not too large: no file in `files`


def test_rows_and_columns_over_the_limit_are_413_by_name(
    api: Api, services: Services, baseline_id: int
) -> None:
    object.__setattr__(services.settings, "max_rows", 10)
    answer = api.post(baseline_id, csv(healthy(11)), name="x.csv")
    assert (answer.status_code, answer.json["message"]) == (
        413,
        "x.csv: the file has more than 10 rows",
    )
    assert answer.json["error"]["details"]["limit"] == "rows"
    object.__setattr__(services.settings, "max_columns", 11)
    answer = api.post(baseline_id, csv(healthy(1)), name="x.csv")
    assert (answer.status_code, answer.json["message"]) == (
        413,
        "x.csv: the file has 12 columns; the limit is 11",
    )
    assert api.upload(csv(BASELINE)).json["error"]["details"]["limit"] == "columns"
    assert api("GET", f"/monitor/{baseline_id}").json == []


@pytest.mark.parametrize(
    "body",
    [
        b"".join(part(b"", f"files{number}") for number in range(101)) + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n'
        + b"x" * 300_000
        + b"\r\n--b--\r\n",
    ],
    ids=["parts", "text"],
)
def test_a_form_of_too_many_parts_or_too_much_text_is_413(api: Api, body: bytes) -> None:
    answer = send(api, "/analyze", body)
    assert (answer.status_code, answer.json["message"]) == (
        413,
        "The form has more than 100 parts, or text of more than 256 KiB in one that is no file.",
    )


def test_a_large_form_does_not_sit_in_memory(client: FlaskClient) -> None:
    files = b"".join(part(b"1\n" * 200_000, "files") for _ in range(45)) + b"--b--\r\n"
    context = client.application.test_request_context(
        "/api/v1/analyze", method="POST", data=io.BytesIO(files), content_type=FORM
    )
    with context:
        bodies.check()
        tracemalloc.start()
        assert len(request.files.getlist("files")) == 45
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * MIB < len(files)


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
    assert (answer.status_code, answer.json()["message"]) == (
        413,
        "The body has more than 20 MiB, the most that is taken here (DINSIGHT_MAX_UPLOAD_MB).",
    )
    assert points(base, token, baseline_id) == 0


def test_a_body_that_is_declared_too_large_is_refused_before_it_is_sent(
    begin: Callable[..., socket.socket], base: str, token: str, baseline_id: int
) -> None:
    connection = begin(f"Content-Length: {21 * MIB}")
    assert connection.recv(12) == b"HTTP/1.1 413"
    assert points(base, token, baseline_id) == 0


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


@pytest.mark.parametrize("length", [1000, 2 * MIB], ids=["small", "large"])
def test_slow_senders_keep_nobody_waiting(
    begin: Callable[..., socket.socket],
    base: str,
    token: str,
    baseline_id: int,
    monkeypatch: pytest.MonkeyPatch,
    length: int,
) -> None:
    monkeypatch.setattr(gates, "BODY_SECONDS", 30)
    slow = [begin(f"Content-Length: {length}") for _ in range(40)]
    for connection in slow:
        connection.sendall(b"--b\r\n")
    body = part(csv(healthy(3))) + b"--b--\r\n"
    for sent in (body, iter([body[:100], body[100:]])):
        answer = requests.post(
            f"{base}/api/v1/monitor/{baseline_id}",
            data=sent,
            headers=bearer(token) | {"Content-Type": FORM},
            timeout=5,
        )
        assert answer.status_code == 200
    assert points(base, token, baseline_id) == 6


def test_a_body_in_pieces_is_put_together(
    begin: Callable[..., socket.socket], base: str, token: str, baseline_id: int
) -> None:
    for blank in (500_000, 3_000_000):  # waited for, and not
        form = part(csv(healthy(3)) + b"\n" * blank) + b"--b--\r\n"
        connection = begin(f"Content-Length: {len(form)}")
        for at in range(0, len(form), 100_000):
            connection.sendall(form[at : at + 100_000])
        assert connection.recv(12) == b"HTTP/1.1 200"
    assert points(base, token, baseline_id) == 6


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
