"""usage rollups"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES = ("usage_rollups", "usage_days")
TENANT = (
    "CREATE POLICY tenant ON {name} USING ("
    "(SELECT coalesce(current_setting('durabill.merchant', true), '')) = '' "
    "OR merchant_id = (SELECT current_setting('durabill.merchant', true)))"
)


def upgrade() -> None:
    """Creates the sums of days, walled; like list totals they are the machine's, not audited."""
    op.create_table(
        "usage_rollups",
        sa.Column("metric_id", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("through", sa.DateTime(timezone=True), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("built_at", sa.DateTime(timezone=True), nullable=False),
        *_keys("usage_rollups", "metric_id"),
    )
    op.create_table(
        "usage_days",
        sa.Column("metric_id", sa.String(), nullable=False),
        sa.Column("day", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("external_subject", sa.String(), nullable=False),
        sa.Column("merchant_id", sa.String(), nullable=False),
        sa.Column("event_count", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        *_keys("usage_days", "metric_id", "day", "subject", "external_subject"),
    )
    for name in TABLES:
        op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
        op.execute(TENANT.format(name=name))
    op.create_index(
        "ix_usage_events_created_at",
        "usage_events",
        ["created_at"],
        postgresql_using="brin",
        postgresql_with={"autosummarize": True},
    )
    op.add_column(
        "billable_metrics",
        sa.Column("daily_rollup", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.alter_column("billable_metrics", "daily_rollup", server_default=None)


def _keys(table: str, *primary: str) -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(
            ["metric_id"], ["billable_metrics.id"], name=f"fk_{table}_metric_id"
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["merchants.id"], name=f"fk_{table}_merchant_id"
        ),
        sa.PrimaryKeyConstraint(*primary, name=f"pk_{table}"),
    ]


def downgrade() -> None:
    """Reads raw events only."""
    op.drop_column("billable_metrics", "daily_rollup")
    op.drop_index("ix_usage_events_created_at", table_name="usage_events")
    for name in reversed(TABLES):
        op.drop_table(name)
