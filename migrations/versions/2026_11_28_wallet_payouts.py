"""wallet payouts"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
FLOOR = (
    "ALTER TABLE ledger_accounts ADD CONSTRAINT ck_ledger_accounts_floor "
    "CHECK (kind NOT IN ({kinds}) OR balance <= 0)"
)
WALLETS = "'customer_wallet', 'reserved_funds'"


def upgrade() -> None:
    """Creates the table, audited and walled; a customer's credit gets its floor."""
    op.create_table(
        "wallet_payouts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount", sa.Numeric(38, 12), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("booked_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["merchants.id"], name="fk_wallet_payouts_merchant_id"
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="fk_wallet_payouts_customer_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_wallet_payouts"),
    )
    op.create_index(
        "ix_wallet_payouts_newest",
        "wallet_payouts",
        ["merchant_id", "customer_id", "created_at", "id"],
    )
    op.execute("ALTER TABLE wallet_payouts ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE wallet_payouts FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant ON wallet_payouts USING ("
        "(SELECT coalesce(current_setting('durabill.merchant', true), '')) = '' "
        "OR merchant_id = (SELECT current_setting('durabill.merchant', true)))"
    )
    op.execute(
        "CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON wallet_payouts "
        "FOR EACH ROW EXECUTE FUNCTION record_change()"
    )
    op.execute("ALTER TABLE ledger_accounts DROP CONSTRAINT ck_ledger_accounts_floor")
    op.execute(FLOOR.format(kinds=f"{WALLETS}, 'customer_credit'"))


def downgrade() -> None:
    """Drops the table, and the floor of credits."""
    op.execute("ALTER TABLE ledger_accounts DROP CONSTRAINT ck_ledger_accounts_floor")
    op.execute(FLOOR.format(kinds=WALLETS))
    op.drop_table("wallet_payouts")
