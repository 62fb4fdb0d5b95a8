"""Fixtures of the embedded PostgreSQL.

A test module takes them with `pytest_plugins = ["tests.postgres_fixtures"]`.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dinsight.postgres import EmbeddedPostgres
from tests.postgres_kit import FAST, postmaster, running


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database folder that was made and stopped, to be copied: faster than `initdb`."""
    folder = tmp_path_factory.mktemp("postgres") / "fresh"
    with EmbeddedPostgres(folder, options=FAST):
        pass
    return folder


@pytest.fixture
def place(fresh: Path) -> Iterator[Callable[[Path], Path]]:
    """Puts a copy of the database at a path; after the test nothing may run on any of them."""
    placed: list[Path] = []

    def put(folder: Path) -> Path:
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--sparse=always", str(fresh), str(folder)], check=True)
        placed.append(folder)
        return folder

    yield put
    left = [folder for folder in placed if running(folder)]
    for folder in left:
        os.kill(postmaster(folder), signal.SIGQUIT)
    assert left == [], "a test left PostgreSQL running"


@pytest.fixture
def folder(place: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A database folder, nothing running on it."""
    return place(tmp_path / "postgres")
