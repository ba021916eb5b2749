"""usage retention"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """How long a merchant keeps its usage events, and up to when they are deleted."""
    op.add_column("merchants", sa.Column("usage_retention_months", sa.Integer(), nullable=True))
    op.add_column(
        "merchants",
        sa.Column("usage_deleted_before", sa.DateTime(timezone=True), nullable=True),
    )


def downgrade() -> None:
    """Keeps them for ever."""
    op.drop_column("merchants", "usage_deleted_before")
    op.drop_column("merchants", "usage_retention_months")
