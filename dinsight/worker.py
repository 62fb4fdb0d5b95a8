"""What runs inside the job process. Everything here is importable by name, for any executor."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import sessionmaker

from dinsight import readings
from dinsight.database import open_engine

NICENESS = 19
PARENT_CHECK_SECONDS = 1.0


def start(cache: str) -> None:
    """Prepare a local job process: polite, and gone when its parent is."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.nice(NICENESS)
    Path(cache).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("NUMBA_CACHE_DIR", cache)
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()


def warm_up(layout: str) -> None:
    """Load and compile what fits of a layout need, before the first one is asked for."""
    from dinsight import maps

    maps.warm_up(layout)


@dataclass(frozen=True)
class Address:
    """Where the database is. Not shown: a Dask worker logs what a failed call was given."""

    url: str = field(repr=False)


def perform(database: Address, job_id: int, lease: str, limits: readings.Limits) -> None:
    """Do a job, with a connection of this process's own."""
    from dinsight import work

    engine = open_engine(database.url, pool_size=1)
    try:
        work.perform(sessionmaker(engine), job_id, lease, limits)
    finally:
        engine.dispose()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)
