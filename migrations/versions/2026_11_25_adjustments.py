"""adjustments"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TENANT = (
    "CREATE POLICY tenant ON adjustments USING ("
    "(SELECT coalesce(current_setting('durabill.merchant', true), '')) = '' "
    "OR merchant_id = (SELECT current_setting('durabill.merchant', true)))"
)


def upgrade() -> None:
    """Creates the table, audited and walled, and lets lines say what reached them."""
    op.create_table(
        "adjustments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.Numeric(), nullable=False),
        sa.Column("target_price_ids", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("target_key", sa.String(), nullable=True),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effective_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("request_digest", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["merchants.id"], name="fk_adjustments_merchant_id"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name="fk_adjustments_subscription_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_adjustments"),
        sa.UniqueConstraint(
            "subscription_id",
            "idempotency_key",
            name="uq_adjustments_subscription_id_idempotency_key",
        ),
    )
    op.create_index(
        "ix_adjustments_window",
        "adjustments",
        ["subscription_id", "effective_from", "created_at", "id"],
    )
    op.execute("ALTER TABLE adjustments ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE adjustments FORCE ROW LEVEL SECURITY")
    op.execute(TENANT)
    op.execute(
        "CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON adjustments "
        "FOR EACH ROW EXECUTE FUNCTION record_change()"
    )
    op.add_column(
        "invoice_lines",
        sa.Column(
            "adjustment_ids",
            postgresql.JSONB(none_as_null=True),
            nullable=False,
            server_default="[]",
        ),
    )
    op.alter_column("invoice_lines", "adjustment_ids", server_default=None)


def downgrade() -> None:
    """Takes them back."""
    op.drop_column("invoice_lines", "adjustment_ids")
    op.drop_table("adjustments")
