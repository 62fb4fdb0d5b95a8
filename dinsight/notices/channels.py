"""A user's channels: where they are told of alerts."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy.orm import Session, aliased

from dinsight import baselines
from dinsight.accounts import EMAIL, Identity, audit
from dinsight.alerts.words import SEVERITIES
from dinsight.errors import ChannelNotFound, InvalidChannel, TooManyChannels, TooManyRequests
from dinsight.models import Audit, Baseline, Channel, Notice, User
from dinsight.notices import addresses, outbox, webhook
from dinsight.notices.addresses import Networks
from dinsight.notices.mail import Server
from dinsight.settings import Settings

KINDS = ("webhook", "email")
SECRET_PREFIX = "dw_"  # noqa: S105 - what secrets begin with
MOST_CHANNELS = 20
MOST_TESTS, TESTS_WITHIN = 10, dt.timedelta(hours=1)
TESTED = "channel.test"
OFF = "The channel was switched off."
NO_MAIL = (
    "This server sends no e-mail: its administrator has to set DINSIGHT_SMTP_HOST and "
    "DINSIGHT_SMTP_FROM."
)


@dataclass(frozen=True)
class Rules:
    """Where this server sends to."""

    networks: Networks = ()
    email: bool = False
    domains: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        return cls(
            addresses.parse_networks(settings.webhook_networks),
            Server.of(settings) is not None,
            frozenset(filter(None, settings.email_domains.split(","))),
        )


@dataclass(frozen=True)
class Known:
    """A channel with its baseline's name, None for all, and its newest notice."""

    channel: Channel
    baseline: str | None
    last: Notice | None


@dataclass(frozen=True)
class Wanted:
    """A channel to be made; an empty target of kind `email` is one's own address."""

    kind: str
    target: str = ""
    baseline_id: int | None = None
    least_severity: str = "low"
    enabled: bool = True


def add(session: Session, who: Identity, wanted: Wanted, rules: Rules) -> Channel:
    """A new channel, a webhook with its secret, which is shown this once.

    Raises InvalidChannel, BaselineNotFound, and TooManyChannels over 20 of one user.
    """
    session.get_one(User, who.id, with_for_update={"key_share": True})  # so that 20 are 20
    own = select(func.count()).select_from(Channel).where(Channel.user_id == who.id)
    if (session.scalar(own) or 0) >= MOST_CHANNELS:
        raise TooManyChannels()
    target, where = _check_target(wanted, who, rules)
    _check_severity(wanted.least_severity)
    if wanted.baseline_id is not None:
        baselines.get(session, who, wanted.baseline_id)
    channel = Channel(
        user_id=who.id,
        kind=wanted.kind,
        target=target,
        secret=new_secret() if wanted.kind == "webhook" else "",
        baseline_id=wanted.baseline_id,
        least_severity=wanted.least_severity,
        enabled=wanted.enabled,
    )
    session.add(channel)
    session.flush()
    audit(session, "channel.make", user_id=who.id, subject=where, id=channel.id, kind=wanted.kind)
    return channel


def list_all(session: Session, who: Identity) -> list[Known]:
    """A user's own channels, the oldest first."""
    rows = session.execute(_known().where(Channel.user_id == who.id).order_by(Channel.id))
    return [Known(*row) for row in rows]


def get(session: Session, who: Identity, channel_id: int) -> Known:
    """One channel; raises ChannelNotFound for one that is not this user's."""
    row = session.execute(_known().where(Channel.id == channel_id, _own(who))).one_or_none()
    if row is None:
        raise ChannelNotFound()
    return Known(*row)


def change(session: Session, who: Identity, channel_id: int, changes: dict[str, Any]) -> Known:
    """Change `baseline_id`, `least_severity` or `enabled`; one that is off forgets what waits.

    Raises ChannelNotFound, BaselineNotFound and InvalidChannel.
    """
    channel = _held(session, who, channel_id)
    if changes.get("baseline_id") is not None:
        baselines.get(session, who, changes["baseline_id"])
    if "least_severity" in changes:
        _check_severity(changes["least_severity"])
    for name in ("baseline_id", "least_severity", "enabled"):
        if name in changes:
            setattr(channel, name, changes[name])
    if not channel.enabled:
        outbox.drop(session, channel.id, OFF)
    session.flush()
    audit(session, "channel.change", user_id=who.id, subject=str(channel.id), **changes)
    return get(session, who, channel_id)


def delete(session: Session, who: Identity, channel_id: int) -> None:
    """Delete a channel with its notices; raises ChannelNotFound."""
    channel = _held(session, who, channel_id)
    session.delete(channel)
    audit(session, "channel.delete", user_id=who.id, subject=str(channel_id), kind=channel.kind)


def test(session: Session, who: Identity, channel_id: int, *, now: dt.datetime) -> Notice:
    """Put a test message into the outbox, at most ten an hour.

    Raises ChannelNotFound, or TooManyRequests with the seconds to wait.
    """
    channel = _held(session, who, channel_id)
    _admit_test(session, who, now)
    notice_id = outbox.write_test(session, channel, now=now)
    audit(session, TESTED, user_id=who.id, subject=str(channel.id))
    return session.get_one(Notice, notice_id)


def notices(session: Session, who: Identity, channel_id: int, *, limit: int) -> list[Notice]:
    """A channel's newest notices; raises ChannelNotFound."""
    get(session, who, channel_id)
    newest = select(Notice).where(Notice.channel_id == channel_id)
    newest = newest.order_by(Notice.created_at.desc(), Notice.id).limit(limit)
    return list(session.scalars(newest))


def state_of(notice: Notice) -> str:
    """How a notice stands: waiting, delivered or failed."""
    if notice.delivered_at is not None:
        return "delivered"
    return "waiting" if notice.failed_at is None else "failed"


def new_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def _check_target(wanted: Wanted, who: Identity, rules: Rules) -> tuple[str, str]:
    """The target as it is kept, and what of it the audit log may say: a URL may hold a secret."""
    target = wanted.target.strip()
    if wanted.kind == "webhook":
        return target, webhook.check(target, rules.networks).host
    if wanted.kind != "email":
        raise InvalidChannel(f"A channel is of the kind {' or '.join(KINDS)}.")
    if not rules.email:
        raise InvalidChannel(NO_MAIL)
    target = target or who.email
    if not EMAIL.fullmatch(target) or len(target) > 254 or not target.isprintable():
        raise InvalidChannel("This is not an e-mail address: expected name@example.com.")
    if not _may_send(target, who, rules):
        allowed = "".join(f" or one at {each}" for each in sorted(rules.domains))
        raise InvalidChannel(f"E-mails go to your own address, {who.email},{allowed} only.")
    return target, target


def _may_send(target: str, who: Identity, rules: Rules) -> bool:
    """Nobody can have the server write to strangers."""
    domain = target.rpartition("@")[2].lower()
    return target.casefold() == who.email.casefold() or domain in rules.domains


def _check_severity(severity: str) -> None:
    if severity not in SEVERITIES:
        raise InvalidChannel(f"A severity is one of {', '.join(SEVERITIES)}.")


def _admit_test(session: Session, who: Identity, now: dt.datetime) -> None:
    """Counted by the audit log: a deleted channel takes its notices with it."""
    session.get_one(User, who.id, with_for_update={"key_share": True})
    since = now - TESTS_WITHIN
    tests = select(Audit.at).where(
        Audit.at > since, Audit.user_id == who.id, Audit.action == TESTED
    )
    made = session.scalars(tests.order_by(Audit.at)).all()
    if len(made) >= MOST_TESTS:
        wait = max(1, round((made[0] - since).total_seconds()))
        raise TooManyRequests(
            f"There were {MOST_TESTS} test messages within the hour: try again later.",
            retry_after=wait,
        )


def _own(who: Identity) -> ColumnElement[bool]:
    return true() if who.is_admin else Channel.user_id == who.id


def _held(session: Session, who: Identity, channel_id: int) -> Channel:
    """The channel, locked; raises ChannelNotFound."""
    own = select(Channel).where(Channel.id == channel_id, _own(who))
    channel = session.scalar(own.with_for_update(key_share=True))
    if channel is None:
        raise ChannelNotFound()
    return channel


def _known() -> Select[Channel, str | None, Notice | None]:
    """Channels with the names of their baselines and their newest notices."""
    newest = (
        select(Notice)
        .where(Notice.channel_id == Channel.id)
        .order_by(Notice.created_at.desc(), Notice.id)
        .limit(1)
        .lateral()
    )
    last = aliased(Notice, newest)
    return (
        select(Channel, Baseline.name, last)
        .outerjoin(Baseline, Baseline.id == Channel.baseline_id)
        .outerjoin(last, true())
    )
