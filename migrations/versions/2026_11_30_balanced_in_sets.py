"""balanced in sets"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# Transfers are written whole, by one statement: it is held to all that it wrote at once.
BALANCED = """
CREATE FUNCTION check_transfers_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken record;
BEGIN
    SELECT transfer_id, sum(amount) AS total INTO broken
    FROM ledger_entries WHERE transfer_id IN (SELECT transfer_id FROM booked)
    GROUP BY transfer_id HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transfer % does not balance: %', broken.transfer_id, broken.total
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""
BALANCED_LATER = """
CREATE FUNCTION check_transfer_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    total numeric;
BEGIN
    SELECT sum(amount) INTO total FROM ledger_entries WHERE transfer_id = NEW.transfer_id;
    IF total <> 0 THEN
        RAISE EXCEPTION 'transfer % does not balance: %', NEW.transfer_id, total
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Adds transfers up once a statement, where each of their entries did at the commit."""
    op.execute("DROP TRIGGER ledger_entries_balance ON ledger_entries")
    op.execute("DROP FUNCTION check_transfer_balances()")
    op.execute(BALANCED)
    op.execute(
        "CREATE TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries "
        "REFERENCING NEW TABLE AS booked FOR EACH STATEMENT "
        "EXECUTE FUNCTION check_transfers_balance()"
    )


def downgrade() -> None:
    """Adds them up for each entry again."""
    op.execute("DROP TRIGGER ledger_entries_balance ON ledger_entries")
    op.execute("DROP FUNCTION check_transfers_balance()")
    op.execute(BALANCED_LATER)
    op.execute(
        "CREATE CONSTRAINT TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_transfer_balances()"
    )
