"""list totals."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Whole lists whose length is kept, so that counting does not grow with them.
LISTS = ("products", "billable_metrics", "fees", "prices", "plans", "customers")
# What is deleted softly leaves its list by an update.
SOFTLY_DELETED = ("fees", "prices", "customers")

# One statement is one change of a merchant's figure, however many rows it writes. The figure is
# locked until the end of the transaction: creations of one kind take turns within a merchant.
KEEP = """
CREATE FUNCTION keep_total_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO list_totals AS kept (merchant_id, list, total)
    SELECT merchant_id, TG_TABLE_NAME, sum(change)
    FROM ({changes}) AS changed
    GROUP BY merchant_id HAVING sum(change) <> 0 ORDER BY merchant_id
    ON CONFLICT (merchant_id, list) DO UPDATE SET total = kept.total + excluded.total;
    RETURN NULL;
END $$
"""
CAME = "SELECT merchant_id, 1 AS change FROM came WHERE to_jsonb(came) ->> 'deleted_at' IS NULL"
WENT = "SELECT merchant_id, -1 AS change FROM went WHERE to_jsonb(went) ->> 'deleted_at' IS NULL"
EVENTS = {
    "insert": (CAME, "NEW TABLE AS came"),
    "delete": (WENT, "OLD TABLE AS went"),
    "update": (f"{CAME} UNION ALL {WENT}", "NEW TABLE AS came OLD TABLE AS went"),
}


def upgrade() -> None:
    """Keeps the figures, beginning with what there is."""
    for event, (changes, _seen) in EVENTS.items():
        op.execute(KEEP.format(event=event, changes=changes))
    for table in LISTS:
        op.execute(
            f"INSERT INTO list_totals (merchant_id, list, total) "
            f"SELECT merchant_id, '{table}', count(*) FROM {table} "
            f"WHERE to_jsonb({table}) ->> 'deleted_at' IS NULL GROUP BY merchant_id"
        )
        for event, (_changes, seen) in EVENTS.items():
            if event != "update" or table in SOFTLY_DELETED:
                op.execute(
                    f"CREATE TRIGGER keep_total_{event} AFTER {event} ON {table} "
                    f"REFERENCING {seen} FOR EACH STATEMENT EXECUTE FUNCTION keep_total_{event}()"
                )


def downgrade() -> None:
    """Counts again."""
    for event in EVENTS:
        op.execute(f"DROP FUNCTION keep_total_{event}() CASCADE")
    op.execute("DELETE FROM list_totals")
