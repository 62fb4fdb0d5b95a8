"""Jobs: a fit is done once, by whoever holds its lease, and survives what interrupts it."""

from __future__ import annotations

import datetime as dt
import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent import futures

import pytest
from sqlalchemy import func, select, update

from dinsight import baselines, fitting, jobs, maps, worker
from dinsight.accounts import Identity
from dinsight.jobs import Runner, local_executor
from dinsight.models import Baseline, BaselinePoint, FittedMap, Job, Stream, Upload
from dinsight.services import Services
from tests.factories import BASELINE, csv
from tests.postgres_kit import eventually

Upload_ = Callable[..., int]
Thread = futures.ThreadPoolExecutor


@pytest.fixture
def upload(services: Services, user: Identity) -> Upload_:
    """Uploads a baseline and gives its id; nothing fits it yet."""

    def send(content: bytes = csv(BASELINE), layout: str = maps.DEFAULT) -> int:
        with services.sessions.begin() as session:
            file = baselines.File("pump.csv", io.BytesIO(content))
            return baselines.create(session, user, [file], limits=services.limits, layout=layout).id

    return send


@pytest.fixture
def runner(services: Services) -> Iterator[Callable[[Callable[[], futures.Executor]], Runner]]:
    """Starts runners over an executor, as several instances would; stops them in the end."""
    made: list[Runner] = []

    def start(make: Callable[[], futures.Executor]) -> Runner:
        made.append(Runner(services.database, services.limits, make))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.stop()


def wait_for(services: Services, baseline_id: int, *statuses: str, seconds: float = 90) -> Baseline:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with services.sessions() as session:
            baseline = session.get_one(Baseline, baseline_id)
        if baseline.status in statuses:
            return baseline
        time.sleep(0.05)
    raise AssertionError(f"{baseline.status}, {baseline.status_message}, after {seconds} s")


def count(services: Services, model: type) -> int:
    with services.sessions() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_a_fit_stores_rows_map_and_stream_and_lets_the_upload_go(
    services: Services, upload: Upload_, runner: Callable[..., Runner]
) -> None:
    number = upload()
    assert count(services, Upload) == 1
    runner(lambda: Thread(1))
    baseline = wait_for(services, number, "completed")
    assert (baseline.rows, baseline.progress, baseline.name) == (120, 100, "pump")
    counts = [count(services, m) for m in (BaselinePoint, FittedMap, Stream, Upload, Job)]
    assert counts == [120, 1, 1, 0, 0]


def test_two_instances_fit_every_baseline_once(
    services: Services, upload: Upload_, runner: Callable[..., Runner]
) -> None:
    numbers = [upload() for _ in range(3)]
    runner(lambda: Thread(1))
    runner(lambda: Thread(1))
    for number in numbers:
        wait_for(services, number, "completed")
    assert count(services, FittedMap) == 3


def test_a_fit_interrupted_by_a_killed_instance_is_taken_over(
    services: Services, upload: Upload_, runner: Callable[..., Runner]
) -> None:
    number = upload()
    with services.sessions.begin() as session:
        past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
        session.execute(update(Job).values(lease="a dead instance", lease_until=past, attempts=1))
    runner(lambda: Thread(1))
    wait_for(services, number, "completed")


def test_a_job_that_another_instance_holds_is_left_alone(
    services: Services, upload: Upload_, runner: Callable[..., Runner]
) -> None:
    number = upload()
    with services.sessions.begin() as session:
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)
        session.execute(update(Job).values(lease="a living instance", lease_until=until))
    other = upload()
    runner(lambda: Thread(1))
    wait_for(services, other, "completed")
    with services.sessions() as session:
        assert session.get_one(Baseline, number).status == "processing"


def test_one_that_lost_its_lease_stores_nothing(services: Services, upload: Upload_) -> None:
    upload()
    with services.sessions.begin() as session:
        job = session.scalars(select(Job)).one()
        job.lease = "somebody else's"
    fitting.fit(services.sessions, job_id=1, lease="mine", limits=services.limits)
    assert (count(services, FittedMap), count(services, Job)) == (0, 1)


def test_a_fit_whose_process_is_killed_starts_again(
    services: Services, upload: Upload_, runner: Callable[..., Runner]
) -> None:
    pools: list[futures.ProcessPoolExecutor] = []

    def make() -> futures.Executor:
        pool = local_executor(services.settings.home)
        assert isinstance(pool, futures.ProcessPoolExecutor)
        pools.append(pool)
        return pool

    number = upload(layout="umap")  # which takes seconds
    runner(make)
    deadline = time.monotonic() + 60
    while not (pools and pools[0]._processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    for process in list(pools[0]._processes.values()):
        os.kill(process.pid, signal.SIGKILL)
    wait_for(services, number, "completed")
    assert len(pools) == 2


def test_a_fit_that_always_dies_is_given_up_with_a_reason(
    services: Services, upload: Upload_, runner: Callable[..., Runner]
) -> None:
    number = upload()
    with services.sessions.begin() as session:
        session.execute(update(Job).values(attempts=3))
    runner(lambda: Thread(1))
    baseline = wait_for(services, number, "failed")
    assert baseline.error_message is not None
    assert "three times" in baseline.error_message
    assert count(services, Job) == 0


def test_every_layout_is_warmed_up_once_when_nothing_is_waiting(
    services: Services,
    upload: Upload_,
    runner: Callable[..., Runner],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    class Noting(Thread):
        def submit(self, work: object, *more: object) -> futures.Future[object]:  # type: ignore[override]
            if work is worker.warm_up:
                asked.append(more)
                return futures.Future()
            return super().submit(work, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(jobs, "LOOK_SECONDS", 0.05)
    number = upload()
    runner(lambda: Noting(1))
    wait_for(services, number, "completed")
    assert asked == []
    time.sleep(1)
    assert asked == [(layout,) for layout in maps.LAYOUTS]


def test_a_runner_that_stops_gives_its_job_back(
    services: Services, upload: Upload_, runner: Callable[..., Runner]
) -> None:
    number = upload(layout="umap")  # which takes seconds
    first = runner(lambda: local_executor(services.settings.home))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with services.sessions() as session:
            if session.scalars(select(Job.attempts)).one() == 1:
                break
        time.sleep(0.02)
    first.stop()
    with services.sessions() as session:
        job = session.scalars(select(Job)).one()
    assert (job.attempts, job.lease_until) == (0, None)
    runner(lambda: Thread(1))
    wait_for(services, number, "completed")


def test_an_error_inside_the_server_fails_the_baseline_and_not_the_runner(
    services: Services, upload: Upload_, runner: Callable[..., Runner]
) -> None:
    class Broken(Thread):
        def submit(self, *_: object, **__: object) -> futures.Future[object]:  # type: ignore[override]
            failed: futures.Future[object] = futures.Future()
            failed.set_exception(RuntimeError("a bug"))
            return failed

    number = upload()
    runner(lambda: Broken(1))
    baseline = wait_for(services, number, "failed")
    assert baseline.error_message == "The fit failed inside the server; its log says why."


def test_several_files_make_one_baseline_in_their_order(
    services: Services, user: Identity, runner: Callable[..., Runner]
) -> None:
    parts = [csv(BASELINE[:50]), csv(BASELINE[50:])]
    with services.sessions.begin() as session:
        files = [baselines.File(f"{n}.csv", io.BytesIO(part)) for n, part in enumerate(parts)]
        number = baselines.create(session, user, files, limits=services.limits, name="Both").id
    runner(lambda: Thread(1))
    wait_for(services, number, "completed")
    with services.sessions() as session:
        stored = session.scalars(select(BaselinePoint.features).order_by(BaselinePoint.row)).all()
    assert b"".join(stored) == BASELINE.tobytes()


def test_a_large_upload_is_kept_in_pieces_and_put_together_again(
    services: Services, user: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "CHUNK_BYTES", 1000)
    with services.sessions.begin() as session:
        file = baselines.File("pump.csv", io.BytesIO(csv(BASELINE)))
        number = baselines.create(session, user, [file], limits=services.limits).id
        features = tuple(baselines.feature_names(session, number))
    assert count(services, Upload) > 10
    with services.sessions() as session:
        rows = fitting.read_rows(session, number, features, services.limits)
    assert rows.values.tobytes() == BASELINE.tobytes()


def test_a_job_process_that_died_while_idle_is_replaced_before_a_job_is_claimed(
    services: Services, upload: Upload_, runner: Callable[..., Runner]
) -> None:
    pools: list[futures.ProcessPoolExecutor] = []

    def make() -> futures.Executor:
        pool = local_executor(services.settings.home)
        assert isinstance(pool, futures.ProcessPoolExecutor)
        pools.append(pool)
        return pool

    running = runner(make)
    assert eventually(lambda: running.executor_up, 30)
    os.kill(next(iter(pools[0]._processes)), signal.SIGKILL)
    assert eventually(lambda: len(pools) == 2, 30)
    number = upload()
    wait_for(services, number, "completed")
    assert running.tally.lost == 0
