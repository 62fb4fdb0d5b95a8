"""Where heavy work runs, and how exactly one instance does it.

A job is a row; an instance holds it by a lease that it keeps renewing. When the instance dies the
lease runs out and the next one to look takes the job over.
"""

from __future__ import annotations

import datetime as dt
import logging
import multiprocessing
import signal
import threading
import time
import uuid
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path

from sqlalchemy import func, select, update

from dinsight import back_testing, maps, readings, refitting, work, worker
from dinsight.cluster import Cluster
from dinsight.database import Database, is_outage
from dinsight.errors import DatabaseUnavailable, ExecutorUnavailable
from dinsight.models import Job
from dinsight.settings import Settings

LEASE = dt.timedelta(seconds=15)
RENEW_SECONDS = 4.0
LOOK_SECONDS = 2.0
IDLE_SECONDS = 20.0
RECONNECT_SECONDS = 5.0
MOST_ATTEMPTS = 3

log = logging.getLogger(__name__)


def executor(settings: Settings) -> futures.Executor:
    """The Dask cluster if one is configured, else a process of our own.

    Raises ExecutorUnavailable.
    """
    if settings.dask_scheduler:
        return Cluster(settings.dask_scheduler)
    return local_executor(settings.home)


def local_executor(home: Path) -> futures.Executor:
    """One spawned, niced process: a fit never slows the server's own threads."""
    pool = futures.ProcessPoolExecutor(
        max_workers=1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=worker.start,
        initargs=(str(home.absolute() / "cache" / "numba"),),
    )
    # Ctrl-C goes to the whole terminal: from its birth the process knows that it is not meant.
    # (The tracker comes first, because it unblocks the signal again when it is started.)
    resource_tracker.ensure_running()
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pool.submit(worker.warm_up, maps.DEFAULT)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
    return pool


@dataclass(frozen=True)
class Claim:
    """A job that this instance holds."""

    id: int
    baseline_id: int
    attempts: int
    lease: str
    kind: str

    @property
    def doing(self) -> str:
        """What is done to the baseline, for the log."""
        return "trying a rule on" if self.kind == back_testing.KIND else "fitting"

    @property
    def noun(self) -> str:
        return "trial" if self.kind == back_testing.KIND else "fit"


@dataclass
class Tally:
    """What came of the jobs of this instance since its start."""

    performed: int = 0
    seconds: float = 0.0
    lost: int = 0


class Runner:
    """A thread that claims jobs, hands them to the executor and keeps their leases."""

    def __init__(
        self,
        database: Database,
        limits: readings.Limits,
        make_executor: Callable[[], futures.Executor],
    ) -> None:
        self._database = database
        self._limits = limits
        self._make_executor = make_executor
        self._executor: futures.Executor | None = None
        self._complained = False
        self.tally = Tally()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._renewed = False
        self._warm = False
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look for work now rather than at the next look."""
        self._wake.set()

    def stop(self) -> None:
        """Stop at once; an unfinished job is given back and begins anew elsewhere or later."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    @property
    def executor_up(self) -> bool:
        """Whether there is something to run jobs on."""
        return self._executor is not None and not _is_lost(self._executor)

    def _run(self) -> None:
        try:
            busy = time.monotonic()
            while not self._stopping.is_set():
                self._wake.clear()
                if self._look():
                    busy = time.monotonic()
                else:
                    if time.monotonic() > busy + IDLE_SECONDS:
                        self._warm_up()
                    self._wake.wait(LOOK_SECONDS)
        finally:
            self._drop_pool()

    def _warm_up(self) -> None:
        """Once, when nothing is waiting: the other layouts, of which UMAP takes long to compile."""
        if not self._warm and self._executor is not None:
            self._warm = True
            try:
                for layout in maps.LAYOUTS:
                    self._executor.submit(worker.warm_up, layout)
            except (ExecutorUnavailable, BrokenExecutor):
                self._warm = False  # the next look makes another executor

    def _look(self) -> bool:
        """Run the next job, if there is one; says whether there was."""
        try:
            self._pool()  # first, so that no job is claimed that nothing can do
            self._renew_maps()
            if claim := self._claim():
                self._perform(claim)
            return claim is not None
        except ExecutorUnavailable as error:
            if not self._complained:
                log.warning("%s", error.message)
            self._complained = True
            self._stopping.wait(RECONNECT_SECONDS)
            return False
        except Exception as error:
            if is_outage(error):
                self._revive()
            else:
                log.exception("a job could not be run")
            self._stopping.wait(LOOK_SECONDS)
            return False

    def _renew_maps(self) -> None:
        """Once: maps that an earlier version made cannot be loaded, so they are fitted anew."""
        if self._renewed:
            return
        with self._database.sessions.begin() as session:
            count = refitting.queue_outdated(session)
        if count:
            log.info("maps of an earlier version, to be fitted anew: %s", count)
        self._renewed = True

    def _revive(self) -> None:
        """This thread is the one that always looks at the database, so it brings it back."""
        if self._stopping.is_set():
            return
        try:
            self._database.revive()
        except DatabaseUnavailable as error:
            log.error("%s", error.message)

    def _perform(self, claim: Claim) -> None:
        log.info("%s baseline %s (attempt %s)", claim.doing, claim.baseline_id, claim.attempts)
        if claim.attempts > MOST_ATTEMPTS:
            self._give_up(
                claim, f"The {claim.noun} ended unexpectedly three times; is there enough memory?"
            )
            return
        began = time.monotonic()
        try:
            address = worker.Address(self._database.url)
            future = self._pool().submit(
                worker.perform, address, claim.id, claim.lease, self._limits
            )
            while not future.done():
                futures.wait([future], timeout=RENEW_SECONDS if not self._stopping.is_set() else 0)
                if self._stopping.is_set():
                    self._release(claim, attempts=claim.attempts - 1)
                    return
                self._renew(claim)
            future.result()
            self.tally.performed += 1
            self.tally.seconds += time.monotonic() - began
            log.info("done: %s baseline %s", claim.doing, claim.baseline_id)
        except BrokenExecutor:
            log.error("the job process died while %s baseline %s", claim.doing, claim.baseline_id)
            self._lose(claim, attempts=claim.attempts)
        except (ExecutorUnavailable, futures.CancelledError):
            log.warning(
                "the Dask scheduler was lost while %s baseline %s", claim.doing, claim.baseline_id
            )
            self._lose(claim, attempts=claim.attempts - 1)  # which is not the job's fault
        except Exception as error:
            self._release(claim, attempts=claim.attempts)
            if is_outage(error):
                raise
            log.exception("%s baseline %s failed", claim.doing, claim.baseline_id)
            self._give_up(claim, f"The {claim.noun} failed inside the server; its log says why.")

    def _lose(self, claim: Claim, attempts: int) -> None:
        """Give the job back: what it ran on is gone."""
        self.tally.lost += 1
        self._release(claim, attempts=attempts)
        self._drop_pool()

    def _claim(self) -> Claim | None:
        lease = uuid.uuid4().hex
        free = (
            select(Job.id)
            .where(Job.lease_until.is_(None) | (Job.lease_until < func.now()))
            .order_by(Job.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        with self._database.sessions.begin() as session:
            row = session.execute(
                update(Job)
                .where(Job.id == free)
                .values(lease=lease, lease_until=func.now() + LEASE, attempts=Job.attempts + 1)
                .returning(Job.id, Job.baseline_id, Job.attempts, Job.kind)
            ).one_or_none()
        return Claim(row.id, row.baseline_id, row.attempts, lease, row.kind) if row else None

    def _renew(self, claim: Claim) -> None:
        with self._database.sessions.begin() as session:
            session.execute(
                update(Job)
                .where(Job.id == claim.id, Job.lease == claim.lease)
                .values(lease_until=func.now() + LEASE)
            )

    def _release(self, claim: Claim, attempts: int) -> None:
        with self._database.sessions.begin() as session:
            session.execute(
                update(Job)
                .where(Job.id == claim.id, Job.lease == claim.lease)
                .values(lease_until=None, attempts=attempts)
            )

    def _give_up(self, claim: Claim, reason: str) -> None:
        with self._database.sessions.begin() as session:
            work.give_up(session, claim.id, claim.lease, claim.baseline_id, reason)

    def _pool(self) -> futures.Executor:
        if self._executor is not None and _is_lost(self._executor):
            log.warning("what fits run on is gone: another is made")
            self._drop_pool()
        if self._executor is None:
            self._executor = self._make_executor()
            if self._complained:
                log.info("fits can run again")
            self._complained = False
        return self._executor

    def _drop_pool(self) -> None:
        if self._executor is None:
            return
        executor, self._executor = self._executor, None
        processes = list((getattr(executor, "_processes", None) or {}).values())
        for process in processes:
            process.terminate()
        executor.shutdown(wait=True, cancel_futures=True)


def _is_lost(executor: futures.Executor) -> bool:
    """Whether it can no longer run anything: a pool whose process died, a cluster without head."""
    return bool(getattr(executor, "lost", getattr(executor, "_broken", False)))
