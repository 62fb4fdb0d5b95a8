"""`/metrics` for Prometheus: base units, and labels of which there is a bounded number."""

from __future__ import annotations

import hmac
import itertools
import os
import platform
from collections.abc import Iterable, Iterator
from typing import cast

from flask import Blueprint, Flask, Response, current_app, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.pool import QueuePool
from werkzeug.exceptions import Forbidden, Unauthorized

from api.access import Record
from api.context import services
from dinsight import __version__, census
from dinsight.alerts import counting
from dinsight.alerts.words import SEVERITIES, TYPES
from dinsight.database import is_outage
from dinsight.services import Services
from dinsight.settings import is_loopback

EXTENSION = "dinsight.metrics"
BATCH = "monitor.post_batch"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STAGES = ("read", "place", "store", "commit")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FORWARDED = ("X-Forwarded-For", "X-Real-IP", "Forwarded")
# Set by those who run several processes under one address; see docs/operations.md.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

blueprint = Blueprint("metrics", __name__)


class Metrics:
    """What this process has counted since its start; every method may be called by any thread."""

    def __init__(self, state: Collector) -> None:
        self._registry = registry = CollectorRegistry()
        self._state = state
        registry.register(state)
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self._requests = Histogram(
            "dinsight_http_request_duration_seconds",
            "From the head of a request to the end of its answer.",
            ("method", "route", "status"),
            buckets=SECONDS,
            registry=registry,
        )
        self._under_way = Gauge(
            "dinsight_http_requests_in_progress",
            "Requests that are worked on.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._batches = Counter(
            "dinsight_batches_acknowledged",
            "Batches that were acknowledged, each as often as it was.",
            registry=registry,
        )
        self._rows = Counter(
            "dinsight_rows_acknowledged", "Rows of acknowledged batches.", registry=registry
        )
        self._refused = Counter(
            "dinsight_batches_refused", "Batches that were not taken.", ("code",), registry=registry
        )
        stages = Histogram(
            "dinsight_ingest_stage_duration_seconds",
            "Parts of the time that a stored batch takes.",
            ("stage",),
            buckets=SECONDS[:12],
            registry=registry,
        )
        raised = Counter(
            "dinsight_alerts_raised",
            "Alerts that were raised; one that comes back soon after is the same alert.",
            ("severity", "type"),
            registry=registry,
        )
        self._raised = {pair: raised.labels(*pair) for pair in itertools.product(SEVERITIES, TYPES)}
        self._stages = {stage: stages.labels(stage) for stage in STAGES}

    def begun(self) -> None:
        self._under_way.inc()

    def ended(self, record: Record, seconds: float) -> None:
        self._under_way.dec()
        self._requests.labels(record.method, record.route, record.status).observe(seconds)
        if record.endpoint == BATCH and record.error is not None:
            self._refused.labels(record.error).inc()

    def acknowledged(self, rows: int) -> None:
        self._batches.inc()
        self._rows.inc(rows)

    def stage(self, name: str, seconds: float) -> None:
        self._stages[name].observe(seconds)

    def raised(self, severity: str, alert_type: str) -> None:
        self._raised[severity, alert_type].inc()

    def text(self) -> bytes:
        """All of it; with a folder that processes share, what they all have counted."""
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self._registry)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        shared.register(self._state)
        return generate_latest(shared)


class State(Collector):
    """What is looked up when it is asked for: the database, the jobs, the pool."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> Iterable[Metric]:
        return []  # so that registering it asks nothing

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily(
            "dinsight_build_info", "Always 1.", labels=("version", "python_version")
        )
        build.add_metric((__version__, platform.python_version()), 1)
        yield build
        yield from self._jobs()
        yield from self._notices()
        yield from self._pool()
        yield from self._database()

    def _jobs(self) -> Iterator[Metric]:
        jobs = self._services.jobs
        yield GaugeMetricFamily(
            "dinsight_job_executor_up",
            "Whether what does the jobs (process or cluster) is there.",
            value=jobs.executor_up,
        )
        yield SummaryMetricFamily(
            "dinsight_job_duration_seconds",
            "Jobs (fits) that this instance had done.",
            count_value=jobs.tally.performed,
            sum_value=jobs.tally.seconds,
        )
        yield CounterMetricFamily(
            "dinsight_job_executor_losses",
            "How often a job lost its process or cluster and was given back.",
            value=jobs.tally.lost,
        )

    def _notices(self) -> Iterator[Metric]:
        tally = self._services.notices
        for name, text, value in (
            ("delivered", "Notices that this instance has delivered.", tally.delivered),
            ("attempts_failed", "Its attempts that failed.", tally.attempts_failed),
            ("given_up", "Notices that it has given up.", tally.given_up),
        ):
            yield CounterMetricFamily(f"dinsight_notices_{name}", text, value)

    def _pool(self) -> Iterator[Metric]:
        pool = cast(QueuePool, self._services.database.engine.pool)
        connections = GaugeMetricFamily(
            "dinsight_database_connections", "Connections of this process.", labels=("state",)
        )
        connections.add_metric(("in_use",), pool.checkedout())
        connections.add_metric(("idle",), pool.checkedin())
        yield connections
        yield GaugeMetricFamily(
            "dinsight_database_connections_max",
            "How many there may be.",
            value=pool.size() + pool._max_overflow,
        )

    def _database(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("dinsight_database_up", "Whether the database answers.")
        try:
            with self._services.sessions() as session:
                found = census.take(session)
        except Exception as error:
            if not is_outage(error):
                raise
            up.add_metric((), 0)
            yield up
            return
        up.add_metric((), 1)
        yield up
        yield _by_state("dinsight_jobs", "Jobs of all instances.", found.jobs)
        yield _by_state(
            "dinsight_baselines", "Baselines; failed ones have no map.", found.baselines
        )
        yield _by_state("dinsight_streams", "Streams.", found.streams)
        yield _by_state("dinsight_notices", "Notices that are still to be sent.", found.notices)
        yield _counted(
            *("dinsight_alerts_open", "Alerts that are active or not acknowledged."),
            *("severity", found.alerts),
        )


@blueprint.route("/metrics")
def metrics() -> Response:
    """What Prometheus reads: with the token where one is set, else from this machine alone."""
    _let_in(services().settings.metrics_token)
    return Response(of_app().text(), content_type=CONTENT_TYPE)


def register(server: Flask, services: Services) -> Metrics:
    made = server.extensions[EXTENSION] = Metrics(State(services))
    counting.hear(services.database.engine, made.raised)
    server.register_blueprint(blueprint)
    return made


def of_app() -> Metrics:
    return cast(Metrics, current_app.extensions[EXTENSION])


def _let_in(token: str) -> None:
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise Unauthorized("Send the token of DINSIGHT_METRICS_TOKEN as bearer.")
    elif not is_loopback(request.remote_addr or "") or any(
        name in request.headers for name in FORWARDED
    ):
        raise Forbidden("Only programs on this machine may read this: set DINSIGHT_METRICS_TOKEN.")


def _by_state(name: str, text: str, counts: dict[str, int]) -> Metric:
    return _counted(name, text, "state", counts)


def _counted(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
