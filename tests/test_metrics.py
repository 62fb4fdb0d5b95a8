"""`/metrics`: what is counted, who may read it, and that threads lose nothing."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import URL, create_engine
from sqlalchemy.orm import sessionmaker

from app import create_app
from dinsight import __version__
from dinsight.accounts import Identity
from dinsight.alerts import acting
from dinsight.ingest import Incoming, ingest
from dinsight.services import Services
from tests.alerts_kit import Plant
from tests.factories import csv, failing, healthy
from tests.test_api_main_job import Api

OPERATIONS = Path(__file__).parent.parent / "docs" / "operations.md"
TOKEN = "only-for-these-tests"
BATCH = "/api/v1/monitor/<int:baseline_id>"


class Reader(FlaskClient):
    """A client that reads answers to their end, as a server does, which ends the request."""

    def open(self, *words: Any, **more: Any) -> Any:
        return super().open(*words, **{"buffered": True, **more})


def reader(services: Services) -> FlaskClient:
    server = create_app(services).server
    server.test_client_class = Reader
    return server.test_client()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return reader(services)


class Scrape:
    """One reading of `/metrics`."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels."""
        samples = [sample for family in self.families.values() for sample in family.samples]
        return sum(
            sample.value
            for sample in samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def labels(self, name: str) -> set[str]:
        return {label for sample in self.families[name].samples for label in sample.labels}


def scrape(client: FlaskClient) -> Scrape:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


def test_batches_and_rows_are_counted_with_what_was_refused_and_why(
    client: FlaskClient, api: Api, baseline_id: int
) -> None:
    api.post(baseline_id, csv(healthy(3)))
    api.post(baseline_id, csv(failing(2)))
    api.post(baseline_id, b"f_1,f_2\n1,2\n")
    api.post(baseline_id + 1, csv(healthy(1)))
    api("POST", f"/monitor/{baseline_id}", data=b"x", headers={"Content-Encoding": "br"})
    found = scrape(client)
    assert found.value("dinsight_batches_acknowledged_total") == 2
    assert found.value("dinsight_rows_acknowledged_total") == 5
    refused = {
        sample.labels["code"]: sample.value
        for sample in found.families["dinsight_batches_refused"].samples
        if sample.name.endswith("_total")
    }
    assert refused == {
        "COLUMNS_MISSING": 1,
        "BASELINE_NOT_FOUND": 1,
        "UNSUPPORTED_MEDIA_TYPE": 1,
    }
    for stage, count in {"read": 2, "place": 2, "store": 2, "commit": 2}.items():
        name = "dinsight_ingest_stage_duration_seconds_count"
        assert found.value(name, stage=stage) == count
    name = "dinsight_http_request_duration_seconds_count"
    by_status = {
        status: found.value(name, method="POST", route=BATCH, status=status)
        for status in ("200", "400", "404", "415")
    }
    assert by_status == {"200": 2, "400": 1, "404": 1, "415": 1}


def test_labels_do_not_grow_with_users_baselines_or_what_strangers_ask_for(
    client: FlaskClient, api: Api, baseline_id: int
) -> None:
    def series() -> set[tuple[str, ...]]:
        family = scrape(client).families["dinsight_http_request_duration_seconds"]
        return {tuple(sorted(s.labels.items())) for s in family.samples if "le" not in s.labels}

    scrape(client)
    api("GET", f"/monitor/{baseline_id}")
    client.get("/api/v1/no/such/path")
    client.open("/api/v1/users/profile", method="BREW")
    before = series()
    for number in range(5):
        api("GET", f"/monitor/{baseline_id}?after={number}")
        client.get(f"/api/v1/no/such/path/{number}")
        client.open("/api/v1/users/profile", method=f"BREW{number}")
    assert series() == before
    names = {label for name in scrape(client).families for label in scrape(client).labels(name)}
    assert names <= {
        *("method", "route", "status", "le", "code", "stage", "state", "severity", "type"),
        *("version", "python_version", "generation"),
    }


def test_every_name_of_ours_has_its_unit_and_its_help(client: FlaskClient) -> None:
    text = client.get("/metrics").text
    ours = re.findall(r"^# TYPE (dinsight_\w+) (\w+)$", text, re.MULTILINE)
    assert len(ours) >= 15
    for name, kind in ours:
        assert re.search(rf"^# HELP {name} \w", text, re.MULTILINE), name
        if kind in {"histogram", "summary"}:
            assert name.endswith("_seconds"), name
        if kind == "counter":
            assert name.endswith("_total"), name


def test_every_metric_of_ours_stands_in_the_documentation(client: FlaskClient) -> None:
    text = client.get("/metrics").text
    ours = set(re.findall(r"^# TYPE (dinsight_\w+) ", text, re.MULTILINE))
    created = {name for name in ours if name.endswith("_created")}
    assert set(re.findall(r"^\| `(dinsight_\w+)`", OPERATIONS.read_text(), re.MULTILINE)) == (
        ours - created
    )


def test_states_are_looked_up_when_they_are_asked_for(
    client: FlaskClient, api: Api, baseline_id: int
) -> None:
    before = scrape(client)
    assert before.value("dinsight_streams", state="not_started") == 1
    assert before.value("dinsight_streams", state="streaming") == 0
    api.post(baseline_id, csv(healthy(1)))
    api.upload(csv(healthy(40)))  # whose fit waits: nothing runs jobs here
    found = scrape(client)
    assert found.value("dinsight_streams", state="streaming") == 1
    assert found.value("dinsight_jobs", state="waiting") == 1
    assert found.value("dinsight_jobs", state="running") == 0
    assert found.value("dinsight_baselines", state="completed") == 1
    assert found.value("dinsight_baselines", state="failed") == 0
    assert found.value("dinsight_job_executor_up") == 0
    assert found.value("dinsight_notices", state="waiting") == 0
    assert found.value("dinsight_notices", state="retrying") == 0
    assert found.value("dinsight_database_up") == 1
    assert found.value("dinsight_database_connections", state="in_use") <= 1
    assert found.value("dinsight_database_connections_max") == 30
    assert found.value("dinsight_build_info", version=__version__) == 1
    assert found.value("process_resident_memory_bytes") > 1e6
    assert found.value("dinsight_http_requests_in_progress") == 1  # this one


def test_alerts_are_counted_as_they_are_raised_and_while_they_are_open(
    client: FlaskClient, services: Services, user: Identity, baseline_id: int
) -> None:
    def counts(severity: str, kind: str) -> tuple[float, float]:
        found = scrape(client)
        raised = found.value("dinsight_alerts_raised_total", severity=severity, type=kind)
        return raised, found.value("dinsight_alerts_open", severity=severity)

    assert counts("high", "anomaly") == counts("critical", "data_quality") == (0, 0)
    plant = Plant(services, user, baseline_id)
    plant.send(failing(12))
    assert counts("high", "anomaly") == (1, 1)
    (alert,) = plant.alerts()
    plant.do(acting.acknowledge, alert["id"])
    assert counts("high", "anomaly") == (1, 1)
    plant.send(healthy(4))
    assert counts("high", "anomaly") == (1, 0)
    assert counts("low", "data_quality") == (0, 0)


def test_an_alert_of_a_batch_that_was_not_stored_is_not_counted(
    client: FlaskClient, services: Services, user: Identity, baseline_id: int
) -> None:
    plant = Plant(services, user, baseline_id)
    incoming = Incoming(csv(failing(12)), "batch.csv", "default")
    with services.sessions() as session:
        ingest(session, user, baseline_id, incoming, limits=services.limits, now=plant.now)
        session.rollback()
    plant.send(healthy(1))
    assert scrape(client).value("dinsight_alerts_raised_total") == 0


def test_a_job_that_was_done_is_counted_with_its_time(
    client: FlaskClient, api: Api, services: Services
) -> None:
    services.jobs.start()
    number = api.upload(csv(healthy(60))).json["data"]["id"]
    assert api.fitted(number)["status"] == "completed"
    services.jobs.stop()
    found = scrape(client)
    assert found.value("dinsight_job_duration_seconds_count") == 1
    assert found.value("dinsight_job_duration_seconds_sum") > 0
    assert found.value("dinsight_job_executor_losses_total") == 0


def test_a_database_that_is_gone_is_a_value_and_not_a_failure(services: Services) -> None:
    nowhere = URL.create("postgresql+psycopg2", host="127.0.0.1", port=9, database="none")
    engine = create_engine(nowhere)
    gone = dataclasses.replace(services.database, engine=engine, sessions=sessionmaker(engine))
    client = reader(dataclasses.replace(services, database=gone))
    assert scrape(client).value("dinsight_database_up") == 0
    assert "dinsight_streams" not in scrape(client).families


def test_threads_lose_no_count(client: FlaskClient) -> None:
    app = client.application

    def ask(_: int) -> int:
        return app.test_client().get("/healthz").status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(400))) == {200}
    found = scrape(client)
    name = "dinsight_http_request_duration_seconds_count"
    assert found.value(name, route="/healthz", status="200") == 400
    assert found.value("dinsight_http_requests_in_progress") == 1


@pytest.fixture
def guarded(services: Services) -> Callable[..., int]:
    """The status of `/metrics` where a token is set."""
    settings = dataclasses.replace(services.settings, metrics_token=TOKEN)
    client = create_app(dataclasses.replace(services, settings=settings)).server.test_client()
    return lambda **more: client.get("/metrics", **more).status_code


def test_with_a_token_only_who_sends_it_reads(guarded: Callable[..., int]) -> None:
    assert guarded() == 401
    assert guarded(headers={"Authorization": "Bearer wrong"}) == 401
    assert guarded(headers={"Authorization": "Bearer gr\u00fcn"}) == 401
    assert guarded(headers={"Authorization": f"Bearer {TOKEN}"}) == 200
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    sent = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded(headers=sent, environ_base=elsewhere) == 200


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 403),
        ("127.0.0.1", {"X-Real-IP": "192.0.2.7"}, 403),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}, 403),
    ],
)
def test_without_a_token_only_this_machine_reads(
    client: FlaskClient, address: str, headers: dict[str, str], status: int
) -> None:
    answer = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status
    assert status == 200 or "DINSIGHT_METRICS_TOKEN" in answer.text


def test_an_account_does_not_open_it(client: FlaskClient, api: Api, user: Identity) -> None:
    answer = client.get("/metrics", headers=api._headers, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert answer.status_code == 403
