"""Made-up requests, right and wrong, after our own document: what they meet is in the document."""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as effort
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dinsight.accounts import Identity
from dinsight.services import Services
from dinsight.settings import Settings
from tests.conftest import make_user
from tests.factories import PASSWORD, csv, failing, healthy
from tests.openapi_kit import PATH
from tests.ownership_kit import AREA, make_version
from tests.test_api_auth import bearer, login
from tests.test_api_main_job import Api

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
FEW, FEW_HASHES, MANY = 5, 20, 100  # of each kind and operation
KINDS = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
FILES = [csv(healthy(2)), csv(failing(1)), csv(healthy(1)).replace(b"f_3", b"g"), b"", b"f_0\nx\n"]
PASSWORD_PATH = "/api/v1/users/password"
HASHES = ("/api/v1/auth/login", "/api/v1/auth/register", PASSWORD_PATH)  # slow, as they should be
OF_BASELINE = "/api/v1/dinsight/{baseline_id}"
DELETES = f"DELETE {OF_BASELINE}"
ROWS = {"stream": "default", "epoch": 1, "first": 1, "last": 3}
HOOK = {"kind": "webhook", "target": "https://hooks.example.com/alerts"}
ENDS_THE_SIGN_IN = ("/api/v1/auth/logout", PASSWORD_PATH)


@dataclasses.dataclass
class Door:
    """The application with a signed-in administrator, whose baseline has points."""

    client: FlaskClient
    services: Services
    user: Identity
    other: Identity
    make_baseline: Callable[..., int]

    def __post_init__(self) -> None:
        self.tokens = login(self.client, self.user.email)
        self.baseline_id = self.filled()
        self.statuses: dict[str, Counter[int]] = defaultdict(Counter)
        self.known: dict[str, dict[str, Any]] = {}

    def filled(self) -> int:
        number = self.make_baseline(self.user)
        Api(self.client, self.user.email).post(number, csv(failing(4)))
        return number

    def knock(self, case: Case, aimed: bool, file: bytes) -> None:
        """Send a case; where it is `aimed`, at what the user has, and with a file that is one."""
        if aimed:
            self.aim(case, file)
        if case.operation.path in ENDS_THE_SIGN_IN:
            self.tokens = login(self.client, self.user.email)
        headers = {**bearer(self.tokens["access_token"]), "Accept-Encoding": "identity"}
        answer = case.call_and_validate(headers=headers, checks=CHECKS)
        self.statuses[case.operation.label][answer.status_code] += 1
        if case.operation.path in ENDS_THE_SIGN_IN:
            self.tokens = login(self.client, self.user.email)

    def aim(self, case: Case, file: bytes) -> None:
        own: dict[str, Any] = {
            "baseline_id": self.filled() if case.operation.label == DELETES else self.baseline_id,
            "seq": 2,
            "baseline_dataset_id": self.baseline_id,
            "comparison_dataset_id": self.baseline_id,
            "refresh_token": self.tokens["refresh_token"],
            "user_id": self.other.id,
            "current_password": PASSWORD,
            "new_password": PASSWORD,
            "file": file,
            "files": [file],
        }
        if case.operation.label == "DELETE /api/v1/auth/keys/{key_id}":
            own["key_id"] = self.new_key()
        if case.operation.label == "POST /api/v1/users":
            own["email"] = f"{uuid.uuid4().hex}@example.com"
        own |= self.things(case.operation.label)
        for fields in (case.path_parameters, case.body):
            if isinstance(fields, dict):
                fields |= {name: own[name] for name in fields if name in own}

    def things(self, label: str) -> dict[str, Any]:
        """What an operation needs that may be there once only, on a baseline of its own."""
        if label not in self.known:
            self.known[label] = self._made(label)
        return self.known[label]

    def _made(self, label: str) -> dict[str, Any]:
        if "/channels/{channel_id}" in label:
            return {"channel_id": self.make("/channels", HOOK)["id"]}
        if label == f"PUT {OF_BASELINE}/areas/{{area_id}}":
            number = self.filled()
            return {
                "baseline_id": number,
                "area_id": self.make(f"/dinsight/{number}/areas", AREA)["id"],
            }
        if label == f"POST {OF_BASELINE}/candidates":
            return {"baseline_id": self.filled(), **ROWS}
        if label in {
            f"DELETE {OF_BASELINE}/candidates/{{candidate_id}}",
            f"POST {OF_BASELINE}/versions",
        }:
            number = self.filled()
            (row,) = self.make(f"/dinsight/{number}/candidates", ROWS)["candidates"]
            return {"baseline_id": number, "candidate_id": row["id"], "candidates": [row["id"]]}
        if f"{OF_BASELINE}/versions/" in label:
            number = self.filled()
            with self.services.sessions.begin() as session:
                make_version(session, number)
            return {"baseline_id": number, "version": 2}
        return {}

    def make(self, path: str, body: dict[str, Any]) -> Any:
        made = Api(self.client, self.user.email)("POST", path, json=body)
        assert made.status_code == 201, made.json
        return made.json["data"]

    def new_key(self) -> int:
        return int(self.make("/auth/keys", {"name": "gateway"})["id"])


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, wrong_passwords=1_000, sign_in_rate_limit=100_000)


@pytest.fixture
def door(
    client: FlaskClient, services: Services, user: Identity, make_baseline: Callable[..., int]
) -> Door:
    return Door(
        client, services, make_user(services, "boss@example.com", role="admin"), user, make_baseline
    )


def sweep(door: Door, examples: int) -> set[str]:
    """Knock at every operation; says which there are."""
    schema = schemathesis.openapi.from_wsgi(PATH, door.client.application)
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        for kind in KINDS:
            hashes = operation.path in HASHES
            knock_at(door, operation, kind, min(examples, FEW_HASHES) if hashes else examples)
    return {operation.label for operation in operations}


def knock_at(door: Door, operation: Any, kind: GenerationMode, count: int) -> None:
    @seed(1)
    @effort(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=kind),
        aimed=st.sampled_from([True, True, True, False]),
        file=st.sampled_from(FILES),
    )
    def knock(case: Case, aimed: bool, file: bytes) -> None:
        door.knock(case, aimed, file)

    knock()


def test_a_few_requests_at_every_door(door: Door) -> None:
    labels = sweep(door, FEW)
    assert set(door.statuses) == labels


@pytest.mark.slow
def test_many_requests_at_every_door(door: Door) -> None:
    labels = sweep(door, MANY)
    for label, statuses in sorted(door.statuses.items()):
        print(label, dict(sorted(statuses.items())))
    assert {label for label, found in door.statuses.items() if min(found) < 300} == labels
