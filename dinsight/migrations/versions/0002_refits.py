"""Refits: the format and report card of a map, one fit at a time, runs that go on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "maps", sa.Column("format", sa.SmallInteger(), server_default="1", nullable=False)
    )
    op.add_column(
        "maps",
        sa.Column(
            "report", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False
        ),
    )
    op.add_column(
        "baselines", sa.Column("refit", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.add_column(
        "streams", sa.Column("run_epoch", sa.Integer(), server_default="1", nullable=False)
    )
    op.add_column(
        "streams", sa.Column("carried", sa.BigInteger(), server_default="0", nullable=False)
    )
    # Until now every epoch but the first began with a reset.
    op.execute("UPDATE streams SET run_epoch = epoch")
    op.create_index(
        "uq_jobs_baseline_id_fit",
        "jobs",
        ["baseline_id"],
        unique=True,
        postgresql_where=sa.text("kind IN ('fit', 'refit')"),
    )


def downgrade() -> None:
    op.drop_index("uq_jobs_baseline_id_fit", table_name="jobs")
    op.drop_column("streams", "carried")
    op.drop_column("streams", "run_epoch")
    op.drop_column("baselines", "refit")
    op.drop_column("maps", "report")
    op.drop_column("maps", "format")
