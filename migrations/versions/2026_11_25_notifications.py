"""notifications."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TENANT = (
    "CREATE POLICY tenant ON notifications USING ("
    "(SELECT coalesce(current_setting('durabill.merchant', true), '')) = '' "
    "OR merchant_id = (SELECT current_setting('durabill.merchant', true)))"
)
OWNERS = ("merchant", "customer", "subscription")


def upgrade() -> None:
    """Creates the table, audited and walled."""
    op.create_table(
        "notifications",
        sa.Column("id", sa.String(), nullable=False),
        *(sa.Column(f"{each}_id", sa.String(), nullable=False) for each in OWNERS),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [f"{each}_id"], [f"{each}s.id"], name=f"fk_notifications_{each}_id"
            )
            for each in OWNERS
        ),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
    )
    op.create_index(
        "ix_notifications_newest", "notifications", ["merchant_id", "created_at", "id"]
    )
    op.create_index("ix_notifications_subscription_id", "notifications", ["subscription_id"])
    op.execute("ALTER TABLE notifications ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE notifications FORCE ROW LEVEL SECURITY")
    op.execute(TENANT)
    op.execute(
        "CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON notifications "
        "FOR EACH ROW EXECUTE FUNCTION record_change()"
    )


def downgrade() -> None:
    """Forgets them."""
    op.drop_table("notifications")
