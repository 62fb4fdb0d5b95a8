"""A real PostgreSQL: one server a run, and a database cloned from a template for every test."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient
from sqlalchemy import URL, make_url
from sqlalchemy.orm import sessionmaker

from dinsight import accounts, fitting, maps, passwords, report_card
from dinsight.accounts import Identity
from dinsight.database import Database, migrate, open_engine
from dinsight.jobs import Runner
from dinsight.models import Baseline
from dinsight.postgres import EmbeddedPostgres
from dinsight.services import Services, limits
from dinsight.settings import Settings
from tests.factories import BASELINE, FEATURES, PASSWORD

NO_DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# A database that lives for a second needs no vacuum, whose worker nobody but a superuser may end.
SHORT_LIVED = NO_DURABILITY | {"autovacuum": "off"}
TEMPLATE = "template_dinsight"
MEMORY, ENOUGH = Path("/dev/shm"), 4 * 2**30
SECRET = "a secret of the tests, and of nothing else"

_names = (f"test_{number}" for number in itertools.count())


@pytest.fixture(scope="session", autouse=True)
def numba_cache(pytestconfig: pytest.Config) -> None:
    """Compiled once a machine, not once a run."""
    os.environ["NUMBA_CACHE_DIR"] = str(pytestconfig.cache.mkdir("numba"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A PostgreSQL server with a migrated template database."""
    with _in_memory(tmp_path_factory) as folder:
        embedded = EmbeddedPostgres(folder, options=SHORT_LIVED)
        url = make_url(embedded.start())
        try:
            _administer(url, f"CREATE DATABASE {TEMPLATE}")
            engine = open_engine(_url(url, TEMPLATE))
            migrate(engine)
            engine.dispose()
            yield url
        finally:
            embedded.stop()


@pytest.fixture
def database(postgres: URL) -> Iterator[Database]:
    """A fresh, migrated database of this test's own."""
    name = next(_names)
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    url = _url(postgres, name)
    engine = open_engine(url)
    try:
        yield Database(url, engine, sessionmaker(engine))
    finally:
        engine.dispose()
        _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", port=0, max_upload_mb=20)


@pytest.fixture
def services(database: Database, settings: Settings) -> Iterator[Services]:
    """The domain on the test's database; its jobs run, in a thread, when a test starts them."""
    jobs = Runner(database, limits(settings), lambda: ThreadPoolExecutor(1))
    yield Services(settings, database, jobs, SECRET)
    jobs.stop()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    """A client of the whole application, signed in as nobody."""
    from app import create_app

    return create_app(services).server.test_client()


@pytest.fixture
def user(services: Services) -> Identity:
    return make_user(services, "ada@example.com")


@pytest.fixture
def other(services: Services) -> Identity:
    """Somebody else, who must see nothing of `user`'s."""
    return make_user(services, "eve@example.com")


@pytest.fixture(scope="session")
def fitted() -> maps.Map:
    """The map of `BASELINE`, fitted once a run."""
    return maps.fit(BASELINE, features=FEATURES)


@pytest.fixture(scope="session")
def made(fitted: maps.Map) -> fitting.Made:
    """The same with its report card, as a fit gives it."""
    return fitting.Made(fitted, 1.0, report_card.write(fitted))


@pytest.fixture
def make_baseline(services: Services, made: fitting.Made) -> Callable[..., int]:
    """Makes a fitted baseline of `BASELINE` for a user, and gives its id."""

    def make(owner: Identity, name: str = "Pump 7") -> int:
        with services.sessions.begin() as session:
            baseline = Baseline(
                owner_id=owner.id, name=name, status="completed", progress=100, layout=maps.DEFAULT
            )
            session.add(baseline)
            session.flush()
            rows = fitting.Rows(FEATURES, BASELINE, [{"row": str(i)} for i in range(len(BASELINE))])
            fitting.store(session, baseline.id, rows, made)
            return baseline.id

    return make


@pytest.fixture
def baseline_id(make_baseline: Callable[..., int], user: Identity) -> int:
    return make_baseline(user)


def make_user(services: Services, email: str, **more: Any) -> Identity:
    """A user whose password is `PASSWORD`, hashed once a run: that is slow by intent."""
    with services.sessions.begin() as session:
        row = accounts.register(session, email, None, **more)
        row.password_hash = _hashed()
        return Identity(row.id, row.email, row.full_name, row.role, accounts.new_sid())


@contextmanager
def _in_memory(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on no disk, if there is memory: a database is made in a third of the time."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH:
        with TemporaryDirectory(prefix="dinsight-test-", dir=MEMORY) as name:
            yield Path(name) / "postgres"
    else:
        yield factory.mktemp("postgres")


@cache
def _hashed() -> str:
    return passwords.hash_password(PASSWORD)


def _url(server: URL, name: str) -> str:
    return server.set(database=name).render_as_string(hide_password=False)


def _administer(server: URL, statement: str) -> None:
    connection = psycopg2.connect(dbname="postgres", user=server.username, **dict(server.query))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
