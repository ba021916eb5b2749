"""Where the hosted pages are found; what they show is the pages' affair."""

CHECKOUT_PATH = "/checkout"


def checkout_url(public_url: str, token: str) -> str:
    """The page on which a customer pays, or saves a card."""
    return f"{public_url}{CHECKOUT_PATH}/{token}"
