"""Search attributes: how an operator finds a workflow; no personal data belongs in them."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

MERCHANT_ID = SearchAttributeKey.for_keyword("MerchantId")
CUSTOMER_ID = SearchAttributeKey.for_keyword("CustomerId")
SUBSCRIPTION_ID = SearchAttributeKey.for_keyword("SubscriptionId")
INVOICE_ID = SearchAttributeKey.for_keyword("InvoiceId")
CLOCK_ID = SearchAttributeKey.for_keyword("ClockId")
PHASE = SearchAttributeKey.for_keyword("Phase")
ALL = (MERCHANT_ID, CUSTOMER_ID, SUBSCRIPTION_ID, INVOICE_ID, CLOCK_ID, PHASE)

_BY_ARGUMENT = {
    "merchant_id": MERCHANT_ID,
    "customer_id": CUSTOMER_ID,
    "subscription_id": SUBSCRIPTION_ID,
    "invoice_id": INVOICE_ID,
    "clock_id": CLOCK_ID,
}


def pairs(argument: dict[str, object]) -> list[SearchAttributePair[str]]:
    """The attributes that a workflow's argument names."""
    found = [
        SearchAttributePair(key, value)
        for name, key in _BY_ARGUMENT.items()
        if isinstance(value := argument.get(name), str)
    ]
    collection_id = argument.get("collection_id")
    if isinstance(collection_id, str) and collection_id.startswith("inv_"):
        found.append(SearchAttributePair(INVOICE_ID, collection_id))
    return found


def typed(**argument: object) -> TypedSearchAttributes:
    """The same, for the start of a child."""
    return TypedSearchAttributes(pairs(argument))
