"""The embedded PostgreSQL on a good day: made, started, shared, stopped."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import create_engine, text

from dinsight.postgres import LONGEST_SOCKET_FOLDER, EmbeddedPostgres
from tests.postgres_kit import (
    FAST,
    HOLDER,
    ask,
    connect,
    eventually,
    finish,
    is_alive,
    log_of,
    next_line,
    postmaster,
    python,
    running,
)

pytest_plugins = ["tests.postgres_fixtures"]

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

# Two children that outlive their parent: one forked, one another program.
CHILDREN = """
import os, subprocess, sys, time
from pathlib import Path
from dinsight.postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1])).start()
program = subprocess.Popen(["sleep", "60"], close_fds=False)
forked = os.fork()
if forked == 0:
    time.sleep(60)
    os._exit(0)
print(program.pid, forked, flush=True)
sys.stdin.read()
"""

# A forked child that lets go of what is its parent's, then of a hold of its own.
FORK = """
import os, sys
from pathlib import Path
from dinsight.postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])) as url:
    database = EmbeddedPostgres(Path(sys.argv[1]))
    database.start()
    child = os.fork()
    if child == 0:
        database.stop()
        with database:
            os._exit(0)
    print(os.waitpid(child, 0)[1], url, flush=True)
    sys.stdin.read()
    database.stop()
"""

# What a server does on Ctrl-C: it still needs the database, then lets go.
CTRL_C = """
import sys, time
import psycopg2
from pathlib import Path
from dinsight.postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])) as url:
    host = str(Path(sys.argv[1]) / "data")
    connection = psycopg2.connect(host=host, port=5432, user="dinsight", dbname="dinsight")
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.2)
        cursor = connection.cursor()
        cursor.execute("SELECT 'still here'")
        print(cursor.fetchone()[0], flush=True)
"""


def test_first_start_makes_a_database_that_takes_any_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "5999")
    monkeypatch.setenv("DINSIGHT_SECRET_KEY", "must stay with us")
    folder = tmp_path / "not yet" / "there"
    with EmbeddedPostgres(folder, options=FAST) as url:
        assert url.startswith("postgresql+psycopg2://dinsight@/dinsight?host=")
        assert ask(url, "SELECT current_database() || ' ' || current_user") == "dinsight dinsight"
        assert ask(url, "SHOW server_encoding") == "UTF8"
        assert ask(url, "SELECT lower('ÄΣЖ')") == "äσж"
        assert ask(url, "SHOW timezone") == "UTC"
        assert ask(url, "SHOW max_connections") == FAST["max_connections"]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert [path.name for path in folder.glob("data*")] == ["data"]
        environment = Path(f"/proc/{postmaster(folder)}/environ").read_bytes()
        assert b"must stay with us" not in environment
    assert not running(folder)


def test_settings_that_nobody_named_are_durable_private_and_bounded(folder: Path) -> None:
    with EmbeddedPostgres(folder) as url:
        assert ask(url, "SHOW fsync") == "on"
        assert ask(url, "SHOW synchronous_commit") == "on"
        assert ask(url, "SHOW listen_addresses") == ""
        assert ask(url, "SHOW log_filename", user="postgres") == "postgresql-%a.log"
        assert ask(url, "SHOW log_truncate_on_rotation") == "on"


def test_url_is_one_that_sqlalchemy_connects_to(folder: Path) -> None:
    with EmbeddedPostgres(folder, options=FAST) as url:
        engine = create_engine(url)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
        engine.dispose()


def test_application_may_make_databases_but_reaches_no_files(folder: Path) -> None:
    with EmbeddedPostgres(folder, options=FAST) as url:
        ask(url, "CREATE DATABASE another TEMPLATE template0")
        assert ask(url, "SELECT current_database()", dbname="another") == "another"
        for attempt in ("SELECT pg_read_file('/etc/passwd')", "COPY (SELECT 1) TO PROGRAM 'id'"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                ask(url, attempt)


def test_later_starts_find_what_was_stored(folder: Path) -> None:
    database = EmbeddedPostgres(folder, options=FAST)
    ask(database.start(), "CREATE TABLE kept AS SELECT 42 AS answer")
    database.stop()
    assert ask(database.start(), "SELECT answer FROM kept") == 42
    database.stop()


def test_dropped_database_is_made_again(folder: Path) -> None:
    with EmbeddedPostgres(folder, options=FAST) as url:
        ask(url, "DROP DATABASE dinsight", user="postgres", dbname="postgres")
        with EmbeddedPostgres(folder) as same:
            assert ask(same, "SELECT 1") == 1


@pytest.mark.skipif(not DEBIAN_15.exists(), reason="PostgreSQL 15 of Debian is not installed")
def test_other_binaries_can_be_named(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", binaries=DEBIAN_15, options=FAST) as url:
        assert ask(url, "SHOW server_version").startswith("15.")
        assert ask(url, "SHOW server_encoding") == "UTF8"
    assert not running(tmp_path / "postgres")


@pytest.mark.parametrize(
    "name",
    ["with spaces in it", "käse, 50 % of ü:@?&=#'\"", "long/" + "/".join(["b" * 60] * 4)],
    ids=["spaces", "signs", "long"],
)
def test_any_path_will_do_and_what_is_above_it_stays_as_it_was(
    tmp_path: Path, place: Callable[[Path], Path], name: str
) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    folder = place(tmp_path / "closed" / name)
    before = [(path.stat().st_mode, path.stat().st_uid) for path in folder.parents]
    with EmbeddedPostgres(folder, options=FAST) as url:
        assert ask(url, "SELECT 1") == 1
    assert [(path.stat().st_mode, path.stat().st_uid) for path in folder.parents] == before


def test_alias_of_a_long_path_is_private_and_goes_with_the_hold(
    tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    folder = place(tmp_path / ("a" * 100))
    database = EmbeddedPostgres(folder, options=FAST)
    with closing(connect(database.start())) as connection:
        socket_folder = Path(connection.get_dsn_parameters()["host"])
    assert len(str(folder / "data")) > LONGEST_SOCKET_FOLDER >= len(str(socket_folder))
    assert stat.S_IMODE(socket_folder.parent.stat().st_mode) == 0o700
    assert socket_folder.parent.stat().st_uid == os.geteuid()
    database.stop()
    assert not socket_folder.parent.exists()


def test_last_of_several_holders_stops_postgres(folder: Path) -> None:
    database = EmbeddedPostgres(folder, options=FAST)
    database.start()
    started = postmaster(folder)
    with python(HOLDER, folder) as other:
        url = next_line(other)
        database.stop()
        assert ask(url, "SELECT 1") == 1
        assert postmaster(folder) == started
        assert finish(other) == 0
    assert not running(folder)


def test_two_holders_in_one_process_count_as_two(folder: Path) -> None:
    with EmbeddedPostgres(folder, options=FAST) as url:
        with EmbeddedPostgres(folder):
            pass
        assert ask(url, "SELECT 1") == 1
    assert not running(folder)


def test_starting_twice_needs_one_stop_and_stopping_twice_is_harmless(folder: Path) -> None:
    database = EmbeddedPostgres(folder, options=FAST)
    database.stop()
    assert database.start() == database.start()
    database.stop()
    assert not running(folder)
    database.stop()


def test_processes_that_start_at_once_on_an_empty_folder_share_one_postgres(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "postgres"
    with ExitStack() as stack:
        holders = [stack.enter_context(python(HOLDER, folder)) for _ in range(3)]
        urls = [next_line(holder) for holder in holders]
        assert len({ask(url, "SELECT pg_postmaster_start_time()") for url in urls}) == 1
        assert [finish(holder) for holder in holders] == [0, 0, 0]
    assert not running(folder)


def test_threads_may_start_and_stop(folder: Path) -> None:
    answers: list[int] = []

    def use() -> None:
        with EmbeddedPostgres(folder, options=FAST) as url:
            answers.append(ask(url, "SELECT 1"))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [1, 1, 1, 1]
    assert not running(folder)


def test_killed_holder_does_not_count(folder: Path) -> None:
    with EmbeddedPostgres(folder, options=FAST), python(HOLDER, folder) as other:
        assert next_line(other)
        other.kill()
        other.wait()
    assert not running(folder)


def test_postgres_whose_holders_were_all_killed_is_taken_over_and_stopped(folder: Path) -> None:
    with python(HOLDER, folder) as other:
        assert next_line(other)
    left = postmaster(folder)
    assert is_alive(left)
    with EmbeddedPostgres(folder) as url:
        assert postmaster(folder) == left
        assert ask(url, "SELECT 1") == 1
    assert not running(folder)
    assert log_of(folder).count("received fast shutdown request") == 1 + 1  # `fresh` had one


def test_children_of_a_killed_holder_do_not_hold(folder: Path) -> None:
    with python(CHILDREN, folder) as other:
        children = [int(pid) for pid in next_line(other).split()]
    try:
        with EmbeddedPostgres(folder):
            pass
        assert not running(folder)
        assert [is_alive(pid) for pid in children] == [True, True]
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


def test_forked_child_cannot_let_go_for_its_parent(folder: Path) -> None:
    with python(FORK, folder) as parent:
        status, url = next_line(parent).split()
        assert status == "0"
        with EmbeddedPostgres(folder):
            pass
        assert ask(url, "SELECT 1") == 1
        assert finish(parent) == 0
    assert not running(folder)


def test_ctrl_c_reaches_us_and_not_postgres(folder: Path) -> None:
    with python(CTRL_C, folder, start_new_session=True) as server:
        assert next_line(server) == "ready"
        assert os.getsid(postmaster(folder)) != os.getsid(server.pid)
        os.killpg(server.pid, signal.SIGINT)
        assert next_line(server) == "still here"
        assert server.wait(30) == 0
    assert eventually(lambda: not running(folder))
    assert log_of(folder).count("received fast shutdown request") == 1 + 1  # `fresh` had one
