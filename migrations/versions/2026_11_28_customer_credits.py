"""customer credits"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
KEYS = (
    ("merchant_id", "merchants.id"),
    ("customer_id", "customers.id"),
    ("subscription_id", "subscriptions.id"),
    ("invoice_id", "invoices.id"),
    ("moved_to", "manual_lines.id"),
)


def upgrade() -> None:
    """Creates the table, audited and walled."""
    op.create_table(
        "customer_credits",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("line_id", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("rest", sa.Numeric(), nullable=False),
        sa.Column("tax_behavior", sa.String(), nullable=False),
        sa.Column("tax_rate", sa.Numeric(), nullable=False),
        sa.Column("subtotal", sa.Numeric(38, 12), nullable=False),
        sa.Column("tax", sa.Numeric(38, 12), nullable=False),
        sa.Column("total", sa.Numeric(38, 12), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("arisen_at", INSTANT, nullable=False),
        sa.Column("settled_at", INSTANT, nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("moved_to", sa.String(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        *(
            sa.ForeignKeyConstraint([column], [target], name=f"fk_customer_credits_{column}")
            for column, target in KEYS
        ),
        sa.PrimaryKeyConstraint("id", name="pk_customer_credits"),
    )
    op.create_index(
        "ix_customer_credits_newest", "customer_credits", ["merchant_id", "created_at", "id"]
    )
    op.create_index("ix_customer_credits_subscription", "customer_credits", ["subscription_id"])
    op.execute("ALTER TABLE customer_credits ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE customer_credits FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant ON customer_credits USING ("
        "(SELECT coalesce(current_setting('durabill.merchant', true), '')) = '' "
        "OR merchant_id = (SELECT current_setting('durabill.merchant', true)))"
    )
    op.execute(
        "CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON customer_credits "
        "FOR EACH ROW EXECUTE FUNCTION record_change()"
    )


def downgrade() -> None:
    """Drops it."""
    op.drop_table("customer_credits")
