"""turns of invoices"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Finds what a merchant's invoices wait for by its instant."""
    op.create_index(
        "ix_invoices_due",
        "invoices",
        ["merchant_id", "next_action_at"],
        postgresql_where=sa.text("next_action_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Drops the index."""
    op.drop_index("ix_invoices_due", table_name="invoices")
