"""Refits: another map of the same rows, while the old one stays in use until it is there."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, func, select, update
from werkzeug.serving import make_server

from dinsight import baselines, feed, fitting, maps, mapstore, refitting, report_card, streams, work
from dinsight.accounts import Identity
from dinsight.errors import (
    BaselineFailed,
    BaselineNotFound,
    BaselineNotReady,
    BaselineTooSmall,
    EpochChanged,
    MapBeingRefitted,
    MapOutdated,
    MapUnchanged,
    RefitUnderWay,
    UnknownLayout,
)
from dinsight.ingest import Incoming, ingest
from dinsight.models import Baseline, Epoch, FittedMap, Job, Point, Stream
from dinsight.services import Services
from dinsight.status import status
from tests.factories import BASELINE, FEATURES, PASSWORD, csv, failing, healthy
from tests.simulator_kit import play
from tests.test_races import SECONDS, wait_until_blocked

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
LEASE = "ours"


@pytest.fixture(scope="module")
def mspc() -> fitting.Made:
    """Another map of `BASELINE`, fitted once."""
    fitted = maps.fit(BASELINE, layout="mspc", features=FEATURES)
    return fitting.Made(fitted, 2.0, report_card.write(fitted))


@pytest.fixture
def refit(
    services: Services,
    user: Identity,
    baseline_id: int,
    mspc: fitting.Made,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., None]:
    """Asks for a refit as `mspc` and does it, without fitting the same rows every time."""
    monkeypatch.setattr(fitting, "make", lambda *_: mspc)

    def do() -> None:
        ask(services, user, baseline_id)
        perform(services)

    return do


@pytest.fixture
def post(services: Services, user: Identity, baseline_id: int) -> Callable[..., dict[str, Any]]:
    def send(rows: int, values: Any = None, **more: Any) -> dict[str, Any]:
        incoming = Incoming(csv(healthy(rows) if values is None else values), "b.csv", **more)
        with services.sessions.begin() as session:
            return ingest(session, user, baseline_id, incoming, limits=services.limits, now=NOW)

    return send


def ask(services: Services, who: Identity, baseline_id: int, layout: str = "mspc") -> Any:
    with services.sessions.begin() as session:
        return refitting.ask(session, who, baseline_id, layout)


def perform(services: Services) -> None:
    """Do the job that is there, as an instance that holds it would."""
    with services.sessions.begin() as session:
        job_id = session.scalars(select(Job.id)).one()
        session.execute(update(Job).values(lease=LEASE))
    work.perform(services.sessions, job_id, LEASE, services.limits)


def of(services: Services, baseline_id: int) -> Baseline:
    with services.sessions() as session:
        return session.get_one(Baseline, baseline_id)


def change(services: Services, statement: Any) -> None:
    with services.sessions.begin() as session:
        session.execute(statement)


def count(services: Services, model: type) -> int:
    with services.sessions() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


# ---- asking ----


def test_a_baseline_stays_in_use_while_it_waits_to_be_refitted(
    services: Services, user: Identity, baseline_id: int, post: Callable[..., Any]
) -> None:
    state = ask(services, user, baseline_id)
    assert state == {
        "map": "mspc",
        "status": "waiting",
        "progress": 0,
        "status_message": "Waiting to be fitted",
        "error_message": None,
        "reason": None,
    }
    waiting = of(services, baseline_id)
    assert (waiting.status, waiting.progress, waiting.layout) == ("completed", 100, "distance")
    assert post(2)["last_seq"] == 2


def test_the_refit_that_is_under_way_is_given_again_and_no_other_is_taken(
    services: Services, user: Identity, baseline_id: int
) -> None:
    first = ask(services, user, baseline_id)
    assert ask(services, user, baseline_id) == first
    with pytest.raises(RefitUnderWay):
        ask(services, user, baseline_id, "umap")
    with pytest.raises(RefitUnderWay):
        ask(services, user, baseline_id, "distance")
    assert count(services, Job) == 1


def test_the_map_that_there_is_and_one_that_is_none_are_refused(
    services: Services, user: Identity, other: Identity, baseline_id: int
) -> None:
    with pytest.raises(MapUnchanged, match="drawn as distance already"):
        ask(services, user, baseline_id, "distance")
    with pytest.raises(UnknownLayout, match="umap, distance, mspc"):
        ask(services, user, baseline_id, "tsne")
    with pytest.raises(BaselineNotFound):
        ask(services, other, baseline_id)
    change(services, update(Baseline).values(status="processing"))
    with pytest.raises(BaselineNotReady):
        ask(services, user, baseline_id)
    change(services, update(Baseline).values(status="failed"))
    with pytest.raises(BaselineFailed):
        ask(services, user, baseline_id)
    assert count(services, Job) == 0


def test_of_two_that_ask_at_once_one_queues(
    services: Services, user: Identity, baseline_id: int
) -> None:
    with ThreadPoolExecutor(1) as pool, services.sessions() as session:
        refitting.ask(session, user, baseline_id, "mspc")
        second = pool.submit(ask, services, user, baseline_id, "umap")
        wait_until_blocked(session)
        session.commit()
        with pytest.raises(RefitUnderWay):
            second.result(SECONDS)
    assert count(services, Job) == 1


def test_what_meets_a_deletion_finds_no_baseline(
    services: Services, user: Identity, baseline_id: int
) -> None:
    with ThreadPoolExecutor(1) as pool, services.sessions() as session:
        session.execute(delete(Baseline).where(Baseline.id == baseline_id))
        meeting = pool.submit(ask, services, user, baseline_id)
        wait_until_blocked(session)
        session.commit()
        with pytest.raises(BaselineNotFound):
            meeting.result(SECONDS)


# ---- the new map ----


def test_a_real_refit_gives_the_map_that_an_upload_would(
    services: Services, user: Identity, baseline_id: int
) -> None:
    ask(services, user, baseline_id, "mspc")
    perform(services)
    after = of(services, baseline_id)
    assert (after.status, after.layout, after.refit["status"]) == ("completed", "mspc", "completed")
    assert (after.refit["progress"], after.refit["error_message"]) == (100, None)
    uploaded = maps.fit(BASELINE, layout="mspc", features=FEATURES)
    with services.sessions() as session:
        row = session.get_one(FittedMap, after.map_id)
        assert (row.sha256, row.format) == (maps.sha256(uploaded.to_bytes()), maps.FORMAT)
        assert row.report["rows"] == 120
        shown = baselines.on_map(session, user, baseline_id)
    assert (shown["map"], shown["refit"]["map"]) == ("mspc", "mspc")
    assert shown["dinsight_x"].tobytes() == uploaded.coordinates[:, 0].tobytes()
    assert count(services, Job) == 0


def test_streams_go_on_in_a_new_epoch_and_stored_points_do_not_move(
    services: Services,
    user: Identity,
    baseline_id: int,
    post: Callable[..., Any],
    refit: Callable[..., None],
    mspc: fitting.Made,
) -> None:
    rows = healthy(3, seed=5)
    post(3, rows)
    with services.sessions() as session:
        before = session.execute(select(Point.epoch, Point.seq, Point.x, Point.y)).all()
        old = session.get_one(Baseline, baseline_id).map_id
    refit()
    assert post(3, rows)["epoch"] == 2
    with services.sessions() as session:
        points = session.execute(
            select(Point.epoch, Point.seq, Point.x, Point.y).order_by(Point.epoch, Point.seq)
        ).all()
        pinned = session.execute(select(Epoch.map_id, Epoch.ended_at).order_by(Epoch.epoch)).all()
        new = session.get_one(Baseline, baseline_id).map_id
    assert points[:3] == before
    placed = mspc.fitted.place(rows)
    assert [point.x for point in points[3:]] == pytest.approx(placed.x.tolist(), rel=1e-6)
    assert [row.map_id for row in pinned] == [old, new]
    assert (pinned[0].ended_at is not None, pinned[1].ended_at) == (True, None)


def test_a_map_that_no_point_needs_goes_with_the_refit(
    services: Services, baseline_id: int, post: Callable[..., Any], refit: Callable[..., None]
) -> None:
    refit()
    assert count(services, FittedMap) == 1
    with services.sessions() as session:
        assert session.scalars(select(Epoch.epoch).order_by(Epoch.epoch)).all() == [1, 2]
    assert post(1)["epoch"] == 2
    change(services, update(Baseline).values(layout="umap"))
    refit()
    assert count(services, FittedMap) == 2


def test_the_run_goes_on_with_what_was_declared_less_what_is_archived(
    services: Services,
    user: Identity,
    baseline_id: int,
    post: Callable[..., Any],
    refit: Callable[..., None],
) -> None:
    def act(function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        with services.sessions.begin() as session:
            return function(session, user, baseline_id, "default", *args, **more)

    act(streams.configure, {"total_points": 10, "latest_glow_count": 4})
    post(3)
    act(streams.control, "pause")
    refit()
    after = act(status, now=NOW)
    assert (after["epoch"], after["run_epoch"], after["carried_points"]) == (2, 1, 3)
    assert (after["total_points"], after["streamed_points"]) == (7, 0)
    assert (after["status"], after["latest_glow_count"]) == ("paused", 4)
    act(streams.control, "resume")
    post(7)
    assert act(status, now=NOW)["status"] == "completed"
    act(streams.reset, now=NOW)
    fresh = act(status, now=NOW)
    assert (fresh["epoch"], fresh["run_epoch"], fresh["carried_points"]) == (3, 3, 0)


def test_a_batch_of_before_the_refit_is_told_that_the_run_goes_on(
    post: Callable[..., Any], refit: Callable[..., None]
) -> None:
    first = post(2, epoch=1, key="a")
    refit()
    with pytest.raises(EpochChanged, match="refitted: this run goes on in epoch 2") as refused:
        post(2, epoch=1, key="b")
    assert refused.value.details == {"epoch": 2, "sent": 1, "reason": "refit"}
    assert post(2, epoch=1, key="a") == first
    assert post(2, epoch=2, key="b")["first_seq"] == 1


def test_the_same_sensitivity_means_another_limit_on_another_map(
    services: Services,
    user: Identity,
    baseline_id: int,
    refit: Callable[..., None],
    mspc: fitting.Made,
) -> None:
    with services.sessions.begin() as session:
        streams.configure(session, user, baseline_id, "default", {"sensitivity_factor": 5})
    change(services, update(Stream).values(settings={"sensitivity_factor": 5, "alarm_limit": 0.1}))
    refit()
    with services.sessions() as session:
        found = streams.find(session, user, baseline_id, "default")
    limit = mspc.fitted.limit_at(5.0)
    assert (found.settings["sensitivity_factor"], found.settings["alarm_limit"]) == (5.0, limit)
    assert found.settings["cost"]["expected"] == pytest.approx(
        mspc.fitted.false_alarms(limit, 1.0).per_day
    )


def test_a_simulator_that_is_sending_goes_on_on_the_new_map(
    services: Services,
    user: Identity,
    baseline_id: int,
    mspc: fitting.Made,
    client: FlaskClient,
    tmp_path: Path,
) -> None:
    rows = healthy(40, seed=3)
    (tmp_path / "monitor.csv").write_bytes(csv(rows))
    server = make_server("127.0.0.1", 0, client.application, threaded=True)
    here: Any = SimpleNamespace(url=f"http://127.0.0.1:{server.port}/api/v1")
    sent = {"auth_email": user.email, "auth_password": PASSWORD, "delay": 0.02}
    with ThreadPoolExecutor(2) as pool:
        pool.submit(server.serve_forever)
        try:
            playing = pool.submit(
                play, here, tmp_path / "monitor.csv", baseline_id=baseline_id, **sent
            )
            deadline = time.monotonic() + SECONDS
            while count(services, Point) < 5 and time.monotonic() < deadline:
                time.sleep(0.01)
            with services.sessions.begin() as session:
                refitting.adopt(session, baseline_id, mspc, NOW)
            played = playing.result(30)
        finally:
            server.shutdown()
    assert (played.error, played.status) == (None, 0)
    assert f"baseline {baseline_id} was refitted: going on with row" in played.out
    assert "sent 40 = acknowledged 40" in played.out
    with services.sessions() as session:
        found = session.scalars(select(Point.features).order_by(Point.epoch, Point.seq)).all()
        assert b"".join(found) == rows.tobytes()
        told = status(session, user, baseline_id, "default", now=NOW)
    assert told["carried_points"] + told["streamed_points"] == 40
    assert (told["status"], told["progress_percentage"]) == ("completed", 100.0)


# ---- what goes wrong, and what happens at the same time ----


def test_a_refit_that_fails_leaves_the_old_map_in_force_and_says_so(
    services: Services,
    user: Identity,
    baseline_id: int,
    post: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_small(*_: Any) -> Any:
        raise BaselineTooSmall("A map needs more.")

    monkeypatch.setattr(fitting, "make", too_small)
    ask(services, user, baseline_id)
    perform(services)
    after = of(services, baseline_id)
    assert (after.status, after.layout, after.error_message) == ("completed", "distance", None)
    assert (after.refit["status"], after.refit["error_message"]) == ("failed", "A map needs more.")
    assert post(1)["epoch"] == 1
    monkeypatch.undo()
    assert ask(services, user, baseline_id)["status"] == "waiting"


def test_a_refit_that_is_given_up_leaves_the_baseline_usable(
    services: Services, user: Identity, baseline_id: int
) -> None:
    ask(services, user, baseline_id)
    change(services, update(Job).values(attempts=3))
    services.jobs.start()
    deadline = time.monotonic() + SECONDS
    while of(services, baseline_id).refit["status"] == "waiting" and time.monotonic() < deadline:
        time.sleep(0.05)
    after = of(services, baseline_id)
    assert (after.status, after.refit["status"]) == ("completed", "failed")
    assert "three times" in after.refit["error_message"]


def test_an_interrupted_refit_is_taken_up_again(
    services: Services, user: Identity, baseline_id: int
) -> None:
    ask(services, user, baseline_id)
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    change(services, update(Job).values(lease="a dead instance", lease_until=past, attempts=1))
    services.jobs.start()
    deadline = time.monotonic() + 60
    while of(services, baseline_id).layout == "distance" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert of(services, baseline_id).layout == "mspc"


def test_one_that_lost_its_lease_adopts_nothing(
    services: Services, user: Identity, baseline_id: int, refit: Callable[..., None]
) -> None:
    ask(services, user, baseline_id)
    with services.sessions.begin() as session:
        job_id = session.scalars(select(Job.id)).one()
        session.execute(update(Job).values(lease="somebody else's"))
    work.perform(services.sessions, job_id, LEASE, services.limits)
    assert (of(services, baseline_id).layout, count(services, FittedMap)) == ("distance", 1)
    assert count(services, Job) == 1


def test_a_refit_whose_baseline_goes_meanwhile_ends_quietly(
    services: Services,
    user: Identity,
    baseline_id: int,
    mspc: fitting.Made,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def after_the_deletion(*_: Any) -> fitting.Made:
        change(services, delete(Baseline))
        return mspc

    monkeypatch.setattr(fitting, "make", after_the_deletion)
    ask(services, user, baseline_id)
    perform(services)
    assert count(services, FittedMap) == 0


def test_a_batch_that_meets_a_refit_is_placed_on_the_new_map(
    services: Services,
    user: Identity,
    baseline_id: int,
    post: Callable[..., Any],
    mspc: fitting.Made,
) -> None:
    rows = failing(2)
    with ThreadPoolExecutor(2) as pool, services.sessions() as session:
        refitting.adopt(session, baseline_id, mspc, NOW)
        meeting = pool.submit(post, 2, rows)
        making = pool.submit(post, 2, rows, stream="a new one")
        wait_until_blocked(session)
        time.sleep(0.2)
        session.commit()
        answers = meeting.result(SECONDS), making.result(SECONDS)
    assert [answer["epoch"] for answer in answers] == [2, 1]
    placed = mspc.fitted.place(rows)
    with services.sessions() as session:
        for row in session.execute(select(Point.x, Point.y).where(Point.seq == 1)):
            assert tuple(row) == pytest.approx((float(placed.x[0]), float(placed.y[0])), rel=1e-6)
        assert len(set(session.scalars(select(Stream.map_id)))) == 1


def test_a_refit_waits_for_a_reset_and_a_deletion_for_a_refit(
    services: Services, user: Identity, baseline_id: int, mspc: fitting.Made
) -> None:
    def adopt() -> None:
        with services.sessions.begin() as session:
            refitting.adopt(session, baseline_id, mspc, NOW)

    def remove() -> None:
        with services.sessions.begin() as session:
            baselines.remove(session, user, baseline_id)

    with ThreadPoolExecutor(1) as pool:
        with services.sessions() as session:
            streams.lock(session, user, baseline_id, "default")
            meeting = pool.submit(adopt)
            wait_until_blocked(session)
            streams.reset(session, user, baseline_id, "default", now=NOW)
            session.commit()
            meeting.result(SECONDS)
        with services.sessions() as session:
            refitting.adopt(session, baseline_id, mspc, NOW)
            meeting = pool.submit(remove)
            wait_until_blocked(session)
            session.commit()
            meeting.result(SECONDS)
    assert count(services, Baseline) == 0


# ---- maps of another version ----


@pytest.fixture
def outdated(
    services: Services, baseline_id: int, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], None]:
    """Makes the baseline's map one of another format, in a process that has not loaded it."""

    def make(format: int) -> None:
        monkeypatch.setattr(mapstore, "_cache", mapstore.MapCache())
        change(services, update(FittedMap).values(format=format, report={}))

    return make


def test_maps_of_an_earlier_version_are_fitted_anew_at_the_start(
    services: Services, baseline_id: int, outdated: Callable[[int], None]
) -> None:
    outdated(maps.FORMAT - 1)
    services.jobs.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        refit = of(services, baseline_id).refit
        if refit and refit["status"] == "completed":
            break
        time.sleep(0.05)
    after = of(services, baseline_id)
    assert (after.status, after.layout) == ("completed", "distance")
    assert after.refit["reason"] == "The map was made by an earlier version of D'insight"
    with services.sessions() as session:
        assert session.scalars(select(FittedMap.format)).all() == [maps.FORMAT]


def test_instances_that_start_at_once_queue_one_refit(
    services: Services, baseline_id: int, outdated: Callable[[int], None]
) -> None:
    outdated(maps.FORMAT - 1)

    def start(_: int) -> int:
        with services.sessions.begin() as session:
            return refitting.queue_outdated(session)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(start, range(4))) == 1
    assert count(services, Job) == 1


def test_until_then_it_is_said_to_try_again_and_nothing_is_stored(
    services: Services,
    user: Identity,
    baseline_id: int,
    post: Callable[..., Any],
    outdated: Callable[[int], None],
) -> None:
    outdated(maps.FORMAT - 1)
    with pytest.raises(MapBeingRefitted):
        post(1)
    with services.sessions() as session:
        with pytest.raises(MapBeingRefitted):
            feed.delta(session, user, baseline_id, "default", None, limit=1, now=NOW)
        told = status(session, user, baseline_id, "default", now=NOW)
        assert (told["sensitivity_factor"], told["false_alarms_per_day"]) == (3.0, None)
        with pytest.raises(MapBeingRefitted):
            report_card.read(session, user, baseline_id)
    assert ask(services, user, baseline_id, "distance")["map"] == "distance"
    assert count(services, Point) == 0


def test_a_failed_renewal_says_to_refit_or_upload_again(
    services: Services,
    user: Identity,
    baseline_id: int,
    post: Callable[..., Any],
    outdated: Callable[[int], None],
) -> None:
    outdated(maps.FORMAT - 1)
    ask(services, user, baseline_id, "distance")
    with services.sessions.begin() as session:
        job_id = session.scalars(select(Job.id)).one()
        refitting.fail(session, job_id, baseline_id, "It broke.")
    with pytest.raises(MapOutdated, match=r"It broke\. Refit the baseline, or upload it again\."):
        post(1)


def test_a_map_of_a_newer_version_asks_for_an_update(
    services: Services,
    baseline_id: int,
    post: Callable[..., Any],
    outdated: Callable[[int], None],
) -> None:
    outdated(maps.FORMAT + 1)
    with services.sessions.begin() as session:
        assert refitting.queue_outdated(session) == 0
    with pytest.raises(MapOutdated, match="newer version"):
        post(1)
