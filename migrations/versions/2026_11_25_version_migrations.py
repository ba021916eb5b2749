"""version migrations"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lets a subscription name the version of its next period."""
    op.add_column("subscriptions", sa.Column("next_version_id", sa.String(), nullable=True))
    op.create_foreign_key(
        "fk_subscriptions_next_version_id",
        "subscriptions",
        "plan_versions",
        ["next_version_id"],
        ["id"],
    )
    op.add_column(
        "subscriptions",
        sa.Column(
            "next_version_bills_arrears", sa.Boolean(), nullable=False, server_default=sa.false()
        ),
    )
    op.alter_column("subscriptions", "next_version_bills_arrears", server_default=None)


def downgrade() -> None:
    """Forgets it."""
    op.drop_column("subscriptions", "next_version_bills_arrears")
    op.drop_column("subscriptions", "next_version_id")
