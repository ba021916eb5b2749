"""ledger guards"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Append only: what is booked is corrected by a new transfer, never by a change (DESIGN: the ledger).
# A reset of a sandbox says so for its own transaction, and may delete; the audit log stays.
APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME <> 'audit_events'
       AND current_setting('durabill.reset', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""

# Checked at commit, so that the entries of one transfer may be inserted one after the other.
BALANCED = """
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

# A customer may not spend below zero: the wallet's and the hold's balances are liabilities
# (credit side, so negative or zero as debits minus credits).
FLOOR = """
ALTER TABLE ledger_accounts ADD CONSTRAINT ck_ledger_accounts_floor
CHECK (kind NOT IN ('customer_wallet', 'reserved_funds') OR balance <= 0)
"""


def upgrade() -> None:
    """Creates the triggers and the floor."""
    op.execute(APPEND_ONLY)
    for table in ("ledger_transfers", "ledger_entries", "usage_events"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        "CREATE TRIGGER ledger_entries_no_delete BEFORE DELETE ON ledger_entries "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(BALANCED)
    op.execute(
        "CREATE CONSTRAINT TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_transfer_balances()"
    )
    op.execute(FLOOR)


def downgrade() -> None:
    """Drops them again."""
    op.execute("ALTER TABLE ledger_accounts DROP CONSTRAINT ck_ledger_accounts_floor")
    op.execute("DROP TRIGGER ledger_entries_balance ON ledger_entries")
    op.execute("DROP TRIGGER ledger_entries_no_delete ON ledger_entries")
    for table in ("ledger_transfers", "ledger_entries", "usage_events"):
        op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
    op.execute("DROP FUNCTION check_transfer_balances()")
    op.execute("DROP FUNCTION refuse_change()")
