"""The database fails under the API: 503 while it does, nothing half-stored, nothing lost after.

A relay stands between the application and PostgreSQL: closed, the database is down; and it can end
a connection at the very moment of a COMMIT, before it gets there or before its answer comes back.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import sessionmaker

from api import errors
from app import create_app
from dinsight import database as databases
from dinsight import fitting, maps
from dinsight.accounts import Identity
from dinsight.database import Database, open_engine
from dinsight.ingest import Incoming, ingest
from dinsight.jobs import Runner
from dinsight.models import Baseline, Point, Stream
from dinsight.services import Services, limits
from dinsight.settings import Settings
from tests.conftest import make_user
from tests.factories import BASELINE, FEATURES, PASSWORD, csv, healthy
from tests.fault_kit import Relay, Side, served
from tests.postgres_kit import eventually, postmaster
from tests.simulator_kit import QUICK, play
from tests.test_api_main_job import Api

pytest_plugins = ["tests.postgres_fixtures"]

COMMIT = b"COMMIT\0"
ROWS = healthy(400, seed=21)


@pytest.fixture
def relay(database: Database) -> Iterator[Relay]:
    """What stands between the application and PostgreSQL."""
    host = dict(make_url(database.url).query)["host"]
    with (
        tempfile.TemporaryDirectory(prefix="relay-", dir="/tmp") as folder,
        Relay(f"{host}/.s.PGSQL.5432", f"{folder}/.s.PGSQL.5432") as between,
    ):
        yield between


@pytest.fixture
def services(database: Database, relay: Relay, settings: Settings) -> Iterator[Services]:
    """The domain, by way of the relay."""
    query = {"host": str(Path(str(relay.address)).parent), "port": "5432"}
    url = make_url(database.url).update_query_dict(query).render_as_string(hide_password=False)
    engine = open_engine(url)
    through = Database(url, engine, sessionmaker(engine))
    jobs = Runner(through, limits(settings), lambda: ThreadPoolExecutor(1))
    yield Services(settings, through, jobs, "a secret of these tests, of nothing else")
    jobs.stop()
    engine.dispose()


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders are asked to come back at once, so that tests need not wait."""
    monkeypatch.setattr(errors, "RETRY_AFTER_SECONDS", 0)


def stored(database: Database) -> list[bytes]:
    with database.sessions() as session:
        return list(session.scalars(select(Point.features).order_by(Point.stream_id, Point.seq)))


def is_unavailable(answer: Any) -> bool:
    """Whether it is the 503 that says when to try again, and no more of what is wrong inside."""
    assert answer.json["error"]["code"] == "DATABASE_UNAVAILABLE"
    assert int(answer.headers["Retry-After"]) > 0
    return bool(answer.status_code == 503)


# ---- 24: down ----


def test_while_the_database_is_down_every_door_says_so_and_opens_again(
    api: Api, client: FlaskClient, database: Database, relay: Relay, baseline_id: int
) -> None:
    assert api.post(baseline_id, csv(ROWS[:2])).status_code == 200
    relay.close()
    assert is_unavailable(api.post(baseline_id, csv(ROWS[2:4])))
    assert is_unavailable(api("GET", f"/streaming/{baseline_id}/status"))
    ready = client.get("/readyz")
    assert (ready.status_code, int(ready.headers["Retry-After"]) > 0) == (503, True)
    assert client.get("/healthz").status_code == 200
    relay.open()
    assert client.get("/readyz").status_code == 200
    assert api.post(baseline_id, csv(ROWS[2:4])).status_code == 200
    assert stored(database) == [row.tobytes() for row in ROWS[:4]]


@pytest.mark.parametrize(
    ("outages", "seconds"), [(3, 0.3), pytest.param(3, 20.0, marks=pytest.mark.slow)]
)
def test_the_simulator_waits_for_the_database_and_goes_on_where_it_was(
    client: FlaskClient,
    database: Database,
    relay: Relay,
    user: Identity,
    baseline_id: int,
    tmp_path: Path,
    at_once: None,
    outages: int,
    seconds: float,
) -> None:
    (tmp_path / "m.csv").write_bytes(csv(ROWS[:60]))
    who = {"auth_email": user.email, "auth_password": PASSWORD, "baseline_id": baseline_id}
    with served(client.application) as base, ThreadPoolExecutor(1) as pool:
        here: Any = SimpleNamespace(url=f"{base}/api/v1")
        patient = QUICK if seconds < 5 else type(QUICK)(patience=60.0)
        playing = pool.submit(play, here, tmp_path / "m.csv", patient, delay=0.03, **who)
        for outage in range(1, outages + 1):
            assert eventually(lambda least=outage * 5: len(stored(database)) > least, 30)
            relay.close()
            before = len(stored(database))
            time.sleep(seconds)
            assert len(stored(database)) in {before, before + 1}  # one that was at its COMMIT
            relay.open()
        played = playing.result(60)
    assert (played.error, played.status) == (None, 0)
    assert "sent 60 = acknowledged 60" in played.out
    assert stored(database) == [row.tobytes() for row in ROWS[:60]]


# ---- 25: at COMMIT ----


@pytest.mark.parametrize("arrives", [True, False], ids=["arrives", "is lost"])
def test_a_commit_without_an_answer_is_resolved_by_the_same_key(
    api: Api, database: Database, relay: Relay, baseline_id: int, *, arrives: bool
) -> None:
    key = {"Idempotency-Key": "k1"}
    cut = relay.cut(COMMIT, "answer" if arrives else "request")
    assert is_unavailable(api.post(baseline_id, csv(ROWS[:3]), headers=key))
    assert cut.done.is_set()
    assert eventually(lambda: len(stored(database)) == (3 if arrives else 0))
    again = api.post(baseline_id, csv(ROWS[:3]), headers=key).json["data"]
    assert (again["first_seq"], again["last_seq"], again["points_processed"]) == (1, 3, 3)
    assert api.post(baseline_id, csv(ROWS[3:5]), headers=key).status_code == 422
    assert api.post(baseline_id, csv(ROWS[3:5])).json["data"]["first_seq"] == 4
    assert stored(database) == [row.tobytes() for row in ROWS[:5]]


def test_a_sender_whose_every_commit_is_cut_once_stores_every_row_once(
    client: FlaskClient,
    database: Database,
    relay: Relay,
    user: Identity,
    baseline_id: int,
    tmp_path: Path,
    at_once: None,
) -> None:
    """One COMMIT is lost on its way, the next one's answer is, and so on."""
    (tmp_path / "m.csv").write_bytes(csv(ROWS[:40]))
    who = {"auth_email": user.email, "auth_password": PASSWORD, "baseline_id": baseline_id}
    with served(client.application) as base, ThreadPoolExecutor(1) as pool:
        here: Any = SimpleNamespace(url=f"{base}/api/v1")
        playing = pool.submit(play, here, tmp_path / "m.csv", QUICK, batch_size=2, **who)
        assert eventually(lambda: stored(database))
        for number in range(16):
            cut = relay.cut(COMMIT, ("answer", "request")[number % 2])
            assert eventually(lambda at=cut: at.done.is_set() or playing.done(), 10)
        played = playing.result(30)
    assert (played.error, played.status) == (None, 0)
    assert stored(database) == [row.tobytes() for row in ROWS[:40]]


@pytest.mark.parametrize("statement", [b"FOR UPDATE", b'COPY "points"', COMMIT], ids=str)
@pytest.mark.parametrize("side", ["request", "answer"])
def test_a_connection_that_ends_at_any_step_is_told_by_its_own_reason(
    services: Services, relay: Relay, user: Identity, baseline_id: int, statement: bytes, side: Side
) -> None:
    """Not by that of the rollback that is tried then."""
    incoming = Incoming(csv(ROWS[:1]), "x.csv")
    relay.cut(statement, side)
    with (
        pytest.raises(DBAPIError, match="server closed the connection") as failed,
        services.sessions.begin() as session,
    ):
        ingest(session, user, baseline_id, incoming, limits=services.limits, now=services.now())
    assert databases.is_outage(failed.value)


# ---- 26: restarted ----


@pytest.fixture
def own(
    place: Callable[[Path], Path], tmp_path: Path, made: Any
) -> Iterator[tuple[Services, Path]]:
    """The domain on an embedded PostgreSQL of its own, which the thread of the jobs brings back."""
    settings = Settings(home=tmp_path / "home")
    folder = place(settings.home / "postgres")
    connected = databases.connect(settings)
    jobs = Runner(connected, limits(settings), lambda: ThreadPoolExecutor(1))
    jobs.start()
    yield Services(settings, connected, jobs, "a secret of these tests, of nothing else"), folder
    jobs.stop()
    connected.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "stopped"])
def test_a_pool_full_of_dead_connections_recovers_and_never_answers_500(
    own: tuple[Services, Path], furnish: Callable[[Services], tuple[str, int]], number: int
) -> None:
    services, folder = own
    email, baseline_id = furnish(services)
    application = create_app(services).server
    apis = [Api(application.test_client(), email) for _ in range(8)]

    def send(which: int) -> int:
        answer = apis[which].post(baseline_id, csv(ROWS[which : which + 1]))
        return int(answer.status_code)

    with ThreadPoolExecutor(len(apis)) as pool:
        assert set(pool.map(send, range(len(apis)))) == {200}
        first = postmaster(folder)
        os.kill(first, number)
        seen = {status for _ in range(10) for status in pool.map(send, range(len(apis)))}
        assert eventually(lambda: send(0) == 200, 30)
        assert set(pool.map(send, range(len(apis)))) == {200}
    assert seen <= {200, 503}
    assert postmaster(folder) != first


# ---- 27: exhausted, locked ----


def test_a_request_that_finds_no_connection_is_503_in_bounded_time(
    services: Services, user: Identity, baseline_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "POOL_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(databases, "POOL_OVERFLOW", 0)
    engine = open_engine(services.database.url, pool_size=1)
    small = Database(services.database.url, engine, sessionmaker(engine))
    narrow = Services(services.settings, small, services.jobs, services.secret_key)
    api = Api(create_app(narrow).server.test_client(), user.email)
    with engine.connect():
        began = time.monotonic()
        assert is_unavailable(api.post(baseline_id, csv(ROWS[:1])))
        assert 0.2 < time.monotonic() - began < 3
    assert api.post(baseline_id, csv(ROWS[:1])).status_code == 200
    engine.dispose()


def test_a_stream_that_stays_locked_is_503_in_bounded_time(
    services: Services,
    database: Database,
    user: Identity,
    baseline_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(databases, "LOCK_WAIT_MS", 300)
    engine = open_engine(services.database.url)
    hasty = Database(services.database.url, engine, sessionmaker(engine))
    services = Services(services.settings, hasty, services.jobs, services.secret_key)
    api = Api(create_app(services).server.test_client(), user.email)
    with database.sessions() as other:
        other.scalars(select(Stream).with_for_update()).one()
        began = time.monotonic()
        assert is_unavailable(api.post(baseline_id, csv(ROWS[:1])))
        assert 0.2 < time.monotonic() - began < 3
    assert api.post(baseline_id, csv(ROWS[:1])).json["data"]["first_seq"] == 1
    engine.dispose()


def test_the_lock_of_an_instance_that_vanished_from_the_network_is_let_go_in_bounded_time(
    database: Database,
) -> None:
    """Its host lost power in the middle of a batch, say: PostgreSQL hears no end of it.

    By default it would keep the transaction, and the lock on the stream, for two hours.
    """
    names = ["idle", "interval", "count"]
    wanted = [f"tcp_keepalives_{name}" for name in names] + ["tcp_user_timeout"]
    ours = text("SELECT name FROM pg_settings WHERE source = 'client' AND name = ANY(:names)")
    with database.sessions() as session:
        assert set(session.scalars(ours, {"names": wanted})) == set(wanted)
    idle, interval, count = (databases.NETWORK[f"keepalives_{name}"] for name in names)
    assert idle + interval * count <= 30


# ---- 28: disk full ----


def test_a_full_disk_is_503_and_what_was_acknowledged_is_there_afterwards(
    tmp_path: Path, place: Callable[[Path], Path], furnish: Callable[[Services], tuple[str, int]]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200m", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    settings = Settings(home=disk / "home")
    try:
        place(settings.home / "postgres")
        connected = databases.connect(settings)
        jobs = Runner(connected, limits(settings), lambda: ThreadPoolExecutor(1))
        jobs.start()
        try:
            services = Services(settings, connected, jobs, "a secret of these tests, of nothing")
            email, baseline_id = furnish(services)
            api = Api(create_app(services).server.test_client(), email)
            acknowledged, refused = fill(api, baseline_id, disk)
            assert refused.status_code == 503, refused.json
            assert is_unavailable(refused)
            (disk / "filler").unlink()
            last = csv(ROWS[:1], metadata=["the last"])
            assert eventually(lambda: api.post(baseline_id, last).status_code == 200, 30)
            points = api("GET", f"/monitor/{baseline_id}?values=0").json
            notes = [point["metadata"]["note"].split()[0] for point in points]
            assert notes == [*map(str, range(acknowledged)), "the"]
        finally:
            jobs.stop()
            connected.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(api: Api, baseline_id: int, disk: Path) -> tuple[int, Any]:
    """Leave little of the disk, then send batches until one is refused: rows taken, the refusal."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(bytes(free - 4_000_000))
    sent = 0
    for _ in range(100):
        rows = ROWS[:200]
        notes = [f"{sent + i} {os.urandom(1000).hex()}" for i in range(len(rows))]
        answer = api.post(baseline_id, csv(rows, metadata=notes))
        if answer.status_code != 200:
            return sent, answer
        sent += len(rows)
    raise AssertionError("the disk does not fill up")


@pytest.fixture
def furnish(made: Any) -> Callable[[Services], tuple[str, int]]:
    """Makes a user with a fitted baseline; gives the e-mail address and the baseline's id."""

    def make(services: Services) -> tuple[str, int]:
        owner = make_user(services, "sender@example.com")
        with services.sessions.begin() as session:
            baseline = Baseline(
                owner_id=owner.id, name="Pump 7", status="completed", layout=maps.DEFAULT
            )
            session.add(baseline)
            session.flush()
            rows = fitting.Rows(FEATURES, BASELINE, [{}] * len(BASELINE))
            fitting.store(session, baseline.id, rows, made)
            return owner.email, baseline.id

    return make
