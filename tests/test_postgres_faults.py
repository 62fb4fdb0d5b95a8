"""The embedded PostgreSQL on a bad day: killed, interrupted, mistaken for another, out of disk."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from dinsight import postgres_process
from dinsight.errors import DatabaseUnavailable, DinsightError
from dinsight.file_lock import FileLock
from dinsight.postgres import EmbeddedPostgres
from tests.postgres_kit import (
    FAST,
    HOLDER,
    ask,
    connect,
    eventually,
    is_alive,
    log_of,
    postmaster,
    python,
    running,
    stranger,
)

pytest_plugins = ["tests.postgres_fixtures"]


def kill_postgres(folder: Path) -> None:
    pid = postmaster(folder)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(pid))


# Killed


def test_killed_postgres_comes_back_with_everything_committed(folder: Path) -> None:
    with EmbeddedPostgres(folder, options={"fsync": "on"}) as url:
        ask(url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    database = EmbeddedPostgres(folder, options={"fsync": "on"})
    ask(database.start(), "INSERT INTO kept SELECT generate_series(1001, 3000)")
    kill_postgres(folder)
    assert ask(database.start(), "SELECT count(*) FROM kept") == 3000
    database.stop()
    assert not running(folder)


def test_postgres_recovers_by_itself_when_a_backend_is_killed(folder: Path) -> None:
    with EmbeddedPostgres(folder, options=FAST) as url:
        first = postmaster(folder)
        with closing(connect(url)) as connection:
            os.kill(connection.get_backend_pid(), signal.SIGKILL)
            assert eventually(lambda: "all server processes terminated" in log_of(folder))
        with EmbeddedPostgres(folder) as again:
            assert ask(again, "SELECT 1") == 1
            assert postmaster(folder) == first


def test_stop_after_postgres_was_killed_leaves_nothing(folder: Path) -> None:
    with EmbeddedPostgres(folder, options=FAST):
        kill_postgres(folder)
    assert not running(folder)


def test_backend_of_a_killed_postgres_is_waited_for(folder: Path) -> None:
    database = EmbeddedPostgres(folder, options=FAST)
    with closing(connect(database.start())) as connection:
        backend = connection.get_backend_pid()
        os.kill(backend, signal.SIGSTOP)  # it cannot see that its postmaster is gone
        kill_postgres(folder)
        threading.Timer(0.5, os.kill, (backend, signal.SIGCONT)).start()
        assert ask(database.start(), "SELECT 1") == 1
        assert not is_alive(backend)
    database.stop()


def test_start_waits_for_a_postgres_that_is_still_shutting_down(folder: Path) -> None:
    with EmbeddedPostgres(folder, options=FAST) as url:
        first = postmaster(folder)
        with closing(connect(url)) as connection:
            os.kill(first, signal.SIGTERM)  # a smart shutdown: it waits for this connection
            assert eventually(lambda: "smart shutdown request" in log_of(folder))
            threading.Timer(0.5, connection.close).start()
            with EmbeddedPostgres(folder, options=FAST) as again:
                assert connection.closed
                assert ask(again, "SELECT 1") == 1
                assert postmaster(folder) != first


@pytest.mark.slow
def test_postgres_that_hangs_in_a_fast_shutdown_is_stopped_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_process, "FAST_STOP_SECONDS", 0.3)
    database = EmbeddedPostgres(folder, options=FAST)
    with closing(connect(database.start())) as connection:
        os.kill(connection.get_backend_pid(), signal.SIGSTOP)
        began = time.monotonic()
        database.stop()
        assert time.monotonic() - began < 10
    assert not running(folder)
    assert "received immediate shutdown request" in log_of(folder)
    with EmbeddedPostgres(folder, options=FAST) as url:
        assert ask(url, "SELECT 1") == 1


@pytest.mark.slow
def test_postgres_that_does_not_answer_in_time_is_told_and_left_to_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedPostgres(folder, options=FAST) as url:
        os.kill(postmaster(folder), signal.SIGSTOP)
        with monkeypatch.context() as patience:
            patience.setattr("dinsight.postgres.START_SECONDS", 0.1)
            late = EmbeddedPostgres(folder)
            with pytest.raises(DatabaseUnavailable, match="not ready yet"):
                late.start()
        os.kill(postmaster(folder), signal.SIGCONT)
        late.stop()  # it holds nothing
        assert ask(url, "SELECT 1") == 1


# Mistaken for another


@pytest.fixture(params=["a program", "a program in the same folder", "another postgres"])
def strange_pid(
    request: pytest.FixtureRequest, place: Callable[[Path], Path], folder: Path, tmp_path: Path
) -> Iterator[int]:
    if request.param == "another postgres":
        other = place(tmp_path / "other")
        with EmbeddedPostgres(other, options=FAST) as url:
            yield postmaster(other)
            assert ask(url, "SELECT 1") == 1
    else:
        with stranger(folder / "data" if "same folder" in request.param else None) as pid:
            yield pid
            assert is_alive(pid)


def test_stale_pid_files_that_name_a_stranger_are_put_aside(folder: Path, strange_pid: int) -> None:
    with EmbeddedPostgres(folder, options=FAST):
        lines = (folder / "data" / "postmaster.pid").read_text().split("\n")
    stale = "\n".join([str(strange_pid), *lines[1:]])
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (folder / "data" / name).write_text(stale)
    with EmbeddedPostgres(folder, options=FAST) as url:
        assert ask(url, "SELECT 1") == 1


def test_stop_signals_no_stranger(
    folder: Path, strange_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = EmbeddedPostgres(folder, options=FAST)
    database.start()
    file = folder / "data" / "postmaster.pid"
    right = file.read_text()
    file.write_text(right.replace(right.split("\n")[0], str(strange_pid), 1))
    with monkeypatch.context() as patience:
        patience.setattr(postgres_process, "STOP_SECONDS", 0.3)
        with pytest.raises(DatabaseUnavailable, match="does not stop"):
            database.stop()
    file.write_text(right)
    database.start()
    database.stop()
    assert not running(folder)


def test_postgres_that_somebody_else_started_is_left_alone(folder: Path) -> None:
    database = EmbeddedPostgres(folder, options=FAST)
    database.start()
    # As if it had not come from us: without our lock, its socket elsewhere.
    (folder / "postgres.lock").rename(folder / "aside")
    (folder / "data" / ".s.PGSQL.5432").unlink()
    with pytest.raises(DatabaseUnavailable, match="did not start"):
        EmbeddedPostgres(folder).start()
    assert is_alive(postmaster(folder))
    (folder / "aside").rename(folder / "postgres.lock")
    database.stop()
    assert not running(folder)


# Interrupted


@pytest.mark.parametrize("orphan", ["lives on", "is killed too"])
def test_interrupted_initdb_is_made_up_for(tmp_path: Path, orphan: str) -> None:
    folder = tmp_path / "postgres"
    with python(HOLDER, folder) as first:
        assert eventually(lambda: list(folder.glob("data.new-*/PG_VERSION")))
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        first.kill()
        first.wait()
        assert not (folder / "data").exists()
        if orphan == "is killed too":
            for pid in children:
                with suppress(ProcessLookupError):
                    os.killpg(int(pid), signal.SIGKILL)
    with EmbeddedPostgres(folder, options=FAST) as url:
        assert ask(url, "SELECT 1") == 1
        assert [path.name for path in folder.glob("data*")] == ["data"]
    assert not running(folder)


def test_start_that_takes_turns_too_long_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dinsight.postgres.START_SECONDS", 0.1)
    monkeypatch.setattr("dinsight.postgres.STOP_SECONDS", 0.1)
    with FileLock(folder / "starting.lock") as busy:
        assert busy.acquire()
        with pytest.raises(DatabaseUnavailable, match="Another process has been starting"):
            EmbeddedPostgres(folder).start()


# Refused, with a reason


def test_folder_of_another_version_is_refused_with_a_way_out(folder: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("15\n")
    with pytest.raises(DatabaseUnavailable, match="made by PostgreSQL 15") as refused:
        EmbeddedPostgres(folder).start()
    assert "pg_dump" in refused.value.message
    assert refused.value.details["made_by"] == "15"
    assert issubclass(DatabaseUnavailable, DinsightError)


def test_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "postgres" / "data" / "letters").write_text("dear")
    with pytest.raises(DatabaseUnavailable, match="is not a PostgreSQL database"):
        EmbeddedPostgres(tmp_path / "postgres", options=FAST).start()
    assert [path.name for path in (tmp_path / "postgres").glob("data*/*")] == ["letters"]


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("")
    with pytest.raises(DatabaseUnavailable, match="File exists"):
        EmbeddedPostgres(tmp_path / "postgres").start()


def test_missing_programs_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="No such file or directory") as missing:
        EmbeddedPostgres(tmp_path / "postgres", binaries=tmp_path / "nothing").start()
    assert str(tmp_path / "nothing") in missing.value.message


def test_programs_that_cannot_be_executed_are_named(tmp_path: Path) -> None:
    (tmp_path / "initdb").write_text("not a program")
    with pytest.raises(DatabaseUnavailable, match="cannot be run as") as refused:
        EmbeddedPostgres(tmp_path / "postgres", binaries=tmp_path).start()
    assert "ermission denied" in refused.value.message


def test_what_postgres_says_when_it_does_not_start_is_passed_on(folder: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match='invalid value for parameter "shared_buffers"'):
        EmbeddedPostgres(folder, options={"shared_buffers": "plenty"}).start()
    (folder / "data" / "pg_wal").rename(folder / "wal")  # this one shows in the log only
    with pytest.raises(DatabaseUnavailable, match="pg_wal"):
        EmbeddedPostgres(folder, options=FAST).start()
    assert not running(folder)


@pytest.mark.parametrize(("size", "stage"), [("30m", "cannot be made"), ("60m", "does not start")])
def test_full_disk_is_told(
    tmp_path: Path, place: Callable[[Path], Path], size: str, stage: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        if stage == "does not start":
            place(disk / "postgres")
            with suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
                while filler.write(bytes(4096)):
                    pass
        with pytest.raises(DatabaseUnavailable, match="No space left on device") as full:
            EmbeddedPostgres(disk / "postgres", options=FAST).start()
        assert stage in full.value.message
        assert not running(disk / "postgres")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
