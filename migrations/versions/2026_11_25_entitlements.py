"""entitlements"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TENANT = (
    "CREATE POLICY tenant ON {table} USING ("
    "(SELECT coalesce(current_setting('durabill.merchant', true), '')) = '' "
    "OR merchant_id = (SELECT current_setting('durabill.merchant', true)))"
)
INSTANT = sa.DateTime(timezone=True)
DOCUMENT = postgresql.JSONB(none_as_null=True)


def upgrade() -> None:
    """Creates entitlements and their grants, audited and walled."""
    op.create_table(
        "entitlements",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("feature_id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=True),
        sa.Column("billable_metric_id", sa.String(), nullable=True),
        sa.Column("template", DOCUMENT, nullable=True),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("active_from", INSTANT, nullable=False),
        sa.Column("active_to", INSTANT, nullable=True),
        sa.Column("custom", DOCUMENT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        *_keys("entitlements", "merchant", "customer", "feature", "subscription"),
        sa.ForeignKeyConstraint(
            ["billable_metric_id"], ["billable_metrics.id"], name="fk_entitlements_billable_metric_id"
        ),
    )
    op.create_index(
        "uq_entitlements_standing",
        "entitlements",
        ["subscription_id", "feature_id"],
        unique=True,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "ix_entitlements_customer",
        "entitlements",
        ["merchant_id", "customer_id", "created_at", "id"],
    )
    op.create_index("ix_entitlements_subscription", "entitlements", ["subscription_id"])
    op.create_index("ix_entitlements_feature_id", "entitlements", ["feature_id"])
    op.create_table(
        "entitlement_grants",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("entitlement_id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("effective_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("recurrence_period", sa.String(), nullable=True),
        sa.Column("reset_max_rollover", sa.Numeric(), nullable=True),
        sa.Column("reset_min_rollover", sa.Numeric(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("voided_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        *_keys("entitlement_grants", "merchant", "entitlement"),
        sa.UniqueConstraint(
            "entitlement_id",
            "idempotency_key",
            name="uq_entitlement_grants_entitlement_id_idempotency_key",
        ),
    )
    for table in ("entitlements", "entitlement_grants"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(TENANT.format(table=table))
        op.execute(
            f"CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION record_change()"
        )


def _keys(table: str, *parents: str) -> list[sa.Constraint]:
    return [
        *(
            sa.ForeignKeyConstraint([f"{each}_id"], [f"{each}s.id"], name=f"fk_{table}_{each}_id")
            for each in parents
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    ]


def downgrade() -> None:
    """Drops both."""
    op.drop_table("entitlement_grants")
    op.drop_table("entitlements")
