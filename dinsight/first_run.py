"""What the first start makes: the server's secret, the first user and the local sender's key."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from dinsight import accounts
from dinsight.models import ApiKey, User
from dinsight.settings import Settings

FIRST_EMAIL = "operator@localhost"
FIRST_NAME = "First user"
LOCAL_KEY_NAME = "local simulator"
FIRST_USER_LOCK = 7_402_118


def private_write(path: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def secret_key(settings: Settings) -> str:
    """The configured secret, or one that is made once and kept in the data folder."""
    if settings.secret_key:
        return settings.secret_key
    path = settings.home / "secret_key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"secret_key.{os.getpid()}")
        private_write(made, secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(made, path)  # two first starts at once agree on one secret
        made.unlink()
    return path.read_text().strip()


def first_user(session: Session, settings: Settings) -> User:
    """The first administrator who may sign in; made when there is no user at all.

    There is always one, as the last one cannot be demoted or disabled. Without
    DINSIGHT_BOOTSTRAP_PASSWORD the account has no password: a sign-in link lets them in.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": FIRST_USER_LOCK})
    in_charge = (User.role == "admin") & User.disabled_at.is_(None)
    user = session.scalar(select(User).order_by(in_charge.desc(), User.id).limit(1))
    if user is not None:
        return user
    return accounts.register(
        session,
        settings.bootstrap_email or FIRST_EMAIL,
        settings.bootstrap_password or None,
        full_name=FIRST_NAME,
        role="admin",
    )


def write_credentials(session: Session, user: User, settings: Settings, api_url: str) -> Path:
    """Keep an API key for the local simulator in the data folder, unless a good one is there."""
    path = settings.home / "credentials.json"
    if not _is_good(session, path, api_url):
        for old in accounts.list_keys(session, user.id):
            if old.name == LOCAL_KEY_NAME:
                session.delete(old)
        _, key = accounts.make_key(session, user.id, LOCAL_KEY_NAME)
        session.flush()
        private_write(path, json.dumps({"api_url": api_url, "api_key": key}, indent=2) + "\n")
    return path


def _is_good(session: Session, path: Path, api_url: str) -> bool:
    try:
        kept = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    if not isinstance(kept, dict) or kept.get("api_url") != api_url:
        return False
    digest = accounts.key_hash(str(kept.get("api_key", "")))
    known = select(ApiKey.id).where(ApiKey.key_sha256 == digest, ApiKey.revoked_at.is_(None))
    return session.scalar(known) is not None
