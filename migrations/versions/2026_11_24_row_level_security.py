"""row level security"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# The second wall behind every statement's own filter (docs/adr/0024): a request that has proved
# whose key it has sees and writes that merchant's rows only. What works for all merchants (workers,
# the command line, migrations) names none. The sub-select is evaluated once a statement, not a row.
# `merchants` has no wall: an operation tells a merchant that is not there from another one.
POLICIES = """
DO $$
DECLARE
    guarded record;
BEGIN
    FOR guarded IN
        SELECT tablename AS name FROM pg_tables
        WHERE schemaname = current_schema()
        AND tablename NOT IN ('alembic_version', 'merchants')
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded.name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', guarded.name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING ('
            '(SELECT coalesce(current_setting(''durabill.merchant'', true), '''')) = '''' '
            'OR merchant_id = (SELECT current_setting(''durabill.merchant'', true)))',
            guarded.name
        );
    END LOOP;
END $$
"""

NONE = """
DO $$
DECLARE
    guarded record;
BEGIN
    FOR guarded IN
        SELECT tablename AS name FROM pg_policies
        WHERE schemaname = current_schema() AND policyname = 'tenant'
    LOOP
        EXECUTE format('DROP POLICY tenant ON %I', guarded.name);
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', guarded.name);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', guarded.name);
    END LOOP;
END $$
"""


def upgrade() -> None:
    """Builds the wall."""
    op.execute(POLICIES)


def downgrade() -> None:
    """Takes it down."""
    op.execute(NONE)
