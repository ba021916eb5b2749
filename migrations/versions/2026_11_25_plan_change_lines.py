"""what lines of plan changes were worked out from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds what a manual line keeps of the plan change that wrote it."""
    op.add_column("manual_lines", sa.Column("plan_change", JSONB(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Takes it away again."""
    op.drop_column("manual_lines", "plan_change")
