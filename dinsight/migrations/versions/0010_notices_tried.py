"""When a notice was first tried: so long, and no longer, it is tried again."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notices", sa.Column("first_tried_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE notices SET first_tried_at = created_at WHERE attempts > 0")


def downgrade() -> None:
    op.drop_column("notices", "first_tried_at")
