"""changes recorded in sets"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# What `models/row_sets.py` writes many rows of is recorded by one statement for all of them, where
# several act in a transaction; elsewhere each row by itself, which is cheaper for one. Each of these
# tables has `id` as its key, and `merchant_id`. A later table takes the trigger `record_change` for
# each row, as before, and TRIGGERS only if it is written in sets (docs/adr/0064).
IN_SETS = ("invoices", "payment_sessions", "payment_attempts", "notifications")
BY_CALLERS_ONLY = ("invoice_lines", "plan_lines")

# The ids of one statement share what was drawn for it, and count on. A plan is kept for any number
# of rows, which is why no variable may make PostgreSQL plan again.
HEAD = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    hidden CONSTANT text[] :=
        '{{digest,token,secret,signing_secret,gateway_method_id,request_digest}}';
    unremarkable CONSTANT text[] := '{{updated_at,last_used_at}}';
    acting jsonb := coalesce(nullif(current_setting('durabill.acting', true), ''), '{{}}')::jsonb;
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
                actors, '|' || coalesce({whole}->>'collection_id', changed.id) || '=', 2
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
        {sides},
        clock_timestamp()
    FROM {changes};
    RETURN NULL;
END $$
"""
# OFFSET 0: a row becomes a document once, however often it is read.
WHOLE = """(
        SELECT id, merchant_id, CASE WHEN whole ?| hidden THEN whole - hidden ELSE whole END AS whole
        FROM (
            SELECT id, merchant_id, to_jsonb(told) AS whole FROM told OFFSET 0
        ) AS written OFFSET 0
    ) AS changed"""
WHOLE_SIDES = (
    "CASE TG_OP WHEN 'DELETE' THEN changed.whole END, "
    "CASE TG_OP WHEN 'INSERT' THEN changed.whole END"
)
# Both documents of a row list the same members in the same order. A full join is never made row by
# row, whatever the plan was made for; an id that changes is told on its two sides.
DIFFERENCE = """(
        SELECT
            id,
            coalesce(came.merchant_id, went.merchant_id) AS merchant_id,
            to_jsonb(went) AS was,
            to_jsonb(came) AS becomes
        FROM went FULL JOIN came USING (id) OFFSET 0
    ) AS changed,
    LATERAL (
        SELECT coalesce(
            array_agg(key) FILTER (WHERE one IS NOT DISTINCT FROM other OR key = ANY (hidden)), '{}'
        ) AS members
        FROM (
            SELECT coalesce(left_key, right_key) AS key, one, other
            FROM ROWS FROM (jsonb_each(changed.was), jsonb_each(changed.becomes))
            AS member (left_key, one, right_key, other)
        ) AS members
        HAVING bool_or(
            one IS DISTINCT FROM other AND key <> ALL (hidden) AND key <> ALL (unremarkable)
        )
    ) AS untold"""
DIFFERENCE_SIDES = "changed.was - untold.members, changed.becomes - untold.members"
FUNCTIONS = {
    "record_rows": {"whole": "changed.whole", "sides": WHOLE_SIDES, "changes": WHOLE},
    "record_differences": {
        "whole": "coalesce(changed.becomes, changed.was)",
        "sides": DIFFERENCE_SIDES,
        "changes": DIFFERENCE,
    },
}
# Both sides of one question: several actors, as `models.audit.sign_for_all` names them.
SEVERAL = "(current_setting('durabill.actors', true) LIKE '|%|%|%')"
TRIGGERS = (
    "CREATE TRIGGER record_change_insert AFTER INSERT ON {table} "
    "REFERENCING NEW TABLE AS told FOR EACH STATEMENT "
    "WHEN ({several} IS TRUE) EXECUTE FUNCTION record_rows()",
    "CREATE TRIGGER record_change_delete AFTER DELETE ON {table} "
    "REFERENCING OLD TABLE AS told FOR EACH STATEMENT "
    "WHEN ({several} IS TRUE) EXECUTE FUNCTION record_rows()",
    "CREATE TRIGGER record_change_update AFTER UPDATE ON {table} "
    "REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT "
    "WHEN ({several} IS TRUE) EXECUTE FUNCTION record_differences()",
)
EACH_ROW = (
    "CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON {table} "
    "FOR EACH ROW {when}EXECUTE FUNCTION record_change({argument})"
)
# As `Acting.text` writes it; whatever else stands there is left to the function, which parses it.
NO_WORKFLOW = (
    """WHEN ((current_setting('durabill.acting', true) LIKE '{"actor": "workflow:%') IS NOT TRUE) """
)


def upgrade() -> None:
    """Records a set once a statement, and does not ask for the lines that a workflow writes."""
    for name, parts in FUNCTIONS.items():
        op.execute(HEAD.format(name=name, **parts))
    for table in IN_SETS:
        op.execute(f"DROP TRIGGER record_change ON {table}")
        alone = f"WHEN ({SEVERAL} IS NOT TRUE) "
        op.execute(EACH_ROW.format(table=table, when=alone, argument=""))
        for trigger in TRIGGERS:
            op.execute(trigger.format(table=table, several=SEVERAL))
    _ask_callers(NO_WORKFLOW)


def downgrade() -> None:
    """Records each row by itself, and asks for each line."""
    _ask_callers("")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}() CASCADE")
    for table in IN_SETS:
        op.execute(f"DROP TRIGGER record_change ON {table}")
        op.execute(EACH_ROW.format(table=table, when="", argument=""))


def _ask_callers(when: str) -> None:
    for table in BY_CALLERS_ONLY:
        op.execute(f"DROP TRIGGER record_change ON {table}")
        op.execute(EACH_ROW.format(table=table, when=when, argument="'callers'"))
