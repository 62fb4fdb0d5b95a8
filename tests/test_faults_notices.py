"""Processes that raise alerts and send notices are killed: no message is lost, no id changes."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select

from dinsight.accounts import Identity
from dinsight.models import Alert
from dinsight.notices.notifier import Notifier
from dinsight.services import Services
from tests.notices_kit import (
    FAST,
    LOCAL,
    Answer,
    Sink,
    add_channel,
    make_stream,
    notices,
    sink,
    states,
)
from tests.postgres_kit import eventually

ROOT = Path(__file__).parent.parent
SEED, CHANNELS = 6, 3


@dataclass
class Sweep:
    """Kills one process after another while it raises alerts and tells of them."""

    services: Services
    stream_id: int
    receiver: Sink
    said: list[int] = field(default_factory=list)  # alerts that were said to be stored

    def kill(self, number: int, seconds: float) -> None:
        """Run a process and kill it so long after its first alert was stored."""
        words = (self.services.database.url, str(self.stream_id), f"process {number}")
        command = [sys.executable, "-m", "tests.notices_process", *words]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            self.said.append(int(process.stdout.readline()))
            time.sleep(seconds)
            process.kill()
            # A line that the kill has cut is no promise.
            rest = process.stdout.read().splitlines(keepends=True)
            self.said += [int(line) for line in rest if line.endswith("\n")]

    def settle(self) -> None:
        """Let an instance that lives send what is left."""
        survivor = Notifier(self.services.database, LOCAL, pace=FAST)
        survivor.start()
        try:
            assert eventually(lambda: states(self.services)["waiting"] == 0, 120)
        finally:
            survivor.stop()

    def check(self) -> Counter[str]:
        """Every alert's notice was delivered under its one id; how often each came."""
        assert states(self.services)["failed"] == 0
        with self.services.sessions() as session:
            alerts = set(session.scalars(select(Alert.id)))
        told = {notice.id: notice.alert_id for notice in notices(self.services)}
        assert Counter(told.values()) == dict.fromkeys(alerts, CHANNELS)
        assert set(self.said) <= alerts
        came = Counter(each.id for each in self.receiver.received)
        assert came.keys() == told.keys()
        for each in self.receiver.received:
            assert each.json["id"] == each.id
            assert each.json["alert"]["id"] == told[each.id]
        bodies = {(each.id, each.body) for each in self.receiver.received}
        assert len(bodies) == len(told)
        return came


def sweep(services: Services, user: Identity, baseline_id: int, kills: int, seconds: float) -> str:
    """Kill so many processes, each within so many seconds; the figures in a sentence."""
    luck = random.Random(SEED)
    with sink() as receiver:
        # A slow answer, so that kills fall into deliveries as well as between them.
        for number in range(CHANNELS):
            receiver.answers[f"/{number}"] = [Answer(seconds=0.02)]
            add_channel(services, user.id, receiver.url(f"/{number}"))
        with services.sessions.begin() as session:
            stream_id = make_stream(session, baseline_id).id
        swept = Sweep(services, stream_id, receiver)
        for number in range(kills):
            swept.kill(number, luck.uniform(0, seconds))
        left = states(services)["waiting"]
        swept.settle()
        came = swept.check()
    again = sum(came.values()) - len(came)
    return (
        f"{kills} kills: {len(came)} notices, all delivered, {left} of them only after the last "
        f"kill; {again} came more than once, each under its own id; lost 0"
    )


def test_killed_processes_lose_no_notice(
    services: Services, user: Identity, baseline_id: int
) -> None:
    print("\n" + sweep(services, user, baseline_id, kills=2, seconds=0.5))


@pytest.mark.slow
def test_twenty_kills_lose_no_notice(services: Services, user: Identity, baseline_id: int) -> None:
    print("\n" + sweep(services, user, baseline_id, kills=20, seconds=3.0))
