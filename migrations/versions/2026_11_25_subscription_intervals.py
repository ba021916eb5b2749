"""subscription intervals"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TENANT = (
    "CREATE POLICY tenant ON {table} USING ("
    "(SELECT coalesce(current_setting('durabill.merchant', true), '')) = '' "
    "OR merchant_id = (SELECT current_setting('durabill.merchant', true)))"
)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates both tables, audited and walled; the record is append only."""
    op.create_table(
        "subscription_intervals",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("price_id", sa.String(), nullable=False),
        sa.Column("plan_version_id", sa.String(), nullable=False),
        sa.Column("price_key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("unit_price", sa.Numeric(), nullable=True),
        sa.Column("base_quantity", sa.Numeric(), nullable=False),
        sa.Column("quantity_transitions", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("billing_cadence", sa.String(), nullable=False),
        sa.Column("billing_mode", sa.String(), nullable=False),
        sa.Column("bill_date", INSTANT, nullable=True),
        sa.Column("start_date", INSTANT, nullable=False),
        sa.Column("end_date", INSTANT, nullable=True),
        sa.Column("ends_key", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("removed_at", INSTANT, nullable=True),
        *_keys("subscription_intervals"),
        *(
            sa.ForeignKeyConstraint(
                [column], [target], name=f"fk_subscription_intervals_{column}"
            )
            for column, target in (
                ("price_id", "prices.id"),
                ("plan_version_id", "plan_versions.id"),
            )
        ),
    )
    op.create_index(
        "ix_subscription_intervals_standing",
        "subscription_intervals",
        ["subscription_id", "start_date"],
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "interval_changes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("change_reason", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("custom", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("entries", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        *_keys("interval_changes"),
    )
    op.create_index(
        "ix_interval_changes_oldest", "interval_changes", ["merchant_id", "created_at", "id"]
    )
    op.create_index(
        "ix_interval_changes_subscription",
        "interval_changes",
        ["subscription_id", "created_at", "id"],
    )
    for table in ("subscription_intervals", "interval_changes"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(TENANT.format(table=table))
        op.execute(
            f"CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION record_change()"
        )
    op.execute(
        "CREATE TRIGGER interval_changes_append_only BEFORE UPDATE OR DELETE ON interval_changes "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )


def _keys(table: str) -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name=f"fk_{table}_merchant_id"),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=f"fk_{table}_subscription_id"
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    ]


def downgrade() -> None:
    """Drops both."""
    op.drop_table("interval_changes")
    op.drop_table("subscription_intervals")
