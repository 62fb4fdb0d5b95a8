"""What the tests of the embedded PostgreSQL share: questions, and other processes that use it."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import make_url

from dinsight.postgres_process import PostgresProcess

# Settings that lose data in a power cut, and no time in tests.
FAST = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}

# A process that holds the database, says its URL, and lets go when its standard input ends.
HOLDER = """
import sys
from pathlib import Path
from dinsight.postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1]), options={"fsync": "off"}) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def running(folder: Path) -> bool:
    """Whether a process of PostgreSQL is left on `folder`."""
    return folder.exists() and PostgresProcess(folder.resolve()).exists()


def postmaster(folder: Path) -> int:
    """The process id that PostgreSQL wrote down."""
    return int((folder / "data" / "postmaster.pid").read_text().split("\n")[0])


def log_of(folder: Path) -> str:
    """All that PostgreSQL logged on `folder`."""
    return "".join(path.read_text() for path in sorted((folder / "data" / "log").iterdir()))


def connect(url: str, **changes: str) -> Any:
    """A plain connection in autocommit; `changes` are libpq's words, such as `user`."""
    parts = make_url(url)
    words: dict[str, Any] = {"user": parts.username, "dbname": parts.database, **parts.query}
    connection = psycopg2.connect(**{**words, **changes})
    connection.autocommit = True
    return connection


def ask(url: str, question: str, **changes: str) -> Any:
    """The first value that `question` returns, None where it returns no rows."""
    with closing(connect(url, **changes)) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0] if cursor.description else None


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether `condition` comes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_alive(pid: int) -> bool:
    """Whether the process `pid` runs (one that has ended, not yet waited for, does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def python(
    script: str, *words: object, before: tuple[str, ...] = (), **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A Python process with its input and output at our hands; killed in the end."""
    command = [*before, sys.executable, "-c", script, *map(str, words)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def next_line(child: subprocess.Popen[str]) -> str:
    """The next line that `child` prints, empty when it ended."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


def finish(child: subprocess.Popen[str]) -> int:
    """End the standard input of `child`; its exit status."""
    assert child.stdin is not None
    child.stdin.close()
    return child.wait(30)


@contextmanager
def stranger(where: Path | None = None) -> Iterator[int]:
    """The pid of a process of the account that PostgreSQL runs as, and none of our business."""
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        names = {entry.pw_name: entry for entry in pwd.getpwall()}
        account = names.get("postgres") or names["nobody"]
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    with subprocess.Popen(["sleep", "60"], cwd=where, **who) as child:
        try:
            yield child.pid
        finally:
            child.kill()
