"""What happens at the same time: a baseline goes while it is written to, read and fitted."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from dinsight import baselines, fitting, refitting, streams
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound
from dinsight.ingest import Incoming, ingest
from dinsight.mapstore import load_map
from dinsight.models import Alert, Audit, Baseline, FittedMap, Job
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, csv, failing, healthy

SECONDS = 10
LEASE = "ours"
Act = Callable[..., Any]


@pytest.fixture
def act(services: Services, user: Identity, baseline_id: int) -> Act:
    """Does one thing to the user's baseline, in a transaction of its own."""
    limits = services.limits

    def post(session: Session, stream: str) -> Any:
        incoming = Incoming(csv(healthy(1)), "x.csv", stream)
        return ingest(session, user, baseline_id, incoming, limits=limits, now=services.now())

    things: dict[str, Callable[[Session, str], Any]] = {
        "post": post,
        "reset": lambda session, stream: streams.reset(
            session, user, baseline_id, stream, now=services.now()
        ),
        "configure": lambda session, stream: streams.configure(
            session, user, baseline_id, stream, {"total_points": 5}
        ),
        "remove": lambda session, _: baselines.remove(session, user, baseline_id),
    }

    def do(what: str, stream: str = "default") -> Any:
        with services.sessions.begin() as session:
            return things[what](session, stream)

    return do


def wait_until_blocked(session: Session) -> None:
    """Until another transaction waits for this one."""
    mine = text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY "
        "(pg_blocking_pids(pid))"
    )
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if session.scalar(mine):
            return
        time.sleep(0.01)
    raise AssertionError("nothing waits")


@pytest.mark.parametrize("stream", ["default", "a new one"])
@pytest.mark.parametrize("what", ["post", "reset", "configure"])
def test_what_meets_a_deletion_finds_no_baseline(
    services: Services, act: Act, baseline_id: int, what: str, stream: str
) -> None:
    with ThreadPoolExecutor(1) as pool, services.sessions() as session:
        session.execute(delete(Baseline).where(Baseline.id == baseline_id))
        meeting = pool.submit(act, what, stream)
        wait_until_blocked(session)
        session.commit()
        with pytest.raises(BaselineNotFound):
            meeting.result(SECONDS)


def test_a_deletion_waits_for_a_reset(
    services: Services, act: Act, user: Identity, baseline_id: int
) -> None:
    with ThreadPoolExecutor(1) as pool, services.sessions() as session:
        streams.lock(session, user, baseline_id, "default")
        deletion = pool.submit(act, "remove")
        wait_until_blocked(session)
        streams.reset(session, user, baseline_id, "default", now=services.now())
        session.commit()
        deletion.result(SECONDS)
    with services.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Baseline)) == 0


@pytest.mark.parametrize("what", ["remove", "adopt"])
def test_a_batch_that_raises_an_alert_is_waited_for(
    services: Services, act: Act, user: Identity, baseline_id: int, made: fitting.Made, what: str
) -> None:
    def adopt() -> None:
        with services.sessions.begin() as session:
            refitting.adopt(session, baseline_id, made, services.now())

    act("post")
    with ThreadPoolExecutor(1) as pool, services.sessions() as session:
        streams.lock(session, user, baseline_id, "default")
        meeting = pool.submit(adopt) if what == "adopt" else pool.submit(act, what)
        wait_until_blocked(session)
        incoming = Incoming(csv(failing(8)), "x.csv", "default")
        ingest(session, user, baseline_id, incoming, limits=services.limits, now=services.now())
        assert session.scalars(select(Alert.title)).all() == ["Failing"]
        session.commit()
        meeting.result(SECONDS)


def test_of_two_deletions_one_finds_nothing(
    services: Services, act: Act, user: Identity, baseline_id: int
) -> None:
    with ThreadPoolExecutor(1) as pool, services.sessions() as session:
        baselines.remove(session, user, baseline_id)
        second = pool.submit(act, "remove")
        wait_until_blocked(session)
        session.commit()
        with pytest.raises(BaselineNotFound):
            second.result(SECONDS)
    with services.sessions() as session:
        assert session.scalars(select(Audit.action)).all() == ["baseline.delete"]


def test_what_is_read_of_a_baseline_that_goes_meanwhile_is_not_found(
    services: Services, act: Act, user: Identity, baseline_id: int
) -> None:
    with services.sessions() as session:
        baseline = baselines.get(session, user, baseline_id)
        act("remove")
        with pytest.raises(BaselineNotFound):
            baselines.fitted_map(session, baseline)
        with pytest.raises(BaselineNotFound):
            baselines.feature_names(session, baseline_id)
        with pytest.raises(BaselineNotFound):
            load_map(session, "the sha256 of a map that is in no cache")


# ---- the fit ----


@pytest.fixture
def job(services: Services, user: Identity) -> tuple[int, int]:
    """A fit under way: the job, held by `LEASE`, and its baseline."""
    with services.sessions.begin() as session:
        file = baselines.File("pump.csv", io.BytesIO(csv(BASELINE)))
        number = baselines.create(session, user, [file], limits=services.limits).id
        job_id = session.scalars(select(Job.id).where(Job.baseline_id == number)).one()
        session.execute(update(Job).values(lease=LEASE))
        return job_id, number


def test_a_deletion_waits_for_a_fit_that_is_being_stored(
    services: Services, user: Identity, job: tuple[int, int], made: fitting.Made
) -> None:
    job_id, number = job

    def remove() -> None:
        with services.sessions.begin() as session:
            baselines.remove(session, user, number)

    with ThreadPoolExecutor(1) as pool, services.sessions() as session:
        fitting.hold(session, job_id, LEASE)
        deletion = pool.submit(remove)
        wait_until_blocked(session)
        rows = fitting.Rows(FEATURES, BASELINE, [{}] * len(BASELINE))
        fitting.store(session, number, rows, made)
        session.commit()
        deletion.result(SECONDS)
    with services.sessions() as session:
        assert session.scalar(select(func.count()).select_from(FittedMap)) == 0


@pytest.mark.parametrize("step", ["read_rows", "hold"])
def test_a_fit_whose_baseline_goes_meanwhile_ends_quietly(
    services: Services,
    user: Identity,
    job: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    job_id, number = job
    original = getattr(fitting, step)

    def after_the_deletion(*args: Any) -> Any:
        with services.sessions.begin() as session:
            session.execute(delete(Baseline).where(Baseline.id == number))
        return original(*args)

    monkeypatch.setattr(fitting, step, after_the_deletion)
    fitting.fit(services.sessions, job_id, LEASE, services.limits)
    with services.sessions() as session:
        assert session.scalar(select(func.count()).select_from(FittedMap)) == 0
