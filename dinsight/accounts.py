"""Users, their passwords, sign-in links, API keys and ended sessions."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, exists, func, insert, select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from dinsight import passwords
from dinsight.errors import (
    EmailTaken,
    InvalidAccount,
    KeyNotFound,
    LinkUsed,
    NotSignedIn,
    WrongPassword,
)
from dinsight.models import ApiKey, Audit, Display, Json, RevokedSession, SignInLink, User

KEY_PREFIX = "dk_"
LINK_LIFETIME = dt.timedelta(hours=24)
LAST_USED_STEP = dt.timedelta(minutes=1)
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
NAME_LENGTH = 200
SID_ROUND = re.compile(r"(\d{1,9})\.")


@dataclass(frozen=True)
class Sight:
    """What a display may look at, and the stream that it opens on."""

    display_id: int
    baseline_id: int
    stream: str


@dataclass(frozen=True)
class Identity:
    """Who asks. `sid` names the sign-in, and is None for an API key.

    With a `sight` it is no person but a display, which may look at one baseline and do nothing.
    """

    id: int
    email: str
    full_name: str
    role: str
    sid: str | None = None
    sight: Sight | None = None

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"


def register(
    session: Session, email: str, password: str | None, *, full_name: str = "", role: str = "user"
) -> User:
    """A new user. Without a password only a sign-in link lets them in.

    Raises InvalidAccount or EmailTaken.
    """
    email = email.strip()
    if not EMAIL.fullmatch(email) or len(email) > 254:
        raise InvalidAccount("This is not an e-mail address: expected name@example.com.")
    if "\0" in email:
        raise InvalidAccount("The e-mail address holds a NUL character.")
    full_name = check_name(full_name)
    if password is not None:
        passwords.check_new(password)
    row = session.execute(
        upsert(User)
        .values(
            email=email,
            full_name=full_name,
            role=role,
            password_hash=passwords.hash_password(password) if password else None,
        )
        .on_conflict_do_nothing()
        .returning(User)
    ).scalar_one_or_none()
    if row is None:
        raise EmailTaken()
    return row


def check_name(full_name: str) -> str:
    """A person's name as it is kept; empty is none. Raises InvalidAccount."""
    name = full_name.strip()
    if len(name) > NAME_LENGTH or not name.isprintable():
        raise InvalidAccount(f"A name has at most {NAME_LENGTH} printable characters.")
    return name


def sign_in(session: Session, email: str, password: str) -> Identity:
    """The user whose password this is; raises WrongPassword, which does not say which is wrong."""
    email = email.replace("\0", " ")  # which no address holds, and PostgreSQL cannot be asked for
    user = session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))
    fits = passwords.verify(user.password_hash if user else None, password)
    if user is None or not fits or user.disabled_at is not None:
        raise WrongPassword()
    return _identity(user, new_sid(user.sign_in_round))


def rename(session: Session, user_id: int, full_name: str) -> User:
    """Change a person's name; raises InvalidAccount."""
    user = session.get_one(User, user_id, with_for_update={"key_share": True})
    user.full_name = check_name(full_name)
    session.flush()
    return user


def set_password(session: Session, user_id: int, new: str, current: str | None) -> Identity:
    """Set the password; a user who has one must give it (WrongPassword).

    Every sign-in of before ends, as somebody else may know the old password; what is given back
    is a new one, for whoever set it.
    """
    user = session.get_one(User, user_id, with_for_update={"key_share": True})
    if user.password_hash and not passwords.verify(user.password_hash, current or ""):
        raise WrongPassword("The current password is wrong.")
    passwords.check_new(new)
    user.password_hash = passwords.hash_password(new)
    end_sign_ins(session, user)
    return _identity(user, new_sid(user.sign_in_round))


def has_password(session: Session, user_id: int) -> bool:
    return bool(session.scalar(select(User.password_hash.is_not(None)).where(User.id == user_id)))


IDENTIFY = select(User.id, User.email, User.full_name, User.role).where(
    User.id == bindparam("user_id"),
    User.disabled_at.is_(None),
    User.sign_in_round == bindparam("sign_in_round"),
    ~exists().where(RevokedSession.sid == bindparam("sid")),
)


def identify(session: Session, user_id: int, sid: str) -> Identity:
    """The user behind a token; raises NotSignedIn if disabled, deleted or signed out."""
    asked = {"user_id": user_id, "sid": sid, "sign_in_round": round_of(sid)}
    row = session.connection().execute(IDENTIFY, asked).one_or_none()
    if row is None:
        raise NotSignedIn()
    return Identity(*row, sid)


def end_session(session: Session, identity: Identity, expires_at: dt.datetime) -> None:
    """Make every token of this sign-in invalid, on every instance."""
    session.execute(
        upsert(RevokedSession)
        .values(sid=identity.sid, user_id=identity.id, expires_at=expires_at)
        .on_conflict_do_nothing()
    )


def forget_expired(session: Session, now: dt.datetime) -> None:
    """Drop the ended sessions and links that have expired anyway."""
    session.execute(delete(RevokedSession).where(RevokedSession.expires_at < now))
    session.execute(delete(SignInLink).where(SignInLink.expires_at < now))


def make_link_token(session: Session, user_id: int, now: dt.datetime) -> str:
    """A token that signs this user in once, within a day; earlier ones no longer do."""
    token = secrets.token_urlsafe(24)
    session.execute(
        delete(SignInLink).where(SignInLink.user_id == user_id, SignInLink.used_at.is_(None))
    )
    session.execute(
        insert(SignInLink).values(
            token_sha256=key_hash(token), user_id=user_id, expires_at=now + LINK_LIFETIME
        )
    )
    return token


def use_link(session: Session, token: str, now: dt.datetime) -> Identity:
    """The user of a sign-in link, which is used up; raises LinkUsed."""
    user_id = session.scalar(
        update(SignInLink)
        .where(
            SignInLink.token_sha256 == key_hash(token),
            SignInLink.used_at.is_(None),
            SignInLink.expires_at > now,
        )
        .values(used_at=now)
        .returning(SignInLink.user_id)
    )
    user = session.get(User, user_id) if user_id is not None else None
    if user is None or user.disabled_at is not None:
        raise LinkUsed()
    return _identity(user, new_sid(user.sign_in_round))


def make_key(session: Session, user_id: int, name: str) -> tuple[ApiKey, str]:
    """A new API key: the stored row and the key itself, which is shown this once."""
    if not 1 <= len(name.strip()) <= 100 or "\0" in name:
        raise InvalidAccount("An API key needs a name of 1 to 100 characters.")
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(user_id=user_id, name=name.strip(), key_sha256=key_hash(key))
    session.add(row)
    session.flush()
    return row, key


def list_keys(session: Session, user_id: int) -> list[ApiKey]:
    return list(
        session.scalars(
            select(ApiKey)
            .where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
            .order_by(ApiKey.id)
        )
    )


def revoke_key(session: Session, who: Identity, key_id: int, now: dt.datetime) -> str:
    """End a key at once, and give its name; an administrator can end anybody's.

    Raises KeyNotFound for one that is not this user's.
    """
    own = true() if who.is_admin else ApiKey.user_id == who.id
    name: str | None = session.scalar(
        update(ApiKey)
        .where(ApiKey.id == key_id, own, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(ApiKey.name)
    )
    if name is None:
        raise KeyNotFound()
    return name


IDENTIFY_KEY = (
    select(User.id, User.email, User.full_name, User.role)
    .add_columns(ApiKey.id.label("key_id"), ApiKey.last_used_at)
    .join(ApiKey, ApiKey.user_id == User.id)
    .where(
        ApiKey.key_sha256 == bindparam("key_sha256"),
        ApiKey.revoked_at.is_(None),
        User.disabled_at.is_(None),
    )
)


def identify_key(session: Session, key: str, now: dt.datetime) -> Identity:
    """The user behind an API key; raises NotSignedIn."""
    shown = {"key_sha256": key_hash(key)}
    row = session.connection().execute(IDENTIFY_KEY, shown).one_or_none()
    if row is None:
        raise NotSignedIn("This API key is wrong or revoked.")
    if row.last_used_at is None or now - row.last_used_at > LAST_USED_STEP:
        stale = ApiKey.last_used_at.is_(None) | (ApiKey.last_used_at < now - LAST_USED_STEP)
        session.execute(
            update(ApiKey).where(ApiKey.id == row.key_id, stale).values(last_used_at=now)
        )  # asked again, so that of many requests at once one writes
    return Identity(row.id, row.email, row.full_name, row.role)


def end_everything(session: Session, user: User, now: dt.datetime) -> None:
    """End every sign-in, link, API key and display of a user, for good and on every instance."""
    end_sign_ins(session, user)
    session.execute(
        update(Display)
        .where(Display.made_by == user.id, Display.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    session.execute(
        update(ApiKey)
        .where(ApiKey.user_id == user.id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def end_sign_ins(session: Session, user: User) -> None:
    """End every sign-in of a user and the links that are not used yet; API keys go on."""
    user.sign_in_round += 1
    session.execute(
        delete(SignInLink).where(SignInLink.user_id == user.id, SignInLink.used_at.is_(None))
    )


def audit(
    session: Session, action: str, *, user_id: int | None, subject: str = "", **details: object
) -> None:
    """Note what was done, for those who must account for it later."""
    facts: Json = dict(details)
    subject = subject.replace("\0", " ")
    session.add(Audit(action=action, user_id=user_id, subject=subject, details=facts))


def new_sid(sign_in_round: int = 0) -> str:
    """The name of a new sign-in, which begins with the round that it belongs to."""
    return f"{sign_in_round}.{secrets.token_hex(16)}"


def round_of(sid: str) -> int:
    """The round that a sign-in belongs to; one without a number is of the first."""
    found = SID_ROUND.match(sid)
    return int(found[1]) if found else 0


def _identity(user: User, sid: str | None) -> Identity:
    return Identity(user.id, user.email, user.full_name, user.role, sid)


def key_hash(token: str) -> bytes:
    """What is kept of a key or of a link token."""
    return hashlib.sha256(token.encode()).digest()
