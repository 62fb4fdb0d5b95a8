"""A process that raises alerts and sends notices, to be killed at any moment.

`python -m tests.notices_process URL STREAM_ID NAME`: every alert is a transaction with its notice;
once it has committed, the alert's id goes to standard output.
"""

from __future__ import annotations

import datetime as dt
import itertools
import sys
import time

from sqlalchemy.orm import sessionmaker

from dinsight.database import Database, open_engine
from dinsight.models import Stream
from dinsight.notices import outbox
from dinsight.notices.notifier import Notifier
from tests.notices_kit import FAST, LOCAL, raise_alert


def main(url: str, stream_id: str, name: str) -> None:
    engine = open_engine(url)
    database = Database(url, engine, sessionmaker(engine))
    Notifier(database, LOCAL, pace=FAST).start()
    for number in itertools.count():
        now = dt.datetime.now(dt.UTC)
        with database.sessions.begin() as session:
            stream = session.get_one(Stream, int(stream_id))
            alert = raise_alert(session, stream, now, title=f"{name} {number}")
            outbox.write(session, alert, "raised", now=now)
            alert_id = alert.id
        print(alert_id, flush=True)
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
