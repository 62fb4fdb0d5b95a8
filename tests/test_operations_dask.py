"""Fits on a Dask cluster: a real scheduler and worker on this machine, lost and found again."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from dinsight import baselines, jobs, worker
from dinsight.accounts import Identity
from dinsight.cluster import Cluster
from dinsight.errors import ExecutorUnavailable
from dinsight.jobs import Runner
from dinsight.models import Baseline, Job
from dinsight.services import Services
from dinsight.settings import Settings
from tests.factories import BASELINE, csv
from tests.postgres_kit import eventually
from tests.test_jobs import wait_for

ROOT = Path(__file__).parent.parent


class Dask:
    """The processes of a cluster on one port of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        words = ("--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        return self._start("scheduler", *words)

    def start_worker(self) -> subprocess.Popen[bytes]:
        words = (self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny")
        return self._start("worker", *words, "--no-dashboard", "--death-timeout", "60")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        log = (self._folder / f"{words[0]}.log").open("ab")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
                cwd=ROOT,
                env=os.environ | {"DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "60s"},
                stdout=log,
                stderr=log,
            )
        self._running.append(process)
        return process

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def stop(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    cluster = Dask(tmp_path)
    yield cluster
    cluster.stop()


@pytest.fixture
def runner(services: Services, dask: Dask) -> Iterator[Runner]:
    made = Runner(
        services.database,
        services.limits,
        lambda: jobs.executor(Settings(dask_scheduler=dask.address)),
    )
    yield made
    made.stop()


@pytest.fixture
def upload(services: Services, user: Identity) -> Callable[..., int]:
    def send() -> int:
        with services.sessions.begin() as session:
            file = baselines.File("pump.csv", io.BytesIO(csv(BASELINE)))
            return baselines.create(session, user, [file], limits=services.limits).id

    return send


def lease_of(services: Services) -> str | None:
    with services.sessions() as session:
        return session.scalar(select(Job.lease).where(Job.lease_until.is_not(None)))


def attempts(services: Services) -> int | None:
    with services.sessions() as session:
        return session.scalar(select(Job.attempts).where(Job.lease_until.is_(None)))


def test_a_baseline_is_fitted_on_the_cluster_which_may_be_lost_and_come_back(
    services: Services,
    dask: Dask,
    runner: Runner,
    upload: Callable[..., int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "dinsight")
    runner.start()
    assert eventually(lambda: "cannot be reached: fits wait" in caplog.text, 20), caplog.text
    number = upload()
    assert lease_of(services) is None  # nothing takes what nothing can do
    assert not runner.executor_up
    scheduler = dask.start_scheduler()
    dask.start_worker()
    assert wait_for(services, number, "completed").rows == len(BASELINE)
    assert runner.executor_up
    assert eventually(lambda: runner.tally.performed == 1, 10)
    assert "fits can run again" in caplog.text

    second = upload()
    with services.sessions() as holder:
        holder.execute(text("LOCK TABLE uploads IN ACCESS EXCLUSIVE MODE"))  # the fit waits for it
        runner.wake()
        assert eventually(lambda: lease_of(services), 30)
        scheduler.send_signal(signal.SIGKILL)
        scheduler.wait()
        lost = f"the Dask scheduler was lost while fitting baseline {second}"
        assert eventually(lambda: lost in caplog.text, 40), caplog.text
    assert eventually(lambda: attempts(services) == 0, 10)  # it was not the job's fault
    with services.sessions() as session:
        assert session.get_one(Baseline, second).status == "processing"
    dask.start_scheduler()
    dask.start_worker()
    wait_for(services, second, "completed", seconds=120)
    ours = [record for record in caplog.records if record.name.startswith("dinsight")]
    assert {record.levelname for record in ours} == {"INFO", "WARNING"}


def test_what_a_worker_logs_of_a_failed_call_holds_no_database_url(dask: Dask) -> None:
    dask.start_scheduler()
    dask.start_worker()
    cluster = connected(dask)
    try:
        url = "postgresql+psycopg2://plant:a-password@127.0.0.1:9/none"
        failed = cluster.submit(worker.perform, worker.Address(url), 1, "a lease", None)
        assert failed.exception(60) is not None
        assert eventually(lambda: "Compute Failed" in dask.log("worker"), 10)
        assert "a-password" not in dask.log("worker") + dask.log("scheduler")
    finally:
        cluster.shutdown(cancel_futures=True)


def connected(dask: Dask) -> Cluster:
    found: list[Cluster] = []

    def connect() -> bool:
        try:
            found.append(Cluster(dask.address))
        except ExecutorUnavailable:
            return False
        return True

    assert eventually(connect, 40)
    return found[0]


def test_a_cluster_that_is_not_there_is_said_with_its_address(dask: Dask) -> None:
    with pytest.raises(ExecutorUnavailable, match=re.escape(dask.address)):
        Cluster(dask.address)
