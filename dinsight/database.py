"""The engine, its sessions and the migrations, on an embedded or an external PostgreSQL."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg2
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from dinsight.errors import DatabaseUnavailable
from dinsight.postgres import EmbeddedPostgres
from dinsight.settings import Settings

# Any number will do; it only has to be the same in every instance.
MIGRATION_LOCK = 7_402_117

POOL_SIZE = 10
POOL_OVERFLOW = 20
POOL_WAIT_SECONDS = 5
LOCK_WAIT_MS = 10_000
CONNECT_SECONDS = 5
# An external server that the network has lost is given up within this; libpq's default is hours.
NETWORK = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
# The same the other way: of an instance that the network has lost, PostgreSQL would otherwise keep
# the transaction under way, and with it the lock on a stream, for two hours.
NETWORK_BACK = {
    **{f"tcp_{name}": NETWORK[name] for name in NETWORK if name.startswith("keepalives")},
    "tcp_user_timeout": NETWORK["tcp_user_timeout"],
}

Sessions = sessionmaker[Session]


@dataclass(frozen=True)
class Database:
    """A connected, migrated database; `close` gives back what `connect` took."""

    url: str
    engine: Engine
    sessions: Sessions
    embedded: EmbeddedPostgres | None = None

    def revive(self) -> None:
        """Start the embedded PostgreSQL again if it died; raises DatabaseUnavailable."""
        if self.embedded:
            self.embedded.start()

    def close(self) -> None:
        self.engine.dispose()
        if self.embedded:
            self.embedded.stop()


def connect(settings: Settings) -> Database:
    """Start the embedded PostgreSQL if none is configured, migrate it, and open a pool.

    Raises DatabaseUnavailable when there is no database to be had.
    """
    with contextlib.ExitStack() as undo:
        embedded, url = None, settings.database_url
        if not url:
            embedded = EmbeddedPostgres(settings.home / "postgres")
            undo.callback(embedded.stop)
            url = embedded.start()
        engine = open_engine(url)
        undo.callback(engine.dispose)
        migrate(engine)
        undo.pop_all()
    return Database(url, engine, sessionmaker(engine), embedded)


def open_engine(url: str, pool_size: int = POOL_SIZE) -> Engine:
    """An engine whose every wait is bounded and whose dead connections are noticed."""
    session = {"timezone": "UTC", "lock_timeout": LOCK_WAIT_MS, **NETWORK_BACK}
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=POOL_WAIT_SECONDS,
        hide_parameters=True,  # so that no error shows in a log what was to be stored
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "dinsight",
            **NETWORK,
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
        },
    )
    event.listen(engine, "checkout", _refuse_if_closed)
    return engine


def _refuse_if_closed(connection: Any, *_: object) -> None:
    """Let the pool open another connection where the server has closed this one.

    A server that ends a connection says so on it, and what is at rest has nothing else to say: so
    it is enough to look whether there is anything to read, which takes 3 µs; to ask for an answer
    (`pool_pre_ping`) takes a tenth of the time of storing a row.
    """
    if connection.closed:
        raise DisconnectionError()
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError()


def outside_of_pool(engine: Engine) -> Any:
    """A psycopg2 connection like those of the pool, but whoever asks for it keeps and closes it."""
    pooled = engine.raw_connection()
    connection = pooled.driver_connection
    pooled.detach()
    return connection


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; several instances that start at once take turns."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SET lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
            try:
                command.upgrade(alembic_config(connection), "head")
                connection.commit()
            finally:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
                connection.execute(text(f"SET lock_timeout = {LOCK_WAIT_MS}"))
                connection.commit()
    except OperationalError as error:
        raise unavailable(error) from error


def is_current(connection: Connection) -> bool:
    """Whether the schema is the one that this program expects."""
    script = ScriptDirectory.from_config(alembic_config(connection))
    heads = MigrationContext.configure(connection).get_current_heads()
    return set(heads) == set(script.get_heads())


def alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("dinsight") / "migrations"))
    config.attributes["connection"] = connection
    return config


def unavailable(error: Exception) -> DatabaseUnavailable:
    """The domain's word for a driver's error, without the statement that met it."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    reason = " ".join(str(cause).split())
    return DatabaseUnavailable(f"The database cannot be reached: {reason}")


def is_outage(error: Exception) -> bool:
    """Whether the database, and not the statement, is what failed.

    A connection that is lost while it is given back raises the driver's own error.
    """
    driver = psycopg2.OperationalError | psycopg2.InterfaceError
    if isinstance(error, PoolTimeout | OperationalError | driver):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def once_committed(key: str) -> Callable[[Callable[[Engine, Any], None]], None]:
    """Have a function told what a session's `info` has under a key, each time it has committed."""

    def register(tell: Callable[[Engine, Any], None]) -> None:
        @event.listens_for(Session, "after_commit")
        def committed(session: Session) -> None:
            if found := session.info.pop(key, None):
                engine: Any = session.get_bind()
                tell(engine, found)

    return register
