"""What an open invoice comes to, for whoever only reads it; nothing is stored here.

One whose calculation fails must not hide all others of a list: it comes to nothing, and says why.
"""

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.errors import InvalidValue
from models.invoices import Invoice
from models.queries import drafts
from models.queries.draft_lines import Draft
from models.queries.terms import Terms

log = structlog.get_logger(__name__)


async def calculated(session: AsyncSession, terms: Terms, invoice: Invoice) -> Draft | None:
    """The invoice's draft as of now; None where its values cannot be calculated."""
    try:
        return await drafts.of_invoice(session, terms, invoice)
    except InvalidValue as error:
        log.warning("invoice_not_calculated", invoiceId=invoice.id, reason=error.message)
        return None
