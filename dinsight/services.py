"""What every door needs: the settings, the database and the jobs, made once by `app.py`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from dinsight.database import Database, Sessions
from dinsight.jobs import Runner
from dinsight.monitor_files import Bounds
from dinsight.notices.notifier import Tally
from dinsight.readings import Limits
from dinsight.replay import Sample
from dinsight.settings import Settings


@dataclass(frozen=True)
class Services:
    """Handed to the API and to the callbacks; holds no state but counts."""

    settings: Settings
    database: Database
    jobs: Runner
    secret_key: str
    sample: Sample | None = None
    notices: Tally = field(default_factory=Tally)  # what this instance has sent

    @property
    def sessions(self) -> Sessions:
        return self.database.sessions

    @property
    def limits(self) -> Limits:
        return limits(self.settings)

    @property
    def monitor_files(self) -> Bounds:
        return Bounds(self.limits, self.settings.max_upload_mb)

    @staticmethod
    def now() -> dt.datetime:
        return dt.datetime.now(dt.UTC)


def limits(settings: Settings) -> Limits:
    return Limits(rows=settings.max_rows, columns=settings.max_columns)
