"""pauses of subscriptions."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COLUMNS = (("subscriptions", "paused_at"), ("invoices", "resumed_at"), ("invoices", "paid_until"))


def upgrade() -> None:
    """Adds since when a subscription is paused, and what its invoices must know of it."""
    for table, name in COLUMNS:
        op.add_column(table, sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Takes it away again."""
    for table, name in reversed(COLUMNS):
        op.drop_column(table, name)
