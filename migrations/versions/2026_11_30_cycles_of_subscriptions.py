"""cycles of subscriptions"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0029"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Subscriptions keep the cycles that a plan of another cadence has ended, or is to bring."""
    op.add_column(
        "subscriptions",
        sa.Column("earlier_cycles", JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb")),
    )
    op.alter_column("subscriptions", "earlier_cycles", server_default=None)
    op.add_column("subscriptions", sa.Column("next_cycles", JSONB(), nullable=True))


def downgrade() -> None:
    """Drops the columns."""
    op.drop_column("subscriptions", "next_cycles")
    op.drop_column("subscriptions", "earlier_cycles")
