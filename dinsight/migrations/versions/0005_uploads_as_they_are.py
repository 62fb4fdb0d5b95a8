"""Uploads are stored as they come: compressing them took most of the time of an upload."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE uploads ALTER COLUMN content SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.execute("ALTER TABLE uploads ALTER COLUMN content SET STORAGE EXTENDED")
