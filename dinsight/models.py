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


def floats(stored: Json, *names: str) -> Json:
    """What a JSONB column keeps, with these numbers as they were stored.

    PostgreSQL gives 1e30 back as the whole number that it is, which JSON for clients cannot carry.

    >>> floats({"score": 10**30, "seq": 7}, "score", "peak")
    {'score': 1e+30, 'seq': 7}
    """
    return stored | {name: float(stored[name]) for name in names if stored.get(name) is not None}


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

    `stream` is the one that it opens on; `*` is the wall of all of them.
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
    rules_revision: Mapped[str] = mapped_column(server_default="")  # likewise, of its alert rules
    version: Mapped[int] = mapped_column(server_default="1")  # in force; see `BaselineVersion`
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
    [seconds since 1970, last seq], and after a refit those of the epoch before, counted back from
    0. A run goes on when its baseline is refitted, in a new epoch: `run_epoch` is the one that it
    began with, `carried` how many points its earlier epochs hold.
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
    alert_state: Mapped[Json] = mapped_column(server_default="{}")  # what its alert rules remember
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class Epoch(Base):
    """A run of a stream, present or past, and the map that placed its points.

    What was before `points_from` is removed, of what was before `readings_from` only the readings
    (`dinsight.retention`). `limits` are the alarm limits that its points were judged by, each as
    [first seq, score]; of points before the first of them it is not known.
    """

    __tablename__ = "epochs"

    stream_id: Mapped[int] = mapped_column(
        ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[int] = mapped_column(server_default="1")  # the epoch that its run began with
    map_id: Mapped[int] = mapped_column(ForeignKey("maps.id", ondelete="CASCADE"))
    started_at: Mapped[Moment] = mapped_column(server_default=NOW)
    ended_at: Mapped[Moment | None]
    points_from: Mapped[int] = mapped_column(BigInteger, server_default="1")
    readings_from: Mapped[int] = mapped_column(BigInteger, server_default="1")
    limits: Mapped[list[list[float]]] = mapped_column(JSONB, server_default="[]")


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


class AlertRule(Base):
    """When a baseline's streams raise an alert.

    A rule of kind `level` or `score` is about the machine: it is met by a row at that level or
    above, or above that score. It raises once `needed` of the last `window` rows meet it, or, where
    `seconds` is given, once all rows of so many seconds do. The other kinds are about the data:
    `flat` and `saturated` look at the readings, `missing` at batches that are refused, `stale` at
    streams that have fallen silent.
    """

    __tablename__ = "alert_rules"

    id: Mapped[int] = mapped_column(primary_key=True)
    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str]
    kind: Mapped[str]  # level | score | flat | saturated | missing | stale
    level: Mapped[int | None] = mapped_column(SmallInteger)
    score: Mapped[float | None] = mapped_column(Double)
    needed: Mapped[int] = mapped_column(server_default="1")
    window: Mapped[int] = mapped_column(server_default="1")
    seconds: Mapped[float | None] = mapped_column(Double)
    hysteresis: Mapped[float] = mapped_column(Double, server_default="0.9")
    severity: Mapped[str] = mapped_column(server_default="high")  # low | medium | high | critical
    enabled: Mapped[bool] = mapped_column(server_default="true")
    mute_in_areas: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)
    changed_at: Mapped[Moment] = mapped_column(server_default=NOW)


class Alert(Base):
    """What a rule has raised of a stream: active until `cleared_at`, and acknowledged or not.

    It begins with seq `opened_seq` of `epoch`. A rule that is met again soon after raises the same
    alert once more (`times`). `rule` is the rule as it was, for the rule may change or go.
    """

    __tablename__ = "alerts"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), index=True
    )
    stream_id: Mapped[int] = mapped_column(ForeignKey("streams.id", ondelete="CASCADE"))
    epoch: Mapped[int]
    rule_id: Mapped[int | None] = mapped_column(
        ForeignKey("alert_rules.id", ondelete="SET NULL"), index=True
    )
    rule: Mapped[Json]
    alert_type: Mapped[str]  # anomaly | data_quality
    title: Mapped[str]
    message: Mapped[str]
    severity: Mapped[str]
    score: Mapped[float | None]  # of the row that raised it
    peak: Mapped[float | None]
    peak_seq: Mapped[int | None] = mapped_column(BigInteger)
    drivers: Mapped[list[Json]] = mapped_column(JSONB, server_default="[]")
    times: Mapped[int] = mapped_column(server_default="1")
    opened_at: Mapped[Moment]
    opened_seq: Mapped[int] = mapped_column(BigInteger)
    cleared_at: Mapped[Moment | None]
    cleared_seq: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_at: Mapped[Moment | None]
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    note: Mapped[str | None]
    shelved_until: Mapped[Moment | None]
    shelved_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    verdict: Mapped[str | None]  # real | false_alarm | new_normal
    verdict_at: Mapped[Moment | None]
    verdict_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    changed_at: Mapped[Moment] = mapped_column(server_default=NOW)


class AlertEvent(Base):
    """What happened to an alert, in order: raised, cleared, acknowledged, shelved and so on."""

    __tablename__ = "alert_events"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), index=True)
    at: Mapped[Moment]
    kind: Mapped[str]
    seq: Mapped[int | None] = mapped_column(BigInteger)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    details: Mapped[Json] = mapped_column(server_default="{}")


class Channel(Base):
    """Where a user is told of alerts: a webhook, with the secret that signs, or an e-mail address.

    Of all of the user's baselines, or of one.
    """

    __tablename__ = "channels"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    baseline_id: Mapped[int | None] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str]  # webhook | email
    target: Mapped[str]
    secret: Mapped[str] = mapped_column(server_default="")
    least_severity: Mapped[str] = mapped_column(server_default="low")
    enabled: Mapped[bool] = mapped_column(server_default="true")
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class Notice(Base):
    """The outbox: a message about an alert to one channel, written with what it tells of.

    Its id stays the same however often it is sent. One instance at a time sends it, by a lease.
    """

    __tablename__ = "notices"

    id: Mapped[str] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(
        ForeignKey("channels.id", ondelete="CASCADE"), index=True
    )
    alert_id: Mapped[int | None] = mapped_column(
        ForeignKey("alerts.id", ondelete="CASCADE"), index=True
    )
    event: Mapped[str]  # raised | cleared | acknowledged | test | …
    payload: Mapped[Json]
    attempts: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[Moment] = mapped_column(server_default=NOW)
    first_tried_at: Mapped[Moment | None]
    lease: Mapped[str | None]
    lease_until: Mapped[Moment | None]
    delivered_at: Mapped[Moment | None]
    failed_at: Mapped[Moment | None]  # given up
    error: Mapped[str | None]  # of the last attempt
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class BackTest(Base):
    """A rule, or a sensitivity, tried against a stored epoch of a stream by a job."""

    __tablename__ = "back_tests"

    id: Mapped[int] = mapped_column(primary_key=True)
    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), index=True
    )
    stream_id: Mapped[int] = mapped_column(ForeignKey("streams.id", ondelete="CASCADE"), index=True)
    epoch: Mapped[int]
    asked_by: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    rule: Mapped[Json]
    status: Mapped[str] = mapped_column(server_default="waiting")  # processing | completed | failed
    progress: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    result: Mapped[Json | None]
    error_message: Mapped[str | None]
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


class Candidate(Base):
    """Rows of a stream, seq `first` to `last`, that are proposed as normal for the next version."""

    __tablename__ = "candidates"

    id: Mapped[int] = mapped_column(primary_key=True)
    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), index=True
    )
    stream_id: Mapped[int] = mapped_column(ForeignKey("streams.id", ondelete="CASCADE"), index=True)
    epoch: Mapped[int]
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id", ondelete="SET NULL"))
    note: Mapped[str] = mapped_column(server_default="")
    state: Mapped[str] = mapped_column(server_default="queued")  # taken | refused
    version: Mapped[int | None]  # the one that took them
    proposed_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    proposed_at: Mapped[Moment] = mapped_column(server_default=NOW)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    decided_at: Mapped[Moment | None]


class BaselineVersion(Base):
    """A version of a baseline: its first `rows` rows, and the map that was fitted on them.

    A new version only adds rows, so that each version's rows are the beginning of the next one's.
    The baseline's own `version`, `rows` and `map_id` are those of the version in force. While a
    version is being fitted it has no map, and its rows are where they came from.
    """

    __tablename__ = "baseline_versions"

    baseline_id: Mapped[int] = mapped_column(
        ForeignKey("baselines.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True)
    rows: Mapped[int]
    map_id: Mapped[int | None] = mapped_column(ForeignKey("maps.id", ondelete="SET NULL"))
    note: Mapped[str] = mapped_column(server_default="")
    made_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[Moment] = mapped_column(server_default=NOW)


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
# One active alert of a rule and stream at a time.
Index(
    "uq_alerts_stream_id_rule_id_active",
    Alert.stream_id,
    Alert.rule_id,
    unique=True,
    postgresql_where=Alert.cleared_at.is_(None),
)
Index("ix_alerts_stream_id_epoch", Alert.stream_id, Alert.epoch, Alert.opened_seq)
Index("ix_alerts_opened_at", Alert.opened_at)
# What is still to be sent.
Index(
    "ix_notices_due_at",
    Notice.due_at,
    postgresql_where=Notice.delivered_at.is_(None) & Notice.failed_at.is_(None),
)
