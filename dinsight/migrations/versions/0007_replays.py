"""Replays: monitor files that are kept, and what the server plays into which stream."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    now = sa.text("now()")
    op.create_table(
        "monitor_files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("baseline_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_sample", sa.Boolean(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("head_lines", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(
            ["baseline_id"],
            ["baselines.id"],
            name=op.f("fk_monitor_files_baseline_id_baselines"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitor_files")),
        sa.UniqueConstraint(
            "baseline_id",
            "name",
            "is_sample",
            name=op.f("uq_monitor_files_baseline_id_name_is_sample"),
        ),
    )
    op.create_table(
        "monitor_chunks",
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["monitor_files.id"],
            name=op.f("fk_monitor_chunks_file_id_monitor_files"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("file_id", "chunk", name=op.f("pk_monitor_chunks")),
    )
    # As uploads: stored as they come, which also makes it cheap to read a part of a chunk.
    op.execute("ALTER TABLE monitor_chunks ALTER COLUMN content SET STORAGE EXTERNAL")
    op.create_table(
        "replays",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("delay", sa.Double(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("byte", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default="playing", nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("due_at", MOMENT, server_default=now, nullable=False),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, server_default=now, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["streams.id"],
            name=op.f("fk_replays_stream_id_streams"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_replays_user_id_users"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["monitor_files.id"],
            name=op.f("fk_replays_file_id_monitor_files"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_index(op.f("ix_replays_stream_id"), "replays", ["stream_id"])
    op.create_index(op.f("ix_replays_file_id"), "replays", ["file_id"])
    op.create_index(
        "uq_replays_stream_id_playing",
        "replays",
        ["stream_id"],
        unique=True,
        postgresql_where=sa.text("state = 'playing'"),
    )


def downgrade() -> None:
    for table in ("replays", "monitor_chunks", "monitor_files"):
        op.drop_table(table)
