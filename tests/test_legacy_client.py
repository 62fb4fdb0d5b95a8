"""A client written for the reference system: it knows no key, total, epoch, refresh or end.

Its whole protocol, over a socket, with nothing of our simulator in between.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
import uvicorn
from flask.testing import FlaskClient

from api.gate import Gate
from dinsight.accounts import Identity
from dinsight.services import Services
from tests.factories import BASELINE, FEATURES, PASSWORD, failing, healthy

METADATA = ("segment_id", "timestamp", "speed_rpm")
POLL_SECONDS = 0.2  # the reference waits 2 s between its questions
TRIES = 3


class LegacyClient:
    """What the reference simulator does, request by request."""

    def __init__(self, base: str) -> None:
        self._api = f"{base}/api/v1"
        self._http = requests.Session()
        self.refused = 0

    def __enter__(self) -> LegacyClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def sign_in(self, email: str, password: str) -> None:
        answer = self._json("POST", "/auth/login", json={"email": email, "password": password})
        self._http.headers["Authorization"] = f"Bearer {answer['data']['access_token']}"

    def upload(self, name: str, content: bytes) -> int:
        answer = self._json("POST", "/analyze", files={"files": (name, content, "text/csv")})
        assert answer["success"] is True
        return int(answer["data"]["id"])

    def wait_until_fitted(self, number: int, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            data: dict[str, Any] = self._json("GET", f"/dinsight/{number}")["data"]
            if data["dinsight_x"]:
                return data
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"baseline {number} has no points after {seconds} s")

    def configure(self, number: int, glow: int, batch_size: int, delay: float) -> None:
        body = {"latest_glow_count": glow, "batch_size": batch_size, "delay_seconds": delay}
        self._json("PUT", f"/streaming/{number}/config", json=body)

    def send(self, number: int, batch: int, text: str) -> bool:
        """Post a batch, three times before it is given up."""
        file = (f"monitor_batch_{batch}.csv", text, "text/csv")
        for _ in range(TRIES):
            answer = self._http.post(
                f"{self._api}/monitor/{number}", files={"file": file}, timeout=30
            )
            if answer.status_code == 200:
                return bool(answer.json()["success"])
            assert 400 <= answer.status_code < 500
            self.refused += 1
        return False

    def get(self, path: str) -> Any:
        return self._json("GET", path)

    def reset(self, number: int) -> Any:
        return self._json("DELETE", f"/streaming/{number}/reset")

    def _json(self, method: str, path: str, **more: Any) -> Any:
        answer = self._http.request(method, self._api + path, timeout=30, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()


def rewritten(rows: np.ndarray, first: int, ending: str = "\n") -> str:
    """Rows as the reference writes them anew: numbers by `%g`, metadata in front."""
    out = io.StringIO()
    out.write(",".join([*METADATA, *FEATURES]) + ending)
    for number, row in enumerate(rows, first):
        about = [f"seg-{number}", f"2026-03-01 06:{number // 60:02d}:{number % 60:02d}", "1480"]
        out.write(",".join([*about, *(f"{value:g}" for value in row)]) + ending)
    return out.getvalue()


def original(rows: np.ndarray) -> bytes:
    """A file as it was exported: a byte order mark, CRLF, all digits."""
    lines = [",".join([*METADATA, *FEATURES])]
    for number, row in enumerate(rows):
        lines.append(",".join([f"seg-{number}", "2026-03-01", "1480", *map(repr, row.tolist())]))
    return ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()


@pytest.fixture
def base(client: FlaskClient, services: Services) -> Iterator[str]:
    """The application behind the real server, on a port of its own."""
    services.jobs.start()
    listener = socket.create_server(("127.0.0.1", 0))
    gate = Gate(client.application, services.settings.threads)
    web = uvicorn.Server(uvicorn.Config(gate, lifespan="off", ws="none", log_level="warning"))
    thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]})
    thread.start()
    yield "http://127.0.0.1:{1}".format(*listener.getsockname())
    web.should_exit = True
    thread.join()


@pytest.fixture
def legacy(base: str, user: Identity) -> Iterator[LegacyClient]:
    with LegacyClient(base) as client:
        client.sign_in(user.email, PASSWORD)
        yield client


def test_the_reference_protocol_from_sign_in_to_reset(legacy: LegacyClient) -> None:
    number = legacy.upload("baseline.csv", original(BASELINE))
    baseline = legacy.wait_until_fitted(number)
    assert len(baseline["dinsight_x"]) == len(baseline["dinsight_y"]) == len(BASELINE)
    assert baseline["point_metadata"][7] == {
        **{"segment_id": "seg-7", "timestamp": "2026-03-01"},
        "speed_rpm": "1480",
    }
    legacy.configure(number, glow=5, batch_size=4, delay=2.0)

    rows = np.concatenate([BASELINE[:8], healthy(16, seed=5), failing(8)])
    for batch, start in enumerate(range(0, len(rows), 4), 1):
        ending = "\r\n" if batch % 2 else "\n"
        assert legacy.send(number, batch, rewritten(rows[start : start + 4], start, ending))
    assert legacy.refused == 0

    points = legacy.get(f"/monitor/{number}")
    assert [point["process_order"] for point in points] == [*range(1, 33)]
    assert [point["metadata"]["segment_id"] for point in points] == [f"seg-{n}" for n in range(32)]
    assert {point["source_file"] for point in points[:4]} == {"monitor_batch_1.csv"}
    assert points[-1]["level"] == "alarm"
    assert legacy.get(f"/monitor/{number}/coordinates") == {
        "dinsight_id": number,
        "dinsight_x": [point["dinsight_x"] for point in points],
        "dinsight_y": [point["dinsight_y"] for point in points],
        "metadata": [point["metadata"] for point in points],
    }
    status = legacy.get(f"/streaming/{number}/status")["data"]
    told = {
        **{"baseline_id": number, "streamed_points": 32, "total_points": None, "last_seq": 32},
        **{"progress_percentage": None, "baseline_points": 120, "latest_glow_count": 5},
        **{"status": "streaming", "is_streaming": True, "is_active": True, "stale": False},
        **{"stream": "default", "epoch": 1, "level": "alarm", "score": points[-1]["score"]},
    }
    assert {name: status[name] for name in told} == told
    assert status["last_update"] == points[-1]["created_at"]
    page = legacy.get(f"/streaming/{number}/latest?limit=5")["data"]
    assert [point["seq"] for point in page["points"]] == [32, 31, 30, 29, 28]
    assert page["points"][0]["dinsight_x"] == points[-1]["dinsight_x"]
    assert (page["total"], page["limit"], page["offset"]) == (32, 5, 0)

    assert legacy.reset(number)["data"]["deleted_points"] == 32
    assert legacy.get(f"/monitor/{number}") == []
    assert legacy.send(number, 1, rewritten(rows[:1], 0))
    assert [point["process_order"] for point in legacy.get(f"/monitor/{number}")] == [1]


def test_numbers_that_lost_digits_still_land_beside_their_point(
    legacy: LegacyClient, baseline_id: int
) -> None:
    baseline = legacy.get(f"/dinsight/{baseline_id}")["data"]
    places = np.array([baseline["dinsight_x"], baseline["dinsight_y"]]).T
    assert legacy.send(baseline_id, 1, rewritten(BASELINE, 0))
    points = legacy.get(f"/monitor/{baseline_id}?values=0")
    sent = np.array([[point["dinsight_x"], point["dinsight_y"]] for point in points])
    off = np.linalg.norm(sent - places, axis=1)
    between = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(between, np.inf)
    assert off.max() < 0.1 * np.median(between.min(axis=1))


def test_a_batch_that_stays_wrong_is_given_up_and_the_next_one_goes_on(
    legacy: LegacyClient, baseline_id: int
) -> None:
    assert legacy.send(baseline_id, 1, rewritten(healthy(2), 0))
    assert not legacy.send(baseline_id, 2, rewritten(healthy(2), 2).replace("1480", "1480,x"))
    assert legacy.refused == TRIES
    assert legacy.send(baseline_id, 3, rewritten(healthy(2), 4))
    points = legacy.get(f"/monitor/{baseline_id}")
    assert [point["metadata"]["segment_id"] for point in points] == [
        *("seg-0", "seg-1", "seg-4", "seg-5")
    ]


@pytest.mark.slow
def test_thousands_of_batches_arrive_each_once_and_in_order(
    legacy: LegacyClient, baseline_id: int
) -> None:
    """An hour and a half of the reference at its 2 s, without the waiting."""
    legacy.configure(baseline_id, glow=10, batch_size=1, delay=2.0)
    batches = 3_000
    rows = healthy(batches, seed=21)
    for batch in range(batches):
        assert legacy.send(baseline_id, batch + 1, rewritten(rows[[batch]], batch))
    points = legacy.get(f"/monitor/{baseline_id}")
    assert [point["process_order"] for point in points] == [*range(1, batches + 1)]
    assert [point["metadata"]["segment_id"] for point in points] == [
        f"seg-{number}" for number in range(batches)
    ]
    sent = np.array([point["monitor_values"] for point in points])
    np.testing.assert_allclose(sent, rows, rtol=1e-5)
    assert legacy.refused == 0
