"""Backups: what is restored into an empty database is what there was, point for point."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import URL, make_url, select
from sqlalchemy.orm import sessionmaker

import app
from dinsight import backup, feed
from dinsight.accounts import Identity
from dinsight.database import Sessions, connect, is_current, open_engine
from dinsight.errors import BackupFailed
from dinsight.ingest import Incoming, ingest
from dinsight.models import FittedMap
from dinsight.services import Services
from dinsight.settings import Settings
from tests.factories import csv, failing, healthy

pytest_plugins = ["tests.postgres_fixtures"]


@pytest.fixture
def empty(postgres: URL) -> str:
    """The URL of a database with nothing in it."""
    connection = psycopg2.connect(dbname="postgres", user=postgres.username, **dict(postgres.query))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS restored WITH (FORCE)")
        cursor.execute("CREATE DATABASE restored")
    connection.close()
    return postgres.set(database="restored").render_as_string(hide_password=False)


def seen(sessions: Sessions, user: Identity, baseline_id: int) -> list[object]:
    """Everything about the points, and the map that placed them."""
    with sessions() as session:
        rows = feed.rows(session, user, baseline_id, "default", start=0, limit=None, values=True)
        points = [row | {"monitor_values": list(row["monitor_values"])} for row in rows]
        return [*points, *session.scalars(select(FittedMap.payload))]


def send(services: Services, user: Identity, baseline_id: int) -> None:
    with services.sessions.begin() as session:
        for rows in (healthy(40), failing(20)):
            ingest(
                session,
                user,
                baseline_id,
                Incoming(csv(rows), "x.csv"),
                limits=services.limits,
                now=services.now(),
            )


def test_an_external_database_is_restored_as_it_was_and_goes_on(
    services: Services, user: Identity, baseline_id: int, tmp_path: Path, empty: str
) -> None:
    send(services, user, baseline_id)
    before = seen(services.sessions, user, baseline_id)
    assert len(before) == 61
    file = tmp_path / "monday.dump"
    assert backup.dump(Settings(database_url=services.database.url), file) > 1_000
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["monday.dump"]
    target = Settings(database_url=empty)
    backup.restore(target, file)
    engine = open_engine(empty)
    try:
        with engine.connect() as connection:
            assert is_current(connection)
        assert seen(sessionmaker(engine), user, baseline_id) == before
        with sessionmaker(engine).begin() as session:
            answer = ingest(
                session,
                user,
                baseline_id,
                Incoming(csv(healthy(1)), "x.csv"),
                limits=services.limits,
                now=services.now(),
            )
        assert answer["first_seq"] == 61
    finally:
        engine.dispose()
    with pytest.raises(BackupFailed, match="not empty"):
        backup.restore(target, file)


def test_the_embedded_database_moves_to_a_new_folder(
    place: Callable[[Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, new = Settings(home=tmp_path / "old"), Settings(home=tmp_path / "new")
    for settings in (old, new):
        place(settings.home / "postgres")
    connected = connect(old)
    with connected.sessions.begin() as session:
        app.first_run.first_user(session, old)
    file = tmp_path / "a file.dump"

    def run(settings: Settings, *words: str) -> int:
        monkeypatch.setenv("DINSIGHT_HOME", str(settings.home))
        monkeypatch.setattr(app.signal, "signal", lambda *_: None)
        monkeypatch.setattr(app.logs, "configure", lambda _: None)
        return app.main([*words, str(file)])

    assert run(old, "backup") == 0  # while it is in use
    connected.close()
    assert run(old, "backup") == 1
    assert "There is a file" in capsys.readouterr().err
    assert run(new, "restore") == 0
    restored = connect(new)
    try:
        with restored.sessions() as session:
            assert session.scalars(select(app.accounts.User.email)).all() == ["operator@localhost"]
    finally:
        restored.close()


def test_what_is_no_backup_leaves_the_database_empty(tmp_path: Path, empty: str) -> None:
    settings = Settings(database_url=empty)
    with pytest.raises(BackupFailed, match="There is no file"):
        backup.restore(settings, tmp_path / "none.dump")
    (tmp_path / "none.dump").write_text("not a dump")
    with pytest.raises(BackupFailed, match="pg_restore failed: "):
        backup.restore(settings, tmp_path / "none.dump")


def test_a_backup_that_fails_leaves_no_file_and_shows_no_password(tmp_path: Path) -> None:
    url = make_url("postgresql+psycopg2://plant@127.0.0.1:9/none").set(password="hunter2-long")
    settings = Settings(database_url=url.render_as_string(hide_password=False))
    with pytest.raises(BackupFailed, match="pg_dump failed: ") as failed:
        backup.dump(settings, tmp_path / "x.dump")
    assert "hunter2" not in failed.value.message
    assert list(tmp_path.iterdir()) == []
