"""Signing in, staying signed in, and keeping secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import credentials
from simulator.credentials import ApiKey, Password
from simulator.errors import SignInRefused
from simulator.logs import log_to
from tests.simulator_fake import (
    API_KEY,
    EMAIL,
    PASSWORD,
    FakeBaseline,
    FakeServer,
    Fault,
)
from tests.simulator_kit import play, table


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.baselines[3] = FakeBaseline("Line A", ["f_0", "f_1"])
        yield fake


def expire(server: FakeServer) -> None:
    server.tokens.clear()


def expire_and_forget(server: FakeServer) -> None:
    server.tokens.clear()
    server.refresh_tokens.clear()


def test_an_expired_token_is_refreshed_and_no_row_is_lost(
    server: FakeServer, tmp_path: Path
) -> None:
    rows = table(tmp_path / "m.csv", 4)
    server.faults["POST monitor"].extend([Fault(), Fault(before=expire), Fault()])
    assert play(server, tmp_path / "m.csv").status == 0
    assert server.stream.rows == rows
    assert (server.count("POST auth"), server.issued) == (2, 2)


def test_with_a_dead_refresh_token_it_signs_in_again(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 4)
    server.faults["POST monitor"].extend([Fault(), Fault(before=expire_and_forget)])
    assert play(server, tmp_path / "m.csv").status == 0
    assert server.stream.rows == rows
    assert server.count("POST auth") == 3


def test_a_refresh_outlasts_an_outage(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 3)
    server.faults["POST auth"].extend([Fault(), Fault(503), Fault(cut=True)])
    server.faults["POST monitor"].extend([Fault(), Fault(before=expire)])
    assert play(server, tmp_path / "m.csv").status == 0
    assert server.stream.rows == rows


def test_a_token_that_is_refused_at_once_ends_the_run(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 3)
    server.faults["POST monitor"].extend([Fault(401, message="disabled")] * 9)
    played = play(server, tmp_path / "m.csv")
    assert isinstance(played.error, SignInRefused)
    assert str(played.error) == "signed in, but the server refuses the new token: disabled"
    assert server.count("POST monitor") == 3


def test_a_wrong_password_is_said_in_one_line(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 1)
    played = play(server, tmp_path / "m.csv", auth_password="wrong")
    assert str(played.error) == f"cannot sign in as {EMAIL}: wrong e-mail or password"
    assert server.count("POST auth") == 1


def keep_key(folder: Path, url: str, mode: int = 0o600) -> dict[str, str]:
    """A data folder with a credentials file; gives the environment that points to it."""
    folder.mkdir(exist_ok=True)
    path = folder / "credentials.json"
    path.write_text(json.dumps({"api_url": url, "api_key": API_KEY}))
    path.chmod(mode)
    return {"DINSIGHT_HOME": str(folder)}


def test_the_api_key_of_the_data_folder_is_used_without_a_sign_in(
    server: FakeServer, tmp_path: Path
) -> None:
    rows = table(tmp_path / "m.csv", 2)
    server.tokens.add(API_KEY)
    environment = keep_key(tmp_path / "home", "http://localhost:8080/api/v1")
    played = play(
        server, tmp_path / "m.csv", auth_email=None, auth_password=None, environment=environment
    )
    assert (played.status, server.stream.rows, server.count("POST auth")) == (0, rows, 0)
    assert server.seen_tokens == {API_KEY}


def test_a_revoked_api_key_is_said_in_one_line(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 2)
    environment = keep_key(tmp_path / "home", server.url)
    played = play(
        server, tmp_path / "m.csv", auth_email=None, auth_password=None, environment=environment
    )
    assert isinstance(played.error, SignInRefused)
    assert "credentials.json is refused (the token has expired): it may have" in str(played.error)
    assert server.requests == ["GET analyze"]


def test_neither_a_proxy_nor_a_netrc_file_comes_between_us_and_this_machine(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = table(tmp_path / "m.csv", 2)
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert play(server, tmp_path / "m.csv").status == 0
    assert server.stream.rows == rows


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(302, headers={"Location": "https://x/"}), "redirects to https://x/: set --api-url"),
        (Fault(404, message="Not found"), "Not found"),
    ],
)
def test_an_address_that_is_not_the_api_is_said(
    server: FakeServer, tmp_path: Path, fault: Fault, words: str
) -> None:
    table(tmp_path / "m.csv", 2)
    server.faults["POST auth"].append(fault)
    assert str(play(server, tmp_path / "m.csv").error).endswith(words)


LOCAL = "http://localhost:8080/api/v1"


def test_options_go_before_the_environment_and_that_before_the_key(tmp_path: Path) -> None:
    environment = keep_key(tmp_path, LOCAL)
    named = environment | {"DINSIGHT_AUTH_EMAIL": "env@x", "DINSIGHT_AUTH_PASSWORD": "env"}
    assert credentials.find("a@x", "b", LOCAL, named) == Password("a@x", "b")
    assert credentials.find(None, None, LOCAL, named) == Password("env@x", "env")
    assert credentials.find("a@x", None, LOCAL, named) == Password("a@x", "env")
    assert credentials.find(None, None, LOCAL, environment) == ApiKey(
        API_KEY, tmp_path / "credentials.json"
    )


def test_without_any_credentials_the_three_ways_are_named(tmp_path: Path) -> None:
    with pytest.raises(SignInRefused) as caught:
        credentials.find(None, None, LOCAL, {"DINSIGHT_HOME": str(tmp_path)})
    for way in ("--auth-email", "DINSIGHT_AUTH_EMAIL", "credentials.json"):
        assert way in str(caught.value)


def test_an_email_without_a_password_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(SignInRefused, match="an e-mail without a password"):
        credentials.find("a@x", None, LOCAL, keep_key(tmp_path, LOCAL))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_credentials_file_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SignInRefused, match=rf"mode {mode:04o}.*chmod 600"):
        credentials.find(None, None, LOCAL, keep_key(tmp_path, LOCAL, mode))


def test_the_key_goes_to_its_own_host_and_to_this_machine_only(tmp_path: Path) -> None:
    environment = keep_key(tmp_path, "https://plant.example.org/api/v1")
    for url in (
        "https://plant.example.org:8443/api/v1",
        "http://127.0.0.1:9/api/v1",
        "http://[::1]:9/api/v1",
    ):
        assert isinstance(credentials.find(None, None, url, environment), ApiKey)
    for url in (
        "https://example.org/api/v1",
        "http://localhost.example.org/api/v1",
        "http://10.0.0.1/api/v1",
    ):
        with pytest.raises(SignInRefused, match=r"is for plant\.example\.org and is not sent"):
            credentials.find(None, None, url, environment)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"api_key": 3}'])
def test_a_damaged_credentials_file_is_said_in_one_line(tmp_path: Path, content: str) -> None:
    environment = keep_key(tmp_path, LOCAL)
    (tmp_path / "credentials.json").write_text(content)
    with pytest.raises(SignInRefused, match=r"not JSON|holds no api_key"):
        credentials.find(None, None, LOCAL, environment)


def test_no_secret_reaches_the_log_or_the_screen(server: FakeServer, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", 3)
    server.faults["POST monitor"].extend([Fault(), Fault(503), Fault(before=expire_and_forget)])
    with log_to(tmp_path / "log"):
        played = play(server, tmp_path / "m.csv", verbose=True)
    text = (tmp_path / "log").read_text() + played.out + played.err
    assert played.status == 0
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO .* signed in as", text, re.M)
    assert "batch 3: 1 rows, seq 3–3" in text
    for secret in (PASSWORD, "access-", "refresh-"):
        assert secret not in text
