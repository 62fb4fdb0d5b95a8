"""Alerts with their rules, channels and outbox; back-tests; versions of a baseline."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# What a baseline has from its first fit on (`dinsight.alerts.rules`).
DEFAULT_RULES = """
INSERT INTO alert_rules (baseline_id, name, kind, level, severity, seconds)
SELECT baselines.id, rule.name, rule.kind, rule.level, rule.severity, rule.seconds
FROM baselines, (VALUES
    (1, 'Failing', 'level', 2, 'high', NULL),
    (2, 'Sensor stands still', 'flat', NULL, 'medium', NULL),
    (3, 'Sensor at its limit', 'saturated', NULL, 'medium', NULL),
    (4, 'Readings missing', 'missing', NULL, 'medium', NULL),
    (5, 'No points', 'stale', NULL, 'medium', 60)
) AS rule (place, name, kind, level, severity, seconds)
WHERE baselines.map_id IS NOT NULL
ORDER BY baselines.id, rule.place
"""

# A run went on in the next epoch where that is on another map.
RUNS = """
UPDATE epochs SET run = runs.run
FROM (
    SELECT stream_id, epoch, max(begins) OVER (PARTITION BY stream_id ORDER BY epoch) AS run
    FROM (
        SELECT stream_id, epoch,
            CASE WHEN coalesce(lag(map_id) OVER each_, map_id) = map_id THEN epoch END AS begins
        FROM epochs WINDOW each_ AS (PARTITION BY stream_id ORDER BY epoch)
    ) AS begun
) AS runs
WHERE epochs.stream_id = runs.stream_id AND epochs.epoch = runs.epoch
"""


def upgrade() -> None:
    op.create_table(
        "alert_rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("baseline_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("needed", sa.Integer(), server_default="1", nullable=False),
        sa.Column("window", sa.Integer(), server_default="1", nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("hysteresis", sa.Double(), server_default="0.9", nullable=False),
        sa.Column("severity", sa.Text(), server_default="high", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("mute_in_areas", sa.Boolean(), server_default="false", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id"],
            ["baselines.id"],
            name=op.f("fk_alert_rules_baseline_id_baselines"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rules")),
    )
    op.create_index(
        op.f("ix_alert_rules_baseline_id"), "alert_rules", ["baseline_id"], unique=False
    )
    op.create_table(
        "channels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("baseline_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), server_default="", nullable=False),
        sa.Column("least_severity", sa.Text(), server_default="low", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id"],
            ["baselines.id"],
            name=op.f("fk_channels_baseline_id_baselines"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_channels_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
    )
    op.create_index(op.f("ix_channels_baseline_id"), "channels", ["baseline_id"], unique=False)
    op.create_index(op.f("ix_channels_user_id"), "channels", ["user_id"], unique=False)
    op.create_table(
        "baseline_versions",
        sa.Column("baseline_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("map_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("made_by", sa.Integer(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id"],
            ["baselines.id"],
            name=op.f("fk_baseline_versions_baseline_id_baselines"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["made_by"],
            ["users.id"],
            name=op.f("fk_baseline_versions_made_by_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["map_id"],
            ["maps.id"],
            name=op.f("fk_baseline_versions_map_id_maps"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("baseline_id", "version", name=op.f("pk_baseline_versions")),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("baseline_id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.Integer(), nullable=True),
        sa.Column("rule", JSONB(), nullable=False),
        sa.Column("alert_type", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("score", sa.REAL(), nullable=True),
        sa.Column("peak", sa.REAL(), nullable=True),
        sa.Column("peak_seq", sa.BigInteger(), nullable=True),
        sa.Column("drivers", JSONB(), server_default="[]", nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_seq", sa.BigInteger(), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleared_seq", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("shelved_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shelved_by", sa.Integer(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("verdict_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verdict_by", sa.Integer(), nullable=True),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"],
            ["users.id"],
            name=op.f("fk_alerts_acknowledged_by_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id"],
            ["baselines.id"],
            name=op.f("fk_alerts_baseline_id_baselines"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["alert_rules.id"],
            name=op.f("fk_alerts_rule_id_alert_rules"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["shelved_by"],
            ["users.id"],
            name=op.f("fk_alerts_shelved_by_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["streams.id"],
            name=op.f("fk_alerts_stream_id_streams"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["verdict_by"],
            ["users.id"],
            name=op.f("fk_alerts_verdict_by_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(op.f("ix_alerts_baseline_id"), "alerts", ["baseline_id"], unique=False)
    op.create_index("ix_alerts_opened_at", "alerts", ["opened_at"], unique=False)
    op.create_index(op.f("ix_alerts_rule_id"), "alerts", ["rule_id"], unique=False)
    op.create_index(
        "ix_alerts_stream_id_epoch", "alerts", ["stream_id", "epoch", "opened_seq"], unique=False
    )
    op.create_index(
        "uq_alerts_stream_id_rule_id_active",
        "alerts",
        ["stream_id", "rule_id"],
        unique=True,
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_table(
        "back_tests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("baseline_id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("rule", JSONB(), nullable=False),
        sa.Column("status", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("progress", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("result", JSONB(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["asked_by"],
            ["users.id"],
            name=op.f("fk_back_tests_asked_by_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id"],
            ["baselines.id"],
            name=op.f("fk_back_tests_baseline_id_baselines"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["streams.id"],
            name=op.f("fk_back_tests_stream_id_streams"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_back_tests")),
    )
    op.create_index(op.f("ix_back_tests_asked_by"), "back_tests", ["asked_by"], unique=False)
    op.create_index(op.f("ix_back_tests_baseline_id"), "back_tests", ["baseline_id"], unique=False)
    op.create_index(op.f("ix_back_tests_stream_id"), "back_tests", ["stream_id"], unique=False)
    op.create_table(
        "alert_events",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("details", JSONB(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            ["alerts.id"],
            name=op.f("fk_alert_events_alert_id_alerts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_alert_events_user_id_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_events")),
    )
    op.create_index(op.f("ix_alert_events_alert_id"), "alert_events", ["alert_id"], unique=False)
    op.create_table(
        "candidates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("baseline_id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("proposed_by", sa.Integer(), nullable=True),
        sa.Column(
            "proposed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            ["alerts.id"],
            name=op.f("fk_candidates_alert_id_alerts"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id"],
            ["baselines.id"],
            name=op.f("fk_candidates_baseline_id_baselines"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"],
            ["users.id"],
            name=op.f("fk_candidates_decided_by_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["proposed_by"],
            ["users.id"],
            name=op.f("fk_candidates_proposed_by_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["streams.id"],
            name=op.f("fk_candidates_stream_id_streams"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidates")),
    )
    op.create_index(op.f("ix_candidates_baseline_id"), "candidates", ["baseline_id"], unique=False)
    op.create_index(op.f("ix_candidates_stream_id"), "candidates", ["stream_id"], unique=False)
    op.create_table(
        "notices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name=op.f("fk_notices_alert_id_alerts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_notices_channel_id_channels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index(op.f("ix_notices_alert_id"), "notices", ["alert_id"], unique=False)
    op.create_index(op.f("ix_notices_channel_id"), "notices", ["channel_id"], unique=False)
    op.create_index(
        "ix_notices_due_at",
        "notices",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("delivered_at IS NULL AND failed_at IS NULL"),
    )
    op.add_column(
        "baselines", sa.Column("rules_revision", sa.Text(), server_default="", nullable=False)
    )
    op.add_column(
        "baselines", sa.Column("version", sa.Integer(), server_default="1", nullable=False)
    )
    op.execute(
        "INSERT INTO baseline_versions (baseline_id, version, rows, map_id, made_by, created_at) "
        "SELECT id, 1, rows, map_id, owner_id, created_at FROM baselines WHERE map_id IS NOT NULL"
    )
    op.add_column(
        "streams",
        sa.Column("alert_state", JSONB(), server_default="{}", nullable=False),
    )
    op.add_column("epochs", sa.Column("limits", JSONB(), server_default="[]", nullable=False))
    op.add_column("epochs", sa.Column("run", sa.Integer(), server_default="1", nullable=False))
    op.execute(RUNS)
    op.execute(DEFAULT_RULES)
    op.execute(
        "UPDATE baselines SET rules_revision = substr(md5(random()::text), 1, 8) "
        "WHERE id IN (SELECT baseline_id FROM alert_rules)"
    )


def downgrade() -> None:
    op.drop_column("epochs", "run")
    op.drop_column("epochs", "limits")
    op.drop_column("streams", "alert_state")
    # Only the rows of the version in force are the baseline's to a program that knows no versions.
    op.execute(
        "DELETE FROM baseline_points p USING baselines b "
        "WHERE p.baseline_id = b.id AND p.row >= b.rows AND b.map_id IS NOT NULL"
    )
    op.drop_column("baselines", "version")
    op.drop_column("baselines", "rules_revision")
    for table in (
        *("notices", "candidates", "alert_events", "back_tests", "alerts"),
        *("baseline_versions", "channels", "alert_rules"),
    ):
        op.drop_table(table)
