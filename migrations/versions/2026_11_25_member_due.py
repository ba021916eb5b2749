"""when a clock's member is due first"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lets a clock pass a member by until it is due, without asking it."""
    due_at = sa.Column("due_at", sa.DateTime(timezone=True), nullable=True)
    op.add_column("test_clock_members", due_at)


def downgrade() -> None:
    """Asks each again."""
    op.drop_column("test_clock_members", "due_at")
