"""differences column by column"""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

# What `record_differences` finds in two documents, member by member, a statement that names each
# column finds in the rows, and only what differs is told. The statement is written from the
# catalogue: who adds a column to one of these tables asks for it anew. Until then the column is
# told with every change, and its own change by itself is not (docs/adr/0071).
IN_SETS = ("invoices", "payment_sessions", "payment_attempts", "notifications")
# The columns that `record_change` hides, and those that are no change by themselves.
WRITE = """
CREATE FUNCTION write_record_differences(kept regclass) RETURNS void LANGUAGE plpgsql AS $write$
DECLARE
    hidden CONSTANT text[] :=
        '{digest,token,secret,signing_secret,gateway_method_id,request_digest}';
    unremarkable CONSTANT text[] := '{updated_at,last_used_at}';
    untold text;
    is_told text;
BEGIN
    SELECT
        string_agg(
            CASE
                WHEN attname = ANY (hidden) THEN quote_literal(attname)
                ELSE format(
                    'CASE WHEN went.%1$I IS NOT DISTINCT FROM came.%1$I THEN %1$L END', attname
                )
            END, ', ' ORDER BY attnum
        ),
        string_agg(format('went.%1$I IS DISTINCT FROM came.%1$I', attname), ' OR ' ORDER BY attnum)
            FILTER (WHERE attname <> ALL (hidden) AND attname <> ALL (unremarkable))
    INTO untold, is_told
    FROM pg_attribute WHERE attrelid = kept AND attnum > 0 AND NOT attisdropped;
    EXECUTE format($format$
CREATE OR REPLACE FUNCTION %1$I() RETURNS trigger LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $record$
DECLARE
    acting jsonb := coalesce(nullif(current_setting('durabill.acting', true), ''), '{}')::jsonb;
    actors text := coalesce(current_setting('durabill.actors', true), '');
    drawn text := 'aud_' || left(replace(gen_random_uuid()::text, '-', ''), 24);
BEGIN
    IF coalesce(current_setting('durabill.reset', true), '') <> '' THEN
        RETURN NULL;
    END IF;
    INSERT INTO audit_events (
        id, merchant_id, actor, user_id, operation, request_id, change, object_type, object_id,
        before, after, created_at
    )
    SELECT
        drawn || lpad(to_hex(row_number() OVER ()), 8, '0'),
        changed.merchant_id,
        coalesce(
            CASE WHEN actors <> '' THEN nullif(split_part(split_part(
                actors,
                '|' || coalesce(
                    coalesce(changed.becomes, changed.was)->>'collection_id', changed.id
                ) || '=',
                2
            ), '|', 1), '') END,
            acting->>'actor',
            'system'
        ),
        acting->>'user_id',
        coalesce(acting->>'operation', ''),
        acting->>'request_id',
        lower(TG_OP),
        TG_TABLE_NAME,
        changed.id,
        changed.was - changed.untold,
        changed.becomes - changed.untold,
        clock_timestamp()
    FROM (
        SELECT
            id,
            coalesce(came.merchant_id, went.merchant_id) AS merchant_id,
            to_jsonb(went) AS was,
            to_jsonb(came) AS becomes,
            CASE WHEN went.id = came.id THEN ARRAY[%2$s] ELSE %4$L::text[] END AS untold
        FROM went FULL JOIN came USING (id)
        WHERE %3$s
        OFFSET 0
    ) AS changed;
    RETURN NULL;
END $record$
$format$, 'record_differences_of_' || kept, untold, is_told, hidden);
END $write$
"""
TRIGGER = (
    "CREATE OR REPLACE TRIGGER record_change_update AFTER UPDATE ON {table} "
    "REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT "
    "WHEN ((current_setting('durabill.actors', true) LIKE '|%|%|%') IS TRUE) "
    "EXECUTE FUNCTION {function}()"
)


def upgrade() -> None:
    """Compares columns."""
    op.execute(WRITE)
    for table in IN_SETS:
        op.execute(f"SELECT write_record_differences('{table}')")
        op.execute(TRIGGER.format(table=table, function=f"record_differences_of_{table}"))


def downgrade() -> None:
    """Compares the members of documents."""
    for table in IN_SETS:
        op.execute(TRIGGER.format(table=table, function="record_differences"))
        op.execute(f"DROP FUNCTION record_differences_of_{table}()")
    op.execute("DROP FUNCTION write_record_differences(regclass)")
