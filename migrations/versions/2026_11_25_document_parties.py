"""who a document names, and in which language."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds what a document says about seller and buyer."""
    op.add_column(
        "merchants",
        sa.Column(
            "address",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'::jsonb"),
        ),
    )
    op.alter_column("merchants", "address", server_default=None)
    op.add_column("merchants", sa.Column("tax_id", sa.String(), nullable=True))
    op.add_column("customers", sa.Column("locale", sa.String(), nullable=True))
    op.add_column(
        "invoices",
        sa.Column("parties", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )


def downgrade() -> None:
    """Takes it away again."""
    op.drop_column("invoices", "parties")
    op.drop_column("customers", "locale")
    op.drop_column("merchants", "tax_id")
    op.drop_column("merchants", "address")
