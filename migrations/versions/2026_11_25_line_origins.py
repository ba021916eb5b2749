"""line origins"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keeps what a line was rated from, and which run drafted its invoice."""
    document = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
    op.add_column("invoice_lines", sa.Column("origin", document, nullable=True))
    op.add_column("invoices", sa.Column("drafted_workflow_id", sa.String(), nullable=True))
    op.add_column("invoices", sa.Column("drafted_run_id", sa.String(), nullable=True))


def downgrade() -> None:
    """Forgets it."""
    op.drop_column("invoices", "drafted_run_id")
    op.drop_column("invoices", "drafted_workflow_id")
    op.drop_column("invoice_lines", "origin")
