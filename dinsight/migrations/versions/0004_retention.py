"""Retention: where an epoch begins now, points without readings, and prompt vacuuming."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("points", "features", existing_type=sa.LargeBinary(), nullable=True)
    for name in ("points_from", "readings_from"):
        op.add_column(
            "epochs", sa.Column(name, sa.BigInteger(), server_default="1", nullable=False)
        )
    # By default a fifth of the table may be dead before it is looked at: gigabytes here.
    op.execute(
        "ALTER TABLE points SET (autovacuum_vacuum_scale_factor = 0.02, "
        "toast.autovacuum_vacuum_scale_factor = 0.02)"
    )


def downgrade() -> None:
    op.execute(
        "ALTER TABLE points RESET (autovacuum_vacuum_scale_factor, "
        "toast.autovacuum_vacuum_scale_factor)"
    )
    op.drop_column("epochs", "readings_from")
    op.drop_column("epochs", "points_from")
    op.execute("UPDATE points SET features = '' WHERE features IS NULL")
    op.alter_column("points", "features", existing_type=sa.LargeBinary(), nullable=False)
