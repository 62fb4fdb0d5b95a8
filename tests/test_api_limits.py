"""Too much of anything: too many requests, too many wrong passwords; and how answers go out."""

from __future__ import annotations

import gzip
import io
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.limits import EXTENSION, Limits
from api.rates import InProcess, Rate
from api.rates_redis import InRedis
from dinsight.accounts import Identity
from dinsight.services import Services
from dinsight.settings import Settings
from dinsight.version import version
from tests.factories import PASSWORD, csv, healthy
from tests.postgres_kit import eventually
from tests.test_api_auth import bearer
from tests.test_api_main_job import Api


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(client: FlaskClient, settings: Settings) -> Clock:
    """Puts limits by a clock of the test's own into the application."""
    clock = Clock()
    client.application.extensions[EXTENSION] = Limits(settings, InProcess(clock))
    return clock


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", rate_limit=6, sign_in_rate_limit=30, wrong_passwords=3)


@pytest.fixture
def api(client: FlaskClient, user: Identity, clock: Clock) -> Api:
    return Api(client, user.email)


def refusal(answer: Any) -> tuple[int, str, str]:
    """Status, code and message; the wait is said alike in the header and in the details."""
    error = answer.json["error"]
    assert answer.headers["Retry-After"] == str(error["details"]["retry_after"])
    assert (answer.json["success"], answer.json["message"]) == (False, error["message"])
    return answer.status_code, error["code"], error["message"]


# ---- requests of a user ----

TOO_MANY = (
    429,
    "TOO_MANY_REQUESTS",
    "More than 6 requests a minute of one user: try again in 10 s.",
)


def statuses(api: Api, path: str, number: int) -> list[int]:
    return [api("GET", path).status_code for _ in range(number)]


def test_a_user_over_the_limit_is_told_when_to_go_on(api: Api, clock: Clock) -> None:
    assert statuses(api, "/dinsight", 6) == [200] * 6
    assert refusal(api("GET", "/dinsight")) == TOO_MANY
    clock.now += 10
    assert statuses(api, "/dinsight", 2) == [200, 429]
    clock.now += 60
    assert statuses(api, "/dinsight", 7) == [200] * 6 + [429]


def test_limits_are_each_users_own(api: Api, client: FlaskClient, other: Identity) -> None:
    assert statuses(api, "/dinsight", 7)[-1] == 429
    assert statuses(Api(client, other.email), "/dinsight", 1) == [200]


def test_tokens_and_keys_of_a_user_count_together(
    api: Api, client: FlaskClient, user: Identity
) -> None:
    key = api("POST", "/auth/keys", json={"name": "gateway"}).json["data"]["key"]
    assert statuses(api, "/dinsight", 4) == [200] * 4
    assert statuses(Api(client, user.email), "/dinsight", 1) == [200]
    assert client.get("/api/v1/dinsight", headers=bearer(key)).status_code == 429


def test_the_body_of_a_batch_too_many_is_not_read(api: Api, baseline_id: int) -> None:
    for _ in range(6):
        assert api.post(baseline_id, csv(healthy(1))).status_code == 200
    unread = io.BytesIO(gzip.compress(b"a small one may be read: it costs next to nothing"))
    answer = api(
        *("POST", f"/monitor/{baseline_id}"),
        input_stream=unread,
        content_type="multipart/form-data; boundary=b",
        headers={"Content-Length": str(len(unread.getvalue())), "Content-Encoding": "gzip"},
    )
    assert refusal(answer)[:2] == TOO_MANY[:2]
    assert unread.tell() == 0


def test_reading_does_not_keep_a_sensor_from_sending(api: Api, baseline_id: int) -> None:
    assert statuses(api, "/dinsight", 7)[-1] == 429
    assert api.post(baseline_id, csv(healthy(1))).status_code == 200


def test_pages_count_as_their_user(client: FlaskClient, user: Identity, clock: Clock) -> None:
    client.post("/signin", data={"email": user.email, "password": PASSWORD})
    assert [client.get("/account").status_code for _ in range(7)] == [200] * 6 + [429]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_has_no_limit(client: FlaskClient, clock: Clock, path: str) -> None:
    assert {client.get(path).status_code for _ in range(50)} == {200}


def test_by_default_a_sensor_may_send_fifty_batches_a_second_for_good() -> None:
    clock = Clock()
    buckets = InProcess(clock)
    rate = Rate.per_minute(Settings().rate_limit)
    waits = set()
    for _ in range(50 * 600):
        waits.add(buckets.take("batch:1", rate))
        clock.now += 1 / 50
    assert waits == {0.0}


# ---- those who are not signed in ----


@pytest.mark.parametrize("path", ["register", "login", "refresh"])
def test_open_routes_are_limited_by_address(client: FlaskClient, clock: Clock, path: str) -> None:
    def ask(**more: Any) -> TestResponse:
        return client.post(f"/api/v1/auth/{path}", json={}, **more)

    assert 429 not in {ask().status_code for _ in range(30)}
    assert refusal(ask()) == (
        429,
        "TOO_MANY_REQUESTS",
        "More than 30 sign-ins a minute from this address: try again in 2 s.",
    )
    assert ask(environ_base={"REMOTE_ADDR": "10.0.0.7"}).status_code != 429
    clock.now += 2
    assert ask().status_code != 429


@pytest.mark.parametrize(
    ("one", "another", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("10.0.0.1:5000", "10.0.0.1:5001", False),
    ],
)
def test_whose_address_it_is(
    client: FlaskClient, clock: Clock, one: str, another: str, same: bool
) -> None:
    for _ in range(31):
        client.post("/api/v1/auth/refresh", environ_base={"REMOTE_ADDR": one})
    answer = client.post("/api/v1/auth/refresh", environ_base={"REMOTE_ADDR": another})
    assert (answer.status_code == 429) is same


# ---- wrong passwords ----


def attempt(client: FlaskClient, email: str, password: str, **more: Any) -> TestResponse:
    body = {"email": email, "password": password}
    return client.post("/api/v1/auth/login", json=body, **more)


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
def test_wrong_passwords_have_to_wait_whether_or_not_there_is_such_a_user(
    client: FlaskClient, user: Identity, clock: Clock, email: str
) -> None:
    assert [attempt(client, email, "wrong").status_code for _ in range(3)] == [401] * 3
    expected = (429, "TOO_MANY_ATTEMPTS", "Too many wrong passwords: try again in 30 s.")
    assert refusal(attempt(client, email, "wrong")) == expected
    assert refusal(attempt(client, email.upper(), PASSWORD)) == expected
    assert attempt(client, email, "x", environ_base={"REMOTE_ADDR": "10.0.0.7"}).status_code == 401


def test_after_the_wait_the_right_password_works_and_all_is_forgiven(
    client: FlaskClient, user: Identity, clock: Clock
) -> None:
    for _ in range(4):
        refused = attempt(client, user.email, "wrong")
    clock.now += int(refused.headers["Retry-After"])
    assert attempt(client, user.email, PASSWORD).status_code == 200
    assert [attempt(client, user.email, "wrong").status_code for _ in range(4)] == [401] * 3 + [429]


def test_guesses_at_the_current_password_count_as_those_at_the_sign_in(
    api: Api, client: FlaskClient, user: Identity, clock: Clock
) -> None:
    guess = {"current_password": "a guess", "new_password": "something of one's own"}
    found = [api("PUT", "/users/password", json=guess).status_code for _ in range(4)]
    assert found == [401] * 3 + [429]
    assert attempt(client, user.email, PASSWORD).status_code == 429


def test_the_sign_in_page_and_the_api_count_together(
    client: FlaskClient, user: Identity, clock: Clock
) -> None:
    for _ in range(3):
        attempt(client, user.email, "wrong")
    answer = client.post("/signin", data={"email": user.email, "password": PASSWORD})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    assert "Too many wrong passwords: try again in 30 s." in answer.text
    assert client.get_cookie("access_token_cookie") is None


def test_an_outage_does_not_count_as_a_wrong_password(client: FlaskClient, clock: Clock) -> None:
    limits: Limits = client.application.extensions[EXTENSION]
    with client.application.test_request_context():
        for _ in range(9):
            with pytest.raises(ConnectionError), limits.attempt("ada@example.com"):
                raise ConnectionError


# ---- buckets ----


def test_buckets_are_bounded_and_those_that_are_full_again_go_first() -> None:
    clock = Clock()
    buckets = InProcess(clock, most_keys=100)
    rate = Rate(1, 10.0)
    for number in range(50):
        buckets.take(f"old {number}", rate)
    clock.now += 20
    for number in range(51):
        buckets.take(f"new {number}", rate)
    assert len(buckets) == 51
    assert buckets.take("new 0", rate) > 0
    for number in range(10_000):
        buckets.take(f"flood {number}", rate)
    assert len(buckets) <= 100


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of this run's own, on a socket."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("no Redis: redis-server is not installed")
    path = tmp_path_factory.mktemp("redis") / "socket"
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", path.parent],
        stdout=subprocess.DEVNULL,
    )
    while not path.exists():
        assert process.poll() is None, "redis-server did not start"
        time.sleep(0.02)
    yield f"unix://{path}"
    process.terminate()
    process.wait()


def test_instances_share_their_limits_through_redis(
    redis_url: str, services: Services, user: Identity
) -> None:
    from app import create_app

    object.__setattr__(services.settings, "redis_url", redis_url)
    one, another = (create_app(services).server.test_client() for _ in range(2))
    here, there = Api(one, user.email), Api(another, user.email)
    assert statuses(here, "/dinsight", 3) + statuses(there, "/dinsight", 3) == [200] * 6
    assert refusal(here("GET", "/dinsight")) == TOO_MANY
    assert refusal(there("GET", "/dinsight")) == TOO_MANY
    for client in (one, another, one):
        assert attempt(client, user.email, "wrong").status_code == 401
    assert refusal(attempt(another, user.email, PASSWORD))[1] == "TOO_MANY_ATTEMPTS"


def test_redis_counts_as_a_process_does(redis_url: str) -> None:
    buckets = InRedis(redis_url)
    rate = Rate(2, 0.2)
    assert [buckets.take("here", rate) for _ in range(2)] == [0.0, 0.0]
    wait = buckets.take("here", rate)
    assert 0.1 < wait <= 0.2
    time.sleep(wait + 0.01)
    assert buckets.take("here", rate) == 0.0
    assert buckets.take("here", rate) > 0.0
    buckets.refill("here")
    assert buckets.take("here", rate) == 0.0


def test_without_redis_each_process_counts_and_nobody_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        buckets = InRedis("redis://:secret@{}:{}".format(*silent.getsockname()))
        began = time.monotonic()
        assert [buckets.take("user:1", Rate(2, 60.0)) for _ in range(3)] == [
            *(0.0, 0.0),
            pytest.approx(60, abs=1),
        ]
        buckets.refill("user:1")
        assert buckets.take("user:1", Rate(2, 60.0)) == 0.0
        assert time.monotonic() - began < 2
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "Redis does not answer, limits are counted by this process alone"
    ]
    assert "secret" not in caplog.text


# ---- compressed answers ----

PACKED = {"Accept-Encoding": "gzip, deflate"}


def test_a_large_answer_is_compressed_for_who_takes_it(api: Api, baseline_id: int) -> None:
    path = f"/dinsight/{baseline_id}"
    plain, packed = api("GET", path), api("GET", path, headers=PACKED)
    assert (plain.headers.get("Content-Encoding"), plain.headers["Vary"]) == (
        None,
        "Accept-Encoding",
    )
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == (
        "gzip",
        "Accept-Encoding",
    )
    assert packed.headers["Content-Length"] == str(len(packed.data))
    assert gzip.decompress(packed.data) == plain.data
    refused = api("GET", path, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


def test_a_batch_is_answered_as_it_is(api: Api, baseline_id: int) -> None:
    answer = api.post(baseline_id, csv(healthy(1)), headers=PACKED)
    assert answer.json["data"]["points_processed"] == 1
    assert {"Content-Encoding", "Vary"} & set(answer.headers.keys()) == set()


def test_a_streamed_answer_is_compressed_as_it_streams(api: Api, baseline_id: int) -> None:
    for seed in range(3):
        api.post(baseline_id, csv(healthy(400, seed)))
    path = f"/monitor/{baseline_id}"
    answer = api("GET", path, headers=PACKED, buffered=False)
    assert answer.is_streamed
    pieces = list(answer.iter_encoded())
    answer.close()
    assert len(pieces) > 3
    points = orjson.loads(gzip.decompress(b"".join(pieces)))
    assert points == api("GET", path).json
    assert [point["process_order"] for point in points] == list(range(1, 1201))


def test_a_compressed_stream_that_is_given_up_frees_its_connection(
    api: Api, services: Services, baseline_id: int
) -> None:
    api.post(baseline_id, csv(healthy(1000)))
    pool = services.database.engine.pool
    for taken in (0, 1):
        answer = api("GET", f"/monitor/{baseline_id}", headers=PACKED, buffered=False)
        for _ in range(taken):
            next(answer.iter_encoded())
        answer.close()
        # Another thread, which notifies of the batch, may have one for a moment.
        assert eventually(lambda: pool.checkedout() == 0, 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/assets/live.js", "/assets/base.css"])
def test_scripts_and_styles_are_compressed_and_not_sent_twice(
    client: FlaskClient, path: str
) -> None:
    with client.get(path) as plain, client.get(path, headers=PACKED) as packed:
        assert gzip.decompress(packed.data) == plain.data
        assert len(packed.data) < len(plain.data) / 2
        tag = packed.headers["ETag"]
        assert tag == f"W/{plain.headers['ETag']}"
    with client.get(path, headers=PACKED) as once_more:
        assert once_more.data == packed.data
    with client.get(path, headers={**PACKED, "If-None-Match": tag}) as again:
        assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("page", ["/dashboard/streaming", "/signin"])
def test_a_browser_keeps_the_files_of_a_page_until_the_next_version(
    client: FlaskClient, user: Identity, page: str
) -> None:
    if page != "/signin":
        client.post("/signin", data={"email": user.email, "password": PASSWORD})
    named = set(re.findall(r'"(/assets/[^"]+)"', client.get(page).text))
    assert len(named) > 3
    for address in named:
        with client.get(address) as answer:
            assert answer.status_code == 200, address
            assert "immutable" in answer.headers["Cache-Control"], address
    for other in ("/assets/live.js", "/assets/live.js?v=older", "/assets/base.css?m=1"):
        with client.get(other) as answer:
            assert answer.headers["Cache-Control"] == "no-cache"
    with client.get(f"/assets/typo.js?v={version()}") as missing:
        assert missing.status_code == 404
        assert "immutable" not in missing.headers.get("Cache-Control", "")


# ---- headers ----

PAGE_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "script-src 'self' 'sha256-"
)


@pytest.mark.parametrize("path", ["/signin", "/"])
def test_pages_tell_the_browser_what_they_never_do(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Content-Security-Policy"].startswith(PAGE_POLICY)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Permissions-Policy"].startswith("camera=(), ")
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/typo", "/assets/favicon.svg"])
def test_data_is_no_page(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_pages_run_their_own_scripts_and_data_runs_nothing(
    client: FlaskClient, user: Identity
) -> None:
    client.post("/signin", data={"email": user.email, "password": PASSWORD})
    page = client.get("/dashboard/streaming")
    assert page.headers["Content-Security-Policy"].startswith(PAGE_POLICY)
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"].partition("script-src")[2]
    data = client.get("/api/v1/users/profile")
    assert data.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_over_https_the_browser_stays_with_https(client: FlaskClient) -> None:
    answer = client.get("/signin", base_url="https://localhost")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", ["/api/v1/users/profile", "/api/v1/monitor/1", "/signin"])
def test_no_other_site_may_read_an_answer(client: FlaskClient, method: str, path: str) -> None:
    asked = {
        "Origin": "https://elsewhere.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "Authorization",
    }
    answer = client.open(path, method=method, headers=asked)
    assert [name for name, _ in answer.headers if name.startswith("Access-Control")] == []
