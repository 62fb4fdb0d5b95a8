"""Displays: wall screens that look at the streams of one baseline, and can do nothing else.

A display is signed in by a token of its own, of which only the hash is kept. It is nobody: it has
no user's id, so that whatever asks whose something is finds nothing for it; what it may see stands
in `dinsight.baselines.visible`, and what it may ask for in `api.display_door`.
"""

from __future__ import annotations

import datetime as dt
import secrets

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from dinsight import baselines, streams
from dinsight.accounts import LAST_USED_STEP, Identity, Sight, audit, key_hash
from dinsight.errors import DisplayNotFound, DisplayRevoked, InvalidRequest
from dinsight.models import Baseline, Display, User

TOKEN_PREFIX = "dd_"  # noqa: S105 - what tokens begin with
NAME_LENGTH = 100
NOBODY = 0  # no user has this id
ALL_STREAMS = "*"  # in place of a stream's name, which it cannot be


def make(
    session: Session, who: Identity, baseline_id: int, *, name: str, stream: str
) -> tuple[Display, str]:
    """A new display of a baseline, and its token, which is shown this once.

    It opens on a stream, or with `ALL_STREAMS` on the wall of them.

    Raises BaselineNotFound, and InvalidRequest for a name that cannot be used.
    """
    name = name.strip()
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(f"A screen needs a name of 1 to {NAME_LENGTH} printable characters.")
    if stream != ALL_STREAMS:
        streams.check_name(stream)
    baseline = baselines.get(session, who, baseline_id)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    display = Display(
        baseline_id=baseline.id,
        made_by=who.id,
        name=name,
        stream=stream,
        token_sha256=key_hash(token),
    )
    session.add(display)
    session.flush()
    subject = f"{baseline.id}/{display.stream}"
    audit(session, "display.make", user_id=who.id, subject=subject, name=name, id=display.id)
    return display, token


def list_all(session: Session, who: Identity, baseline_id: int) -> list[Display]:
    """A baseline's displays that are not revoked, the oldest first. Raises BaselineNotFound."""
    baseline = baselines.get(session, who, baseline_id)
    alive = select(Display).where(Display.baseline_id == baseline.id, Display.revoked_at.is_(None))
    return list(session.scalars(alive.order_by(Display.id)))


def revoke(
    session: Session, who: Identity, baseline_id: int, display_id: int, *, now: dt.datetime
) -> str:
    """End a display at its next request, and give its name.

    Raises BaselineNotFound, or DisplayNotFound for one that is not this baseline's.
    """
    baseline = baselines.get(session, who, baseline_id)
    ended = (
        update(Display)
        .where(Display.id == display_id, Display.baseline_id == baseline.id)
        .where(Display.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(Display.name)
    )
    name: str | None = session.scalar(ended)
    if name is None:
        raise DisplayNotFound()
    audit(
        session,
        "display.revoke",
        user_id=who.id,
        subject=str(baseline.id),
        name=name,
        id=display_id,
    )
    return name


# A display sees no more than who made it still may: their own baseline, or any for an admin.
IDENTIFY = (
    select(Display.id, Display.name, Display.baseline_id, Display.stream, Display.last_used_at)
    .join(Baseline, Baseline.id == Display.baseline_id)
    .join(User, User.id == Display.made_by)
    .where(
        Display.token_sha256 == bindparam("token_sha256"),
        Display.revoked_at.is_(None),
        User.disabled_at.is_(None),
        (Baseline.owner_id == User.id) | (User.role == "admin"),
    )
)


def identify(session: Session, token: str, now: dt.datetime) -> Identity:
    """The display that shows this token; raises DisplayRevoked."""
    shown = {"token_sha256": key_hash(token)}
    row = session.connection().execute(IDENTIFY, shown).one_or_none()
    if row is None:
        raise DisplayRevoked()
    if row.last_used_at is None or now - row.last_used_at > LAST_USED_STEP:
        session.execute(update(Display).where(Display.id == row.id).values(last_used_at=now))
    sight = Sight(row.id, row.baseline_id, row.stream)
    return Identity(NOBODY, "", row.name, "display", sight=sight)
