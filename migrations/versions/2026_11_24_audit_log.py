"""audit log"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Every table is audited, later ones too when they are migrated with this loop, but for these:
UNAUDITED = (
    "audit_events",
    # Logs themselves: append only, with the caller's key in every row.
    "usage_events",
    "usage_conflicts",
    "usage_charge_items",
    "ledger_accounts",
    "ledger_transfers",
    "ledger_entries",
    # Book-keeping of the machine, told by no one and of no use to a reader.
    "usage_quantity_paths",
    "idempotency_keys",
    "invoice_counters",
    "list_totals",
    "outbox",
    "test_clock_members",
)
# What a workflow drafts line by line is told by the invoice; what a caller adds is told here.
BY_CALLERS_ONLY = ("invoice_lines", "plan_lines")

# Secrets are never copied; an update of nothing but these times is no change.
RECORD = """
CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hidden CONSTANT text[] :=
        '{digest,token,secret,signing_secret,gateway_method_id,request_digest}';
    unremarkable CONSTANT text[] := '{updated_at,last_used_at}';
    acting jsonb := coalesce(nullif(current_setting('durabill.acting', true), ''), '{}')::jsonb;
    was jsonb;
    becomes jsonb;
    whole jsonb;
BEGIN
    IF coalesce(current_setting('durabill.reset', true), '') <> '' THEN
        RETURN NULL;
    END IF;
    IF TG_NARGS > 0 AND acting->>'actor' LIKE 'workflow:%' THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        was := to_jsonb(OLD) - hidden;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        becomes := to_jsonb(NEW) - hidden;
    END IF;
    whole := coalesce(becomes, was);
    IF TG_OP = 'UPDATE' THEN
        SELECT jsonb_object_agg(key, was->key), jsonb_object_agg(key, value) INTO was, becomes
        FROM jsonb_each(becomes) WHERE was->key IS DISTINCT FROM value;
        IF becomes IS NULL OR becomes - unremarkable = '{}' THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO audit_events (
        id, merchant_id, actor, user_id, operation, request_id, change, object_type, object_id,
        before, after, created_at
    ) VALUES (
        'aud_' || replace(gen_random_uuid()::text, '-', ''),
        coalesce(whole->>'merchant_id', whole->>'id'),
        coalesce(acting->>'actor', 'system'),
        acting->>'user_id',
        coalesce(acting->>'operation', ''),
        acting->>'request_id',
        lower(TG_OP),
        TG_TABLE_NAME,
        coalesce(whole->>'id', whole->>'event_id', whole->>'plan_version_id', ''),
        was,
        becomes,
        clock_timestamp()
    );
    RETURN NULL;
END $$
"""

# A reset empties a merchant (or takes one customer out) and is told as one change.
RESET = """
CREATE FUNCTION record_reset(merchant text, object text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    acting jsonb := coalesce(nullif(current_setting('durabill.acting', true), ''), '{}')::jsonb;
BEGIN
    INSERT INTO audit_events (
        id, merchant_id, actor, user_id, operation, request_id, change, object_type, object_id,
        created_at
    ) VALUES (
        'aud_' || replace(gen_random_uuid()::text, '-', ''),
        merchant,
        coalesce(acting->>'actor', 'system'),
        acting->>'user_id',
        coalesce(acting->>'operation', ''),
        acting->>'request_id',
        'reset',
        CASE WHEN object = merchant THEN 'merchants' ELSE 'customers' END,
        object,
        clock_timestamp()
    );
END $$
"""

TRIGGERS = """
DO $$
DECLARE
    audited text;
BEGIN
    FOR audited IN
        SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema() AND tablename <> 'alembic_version'
        AND tablename <> ALL (ARRAY[{unaudited}])
    LOOP
        EXECUTE format(
            'CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON %I '
            'FOR EACH ROW EXECUTE FUNCTION record_change()', audited
        );
    END LOOP;
END $$
"""


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def upgrade() -> None:
    """Records every change, and refuses to change the record."""
    op.execute(RECORD)
    op.execute(RESET)
    op.execute(TRIGGERS.format(unaudited=_quoted(UNAUDITED + BY_CALLERS_ONLY)))
    for table in BY_CALLERS_ONLY:
        op.execute(
            f"CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION record_change('callers')"
        )
    op.execute(
        "CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Stops recording; the record stays."""
    op.execute("DROP TRIGGER audit_events_no_truncate ON audit_events")
    op.execute("DROP TRIGGER audit_events_append_only ON audit_events")
    op.execute("DROP FUNCTION record_reset(text, text)")
    op.execute("DROP FUNCTION record_change() CASCADE")
