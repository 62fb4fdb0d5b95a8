"""The audit table: what is noted of a denial, and reading it all back."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, insert, literal, select
from sqlalchemy.orm import Session

from dinsight.accounts import Identity
from dinsight.models import Audit, Baseline, Json, User
from dinsight.people import require_admin

DENIED = "denied"
DENIALS_A_MINUTE = 10
STEP = dt.timedelta(minutes=1)
MOST = 500

# What can be noted, and how a person reads it.
ACTIONS = {
    "sign-in": "Signed in",
    "sign-in.refused": "Sign-in refused",
    "sign-out": "Signed out",
    "register": "Registered",
    "password.set": "Set a password",
    "profile.rename": "Changed their name",
    "key.make": "Made an API key",
    "key.revoke": "Revoked an API key",
    "user.make": "Added a person",
    "user.link": "Made a sign-in link",
    "user.rename": "Renamed a person",
    "user.role": "Changed a role",
    "user.disable": "Disabled a person",
    "user.enable": "Enabled a person",
    "baseline.delete": "Deleted a baseline",
    "monitor-file.delete": "Deleted a monitor file",
    "baseline.refit": "Refitted a baseline",
    "candidate.propose": "Proposed rows as normal",
    "candidate.refuse": "Refused proposed rows",
    "version.make": "Made a baseline version",
    "version.adopt": "Put a baseline version in force",
    "version.discard": "Discarded a baseline version",
    "stream.reset": "Reset a stream",
    "alert_rule.added": "Added an alert rule",
    "alert_rule.changed": "Changed an alert rule",
    "alert_rule.deleted": "Deleted an alert rule",
    "display.make": "Made a link for a screen",
    "display.revoke": "Revoked a screen's link",
    "channel.make": "Added a channel of notifications",
    "channel.change": "Changed a channel",
    "channel.test": "Sent a test message",
    "channel.delete": "Deleted a channel",
    DENIED: "Asked for what is not theirs",
}


@dataclass(frozen=True)
class Wish:
    """Which entries: all conditions that are given hold; `before` is the id to read on from."""

    user_id: int | None = None
    action: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True)
class Entry:
    """What somebody did; `email` is that of the user now, None where nobody was signed in."""

    id: int
    at: dt.datetime
    user_id: int | None
    email: str | None
    action: str
    subject: str
    details: Json


def read(session: Session, who: Identity, wish: Wish) -> list[Entry]:
    """The newest entries that are wished for, the newest first. Raises AdminOnly."""
    require_admin(who)
    columns = (Audit.id, Audit.at, Audit.user_id, User.email)
    query = (
        select(*columns, Audit.action, Audit.subject, Audit.details)
        .outerjoin(User, User.id == Audit.user_id)
        .where(*_conditions(wish))
        .order_by(Audit.id.desc())
        .limit(min(wish.limit, MOST))
    )
    return [Entry(*row) for row in session.execute(query)]


def deny(
    session: Session, who: Identity, subject: str, baseline_id: int | None, now: dt.datetime
) -> None:
    """Note that somebody asked for what does not exist or is another's, which they cannot tell.

    Nor does the time that it takes tell them: the same statement runs for both, and finds out
    whose the baseline is. A sender that repeats itself is noted once a minute, and nobody more
    than `DENIALS_A_MINUTE` times. An administrator is denied nothing, and a display is nobody.
    """
    if who.is_admin or who.sight:
        return
    recent = select(func.count()).where(
        Audit.user_id == who.id, Audit.action == DENIED, Audit.at > now - STEP
    )
    same = recent.where(Audit.subject == subject)
    owner = select(Baseline.owner_id).where(Baseline.id == baseline_id).scalar_subquery()
    entry = select(
        literal(now),
        literal(who.id),
        literal(DENIED),
        literal(subject),
        func.jsonb_build_object("owner_id", owner),
    ).where(
        recent.scalar_subquery() < DENIALS_A_MINUTE,
        same.scalar_subquery() == 0,
    )
    columns = ["at", "user_id", "action", "subject", "details"]
    session.execute(insert(Audit).from_select(columns, entry))


def _conditions(wish: Wish) -> list[ColumnElement[bool]]:
    given = (
        (wish.user_id, Audit.user_id.__eq__),
        (wish.action, Audit.action.__eq__),
        (wish.since, Audit.at.__ge__),
        (wish.until, Audit.at.__lt__),
        (wish.before, Audit.id.__lt__),
    )
    return [compare(value) for value, compare in given if value is not None]
