"""Who signs in: options, then the environment, then the API key in the data folder."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulator.errors import SignInRefused

THREE_WAYS = (
    "no credentials: give --auth-email and --auth-password, or set DINSIGHT_AUTH_EMAIL and"
    " DINSIGHT_AUTH_PASSWORD, or start the server once (make run) so that {path} holds an API key"
)


@dataclass(frozen=True)
class Password:
    """An account's e-mail and password."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class ApiKey:
    """A key for machine senders, and the file it came from."""

    key: str = field(repr=False)
    path: Path


Credentials = Password | ApiKey


def data_folder(environment: Mapping[str, str]) -> Path:
    """Where the local server keeps its data: DINSIGHT_HOME, else `.dinsight`."""
    return Path(environment.get("DINSIGHT_HOME") or ".dinsight")


def find(
    email: str | None, password: str | None, api_url: str, environment: Mapping[str, str]
) -> Credentials:
    """The credentials for this server.

    Raises SignInRefused when there are none, or when the key is not for this server or its file
    can be read by others.
    """
    email = email or environment.get("DINSIGHT_AUTH_EMAIL")
    password = password or environment.get("DINSIGHT_AUTH_PASSWORD")
    if email and password:
        return Password(email, password)
    if email or password:
        given, lacking = ("an e-mail", "password") if email else ("a password", "e-mail")
        raise SignInRefused(
            f"{given} without {'a' if email else 'an'} {lacking}: both are needed"
            " (--auth-email, --auth-password, or DINSIGHT_AUTH_EMAIL, DINSIGHT_AUTH_PASSWORD)"
        )
    path = data_folder(environment) / "credentials.json"
    kept = _read_private(path)
    if kept is None:
        raise SignInRefused(THREE_WAYS.format(path=path))
    return _key_for(api_url, path, kept)


def _read_private(path: Path) -> Any:
    """The JSON in a file that only its owner may read; None when there is no file."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & 0o077:
                raise SignInRefused(
                    f"{path} can be read by others (mode {mode & 0o777:04o}), so its key is not"
                    f" used: run chmod 600 {path}, and revoke the key if others had access"
                )
            return json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise SignInRefused(f"cannot read {path}: {reason}") from error


def _key_for(api_url: str, path: Path, kept: Any) -> ApiKey:
    key = kept.get("api_key") if isinstance(kept, dict) else None
    if not isinstance(key, str) or not key:
        raise SignInRefused(f"{path} holds no api_key")
    host, own = urlsplit(api_url).hostname, urlsplit(str(kept.get("api_url", ""))).hostname
    if host != own and not is_loopback(host):
        raise SignInRefused(
            f"the API key in {path} is for {own or 'this machine'} and is not sent to {host}:"
            " give --auth-email and --auth-password, or DINSIGHT_AUTH_EMAIL and _PASSWORD"
        )
    return ApiKey(key, path)


def is_loopback(host: str | None) -> bool:
    """Whether a host name can only mean this machine.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("localhost.example.org")
    (True, True, False)
    """
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
