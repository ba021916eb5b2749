"""earlier terms of entitlements"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Entitlements keep the terms that a version has changed; what was changed before is lost."""
    op.add_column(
        "entitlements",
        sa.Column("earlier_terms", JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb")),
    )
    op.alter_column("entitlements", "earlier_terms", server_default=None)


def downgrade() -> None:
    """Drops the column."""
    op.drop_column("entitlements", "earlier_terms")
