"""Accounts: passwords, sign-in links, API keys, ended sessions."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, select

from dinsight import accounts, passwords
from dinsight.accounts import Identity
from dinsight.errors import (
    EmailTaken,
    InvalidAccount,
    KeyNotFound,
    LinkUsed,
    NotSignedIn,
    WrongPassword,
)
from dinsight.models import ApiKey, User
from dinsight.services import Services
from tests.factories import PASSWORD

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


def test_a_registered_user_signs_in(services: Services) -> None:
    with services.sessions.begin() as session:
        accounts.register(session, " Ada@Example.com ", PASSWORD, full_name="Ada")
    with services.sessions.begin() as session:
        identity = accounts.sign_in(session, "ada@example.COM", PASSWORD)
    assert (identity.email, identity.full_name, identity.role) == ("Ada@Example.com", "Ada", "user")


def test_an_address_is_taken_in_any_case(services: Services, user: Identity) -> None:
    with services.sessions.begin() as session, pytest.raises(EmailTaken):
        accounts.register(session, user.email.upper(), PASSWORD)


@pytest.mark.parametrize(
    ("email", "password", "expected"),
    [
        ("nobody", PASSWORD, "not an e-mail address"),
        ("a@b", "short", "8 to 128 characters; this one has 5"),
        ("a@b", "x" * 129, "8 to 128 characters; this one has 129"),
        ("a@b", "Password123", "among the commonest"),
        ("a\0@b", PASSWORD, "NUL"),
    ],
)
def test_account_details_that_cannot_be_used_are_refused(
    services: Services, email: str, password: str, expected: str
) -> None:
    with services.sessions.begin() as session, pytest.raises(InvalidAccount, match=expected):
        accounts.register(session, email, password)


def test_passwords_are_kept_as_argon2id_of_at_least_19_mib(
    services: Services, user: Identity
) -> None:
    with services.sessions() as session:
        kept = session.scalars(select(User.password_hash).where(User.id == user.id)).one()
    assert kept is not None
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_wrong_password_and_an_unknown_user_are_refused_alike(
    services: Services, user: Identity
) -> None:
    refusals = []
    for email in (user.email, "nobody@example.com"):
        with services.sessions.begin() as session, pytest.raises(WrongPassword) as refused:
            accounts.sign_in(session, email, "wrong password")
        refusals.append(refused.value.message)
    assert refusals[0] == refusals[1]


def test_a_user_without_a_password_cannot_sign_in_with_one() -> None:
    assert not passwords.verify(None, "the password of nobody")


def test_a_disabled_user_is_out_at_once(services: Services, user: Identity) -> None:
    with services.sessions.begin() as session:
        _, key = accounts.make_key(session, user.id, "gateway")
        session.get_one(User, user.id).disabled_at = NOW
    with services.sessions.begin() as session:
        with pytest.raises(WrongPassword):
            accounts.sign_in(session, user.email, PASSWORD)
        with pytest.raises(NotSignedIn):
            accounts.identify(session, user.id, str(user.sid))
        with pytest.raises(NotSignedIn):
            accounts.identify_key(session, key, NOW)


def test_an_ended_session_identifies_nobody(services: Services, user: Identity) -> None:
    with services.sessions.begin() as session:
        assert accounts.identify(session, user.id, str(user.sid)) == user
        accounts.end_session(session, user, NOW + dt.timedelta(days=1))
        accounts.end_session(session, user, NOW + dt.timedelta(days=1))
    with services.sessions() as session:
        with pytest.raises(NotSignedIn):
            accounts.identify(session, user.id, str(user.sid))
        assert accounts.identify(session, user.id, "another sign-in").id == user.id


def test_a_link_signs_in_once(services: Services, user: Identity) -> None:
    with services.sessions.begin() as session:
        token = accounts.make_link_token(session, user.id, NOW)
    with services.sessions.begin() as session:
        assert accounts.use_link(session, token, NOW).id == user.id
    for again in (token, "made up"):
        with services.sessions.begin() as session, pytest.raises(LinkUsed):
            accounts.use_link(session, again, NOW)


def test_a_link_goes_stale_and_a_fresh_one_replaces_it(services: Services, user: Identity) -> None:
    with services.sessions.begin() as session:
        old = accounts.make_link_token(session, user.id, NOW)
        fresh = accounts.make_link_token(session, user.id, NOW)
    with services.sessions.begin() as session:
        with pytest.raises(LinkUsed):
            accounts.use_link(session, old, NOW)
        with pytest.raises(LinkUsed):
            accounts.use_link(session, fresh, NOW + dt.timedelta(days=2))


def test_the_first_password_needs_no_current_one(services: Services) -> None:
    with services.sessions.begin() as session:
        number = accounts.register(session, "first@example.com", None).id
        assert not accounts.has_password(session, number)
        accounts.set_password(session, number, PASSWORD, current=None)
    with services.sessions.begin() as session:
        assert accounts.has_password(session, number)
        with pytest.raises(WrongPassword):
            accounts.set_password(session, number, "another password", current="not it")
        accounts.set_password(session, number, "another password", current=PASSWORD)
        assert accounts.sign_in(session, "first@example.com", "another password").id == number


def test_an_api_key_works_until_it_is_revoked_and_only_its_hash_is_kept(
    services: Services, user: Identity
) -> None:
    with services.sessions.begin() as session:
        row, key = accounts.make_key(session, user.id, "gateway 3")
        assert accounts.identify_key(session, key, NOW).id == user.id
        kept = session.get_one(ApiKey, row.id)
        session.refresh(kept)
        assert kept.last_used_at == NOW
        assert key.encode() not in kept.key_sha256
        assert [item.name for item in accounts.list_keys(session, user.id)] == ["gateway 3"]
        assert accounts.revoke_key(session, user, row.id, NOW) == "gateway 3"
        with pytest.raises(NotSignedIn):
            accounts.identify_key(session, key, NOW)
        assert accounts.list_keys(session, user.id) == []


def test_another_users_key_cannot_be_revoked(
    services: Services, user: Identity, other: Identity
) -> None:
    with services.sessions.begin() as session:
        row, key = accounts.make_key(session, user.id, "mine")
        with pytest.raises(KeyNotFound):
            accounts.revoke_key(session, other, row.id, NOW)
        assert accounts.identify_key(session, key, NOW).id == user.id


def test_of_a_keys_uses_in_a_minute_one_is_written(services: Services, user: Identity) -> None:
    with services.sessions.begin() as session:
        row, key = accounts.make_key(session, user.id, "gateway")
        key_id = row.id
    writes: list[str] = []

    def count(*given: object) -> None:
        writes.extend(str(part) for part in given if str(part).startswith("UPDATE"))

    event.listen(services.database.engine, "before_cursor_execute", count)
    for seconds in (0, 1, 30, 60, 61, 62, 121):
        with services.sessions.begin() as session:
            accounts.identify_key(session, key, NOW + dt.timedelta(seconds=seconds))
    assert len(writes) == 2
    with services.sessions() as session:
        kept = session.get_one(ApiKey, key_id).last_used_at
    assert kept == NOW + dt.timedelta(seconds=61)


def test_of_uses_at_the_same_moment_one_is_written(services: Services, user: Identity) -> None:
    with services.sessions.begin() as session:
        _, key = accounts.make_key(session, user.id, "gateway")
    written: list[int] = []

    def count(_: object, cursor: Any, statement: str, *__: object) -> None:
        if statement.startswith("UPDATE"):
            written.append(cursor.rowcount)

    event.listen(services.database.engine, "after_cursor_execute", count)
    together = threading.Barrier(6)

    def use() -> None:
        with services.sessions.begin() as session:
            together.wait()
            accounts.identify_key(session, key, NOW)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(use) for _ in range(6)]:
            done.result()
    assert sum(written) == 1


def test_a_new_round_ends_every_sign_in_but_no_key(services: Services, user: Identity) -> None:
    with services.sessions.begin() as session:
        _, key = accounts.make_key(session, user.id, "gateway")
        token = accounts.make_link_token(session, user.id, NOW)
        accounts.end_sign_ins(session, session.get_one(User, user.id))
    with services.sessions.begin() as session:
        for sid in (str(user.sid), accounts.new_sid(), "of before there were rounds"):
            with pytest.raises(NotSignedIn):
                accounts.identify(session, user.id, sid)
        with pytest.raises(LinkUsed):
            accounts.use_link(session, token, NOW)
        again = accounts.sign_in(session, user.email, PASSWORD)
        assert accounts.identify(session, user.id, str(again.sid)).id == user.id
        assert accounts.identify_key(session, key, NOW).id == user.id
