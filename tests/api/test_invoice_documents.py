"""Documents over HTTP: the PDFs of issued invoices and of refunds, and in whose language."""

from io import BytesIO
from typing import Any

import httpx2
import pytest
from pypdf import PdfReader

from activities.organizations import OrganizationActivities
from models.database import Database
from tests.api.in_process import CARD, Shop, accepted, consumer

Client = httpx2.AsyncClient
START = "2026-01-31T00:00:00Z"


def text_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    pages = PdfReader(BytesIO(answer.content)).pages
    told = " ".join(" ".join(page.extract_text().split()) for page in pages)
    # Where a long word may be broken stands a space of no width.
    return told.replace("\u200b", "")


@pytest.fixture
async def pending(shop: Shop) -> Any:
    """A first invoice of 49.00 and 10 %, issued and unpaid."""
    clock = await shop.clock(START)
    return await shop.subscribe(await shop.advance_plan(), testClockId=clock, startedAt=START)


async def test_an_issued_invoice_has_a_pdf(living: Client, visitor: Client, pending: Any) -> None:
    path = f"/v2/invoices/{pending['payment']['invoiceId']}"
    invoice = (await living.get(path)).json()
    assert invoice["pdfUrl"] == f"http://durabill.test{path}/pdf"
    assert invoice["pdfSource"] == "paygentic"
    first = await living.get(invoice["pdfUrl"])
    text = text_of(first)
    for told in (
        "Invoice Due",
        "INV-2026-01-001",
        "Base fee",
        "1 $49.00 10% $49.00",
        "Subtotal $49.00 Tax 10% ($49.00) $4.90 Total $53.90",
        "Amount due (USD) $53.90",
        "Ada",
        pending["payment"]["checkoutUrl"],
    ):
        assert told in text, text
    assert first.headers["content-disposition"] == 'inline; filename="INV-2026-01-001.pdf"'
    assert (await living.get(invoice["pdfUrl"])).content == first.content
    await visitor.post(pending["payment"]["checkoutUrl"], data=CARD)
    paid = text_of(await living.get(invoice["pdfUrl"]))
    assert "Invoice Paid" in paid
    assert "-$53.90" in paid
    assert "Amount due (USD) $0.00" in paid
    assert "/checkout/" not in paid


async def test_an_open_invoice_has_none(
    living: Client, visitor: Client, stranger_client: Client, pending: Any
) -> None:
    await visitor.post(pending["payment"]["checkoutUrl"], data=CARD)
    (running,) = (await living.get("/v2/invoices", params={"status": "ACTIVE"})).json()["data"]
    assert (running["pdfUrl"], running["pdfSource"]) == (None, None)
    paths = [f"/v2/invoices/{running['id']}/pdf", "/v2/invoices/inv_0/pdf"]
    for client, path in [(living, each) for each in paths] + [
        (stranger_client, f"/v2/invoices/{pending['payment']['invoiceId']}/pdf")
    ]:
        answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"] == "not_found"


async def test_a_document_goes_on_naming_who_it_named(
    living: Client, shop: Shop, database: Database
) -> None:
    merchants = OrganizationActivities(database)
    home = {"line1": "Torstr. 1", "city": "Berlin", "zipCode": "10115", "country": "DE"}
    await merchants.change_merchant(
        shop.merchant_id, {"name": "Before GmbH", "address": home, "tax_id": "DE136695976"}
    )
    made = await shop.subscribe(await shop.advance_plan())
    await merchants.change_merchant(shop.merchant_id, {"name": "After AG", "address": {}})
    text = text_of(await living.get(f"/v2/invoices/{made['payment']['invoiceId']}/pdf"))
    for told in ("Before GmbH", "Torstr. 1", "10115 Berlin", "Germany", "Tax ID: DE136695976"):
        assert told in text, text
    assert "After AG" not in text


async def test_a_customer_reads_their_own_language(living: Client, shop: Shop) -> None:
    customer = await shop.customer()
    path = f"/v0/customers/{customer}/locale"
    assert (await living.get(path)).json() == {
        "object": "customerLocale",
        "customerId": customer,
        "locale": None,
    }
    assert accepted(await living.put(path, json={"locale": "de-AT"}))["locale"] == "de-AT"
    assert (await living.get(path)).json()["locale"] == "de-AT"
    made = await shop.subscribe(await shop.advance_plan("1234.50"), customerId=customer)
    pdf = f"/v2/invoices/{made['payment']['invoiceId']}/pdf"
    text = text_of(await living.get(pdf))
    assert "Rechnung Offen" in text
    assert "Offener Betrag (USD)" in text
    assert "1.357,95" in text
    # What is issued keeps its language.
    accepted(await living.put(path, json={"locale": None}))
    assert "Rechnung Offen" in text_of(await living.get(pdf))


@pytest.mark.parametrize("locale", ["", "xx", "de_AT", "zz-ZZ", 5, "en-" + "a" * 300])
async def test_what_is_no_locale_is_refused(living: Client, shop: Shop, locale: Any) -> None:
    path = f"/v0/customers/{await shop.customer()}/locale"
    answer = await living.put(path, json={"locale": locale})
    assert answer.status_code == 400
    assert answer.json()["error"] == "validation_error"
    assert answer.json()["errors"][0]["field"] == "locale"
    assert (await living.put(path, json={})).status_code == 400


async def test_a_refund_has_a_credit_note(
    living: Client, visitor: Client, stranger_client: Client, pending: Any, shop: Shop
) -> None:
    await visitor.post(pending["payment"]["checkoutUrl"], data=CARD)
    invoice = pending["payment"]["invoiceId"]
    refund = await shop.post(f"/v2/invoices/{invoice}/refunds", reason="r")
    assert refund["pdfUrl"].startswith(f"http://durabill.test/v2/invoices/{invoice}/refunds/crn_")
    listed = (await living.get(f"/v2/invoices/{invoice}/refunds")).json()["data"]
    assert listed[0]["pdfUrl"] == refund["pdfUrl"]
    text = text_of(await living.get(refund["pdfUrl"]))
    assert "Credit note Refunded" in text
    # How wide the column is, and so where its words break, depends on the ids.
    assert "ForinvoiceINV-2026-01-001" in text.replace(" ", "")
    assert "Total $53.90" in text
    assert (await stranger_client.get(refund["pdfUrl"])).status_code == 404
    other = (await shop.subscribe(await shop.advance_plan()))["payment"]["invoiceId"]
    for wrong in (f"{other}/refunds/{refund['id']}", f"{invoice}/refunds/crn_0"):
        assert (await living.get(f"/v2/invoices/{wrong}/pdf")).status_code == 404


async def test_names_are_no_markup(living: Client, shop: Shop) -> None:
    who = consumer() | {"name": '#panic("x") *bold* $y$'}
    made = await shop.post("/v0/customers", merchantId=shop.merchant_id, consumer=who)
    sold = await shop.subscribe(await shop.advance_plan(), customerId=made["customerId"])
    text = text_of(await living.get(f"/v2/invoices/{sold['payment']['invoiceId']}/pdf"))
    assert '#panic("x") *bold* $y$' in text


async def test_a_written_amount_is_what_is_owed_in_any_currency(living: Client, shop: Shop) -> None:
    """4900 yen and 10 % are 5390; 1.234 dinars and 10 % are 1.2340 + 0.1234, due as 1.357."""
    for currency, amount, total in (("JPY", "4900", "¥5,390"), ("KWD", "1.234", "KWD 1.357")):
        made = await shop.subscribe(await shop.advance_plan(amount, currency=currency))
        text = text_of(await living.get(f"/v2/invoices/{made['payment']['invoiceId']}/pdf"))
        assert f"Amount due ({currency}) {total}" in text, text


async def named(shop: Shop, database: Database) -> None:
    """The merchant as a German business."""
    await OrganizationActivities(database).change_merchant(
        shop.merchant_id,
        {
            "address": {"city": "Berlin", "zipCode": "10115", "country": "DE"},
            "tax_id": "DE136695976",
        },
    )


async def test_an_electronic_invoice_alone_and_inside(
    living: Client, shop: Shop, database: Database, stranger_client: Client, visitor: Client
) -> None:
    await named(shop, database)
    made = await shop.subscribe(await shop.advance_plan(currency="EUR", defaultTaxRate=19))
    path = f"/v2/invoices/{made['payment']['invoiceId']}"
    answer = await living.get(f"{path}/xml")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/xml"
    assert b'<ram:TaxTotalAmount currencyID="EUR">9.31<' in answer.content
    assert b"<ram:DuePayableAmount>58.31<" in answer.content
    pdf = await living.get(f"{path}/pdf")
    assert PdfReader(BytesIO(pdf.content)).attachments["factur-x.xml"] == [answer.content]
    assert (await stranger_client.get(f"{path}/xml")).status_code == 404
    await visitor.post(made["payment"]["checkoutUrl"], data=CARD)
    refund = await shop.post(f"{path}/refunds", reason="r")
    note = await living.get(f"{path}/refunds/{refund['id']}/xml")
    assert b"<ram:TypeCode>381<" in note.content
    assert (await living.get(f"{path}/refunds/crn_0/xml")).status_code == 404


async def test_what_it_cannot_say_is_refused_with_the_reason(
    living: Client, shop: Shop, database: Database
) -> None:
    async def refusal(**members: Any) -> Any:
        made = await shop.subscribe(await shop.advance_plan(**members))
        path = f"/v2/invoices/{made['payment']['invoiceId']}"
        answer = await living.get(f"{path}/xml")
        assert answer.status_code == 422
        pdf = await living.get(f"{path}/pdf")
        assert not PdfReader(BytesIO(pdf.content)).attachments
        return answer.json()

    assert (await refusal())["code"] == "ISSUER_IDENTITY_INCOMPLETE"
    await named(shop, database)
    refused = await refusal(currency="KWD", amount="1.234")
    assert (refused["code"], refused["error"]) == ("E_INVOICE_NOT_POSSIBLE", "unprocessable_entity")
    assert "two decimals" in refused["message"]
    assert "needs a reason" in (await refusal(defaultTaxRate=0))["message"]


async def test_the_page_of_a_paid_invoice_has_its_pdf(
    visitor: Client, living: Client, shop: Shop, pending: Any
) -> None:
    page = pending["payment"]["checkoutUrl"]
    assert "invoice.pdf" not in (await visitor.get(page)).text
    assert (await visitor.get(f"{page}/invoice.pdf")).status_code == 404
    paid = await visitor.post(page, data=CARD)
    token = page.rpartition("/")[2]
    assert f'href="{token}/invoice.pdf"' in paid.text
    answer = await visitor.get(f"{page}/invoice.pdf")
    assert "Invoice Paid" in text_of(answer)
    assert answer.headers["cache-control"] == "no-store"
    own = await living.get(f"/v2/invoices/{pending['payment']['invoiceId']}/pdf")
    assert own.content == answer.content
    assert (await visitor.get("/checkout/nothing/invoice.pdf")).status_code == 404
    one_off = await shop.post("/v0/payments", amount="10.00", currency="USD")
    paid = await visitor.post(one_off["paymentUrl"], data=CARD)
    assert "<h1>Paid</h1>" in paid.text
    assert "invoice.pdf" not in paid.text
    assert (await visitor.get(f"{one_off['paymentUrl']}/invoice.pdf")).status_code == 404
