"""Every setting, typed, read once from the environment, and below it from a `.env` file.

`.env.example` documents the same names; a test holds the two together.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values

from dinsight.errors import SettingError

MIN_SECRET_BYTES = 32
MIN_TOKEN = 16


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"a whole number from {low:,} to {high:,}")
        return value

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return text.lower()

    return parse


def _long_enough(text: str) -> str:
    if len(text.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"at least {MIN_SECRET_BYTES} bytes of random text")
    return text


def _token(text: str) -> str:
    if len(text) < MIN_TOKEN or not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError(f"at least {MIN_TOKEN} characters of plain text without blanks")
    return text


def _dask_address(text: str) -> str:
    if not re.fullmatch(r"(tcp|tls)://[^\s/]+:\d+", text):
        raise ValueError("tcp://host:port or tls://host:port")
    return text


def _origins(text: str) -> str:
    found = [each.strip().rstrip("/") for each in text.split(",") if each.strip()]
    if not all(re.fullmatch(r"https?://[^\s/]+", each) for each in found):
        raise ValueError("addresses such as https://dinsight.example.com, with commas between them")
    return ",".join(found)


def _public_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@?#]+/?", text):
        raise ValueError("an address such as https://dinsight.example.com")
    return text.rstrip("/")


def _networks(text: str) -> str:
    try:
        found = [str(ipaddress.ip_network(each.strip())) for each in text.split(",")]
    except ValueError:
        raise ValueError("networks such as 10.0.0.0/8, with commas between them") from None
    return ",".join(found)


def _sender(text: str) -> str:
    name, address = parseaddr(text)
    if not re.fullmatch(r"[!-~]+@[A-Za-z0-9.-]+", address) or not name.isprintable():
        raise ValueError("an address such as D'insight <dinsight@example.com>")
    return text


def _domains(text: str) -> str:
    found = [each.strip().lower() for each in text.split(",") if each.strip()]
    if not all(re.fullmatch(r"[a-z0-9.-]+", each) for each in found):
        raise ValueError("domains such as example.com, with commas between them")
    return ",".join(found)


def _database_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"postgresql", "postgres", "postgresql+psycopg2"}:
        raise ValueError("postgresql://user:password@host:port/name")
    return f"postgresql+psycopg2://{rest}"


def _redis_url(text: str) -> str:
    if text.partition("://")[0] not in {"redis", "rediss", "unix"} or "://" not in text:
        raise ValueError("redis://:password@host:port/number")
    return text


def _setting(name: str, default: Any, parse: Callable[[str], Any]) -> Any:
    return dataclasses.field(default=default, metadata={"name": name, "parse": parse})


def _secret_setting(name: str, parse: Callable[[str], Any]) -> Any:
    """One whose value is never shown."""
    return dataclasses.field(default="", repr=False, metadata={"name": name, "parse": parse})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one server. An empty value in the environment means the default."""

    home: Path = _setting("DINSIGHT_HOME", Path(".dinsight"), Path)
    host: str = _setting("DINSIGHT_HOST", "127.0.0.1", str)
    port: int = _setting("DINSIGHT_PORT", 8080, _integer(0, 65_535))
    threads: int = _setting("DINSIGHT_THREADS", 16, _integer(2, 512))
    proxies: int = _setting("DINSIGHT_TRUSTED_PROXIES", 0, _integer(0, 10))
    sockets: int = _setting("DINSIGHT_SOCKETS", 500, _integer(0, 100_000))
    origins: str = _setting("DINSIGHT_ORIGINS", "", _origins)
    public_url: str = _setting("DINSIGHT_PUBLIC_URL", "", _public_url)
    database_url: str = _secret_setting("DATABASE_URL", _database_url)
    secret_key: str = _secret_setting("DINSIGHT_SECRET_KEY", _long_enough)
    bootstrap_email: str = _setting("DINSIGHT_BOOTSTRAP_EMAIL", "", str)
    bootstrap_password: str = _secret_setting("DINSIGHT_BOOTSTRAP_PASSWORD", str)
    registration: Literal["", "open", "closed"] = _setting(
        "DINSIGHT_REGISTRATION", "", _one_of("open", "closed")
    )
    access_token_hours: int = _setting("DINSIGHT_ACCESS_TOKEN_HOURS", 12, _integer(1, 24 * 30))
    refresh_token_days: int = _setting("DINSIGHT_REFRESH_TOKEN_DAYS", 30, _integer(1, 365))
    max_upload_mb: int = _setting("DINSIGHT_MAX_UPLOAD_MB", 512, _integer(1, 100_000))
    max_batch_mb: int = _setting("DINSIGHT_MAX_BATCH_MB", 128, _integer(1, 100_000))
    max_unpacked_mb: int = _setting("DINSIGHT_MAX_UNPACKED_MB", 512, _integer(1, 100_000))
    max_rows: int = _setting("DINSIGHT_MAX_ROWS", 200_000, _integer(1, 100_000_000))
    max_columns: int = _setting("DINSIGHT_MAX_COLUMNS", 20_000, _integer(1, 1_000_000))
    rate_limit: int = _setting("DINSIGHT_RATE_LIMIT", 30_000, _integer(1, 10_000_000))
    sign_in_rate_limit: int = _setting("DINSIGHT_SIGN_IN_RATE_LIMIT", 300, _integer(1, 1_000_000))
    wrong_passwords: int = _setting("DINSIGHT_WRONG_PASSWORDS", 10, _integer(1, 1_000))
    exports: int = _setting("DINSIGHT_EXPORTS", 2, _integer(1, 100))
    redis_url: str = _secret_setting("DINSIGHT_REDIS_URL", _redis_url)
    retention_days: int = _setting("DINSIGHT_RETENTION_DAYS", 0, _integer(0, 36_500))
    retention_points: int = _setting("DINSIGHT_RETENTION_POINTS", 0, _integer(0, 10**12))
    retention_features_days: int = _setting(
        "DINSIGHT_RETENTION_FEATURES_DAYS", 0, _integer(0, 36_500)
    )
    webhook_networks: str = _setting("DINSIGHT_WEBHOOK_NETWORKS", "", _networks)
    smtp_host: str = _setting("DINSIGHT_SMTP_HOST", "", str)
    smtp_port: int = _setting("DINSIGHT_SMTP_PORT", 0, _integer(0, 65_535))
    smtp_tls: str = _setting("DINSIGHT_SMTP_TLS", "starttls", _one_of("none", "starttls", "tls"))
    smtp_user: str = _setting("DINSIGHT_SMTP_USER", "", str)
    smtp_password: str = _secret_setting("DINSIGHT_SMTP_PASSWORD", str)
    smtp_from: str = _setting("DINSIGHT_SMTP_FROM", "", _sender)
    email_domains: str = _setting("DINSIGHT_EMAIL_DOMAINS", "", _domains)
    dask_scheduler: str = _setting("DINSIGHT_DASK_SCHEDULER", "", _dask_address)
    metrics_token: str = _secret_setting("DINSIGHT_METRICS_TOKEN", _token)
    log_level: str = _setting(
        "DINSIGHT_LOG_LEVEL", "info", _one_of("debug", "info", "warning", "error")
    )
    log_format: str = _setting("DINSIGHT_LOG_FORMAT", "text", _one_of("text", "json"))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings in `environ`; by default the process's own over those of `./.env`.

        Raises SettingError, which names the setting, for a value that cannot be used.
        """
        if environ is None:
            environ = {k: v for k, v in dotenv_values(".env").items() if v is not None} | os.environ
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            name = field.metadata["name"]
            text = environ.get(name, "").strip()
            if not text:
                continue
            try:
                values[field.name] = field.metadata["parse"](text)
            except ValueError as error:
                shown = "" if not field.repr else f", not {text!r}"
                raise SettingError(f"{name} must be {_expected(error)}{shown}") from None
        return cls(**values)

    @classmethod
    def names(cls) -> dict[str, Any]:
        """Every environment name with its default."""
        return {field.metadata["name"]: field.default for field in dataclasses.fields(cls)}

    @property
    def registration_open(self) -> bool:
        """Whether strangers may register: by default only where none can reach the server."""
        if self.registration:
            return self.registration == "open"
        return is_loopback(self.host) and not self.proxies

    @property
    def address(self) -> str:
        """Where people reach the pages, as messages to them say it."""
        return self.public_url or local_url(self.host, self.port)


def local_url(host: str, port: int) -> str:
    """The address that a browser on this machine opens."""
    if host in {"127.0.0.1", "::1", "0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach a server at `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _expected(error: ValueError) -> str:
    text = str(error)
    return "a whole number" if text.startswith("invalid literal") else text
