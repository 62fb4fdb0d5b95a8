"""When the database fails: it is told from an error of ours, and it comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from dinsight.accounts import Identity
from dinsight.database import Database, connect, is_outage
from dinsight.ingest import Incoming, ingest
from dinsight.jobs import Runner
from dinsight.models import Point
from dinsight.services import Services, limits
from dinsight.settings import Settings
from tests.factories import csv, healthy
from tests.postgres_kit import eventually, postmaster

pytest_plugins = ["tests.postgres_fixtures"]


def test_a_copy_that_fails_is_told_as_every_statement_is(
    services: Services, user: Identity, baseline_id: int
) -> None:
    incoming = Incoming(csv(healthy(1)), "x.csv")
    with services.sessions() as other:
        other.execute(text("LOCK TABLE points IN EXCLUSIVE MODE"))
        with pytest.raises(DBAPIError) as failed, services.sessions.begin() as session:
            session.execute(text("SET LOCAL lock_timeout = 50"))
            ingest(session, user, baseline_id, incoming, limits=services.limits, now=services.now())
    assert is_outage(failed.value)
    with services.sessions() as session:
        assert session.scalars(select(Point.seq)).all() == []


def test_a_connection_that_is_lost_as_it_is_given_back_is_told_as_an_outage(
    services: Services,
) -> None:
    """SQLAlchemy undoes its isolation level then, and lets the driver's own error through."""
    engine = services.database.engine
    with engine.connect() as connection:  # from its second time on the driver asks the server
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("SELECT 1"))
    with pytest.raises(psycopg2.Error) as failed, engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        number = connection.scalar(text("SELECT pg_backend_pid()"))
        with engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:number, 5000)"), {"number": number})
    assert is_outage(failed.value)


def test_an_embedded_database_that_was_killed_comes_back_while_the_server_runs(
    place: Callable[[Path], Path], tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home")
    folder = place(settings.home / "postgres")
    database = connect(settings)
    runner = Runner(database, limits(settings), lambda: ThreadPoolExecutor(1))
    runner.start()
    try:
        killed = postmaster(folder)
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda: answers(database), 30)
        assert postmaster(folder) != killed
    finally:
        runner.stop()
        database.close()


def answers(database: Database) -> bool:
    try:
        with database.engine.connect() as connection:
            return bool(connection.scalar(text("SELECT 1")))
    except DBAPIError:
        return False
