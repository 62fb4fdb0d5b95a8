"""The fake server keeps the contract, so that what is proved with it is worth something."""

from __future__ import annotations

from typing import Any

import requests

from tests.simulator_fake import FakeServer, reset


def test_the_fake_stores_a_key_once_and_refuses_it_with_other_content() -> None:
    with FakeServer() as server:
        server.tokens.add("t")

        def post(content: str) -> requests.Response:
            return requests.post(
                f"{server.url}/monitor/3",
                data={"stream": "default", "epoch": "1"},
                files={"file": ("a.csv", content)},
                headers={"Authorization": "Bearer t", "Idempotency-Key": "k"},
                timeout=5,
            )

        first, again, other = post("f_0\n1\n"), post("f_0\n1\n"), post("f_0\n2\n")
    assert (first.status_code, again.json(), other.status_code) == (200, first.json(), 422)
    assert server.stream.rows == [{"f_0": "1"}]


def test_the_fake_refuses_an_old_epoch_and_an_unknown_token() -> None:
    with FakeServer() as server:
        server.tokens.add("t")
        form: dict[str, Any] = {
            "data": {"stream": "default", "epoch": "1"},
            "files": {"file": ("a.csv", "f_0\n1")},
        }
        url, key = f"{server.url}/monitor/3", {"Idempotency-Key": "k"}
        stranger = requests.post(url, headers=key, timeout=5, **form)
        reset(server.stream)
        late = requests.post(url, headers=key | {"Authorization": "Bearer t"}, timeout=5, **form)
    assert stranger.status_code == 401
    assert (late.status_code, late.json()["error"]["code"]) == (409, "EPOCH_CHANGED")
    assert server.stream.rows == []
