"""actors of rows"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# Where a transaction is shared, who acts on a row is found by its id, or by what it collects for.
RECORD = """
CREATE OR REPLACE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hidden CONSTANT text[] :=
        '{digest,token,secret,signing_secret,gateway_method_id,request_digest}';
    unremarkable CONSTANT text[] := '{updated_at,last_used_at}';
    acting jsonb := coalesce(nullif(current_setting('durabill.acting', true), ''), '{}')::jsonb;
    actors text := coalesce(current_setting('durabill.actors', true), '');
    actor text := coalesce(acting->>'actor', 'system');
    was jsonb;
    becomes jsonb;
    whole jsonb;
BEGIN
    IF coalesce(current_setting('durabill.reset', true), '') <> '' THEN
        RETURN NULL;
    END IF;
    IF TG_NARGS > 0 AND actor LIKE 'workflow:%' THEN
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
    IF actors <> '' THEN
        actor := coalesce(nullif(split_part(split_part(
            actors, '|' || coalesce(whole->>'collection_id', whole->>'id', '') || '=', 2
        ), '|', 1), ''), actor);
    END IF;
    INSERT INTO audit_events (
        id, merchant_id, actor, user_id, operation, request_id, change, object_type, object_id,
        before, after, created_at
    ) VALUES (
        'aud_' || replace(gen_random_uuid()::text, '-', ''),
        coalesce(whole->>'merchant_id', whole->>'id'),
        actor,
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
BEFORE = """
CREATE OR REPLACE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
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


def upgrade() -> None:
    """Lets the log name several actors of one transaction."""
    op.execute(RECORD)


def downgrade() -> None:
    """Lets it name one."""
    op.execute(BEFORE)
