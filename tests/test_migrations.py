"""Migrations: what they make is what the models say, and several instances may start at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from dinsight.database import Database, alembic_config, is_current, migrate
from dinsight.models import Base


def test_the_tables_are_those_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_migrated_database_is_current(database: Database) -> None:
    with database.engine.connect() as connection:
        assert is_current(connection)


def test_migrations_go_down_and_up_again(database: Database) -> None:
    _downgrade(database)
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    _migrate(database)
    assert "points" in inspect(database.engine).get_table_names()


def test_instances_that_start_at_once_take_turns(database: Database) -> None:
    _downgrade(database)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: _migrate(database), range(4)))
    assert "points" in inspect(database.engine).get_table_names()


def _migrate(target: Database) -> None:
    migrate(target.engine)


def _downgrade(target: Database) -> None:
    with target.engine.connect() as connection:
        command.downgrade(alembic_config(connection), "base")
        connection.commit()
