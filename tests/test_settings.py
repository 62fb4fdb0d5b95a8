"""Settings: typed, named in every complaint, and documented in `.env.example`."""

from __future__ import annotations

from pathlib import Path

import pytest
from dotenv import dotenv_values

from dinsight.errors import SettingError
from dinsight.settings import Settings

EXAMPLE = Path(__file__).parent.parent / ".env.example"


def test_the_defaults_need_no_environment() -> None:
    settings = Settings.from_env({})
    assert (settings.host, settings.port, settings.home) == ("127.0.0.1", 8080, Path(".dinsight"))
    assert settings == Settings()


def test_the_example_names_every_setting_with_its_default() -> None:
    example = dotenv_values(EXAMPLE)
    assert list(example) == list(Settings.names())
    assert {name: text or "" for name, text in example.items()} == {
        name: str(default) for name, default in Settings.names().items()
    }


def test_the_example_can_be_used_as_it_is() -> None:
    example = {name: text or "" for name, text in dotenv_values(EXAMPLE).items()}
    assert Settings.from_env(example) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DINSIGHT_PORT", "http", "DINSIGHT_PORT must be a whole number, not 'http'"),
        ("DINSIGHT_PORT", "70000", "DINSIGHT_PORT must be a whole number from 0 to 65,535"),
        ("DINSIGHT_REGISTRATION", "maybe", "DINSIGHT_REGISTRATION must be one of open, closed"),
        ("DINSIGHT_REDIS_URL", "localhost:6379", "DINSIGHT_REDIS_URL must be redis://"),
        ("DATABASE_URL", "mysql://x", "DATABASE_URL must be postgresql://"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingError) as refused:
        Settings.from_env({name: value})
    assert refused.value.message.startswith(expected)


def test_a_short_secret_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingError) as refused:
        Settings.from_env({"DINSIGHT_SECRET_KEY": "hunter2"})
    assert "DINSIGHT_SECRET_KEY must be at least 32 bytes" in refused.value.message
    assert "hunter2" not in refused.value.message


def test_secrets_are_not_shown() -> None:
    settings = Settings(secret_key="s1", bootstrap_password="s2", database_url="s3", redis_url="s4")
    assert not {"s1", "s2", "s3", "s4"} & set(repr(settings).split("'"))


@pytest.mark.parametrize(
    ("host", "registration", "is_open"),
    [
        ("127.0.0.1", "", True),
        ("localhost", "", True),
        ("0.0.0.0", "", False),
        ("plant.example.com", "", False),
        ("0.0.0.0", "open", True),
        ("127.0.0.1", "closed", False),
    ],
)
def test_strangers_register_only_where_they_are_let(
    host: str, registration: str, is_open: bool
) -> None:
    environ = {"DINSIGHT_HOST": host, "DINSIGHT_REGISTRATION": registration}
    assert Settings.from_env(environ).registration_open is is_open


def test_behind_a_proxy_strangers_do_not_register() -> None:
    assert not Settings.from_env({"DINSIGHT_TRUSTED_PROXIES": "1"}).registration_open


def test_the_environment_counts_more_than_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("DINSIGHT_PORT=9001\nDINSIGHT_THREADS=3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DINSIGHT_PORT", "9002")
    settings = Settings.from_env()
    assert (settings.port, settings.threads) == (9002, 3)


def test_any_postgresql_url_becomes_the_drivers() -> None:
    settings = Settings.from_env({"DATABASE_URL": "postgres://me:pw@db:5433/plant"})
    assert settings.database_url == "postgresql+psycopg2://me:pw@db:5433/plant"
