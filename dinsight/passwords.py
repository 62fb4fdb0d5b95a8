"""Password hashing (Argon2id, RFC 9106) and the rules for a new password."""

from __future__ import annotations

from functools import cache
from importlib import resources

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dinsight.errors import InvalidAccount

MIN_LENGTH, MAX_LENGTH = 8, 128

# OWASP's first recommendation for Argon2id: 19 MiB, two passes, one lane.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    return HASHER.hash(password)


def verify(password_hash: str | None, password: str) -> bool:
    """Whether the password fits; as slow for an account without one as for one with it."""
    try:
        HASHER.verify(password_hash or _nobody(), password[: MAX_LENGTH + 1])
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def check_new(password: str) -> None:
    """Raises InvalidAccount, saying what is wrong with a new password."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidAccount(
            f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters; this one has {len(password)}."
        )
    if password.casefold() in _commonest():
        raise InvalidAccount("This password is among the commonest: choose another.")


@cache
def _nobody() -> str:
    return HASHER.hash("the password of nobody")


@cache
def _commonest() -> frozenset[str]:
    text = resources.files("dinsight").joinpath("common_passwords.txt").read_text()
    return frozenset(text.split())
