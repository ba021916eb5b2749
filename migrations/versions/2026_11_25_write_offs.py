"""when and why an invoice was written off."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds both."""
    op.add_column(
        "invoices", sa.Column("written_off_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("invoices", sa.Column("write_off_reason", sa.String(), nullable=True))


def downgrade() -> None:
    """Takes both away."""
    op.drop_column("invoices", "write_off_reason")
    op.drop_column("invoices", "written_off_at")
