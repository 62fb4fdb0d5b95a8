"""Every table. The words are those of the product: baseline, map, stream, epoch, point, batch."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    DateTime,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Moment = dt.datetime
Json = dict[str, Any]

NOW = text("now()")


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy on the class
        str: Text,
        bytes: LargeBinary,
        float: REAL,
        Moment: DateTime(timezone=True),
        Json: JSONB,
        list[str]: ARRAY(Text),
    }


class User(Base):
    """A person. Without a password, only a one-time sign-in link lets them in.

    Every sign-in belongs to a round (its `sid` begins with it); a new round ends all before it.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    full_name: Mapped[str] = mapped_column(server_default="")
    role: Mapped[str] = mapped_column(server_default="user")
    password_hash: Mapped[str | None]
    preferences: Mapped[Json] = mapped_column(server_default="{}")
    sign_in_round: Mapped[int] = mapped_column(server_default="0")
    disabled_at: Mapped[Moment | None]
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class RevokedSession(Base):
    """A sign-in that was ended: its access and refresh tokens carry this `sid`."""

    __tablename__ = "revoked_sessions"

    sid: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    expires_at: Mapped[Moment] = mapped_column(index=True)


class SignInLink(Base):
    """A link that signs its user in once; only the hash of its token is kept."""

    __tablename__ = "sign_in_links"

    token_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]


class ApiKey(Base):
    """A key for a machine sender; only its hash is kept."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    key_sha256: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)
    last_used_at: Mapped[Moment | None]
    revoked_at: Mapped[Moment | None]


class Display(Base):
    """A wall screen that may look at a baseline's streams; only the hash of its token is kept.

    `stream` is the one that it opens on.
    """

    __tablename__ = "displays"

    id: Mapped[int] = mapped_column(primary_key=True)
    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), index=True
    )
    made_by: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    stream: Mapped[str]
    token_sha256: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)
    last_used_at: Mapped[Moment | None]
    revoked_at: Mapped[Moment | None]


class Baseline(Base):
    """A healthy machine: the rows that the map is fitted on."""

    __tablename__ = "baselines"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    status: Mapped[str]  # uploading | processing | completed | failed
    progress: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    status_message: Mapped[str] = mapped_column(server_default="")
    error_message: Mapped[str | None]
    layout: Mapped[str]
    rows: Mapped[int] = mapped_column(server_default="0")
    feature_count: Mapped[int] = mapped_column(server_default="0")
    feature_names: Mapped[list[str]] = mapped_column(server_default="{}", deferred=True)
    map_id: Mapped[int | None] = mapped_column(
        ForeignKey("maps.id", use_alter=True, ondelete="SET NULL")
    )
    refit: Mapped[Json | None]  # the last refit, present or past; see `dinsight.refitting`
    areas_revision: Mapped[str] = mapped_column(server_default="")  # see `dinsight.areas`
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class Upload(Base):
    """A piece of an uploaded baseline file, kept until its rows are stored."""

    __tablename__ = "uploads"

    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), primary_key=True
    )
    file: Mapped[int] = mapped_column(primary_key=True)
    chunk: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    content: Mapped[bytes]


class BaselinePoint(Base):
    """A baseline row: its readings (little-endian float32) and its metadata."""

    __tablename__ = "baseline_points"

    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), primary_key=True
    )
    row: Mapped[int] = mapped_column(primary_key=True)
    metadata_: Mapped[Json] = mapped_column("metadata")
    features: Mapped[bytes]


class FittedMap(Base):
    """A fitted map (npz bytes), immutable and named by its sha256, and its baseline's report card.

    `format` is that of the payload: a program that knows another one cannot load it.
    """

    __tablename__ = "maps"

    id: Mapped[int] = mapped_column(primary_key=True)
    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), index=True
    )
    layout: Mapped[str]
    sha256: Mapped[str]
    payload: Mapped[bytes] = mapped_column(deferred=True)
    format: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    report: Mapped[Json] = mapped_column(server_default="{}", deferred=True)
    fit_seconds: Mapped[float]
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class Area(Base):
    """A normal area of a baseline, on the map that it was drawn on, which may have gone since.

    `geometry` holds the numbers of its kind (`dinsight.shapes`), `layout` the kind of its map.
    """

    __tablename__ = "areas"

    id: Mapped[int] = mapped_column(primary_key=True)
    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), index=True
    )
    map_id: Mapped[int | None] = mapped_column(ForeignKey("maps.id", ondelete="SET NULL"))
    layout: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]  # rectangle | ellipse | lasso
    geometry: Mapped[Json]
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)
    changed_at: Mapped[Moment] = mapped_column(server_default=NOW)


class Job(Base):
    """Heavy work that one instance at a time holds by a lease."""

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), index=True
    )
    arguments: Mapped[Json] = mapped_column(server_default="{}")
    attempts: Mapped[int] = mapped_column(server_default="0")
    lease: Mapped[str | None]
    lease_until: Mapped[Moment | None]
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class Stream(Base):
    """One run after another of monitoring a machine against a baseline.

    The row is the lock that orders points: `next_seq` moves only under it. The columns from
    `epoch` to `score` speak of the present epoch; `arrivals` are its last batches, each as
    [seconds since 1970, last seq]. A run goes on when its baseline is refitted, in a new epoch:
    `run_epoch` is the one that it began with, `carried` how many points its earlier epochs hold.
    """

    __tablename__ = "streams"
    __table_args__ = (UniqueConstraint("baseline_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    baseline_id: Mapped[int] = mapped_column(ForeignKey("baselines.id", ondelete="CASCADE"))
    name: Mapped[str]
    epoch: Mapped[int] = mapped_column(server_default="1")
    run_epoch: Mapped[int] = mapped_column(server_default="1")
    carried: Mapped[int] = mapped_column(BigInteger, server_default="0")
    next_seq: Mapped[int] = mapped_column(BigInteger, server_default="1")
    map_id: Mapped[int] = mapped_column(ForeignKey("maps.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(server_default="not_started")
    declared_total: Mapped[int | None] = mapped_column(BigInteger)
    settings: Mapped[Json] = mapped_column(server_default="{}")
    last_point_at: Mapped[Moment | None]
    arrivals: Mapped[list[list[float]]] = mapped_column(JSONB, server_default="[]")
    level: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    level_state: Mapped[Json] = mapped_column(server_default="{}")
    score: Mapped[float | None]
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class Epoch(Base):
    """A run of a stream, present or past, and the map that placed its points.

    What was before `points_from` is removed, of what was before `readings_from` only the readings
    (`dinsight.retention`).
    """

    __tablename__ = "epochs"

    stream_id: Mapped[int] = mapped_column(
        ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(primary_key=True)
    map_id: Mapped[int] = mapped_column(ForeignKey("maps.id", ondelete="CASCADE"))
    started_at: Mapped[Moment] = mapped_column(server_default=NOW)
    ended_at: Mapped[Moment | None]
    points_from: Mapped[int] = mapped_column(BigInteger, server_default="1")
    readings_from: Mapped[int] = mapped_column(BigInteger, server_default="1")


class Point(Base):
    """A monitor row as it was placed, scored and judged; written by COPY, never changed.

    Retention may take its readings (`features`), or the whole of it.
    """

    __tablename__ = "points"

    stream_id: Mapped[int] = mapped_column(
        ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    received_at: Mapped[Moment]
    x: Mapped[float]
    y: Mapped[float]
    score: Mapped[float]
    level: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str]
    metadata_: Mapped[Json] = mapped_column("metadata")
    features: Mapped[bytes | None] = mapped_column(deferred=True)


class Batch(Base):
    """The answer to a batch that came with an Idempotency-Key, kept to be given again."""

    __tablename__ = "batches"

    stream_id: Mapped[int] = mapped_column(
        ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[bytes]
    first_seq: Mapped[int] = mapped_column(BigInteger)
    last_seq: Mapped[int] = mapped_column(BigInteger)
    response: Mapped[Json]
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class MonitorFile(Base):
    """A monitor file that is kept to be replayed against a baseline; its bytes never change.

    `head` is all that stands before its rows: the header, on the first `head_lines` lines.
    """

    __tablename__ = "monitor_files"
    __table_args__ = (UniqueConstraint("baseline_id", "name", "is_sample"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    baseline_id: Mapped[int] = mapped_column(ForeignKey("baselines.id", ondelete="CASCADE"))
    name: Mapped[str]
    is_sample: Mapped[bool]
    rows: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)
    head: Mapped[bytes] = mapped_column(deferred=True)
    head_lines: Mapped[int]
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class MonitorChunk(Base):
    """A piece of a monitor file."""

    __tablename__ = "monitor_chunks"

    file_id: Mapped[int] = mapped_column(
        ForeignKey("monitor_files.id", ondelete="CASCADE"), primary_key=True
    )
    chunk: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes]


class Replay(Base):
    """A monitor file that the server plays into a stream; one instance at a time, by a lease.

    `position` rows are stored; the next one begins after `byte` bytes and `line` lines of the
    file, and is due at `due_at`. `message` says why it ended, where that needs a word.
    """

    __tablename__ = "replays"

    id: Mapped[int] = mapped_column(primary_key=True)
    stream_id: Mapped[int] = mapped_column(ForeignKey("streams.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    file_id: Mapped[int | None] = mapped_column(
        ForeignKey("monitor_files.id", ondelete="SET NULL"), index=True
    )
    source: Mapped[str]
    delay: Mapped[float] = mapped_column(Double)
    batch_size: Mapped[int]
    rows: Mapped[int]
    position: Mapped[int] = mapped_column(server_default="0")
    byte: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="playing")  # or done | failed | stopped
    message: Mapped[str | None]
    due_at: Mapped[Moment] = mapped_column(server_default=NOW)
    lease: Mapped[str | None]
    lease_until: Mapped[Moment | None]
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)
    ended_at: Mapped[Moment | None]


class Audit(Base):
    """Who did what that others may have to account for."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[Moment] = mapped_column(server_default=NOW)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    action: Mapped[str]
    subject: Mapped[str] = mapped_column(server_default="")
    details: Mapped[Json] = mapped_column(server_default="{}")


# One fit of a baseline at a time, whoever asks for it.
Index(
    "uq_jobs_baseline_id_fit",
    Job.baseline_id,
    unique=True,
    postgresql_where=Job.kind.in_(("fit", "refit")),
)
# One replay of a stream at a time, whoever starts it.
Index(
    "uq_replays_stream_id_playing",
    Replay.stream_id,
    unique=True,
    postgresql_where=Replay.state == "playing",
)
Index("ix_batches_stream_id_key", Batch.stream_id, Batch.key)
Index("ix_audit_at", Audit.at)
Index("ix_users_email_lower", func.lower(User.email), unique=True)
