"""Backups by PostgreSQL's own programs, which come along with the embedded database.

A backup is taken while the server runs and is of one moment. Only an empty database takes one in.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import inspect, make_url

from dinsight.database import open_engine
from dinsight.errors import BackupFailed
from dinsight.postgres import EmbeddedPostgres
from dinsight.postgres_account import find_binaries
from dinsight.settings import Settings


def dump(settings: Settings, path: Path) -> int:
    """Write all that the database holds to a new file (0600), whole or not at all; its bytes.

    Raises BackupFailed with what `pg_dump` says, DatabaseUnavailable.
    """
    if path.exists():
        raise BackupFailed(f"There is a file {path} already: choose another name.")
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with _url(settings) as url:
            _run("pg_dump", url, "--format=custom", "--no-owner", "--no-acl", f"--file={partial}")
        partial.chmod(0o600)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    return path.stat().st_size


def restore(settings: Settings, path: Path) -> None:
    """Fill an empty database with a backup, in one transaction.

    Raises BackupFailed where the database is not empty or the file is no backup.
    """
    if not path.is_file():
        raise BackupFailed(f"There is no file {path}.")
    with _url(settings) as url:
        engine = open_engine(url, pool_size=1)
        try:
            tables = inspect(engine).get_table_names()
        finally:
            engine.dispose()
        if tables:
            raise BackupFailed(
                "The database is not empty: restore into a new DINSIGHT_HOME or a new database."
            )
        words = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-acl")
        _run("pg_restore", url, *words, str(path.resolve()))


@contextlib.contextmanager
def _url(settings: Settings) -> Iterator[str]:
    """The configured database, or the embedded one, which is started where it does not run."""
    if settings.database_url:
        yield settings.database_url
        return
    with EmbeddedPostgres(settings.home / "postgres") as url:
        yield url


def _run(program: str, url: str, *words: str) -> None:
    """Run one of PostgreSQL's programs; the password is not shown to others by `ps`."""
    parts = make_url(url)
    password = {"PGPASSWORD": parts.password} if parts.password else {}
    plain = parts.set(drivername="postgresql", password=None).render_as_string()
    done = subprocess.run(
        [str(find_binaries() / program), f"--dbname={plain}", "--no-password", *words],
        env=os.environ | password,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackupFailed(f"{program} failed: {done.stderr.strip()}")
