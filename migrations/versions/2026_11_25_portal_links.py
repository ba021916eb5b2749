"""portal links."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TENANT = (
    "CREATE POLICY tenant ON portal_links USING ("
    "(SELECT coalesce(current_setting('durabill.merchant', true), '')) = '' "
    "OR merchant_id = (SELECT current_setting('durabill.merchant', true)))"
)


def upgrade() -> None:
    """Creates the table, audited and walled."""
    op.create_table(
        "portal_links",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["merchants.id"], name="fk_portal_links_merchant_id"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name="fk_portal_links_subscription_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_portal_links"),
    )
    op.create_index("ix_portal_links_subscription_id", "portal_links", ["subscription_id"])
    op.execute("ALTER TABLE portal_links ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE portal_links FORCE ROW LEVEL SECURITY")
    op.execute(TENANT)
    op.execute(
        "CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON portal_links "
        "FOR EACH ROW EXECUTE FUNCTION record_change()"
    )


def downgrade() -> None:
    """Forgets them."""
    op.drop_table("portal_links")
