"""The live route: who is let in, who is put out, and how a socket ends."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import socket as tcp
import time
from collections.abc import Callable, Iterator

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import select

from api import serving, sockets
from dinsight import accounts, people
from dinsight.accounts import Identity
from dinsight.models import Audit
from dinsight.people import Change
from dinsight.services import Services
from dinsight.settings import Settings
from tests import live_kit as kit
from tests.browser import LiveServer, free_port
from tests.conftest import make_user
from tests.factories import PASSWORD, csv, healthy
from tests.live_kit import closed, refusal, told, watch
from tests.postgres_kit import eventually

Start = Callable[..., LiveServer]
MISSING = 2**31 - 1


@pytest.fixture
def start(
    services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """Starts the whole server with these settings, its checks quick; stops it."""
    from app import create_app

    monkeypatch.setattr(sockets, "CHECK_SECONDS", 0.2)
    running: list[LiveServer] = []

    def begin(**changes: object) -> LiveServer:
        own = dataclasses.replace(settings, **changes)
        app = create_app(dataclasses.replace(services, settings=own)).server
        running.append(LiveServer(app, free_port(), own))
        running[-1].start()
        return running[-1]

    yield begin
    for server in running:
        server.stop()


@pytest.fixture
def base(start: Start) -> str:
    return start().url


def sign_in(base: str, email: str) -> dict[str, str]:
    who = {"email": email, "password": PASSWORD}
    answer = requests.post(f"{base}/api/v1/auth/login", json=who, timeout=20)
    return {"Authorization": f"Bearer {answer.json()['data']['access_token']}"}


def cookie(base: str, services: Services, who: Identity) -> dict[str, str]:
    """What a browser that is signed in sends."""
    with services.sessions.begin() as session:
        token = accounts.make_link_token(session, who.id, services.now())
    browser = requests.Session()
    assert browser.get(f"{base}/signin/link?token={token}", timeout=20).ok
    return {"Cookie": f"access_token_cookie={browser.cookies['access_token_cookie']}"}


def post(base: str, number: int, who: dict[str, str], rows: int) -> None:
    files = {"file": ("batch.csv", csv(healthy(rows)))}
    answer = requests.post(f"{base}/api/v1/monitor/{number}", files=files, headers=who, timeout=20)
    assert answer.status_code == 200, answer.text


def api_key(services: Services, who: Identity) -> tuple[int, dict[str, str]]:
    with services.sessions.begin() as session:
        row, key = accounts.make_key(session, who.id, "wall screen")
        return row.id, {"Authorization": f"Bearer {key}"}


# ---- who is let in ----


def test_a_foreign_or_missing_origin_is_403(
    start: Start, services: Services, user: Identity, baseline_id: int
) -> None:
    base = start(origins="https://plant.example.com").url
    mine = cookie(base, services, user)
    for origin in (
        *({}, {"Origin": ""}, {"Origin": "null"}, {"Origin": "http://evil.example.com"}),
        {"Origin": base.rsplit(":", 1)[0]},  # the same host, another port
        {"Origin": f"{base}.evil.example.com"},
        {"Origin": "https://plant.example.com.evil.example.com"},
    ):
        answer = refusal(base, baseline_id, mine | origin)
        assert answer.status_code == 403, origin
        assert "DINSIGHT_ORIGINS" in json.loads(answer.body)["message"]
    for origin in ({"Origin": base}, {"Origin": "https://plant.example.com"}):
        with watch(base, baseline_id, mine | origin) as socket:
            assert told(socket)["control"] == "run"


def test_programs_show_a_token_or_a_key_and_no_origin(
    base: str, services: Services, user: Identity, baseline_id: int
) -> None:
    _, key = api_key(services, user)
    for who in (sign_in(base, user.email), key):
        with watch(base, baseline_id, who) as socket:
            assert told(socket)["n"] == 0
    for who in ({}, {"Authorization": "Bearer dk_wrong"}, {"Authorization": "Bearer x.y.z"}):
        answer = refusal(base, baseline_id, who)
        assert answer.status_code == 401
        assert json.loads(answer.body)["error"]["code"] == "NOT_SIGNED_IN"


def test_anothers_stream_answers_as_one_that_does_not_exist(
    base: str, services: Services, user: Identity, other: Identity, baseline_id: int
) -> None:
    for eve in (sign_in(base, other.email), cookie(base, services, other) | {"Origin": base}):
        for query in ("", "?stream=default", "?after=1:0"):
            theirs = refusal(base, baseline_id, eve, query)
            nobodys = refusal(base, MISSING, eve, query)
            assert theirs.status_code == nobodys.status_code == 404
            assert theirs.body == nobodys.body
    with services.sessions() as session:
        denied = session.scalars(select(Audit.subject).where(Audit.action == "denied")).all()
    assert f"GET /api/v1/streaming/{baseline_id}/live" in denied
    mine = sign_in(base, user.email)
    assert refusal(base, baseline_id, mine, "?stream=nothing").status_code == 404
    assert refusal(base, baseline_id, mine, "?after=yesterday").status_code == 400
    boss = make_user(services, "boss@example.com", role="admin")
    with watch(base, baseline_id, sign_in(base, boss.email)) as socket:
        assert told(socket)["epoch"] == 1


def test_over_the_cap_is_503_and_a_socket_that_ends_makes_room(
    start: Start, services: Services, user: Identity, baseline_id: int
) -> None:
    base = start(sockets=2).url
    _, key = api_key(services, user)
    with watch(base, baseline_id, key) as second:
        with watch(base, baseline_id, key):
            answer = refusal(base, baseline_id, key)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
            assert json.loads(answer.body)["error"]["code"] == "TOO_MANY_VIEWERS"
            post(base, baseline_id, key, 1)  # a sensor does not notice
        with watch(base, baseline_id, key) as third:
            assert kit.seqs(third, 1) == kit.seqs(second, 1) == [1]


def test_without_sockets_there_is_no_such_route(
    start: Start, services: Services, client: FlaskClient, user: Identity, baseline_id: int
) -> None:
    base = start(sockets=0).url
    _, key = api_key(services, user)
    assert refusal(base, baseline_id, key).status_code in {403, 404}
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        **key,
    }
    for headers in (upgrade, key):
        path = f"/api/v1/streaming/{baseline_id}/live"
        assert client.get(path, headers=headers).status_code == 404


# ---- who is put out ----


def test_signing_out_closes_the_socket_and_no_other(
    base: str, user: Identity, baseline_id: int
) -> None:
    mine, elsewhere = sign_in(base, user.email), sign_in(base, user.email)
    with watch(base, baseline_id, mine) as socket, watch(base, baseline_id, elsewhere) as kept:
        told(socket)
        requests.post(f"{base}/api/v1/auth/logout", headers=mine, timeout=20)
        assert closed(socket) == 4401
        told(kept)
        post(base, baseline_id, elsewhere, 2)
        assert kit.seqs(kept, 2) == [1, 2]


def test_what_ends_a_right_closes_its_socket(
    base: str, services: Services, user: Identity, other: Identity, baseline_id: int
) -> None:
    boss = make_user(services, "boss@example.com", role="admin")
    key_id, key = api_key(services, user)
    with (
        watch(base, baseline_id, key) as of_key,
        watch(base, baseline_id, sign_in(base, boss.email)) as of_boss,
        watch(base, baseline_id, sign_in(base, user.email)) as of_user,
    ):
        now = services.now()
        with services.sessions.begin() as session:
            accounts.revoke_key(session, user, key_id, now)
        assert closed(of_key) == 4401
        other_boss = make_user(services, "boss2@example.com", role="admin")
        with services.sessions.begin() as session:
            people.change(session, other_boss, boss.id, Change(role="user"), now=now)
        assert closed(of_boss) == 4404  # it is another's now
        with services.sessions.begin() as session:
            people.change(session, other_boss, user.id, Change(disabled=True), now=now)
        assert closed(of_user) == 4401


def test_a_token_that_expires_closes_its_socket(
    start: Start,
    services: Services,
    user: Identity,
    baseline_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = start()
    who = sign_in(server.url, user.email)
    with watch(server.url, baseline_id, who) as socket:
        told(socket)
        later = services.now() + accounts.LINK_LIFETIME
        monkeypatch.setattr(Services, "now", staticmethod(lambda: later))
        assert closed(socket) == 4401


# ---- how a socket ends ----


def test_a_server_that_stops_says_so_within_a_second(
    start: Start, services: Services, user: Identity, baseline_id: int
) -> None:
    server = start()
    _, key = api_key(services, user)
    with (
        contextlib.ExitStack() as stack,
        deaf_viewer(server.url, baseline_id, key),
    ):
        watching = [stack.enter_context(watch(server.url, baseline_id, key)) for _ in range(5)]
        for socket in watching:
            told(socket)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 3
        assert [closed(socket) for socket in watching] == [1012] * 5


def deaf_viewer(base: str, number: int, who: dict[str, str]) -> tcp.socket:
    """A connection that was let in and never says anything again, not even pong."""
    host, port = base.removeprefix("http://").split(":")
    connection = tcp.create_connection((host, int(port)), timeout=20)
    lines = (
        f"GET /api/v1/streaming/{number}/live HTTP/1.1",
        *(f"Host: {host}:{port}", "Connection: Upgrade", "Upgrade: websocket"),
        f"Authorization: {who['Authorization']}",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
    )
    connection.sendall("\r\n".join((*lines, "", "")).encode())
    assert connection.recv(12) == b"HTTP/1.1 101"
    return connection


def test_a_viewer_who_takes_nothing_is_pinged_and_let_go(
    start: Start,
    services: Services,
    user: Identity,
    baseline_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "PING_SECONDS", 0.3)
    monkeypatch.setattr(serving, "PONG_SECONDS", 0.5)
    base = start(sockets=1).url
    _, key = api_key(services, user)
    deaf = deaf_viewer(base, baseline_id, key)
    assert refusal(base, baseline_id, key).status_code == 503
    heard = b""
    with deaf:
        try:
            while piece := deaf.recv(65_536):
                heard += piece
        except ConnectionResetError:
            pass
    assert b"\x89\x04" in heard  # a ping

    def let_in() -> bool:
        try:
            with watch(base, baseline_id, key):
                return True
        except kit.InvalidStatus:
            return False

    assert eventually(let_in, 5)


def test_what_a_viewer_says_is_not_read(
    base: str, services: Services, user: Identity, baseline_id: int
) -> None:
    _, key = api_key(services, user)
    with watch(base, baseline_id, key) as socket:
        told(socket)
        for words in ("hello", b"\x00" * 1000, "x" * 1000):
            socket.send(words)
        post(base, baseline_id, key, 1)
        assert kit.seqs(socket, 1) == [1]
        socket.send("x" * 5000)
        assert closed(socket) == 1009
