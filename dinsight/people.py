"""What an administrator does with people: see, invite, change and disable them.

Who is no administrator finds nobody here: the lookup asks for the role, as every other one asks
for the owner.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import ColumnElement, false, select, true
from sqlalchemy.orm import Session

from dinsight import accounts
from dinsight.accounts import LINK_LIFETIME, Identity, audit
from dinsight.errors import AdminOnly, InvalidAccount, LastAdmin, UserNotFound
from dinsight.models import User

ROLES = ("user", "admin")


@dataclass(frozen=True)
class Change:
    """What is to be different about a user; None leaves it as it is."""

    role: str | None = None
    disabled: bool | None = None
    full_name: str | None = None


@dataclass(frozen=True)
class Invitation:
    """A user and the token of the link that signs them in, once and until `expires_at`."""

    user: User
    token: str
    expires_at: dt.datetime


def require_admin(who: Identity) -> None:
    """Raises AdminOnly."""
    if not who.is_admin:
        raise AdminOnly()


def list_all(session: Session, who: Identity) -> list[User]:
    """Everybody, those who came first at the top. Raises AdminOnly."""
    require_admin(who)
    return list(session.scalars(select(User).where(_visible(who)).order_by(User.id)))


def invite(
    session: Session,
    who: Identity,
    email: str,
    *,
    full_name: str = "",
    role: str = "user",
    now: dt.datetime,
) -> Invitation:
    """A new user, without a password: their link lets them in, and they choose one themselves.

    Raises AdminOnly, InvalidAccount or EmailTaken.
    """
    require_admin(who)
    check_role(role)
    user = accounts.register(session, email, None, full_name=full_name, role=role)
    audit(session, "user.make", user_id=who.id, subject=user.email, role=role)
    return _invitation(session, user, now)


def renew(session: Session, who: Identity, user_id: int, *, now: dt.datetime) -> Invitation:
    """A fresh link for one who cannot sign in any more, or whose password somebody else knows.

    Their password is gone and every sign-in is ended; their API keys go on, as machines send with
    them. Raises UserNotFound, or InvalidAccount for one who is disabled.
    """
    user = _hold(session, who, user_id)
    if user.disabled_at is not None:
        raise InvalidAccount("This user is disabled: enable them first.")
    user.password_hash = None
    accounts.end_sign_ins(session, user)
    audit(session, "user.link", user_id=who.id, subject=user.email)
    return _invitation(session, user, now)


def change(
    session: Session, who: Identity, user_id: int, wanted: Change, *, now: dt.datetime
) -> User:
    """Change a user. One who is disabled is out at once: every sign-in, link and API key ends.

    Enabling lets them sign in again, and revives none of those. Raises UserNotFound,
    InvalidAccount, or LastAdmin where nobody would be left to manage the others.
    """
    if wanted.role is not None:
        check_role(wanted.role)
    loses_power = wanted.role not in {None, "admin"} or wanted.disabled is True
    if loses_power and who.is_admin:
        _require_another_admin(session, user_id)
    user = _hold(session, who, user_id)
    if wanted.full_name is not None and wanted.full_name.strip() != user.full_name:
        user.full_name = accounts.check_name(wanted.full_name)
        audit(session, "user.rename", user_id=who.id, subject=user.email)
    if wanted.role is not None and wanted.role != user.role:
        user.role = wanted.role
        audit(session, "user.role", user_id=who.id, subject=user.email, role=wanted.role)
    if wanted.disabled is True and user.disabled_at is None:
        user.disabled_at = now
        accounts.end_everything(session, user, now)
        audit(session, "user.disable", user_id=who.id, subject=user.email)
    if wanted.disabled is False and user.disabled_at is not None:
        user.disabled_at = None
        audit(session, "user.enable", user_id=who.id, subject=user.email)
    session.flush()
    return user


def check_role(role: str) -> None:
    """Raises InvalidAccount, naming those that there are."""
    if role not in ROLES:
        raise InvalidAccount(f"There is no role {role!r}: choose one of {', '.join(ROLES)}.")


def _visible(who: Identity) -> ColumnElement[bool]:
    return true() if who.is_admin else false()


def _hold(session: Session, who: Identity, user_id: int) -> User:
    """The user, held for this transaction."""
    user = session.scalar(
        select(User)
        .where(User.id == user_id, _visible(who))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if user is None:
        raise UserNotFound()
    return user


def _require_another_admin(session: Session, user_id: int) -> None:
    """Raises LastAdmin where this is the only administrator who may sign in.

    All of them are held, in one order, so that two who demote each other take turns.
    """
    in_charge = session.scalars(
        select(User.id)
        .where(User.role == "admin", User.disabled_at.is_(None))
        .order_by(User.id)
        .with_for_update(key_share=True)
    ).all()
    if in_charge == [user_id]:
        raise LastAdmin()


def _invitation(session: Session, user: User, now: dt.datetime) -> Invitation:
    token = accounts.make_link_token(session, user.id, now)
    return Invitation(user, token, now + LINK_LIFETIME)
