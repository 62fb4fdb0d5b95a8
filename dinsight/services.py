"""What every door needs: the settings, the database and the jobs, made once by `app.py`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from dinsight.database import Database, Sessions
from dinsight.jobs import Runner
from dinsight.readings import Limits
from dinsight.settings import Settings


@dataclass(frozen=True)
class Services:
    """Handed to the API and to the callbacks; holds no state of its own."""

    settings: Settings
    database: Database
    jobs: Runner
    secret_key: str

    @property
    def sessions(self) -> Sessions:
        return self.database.sessions

    @property
    def limits(self) -> Limits:
        return limits(self.settings)

    @staticmethod
    def now() -> dt.datetime:
        return dt.datetime.now(dt.UTC)


def limits(settings: Settings) -> Limits:
    return Limits(rows=settings.max_rows, columns=settings.max_columns)
