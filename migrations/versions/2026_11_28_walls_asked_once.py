"""walls asked once"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# Whether a merchant is named is the same for every row of a statement: as a sub-select of its own it
# is found out once, where the comparison with the empty name was made for each of them.
NAMED_FOR_EACH_ROW = (
    "(SELECT coalesce(current_setting(''durabill.merchant'', true), '''')) = '''' "
    "OR merchant_id = (SELECT current_setting(''durabill.merchant'', true))"
)
NAMED_ONCE = (
    "(SELECT coalesce(current_setting(''durabill.merchant'', true), '''') = '''') "
    "OR merchant_id = (SELECT current_setting(''durabill.merchant'', true))"
)
ALTER = """
DO $$
DECLARE
    guarded record;
BEGIN
    FOR guarded IN
        SELECT tablename AS name FROM pg_policies
        WHERE schemaname = current_schema() AND policyname = 'tenant'
    LOOP
        EXECUTE format('ALTER POLICY tenant ON %I USING ({wall})', guarded.name);
    END LOOP;
END $$
"""


def upgrade() -> None:
    """Asks once a statement."""
    op.execute(ALTER.replace("{wall}", NAMED_ONCE))


def downgrade() -> None:
    """Asks for each row."""
    op.execute(ALTER.replace("{wall}", NAMED_FOR_EACH_ROW))
