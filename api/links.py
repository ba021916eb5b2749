"""Where pages and documents are found; what they show is their own affair."""

CHECKOUT_PATH = "/checkout"
PORTAL_PATH = "/portal"


def checkout_url(public_url: str, token: str) -> str:
    """The page on which a customer pays, or saves a card."""
    return f"{public_url}{CHECKOUT_PATH}/{token}"


def portal_url(public_url: str, secret: str) -> str:
    """The page on which a customer reads about a subscription."""
    return f"{public_url}{PORTAL_PATH}/{secret}"


def invoice_pdf_url(public_url: str, invoice_id: str) -> str:
    """An issued invoice as PDF."""
    return f"{public_url}/v2/invoices/{invoice_id}/pdf"


def refund_pdf_url(public_url: str, invoice_id: str, refund_id: str) -> str:
    """A refund's credit note as PDF."""
    return f"{public_url}/v2/invoices/{invoice_id}/refunds/{refund_id}/pdf"
